"""From rated pictures to a checkpoint with vocabularies, loaded by the Auto classes."""

import runpy
from pathlib import Path

import pytest
import torch
from tiny import rated_pictures
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_aesthetics.data.training_ids import TrainingIds


@pytest.fixture(scope="module")
def fit_fisher_vector():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "fit_fisher_vector.py"))["main"]


@pytest.fixture
def rated_folder(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = ["file_name,votes_1,votes_2,votes_3,votes_4,votes_5,split"]
    for part, count in (("train", 12), ("validation", 3), ("test", 4)):
        for row in rated_pictures(count, seed=count):
            row["image"].save(folder / f"{row['image_id']}.png")
            lines.append(f"{row['image_id']}.png,{','.join(map(str, row['vote_counts']))},{part}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    return folder


def test_the_checkpoint_holds_what_was_fitted_on_the_training_pictures(fit_fisher_vector, rated_folder, tmp_path):
    small = ["--pca_size", "4", "--num_components", "3", "--image_size", "64", "--num_descriptors", "2000"]
    flags = ["--dataset", "folder", "--data_dir", str(rated_folder), *small]
    fit_fisher_vector([*flags, "--output_dir", str(tmp_path / "first")])
    (rated_folder / f"{rated_pictures(4, seed=4)[0]['image_id']}.png").unlink()  # a test picture
    rows = (rated_folder / "ratings.csv").read_text().splitlines()
    (rated_folder / "ratings.csv").write_text("\n".join(line for line in rows if not line.startswith("4-0")))
    fit_fisher_vector([*flags, "--output_dir", str(tmp_path / "second")])

    model, other = (AutoModelForImageClassification.from_pretrained(tmp_path / name) for name in ("first", "second"))
    tensors = model.encoder.state_dict()
    assert {name.split(".")[1] for name in tensors} == {"gradients", "colors"}
    assert all(torch.equal(tensors[name], tensor) for name, tensor in other.encoder.state_dict().items())
    assert tensors["vocabularies.gradients.variances"].std() > 0  # not what an unfitted one has
    assert (model.config.min_score, model.config.max_score, model.config.num_labels) == (1, 5, 5)
    processor = AutoImageProcessor.from_pretrained(tmp_path / "first")
    pixel_values = processor([rated_pictures(1, seed=9)[0]["image"]], return_tensors="pt").pixel_values
    assert pixel_values.shape == (1, 3, 64, 64) and 0 <= pixel_values.min() and pixel_values.max() <= 1
    assert 1 < model(pixel_values).score.item() < 5
    ids = [f"12-{index}.png" for index in range(12)]
    assert TrainingIds.of_checkpoint(tmp_path / "first").overlap("pictures", ids) == {"train": 12}


def test_an_error_is_one_line(fit_fisher_vector, rated_folder, tmp_path):
    flags = ["--dataset", "folder", "--data_dir", str(rated_folder), "--output_dir", str(tmp_path / "none")]
    with pytest.raises(SystemExit, match=r"^error: [^\n]*`descriptors` must be some of [^\n]*shapes[^\n]*$"):
        fit_fisher_vector([*flags, "--descriptors", "shapes"])
    with pytest.raises(SystemExit, match=r"^error: [^\n]*--streaming[^\n]*$"):
        fit_fisher_vector([*flags, "--streaming"])
