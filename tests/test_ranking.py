import csv
import itertools

import numpy as np
import pytest

from hf_aesthetics.scoring import PictureScore, RankedPicture, rank_pictures, write_scores


def rows_of(scores: list[float | None]) -> list[PictureScore]:
    about = {
        "score_std": None,
        "percentile": None,
        "distribution": {"1": None},
        "scorer": "a@b",
        "preprocessing": "rgb",
    }
    return [
        PictureScore(path=f"{place}.jpg", score=score, error=None if score is not None else "unreadable", **about)
        for place, score in enumerate(scores)
    ]


def test_places_are_those_that_pairwise_ties_leave_open():
    scores = np.random.default_rng(0).uniform(1, 10, 40)
    for picture in rank_pictures(rows_of(scores.tolist()), error := 0.4):
        above = sum(other - error > picture.score + error for other in scores)
        below = sum(other + error < picture.score - error for other in scores)
        assert (picture.best_rank, picture.worst_rank) == (1 + above, len(scores) - below)
        assert picture.best_rank <= picture.rank <= picture.worst_rank


def test_every_order_that_no_clear_pair_forbids_can_occur():
    ranked = rank_pictures(rows_of([5.0, 5.4, 5.8, 7.0]), 0.25)
    clear = {(a.path, b.path) for a, b in itertools.permutations(ranked, 2) if a.score - b.score > 0.5}
    orders = [
        order
        for order in itertools.permutations([picture.path for picture in ranked])
        if all(order.index(better) < order.index(worse) for better, worse in clear)
    ]
    for picture in ranked:
        places = {order.index(picture.path) + 1 for order in orders}
        assert (min(places), max(places)) == (picture.best_rank, picture.worst_rank)


def test_without_error_places_are_those_of_the_scores():
    ranked = rank_pictures(rows_of([3.0, 9.0, 6.0]), 0.0)
    assert [(picture.path, picture.place) for picture in ranked] == [("1.jpg", "1"), ("2.jpg", "2"), ("0.jpg", "3")]


def test_equal_scores_share_their_places():
    assert [picture.place for picture in rank_pictures(rows_of([4.0, 4.0, 1.0]), 0.0)] == ["1-2", "1-2", "3"]


def test_what_could_not_be_read_comes_last_and_without_a_place():
    *_, last = rank_pictures(rows_of([None, 2.0, 3.0]), 0.1)
    assert (last.path, last.place, last.error) == ("0.jpg", "-", "unreadable")


def test_a_negative_error_is_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        rank_pictures([], -1)


def test_places_stand_in_the_table(tmp_path):
    write_scores(rank_pictures(rows_of([3.0, None, 6.0]), 0.2), tmp_path / "ranked.csv")
    with (tmp_path / "ranked.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["2.jpg", "0.jpg", "1.jpg"]
    assert [[row[name] for name in ("rank", "best_rank", "worst_rank")] for row in rows] == [
        ["1", "1", "1"],
        ["2", "2", "2"],
        ["", "", ""],
    ]
    assert issubclass(RankedPicture, PictureScore)
