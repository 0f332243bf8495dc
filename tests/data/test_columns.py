import dataclasses

import numpy as np
import pytest
from datasets import Dataset, Image, Value
from scipy import stats

from hf_aesthetics.data.columns import (
    COMMON_COLUMNS,
    DatasetFacts,
    RatingScale,
    infer_rating_scale,
    rating_features,
    vote_statistics,
)


AVA, OASIS, PARA = RatingScale(1, 10, 10), RatingScale(1, 7, 7), RatingScale(1, 5, 9)
SCALES = [AVA, OASIS, PARA, RatingScale(0, 1, 4), RatingScale(-3, 3, 7), RatingScale(0, 100, 21)]


def rated_rows(scale: RatingScale, num_rows: int = 40, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(30, rng.dirichlet(np.ones(scale.num_bins), size=num_rows))
    return [vote_statistics(row, scale, f"row {index}") for index, row in enumerate(votes)]


@pytest.mark.parametrize("arguments, value", [((1, 10, 1), "1"), ((5, 5, 5), "5 and 5"), ((5, 1, 5), "1 and 5")])
def test_an_impossible_scale_is_refused(arguments, value):
    with pytest.raises(ValueError, match=f"got {value}"):
        RatingScale(*arguments)


@pytest.mark.parametrize("limits", [(1, float("nan")), (1, float("inf")), (float("-inf"), 5)])
def test_a_scale_without_end_is_refused(limits):
    with pytest.raises(ValueError, match="`max_score` must exceed `min_score`"):
        RatingScale(*limits, 5)


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_statistics_are_those_of_the_single_votes(scale):
    for row in rated_rows(scale):
        votes = np.repeat(scale.bin_scores, row["vote_counts"])
        assert row["score_mean"] == pytest.approx(votes.mean())
        assert row["score_std"] == pytest.approx(stats.tstd(votes) * np.sqrt((len(votes) - 1) / len(votes)))
        assert row["num_votes"] == len(votes)


@pytest.mark.parametrize(
    "votes, message",
    [
        ([1, 2], "expected 3 vote counts for the scale 1..3 in 3 bins, got 2"),
        ([1, -2, 3], r"whole numbers >= 0, got \[1.0, -2.0, 3.0\]"),
        ([1, 0.5, 3], "got .*0.5"),
        ([1, float("nan"), 3], "got .*nan"),
        ([1, None, 3], "got .*nan"),
        ([0, 0, 0], "all votes are zero"),
        (["many", 1, 2], "must be numbers, got .*many"),
    ],
)
def test_bad_votes_are_refused_by_name(votes, message):
    with pytest.raises(ValueError, match=r"^labels.csv, row 12 \(I12.jpg\): .*" + message):
        vote_statistics(votes, RatingScale(1, 3, 3), "labels.csv, row 12 (I12.jpg)")


def test_features_keep_rows_without_votes():
    row = {
        "image": None,
        "image_id": "a",
        "vote_counts": None,
        "score_mean": 2.5,
        "score_std": None,
        "num_votes": None,
    }
    dataset = Dataset.from_list(
        [{**row, "depth": None, "theme": "sea"}],
        rating_features(3, {"depth": Image(mode="L"), "theme": Value("string")}),
    )
    assert tuple(dataset.column_names) == (*COMMON_COLUMNS, "depth", "theme")
    assert dataset[0] == {**row, "depth": None, "theme": "sea"}


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_the_scale_of_a_typed_data_set_is_found(scale):
    rows = [{"image": None, "image_id": str(i), **row} for i, row in enumerate(rated_rows(scale))]
    assert infer_rating_scale(Dataset.from_list(rows, rating_features(scale.num_bins))) == scale


def test_rows_without_votes_do_not_hide_the_scale():
    rows = [*rated_rows(PARA), {"vote_counts": None, "score_mean": 4.9, "score_std": None, "num_votes": None}]
    assert infer_rating_scale(Dataset.from_list(rows)) == PARA


def test_means_alone_have_no_scale():
    assert infer_rating_scale(Dataset.from_dict({"vote_counts": [None, None], "score_mean": [2.0, 3.0]})) is None


def test_pictures_of_one_mean_cannot_tell_the_scale():
    rows = {"vote_counts": [[1, 0, 1], [0, 2, 0]], "score_mean": [2.0, 2.0]}
    assert infer_rating_scale(Dataset.from_dict(rows)) is None


@pytest.mark.parametrize("shift", [0.1, -0.5])
def test_one_wrong_mean_is_found(shift):
    rows = rated_rows(OASIS)
    rows[7]["score_mean"] += shift
    with pytest.raises(ValueError, match="`score_mean` must follow from `vote_counts`"):
        infer_rating_scale(Dataset.from_list(rows))


def test_a_falling_scale_is_refused():
    rows = [{**row, "score_mean": 8 - row["score_mean"]} for row in rated_rows(OASIS)]
    with pytest.raises(ValueError, match="`score_mean` must follow from `vote_counts`"):
        infer_rating_scale(Dataset.from_list(rows))


def test_facts_cannot_be_changed_by_a_reader():
    facts = DatasetFacts(name="my photographs", license="all rights reserved")
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.license = "CC0"
