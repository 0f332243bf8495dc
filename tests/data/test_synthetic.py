import numpy as np
import pytest
from datasets import Image, List, Value
from scipy import stats

from hf_aesthetics.data.columns import COMMON_COLUMNS, RatingScale, infer_rating_scale
from hf_aesthetics.data.rater_panel import RaterPanel
from hf_aesthetics.data.rendering import CAUSES, render_scene
from hf_aesthetics.data.synthetic import load_synthetic


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return load_synthetic(40, 3, 4, cache_dir=tmp_path_factory.mktemp("scenes"))


def test_columns_are_those_of_every_data_set_then_maps_and_causes(pictures):
    assert list(pictures) == ["train", "validation", "test"]
    assert pictures.num_rows == {"train": 40, "validation": 3, "test": 4}
    features = pictures["train"].features
    expected = [*COMMON_COLUMNS, "true_depth", "true_saliency", "true_blur", *(f"cause_{name}" for name in CAUSES)]
    assert list(features) == expected
    assert features["vote_counts"] == List(Value("int32"), length=10)
    assert features["true_blur"] == Image(mode="L") and features["cause_focus"] == Value("float32")
    assert len({row for split in pictures.values() for row in split["image_id"]}) == 47


def test_votes_scores_and_scale_agree(pictures):
    train = pictures["train"]
    counts = np.array(train["vote_counts"])
    assert (counts.sum(axis=1) == 120).all() and set(train["num_votes"]) == {120}
    ratings = [np.repeat(np.arange(1, 11), row) for row in counts]
    np.testing.assert_allclose(train["score_mean"], [row.mean() for row in ratings], rtol=1e-6)
    np.testing.assert_allclose(train["score_std"], [row.std() for row in ratings], rtol=1e-5)
    assert infer_rating_scale(train) == RatingScale(1, 10, 10)


def test_rows_hold_the_scene_that_their_id_names(pictures):
    row = pictures["test"][2]
    scene = render_scene(int(row["image_id"].removeprefix("scene-")))
    np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(scene.image))
    for name in ("depth", "saliency", "blur"):
        modality_map = row[f"true_{name}"]
        assert modality_map.mode == "L" and modality_map.size == row["image"].size
        expected = getattr(scene, f"{name}_map") * 255
        np.testing.assert_allclose(np.asarray(modality_map, dtype=np.float32), expected, atol=0.51)
    for name, value in scene.causes.items():
        assert row[f"cause_{name}"] == pytest.approx(value, abs=1e-6)


def test_data_are_the_same_for_any_number_of_processes(pictures, tmp_path):
    parallel = load_synthetic(7, 3, 4, num_proc=3, cache_dir=tmp_path)
    assert parallel["train"].data.table.equals(pictures["train"].data.table.slice(0, 7))
    for split in ("validation", "test"):
        assert parallel[split].data.table.equals(pictures[split].data.table)


def test_the_second_call_reads_what_the_first_wrote(tmp_path):
    def written():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")}

    first = load_synthetic(2, 1, 1, with_maps=False, cache_dir=tmp_path)
    before = written()
    again = load_synthetic(2, 1, 1, with_maps=False, cache_dir=tmp_path)
    assert len(before) == 3 and written() == before
    assert first["train"].data.table.equals(again["train"].data.table)
    load_synthetic(2, 1, 1, causes={"light": 1}, with_maps=False, cache_dir=tmp_path)
    assert len(written()) == 6


def test_votes_are_what_the_panel_says_of_the_causes(pictures):
    train = pictures["train"]
    causes = {name: train[f"cause_{name}"] for name in CAUSES}
    seeds = [int(image_id.removeprefix("scene-")) for image_id in train["image_id"]]
    ratings = RaterPanel().rate(causes, seeds)
    np.testing.assert_array_equal(ratings.vote_counts, train["vote_counts"])


def test_planted_cause_moves_the_votes(tmp_path):
    panel = RaterPanel(causes={"saliency": 1.0}, min_score=1, max_score=5, num_bins=9)
    pictures = load_synthetic(40, 1, 1, panel=panel, with_maps=False, cache_dir=tmp_path)["train"]
    assert stats.spearmanr(pictures["score_mean"], pictures["cause_saliency"]).statistic > 0.9
    assert infer_rating_scale(pictures) == RatingScale(1, 5, 9)
    assert "true_depth" not in pictures.column_names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"causes": {"beauty": 1}}, r"'saliency'\], got \['beauty'\]"),
        ({"causes": {"focus": 1}, "panel": RaterPanel()}, "got both"),
        ({"num_validation": 0}, "`num_validation` must be between 1 and 1000000, got 0"),
        ({"seed": -1}, "not be negative, got -1"),
    ],
)
def test_impossible_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_synthetic(**arguments)
