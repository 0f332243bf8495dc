"""Models that measure pictures in place of a backbone, through the programs that everybody uses."""

import json

import pytest
import torch
from tiny import rated_pictures

from hf_aesthetics.data.columns import RatingScale
from hf_aesthetics.scoring import AestheticScorer
from hf_aesthetics.training import ModelArguments, build_scorer
from hf_aesthetics.training.__main__ import main as train
from hf_aesthetics.training.cross_validation import read_predictions


SCALE = RatingScale(1, 5, 5)
PROBE = ["--linear_probe", "--num_train_epochs", "0", "--crop_fraction", "1", "--use_cpu", "--disable_tqdm", "1"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A user's own folder, rated by brightness."""
    folder = tmp_path_factory.mktemp("mine")
    lines = ["file_name,split," + ",".join(f"votes_{rating}" for rating in range(1, 6))]
    for index, row in enumerate(rated_pictures(60, seed=7)):
        row["image"].save(folder / f"{index}.png")
        split = "train" if index < 30 else "validation" if index < 42 else "test"
        lines.append(f"{index}.png,{split}," + ",".join(map(str, row["vote_counts"])))
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(("model_type", "least"), [("handcrafted", 0.8), ("fisher_vector", 0.4)])
def test_one_command_measures_the_pictures_and_fits_the_last_layer(model_type, least, photos, tmp_path):
    flags = ["--dataset", "folder", "--data_dir", str(photos), "--model_type", model_type, "--image_size", "48"]
    train([*flags, *PROBE, "--output_dir", str(tmp_path / "model")])
    metrics = json.loads((tmp_path / "model" / "evaluation" / "report.json").read_text())["metrics"]
    assert metrics["srcc"] > least
    scorer = AestheticScorer.from_pretrained(tmp_path / "model", device="cpu")
    dark, bright = scorer.score([photos / "0.png", photos / "1.png"])
    assert "base_model" not in (tmp_path / "model" / "README.md").read_text().split("---")[1]
    assert dark["score"] != bright["score"]


def test_folds_measure_their_own_training_pictures(photos, tmp_path):
    from hf_aesthetics.data.loading import load_collection
    from hf_aesthetics.training import AestheticTrainingArguments
    from hf_aesthetics.training.cross_validation import FoldArguments, cross_validate

    collection = load_collection("folder", photos)
    args = AestheticTrainingArguments(
        output_dir=str(tmp_path), linear_probe=True, num_train_epochs=0, crop_fraction=1.0, use_cpu=True
    )
    figures = cross_validate(
        collection, ModelArguments(model_type="handcrafted", image_size=48), FoldArguments(num_folds=2), args
    )
    assert figures["srcc"]["value"] > 0.8 and read_predictions(tmp_path).predicted is not None


def test_an_earlier_checkpoint_keeps_its_statistics(tmp_path):
    model, processor = build_scorer(ModelArguments(model_type="handcrafted"), SCALE)
    model.statistics.mean += 3
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, its_processor = build_scorer(ModelArguments(model_type="handcrafted", backbone=str(tmp_path)), SCALE)
    assert torch.equal(again.statistics.mean, model.statistics.mean) and again.name_or_path
    assert type(its_processor) is type(processor)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooled_stages": [-2]}, "`pooled_stages` is no option of 'handcrafted', got .-2."),
        ({"freeze_stages": 1}, "`freeze_stages` is no option of 'handcrafted', got 1"),
        ({"objective": "ranking"}, "`objective` is no option of 'handcrafted', got 'ranking'"),
        ({"backbone": "vgg16"}, "has no backbone, .* got 'vgg16'. Leave it out"),
    ],
)
def test_options_of_backbones_are_refused(fields, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        build_scorer(ModelArguments(model_type="handcrafted", **fields), SCALE)
