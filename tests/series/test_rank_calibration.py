"""Choices drawn from planted strengths: the order is found again, unclear pairs are dropped, and files go round."""

import itertools

import numpy as np
import pytest
from PIL import Image

from hf_aesthetics.data.series import load_series
from hf_aesthetics.series.rank_calibration import calibrate_ranks, write_calibration


def choices(strengths: dict[str, float], num_people: int, seed: int, series: str = "s") -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for a, b in itertools.combinations(strengths, 2):
        wins = int(rng.binomial(num_people, 1 / (1 + np.exp(strengths[b] - strengths[a]))))
        row = {"image_a": a, "image_b": b, "wins_a": wins, "wins_b": num_people - wins, "series_id": series}
        rows.append(row)
    return rows


def ranks_of(calibration) -> dict[str, int]:
    return {picture["file_name"]: picture["series_rank"] for picture in calibration.pictures}


def test_planted_orders_are_found():
    planted = {"sea": 0.4, "sky": 2.0, "rock": -1.5, "tree": -0.6}
    found = calibrate_ranks(choices(planted, 400, 0) + choices({"x": 0, "y": 1}, 400, 1, "t"))
    assert ranks_of(found) == {"sky": 0, "sea": 1, "tree": 2, "rock": 3, "y": 0, "x": 1}
    assert [picture["file_name"] for picture in found.pictures] == ["sky", "sea", "tree", "rock", "y", "x"]
    assert (len(found.pairs), found.num_unclear, found.unlinked) == (7, 0, {})
    for pair in found.pairs:
        assert 0.5 < pair["low"] < pair["preference"] < pair["high"] < 1
    strengths = {picture["file_name"]: picture["strength"] for picture in found.pictures}
    assert strengths["sky"] - strengths["rock"] == pytest.approx(3.5, abs=0.4)


def test_pairs_near_one_half_are_dropped_and_share_a_rank():
    planted = {"a": 1.5, "b": 1.45, "c": -1.5}
    found = calibrate_ranks(choices(planted, 2000, 0), min_margin=0.1)
    assert ranks_of(found) == {"a": 0, "b": 0, "c": 2}
    assert {(pair["image_a"], pair["image_b"]) for pair in found.pairs} == {("a", "c"), ("b", "c")}
    assert found.num_unclear == 1
    with pytest.raises(ValueError, match=r"in \[0, 0.5\), got 0.5"):
        calibrate_ranks([], min_margin=0.5)


@pytest.mark.parametrize("seed", range(4))
def test_a_better_rank_is_never_the_weaker_picture(seed):
    planted = dict(zip("abcdefgh", np.random.default_rng(seed).normal(0, 1, 8), strict=True))
    found = calibrate_ranks(choices(planted, 5, seed))
    strengths = {picture["file_name"]: picture["strength"] for picture in found.pictures}
    ranks = ranks_of(found)
    for a, b in itertools.permutations(planted, 2):
        assert ranks[a] >= ranks[b] or strengths[a] > strengths[b]
    for pair in found.pairs:
        assert ranks[pair["image_a"]] < ranks[pair["image_b"]]


def test_one_voice_is_enough_with_the_prior():
    rows = [{"image_a": "a", "image_b": b, "preference": 1.0} for b in ("b", "c")]
    rows.append({"image_a": "b", "image_b": "c", "preference": 1.0})
    assert ranks_of(calibrate_ranks(rows, min_margin=0.05)) == {"a": 0, "b": 1, "c": 2}
    with pytest.raises(ValueError, match=r"Series 'all': The likelihood has no maximum"):
        calibrate_ranks(rows, prior=0)
    with pytest.raises(ValueError, match=r"Row 3: expected `wins_a` and `wins_b`, or a `preference`"):
        calibrate_ranks([*rows, {"image_a": "a", "image_b": "b"}])


def test_a_series_in_two_parts_is_left_out_and_told(caplog):
    rows = choices({"a": 0, "b": 1}, 9, 0) + choices({"c": 0, "d": 1, "e": 2}, 9, 0)
    found = calibrate_ranks(rows + choices({"x": 0, "y": 1}, 50, 0, "t"))
    assert found.unlinked == {"s": "nothing compares a, b with the others"}
    assert set(ranks_of(found)) == {"x", "y"}
    assert "1 of 2 series are left out; in 's' nothing compares a, b with the others." in caplog.text


def test_what_is_written_is_loaded_as_series(tmp_path):
    planted = {"sea": 2.0, "sky": 0.0, "rock": -2.0}
    for name in planted:
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg")
    found = calibrate_ranks(choices(planted, 50, 3))
    write_calibration(found, tmp_path)
    loaded = load_series(tmp_path, pairs="pairs.csv", validation=0, test=0)
    pictures = loaded.pictures["train"]
    assert dict(zip(pictures["image_id"], pictures["series_rank"], strict=True)) == ranks_of(found)
    assert loaded.pairs["train"]["preference"][:] == pytest.approx([pair["preference"] for pair in found.pairs])
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["pairs.csv", "series.csv"]
