"""A column of a collection in place of its ratings."""

import numpy as np
import pytest
from tiny import PROCESSOR, SCALE, TINY_RESNET, brightness_collection, rated_pictures, tiny_model, training_arguments

from hf_aesthetics.data.columns import RatingScale
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.targets import with_target
from hf_aesthetics.training import train_scorer


@pytest.fixture
def collection():
    """Pictures rated by their brightness, with a column that says how dark they are, from 0 to 100."""
    bright = brightness_collection(num_validation=20, num_test=12)
    for name, rows in bright.splits.items():
        darkness = [100 * (5 - mean) / 4 for mean in rows["score_mean"]]
        bright.splits[name] = rows.add_column("darkness", darkness).add_column("place", ["sea"] * len(rows))
    return bright


def test_the_head_learns_the_other_rating_on_its_own_scale(collection, tmp_path):
    dark = with_target(collection, "darkness", RatingScale(0, 100, 5))
    assert dark.name == f"{collection.name}, darkness"
    train = dark.splits["train"]
    np.testing.assert_allclose(train["score_mean"][:], train["darkness"][:], rtol=1e-6)
    assert train["vote_counts"][:] == [None] * len(train) and "darkness" in dark.facts.description
    model = tiny_model(TINY_RESNET, min_score=0.0, max_score=100.0)
    trainer = train_scorer(
        model, PROCESSOR, dark, training_arguments(tmp_path, max_steps=40, eval_steps=20, save_steps=20)
    )
    assert trainer.state.best_metric > 0.8  # and so is against brightness


def test_pictures_without_a_number_are_left_out_and_counted(collection):
    rows = collection.splits["train"]
    some = [None if index % 4 == 0 else value for index, value in enumerate(rows["darkness"])]
    collection.splits["train"] = rows.remove_columns("darkness").add_column("darkness", some)
    dark = with_target(collection, "darkness", RatingScale(0, 100, 5))
    assert len(dark.splits["train"]) == 36 and dark.left_out == {"without darkness": 12}


@pytest.mark.parametrize(
    ("column", "scale", "refused"),
    [
        ("darknes", RatingScale(0, 100, 5), "'darknes' is not there. Correct --target"),
        ("place", RatingScale(0, 100, 5), "'place' holds string"),
        ("score_mean", SCALE, "'score_mean' is a part of the ratings"),
        ("darkness", None, "scale of 'darkness' cannot be read off its numbers. Pass --min_score"),
        ("darkness", RatingScale(0, 10, 5), "must lie on the scale .* but .* has"),
    ],
)
def test_what_cannot_be_a_target_is_refused(collection, column, scale, refused):
    with pytest.raises(ValueError, match=refused):
        with_target(collection, column, scale)


def test_any_collection_has_targets_by_name():
    scenes = load_collection("synthetic", num_pictures=20, scale=RatingScale(0, 1, 5), target="cause_colour")
    assert scenes.scale == RatingScale(0, 1, 5) and scenes.name == "synthetic, cause_colour"


def test_a_folder_may_hold_nothing_but_the_target(tmp_path):
    lines = ["file_name,memorability"]
    for index, row in enumerate(rated_pictures(60, seed=3)):
        row["image"].save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{index / 60}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n")
    scale = RatingScale(0, 1, 11)
    found = load_collection("folder", tmp_path, scale, target="memorability")
    means = {
        row["image_id"]: row["score_mean"] for rows in found.splits.values() for row in rows.remove_columns("image")
    }
    assert means == pytest.approx({f"{index}.png": index / 60 for index in range(60)})
    with pytest.raises(ValueError, match="expected a column 'fame', found .*'memorability'"):
        load_collection("folder", tmp_path, scale, target="fame")
    with pytest.raises(ValueError, match="--min_score"):
        load_collection("folder", tmp_path, target="memorability")
