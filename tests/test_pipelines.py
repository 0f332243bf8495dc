"""The pipeline: one score for a picture, in whatever form and company it comes, and stock tools on the same folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification, pipeline
from transformers.pipelines.pt_utils import KeyDataset

from hf_aesthetics import ImageAestheticsPipeline, ModalityImageProcessor
from hf_aesthetics.images import ImageReadError, find_images
from hf_aesthetics.pipelines import register_pipelines


def load_pipeline(folder: Path) -> ImageAestheticsPipeline:
    # its overloads list the tasks of transformers alone
    return pipeline("image-aesthetics", model=str(folder), device="cpu")  # ty: ignore[no-matching-overload]


@pytest.fixture(scope="module")
def scorer(tiny_checkpoint) -> ImageAestheticsPipeline:
    return load_pipeline(tiny_checkpoint)


@pytest.fixture
def photos(photo_folder) -> list[str]:
    return [str(path) for path in find_images(photo_folder)]


def scores_of(records) -> list[float]:
    return [record["score"] for record in records]


def test_a_record_holds_what_the_model_says(scorer, photos):
    for path, record in zip(photos, scorer(photos), strict=True):
        with Image.open(path) as picture, torch.no_grad():
            outputs = scorer.model(**scorer.image_processor(picture, return_tensors="pt"))
        shares = outputs.logits[0].softmax(dim=0)
        assert record["score"] == pytest.approx((shares * torch.arange(1, 11)).sum().item(), abs=1e-5)
        assert record["score_std"] == pytest.approx(outputs.score_std.item(), abs=1e-5)
        assert list(record["distribution"]) == [str(rating) for rating in range(1, 11)]
        assert list(record["distribution"].values()) == pytest.approx(shares.tolist(), abs=1e-6)


def open_pictures(photos):
    return [Image.open(path) for path in photos]


def read_bytes(photos):
    return [Path(path).read_bytes() for path in photos]


def as_paths(photos):
    return [Path(path) for path in photos]


def generate(photos):
    return (path for path in photos)


def as_column(photos):
    return KeyDataset(Dataset.from_dict({"image": photos}).cast_column("image", ImageFeature()), "image")


@pytest.mark.parametrize("form", [list, open_pictures, read_bytes, as_paths, generate, as_column])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_every_form_of_a_picture_scores_the_same(scorer, photos, form, batch_size):
    alone = [scorer(path)["score"] for path in photos]
    records = list(scorer(form(photos), batch_size=batch_size))
    np.testing.assert_allclose(scores_of(records), alone, atol=1e-5)


def test_one_picture_gives_one_record(scorer, photos):
    with Image.open(photos[0]) as picture:
        assert scorer(picture) == scorer(photos[0]) == scorer(Path(photos[0]).read_bytes())


def test_the_same_picture_twice_is_the_same_to_the_bit(scorer, photos):
    assert scorer(photos) == scorer(photos)


def test_a_batch_of_32_scores_as_32_batches_of_one(scorer, photos):
    many = [path for path in photos for _ in range(8)]
    one_by_one, together = scorer(many, batch_size=1), scorer(many, batch_size=32)
    np.testing.assert_allclose(scores_of(one_by_one), scores_of(together), atol=1e-5)
    assert len(set(scores_of(one_by_one))) == len(photos), "different pictures score alike"


def test_a_turned_photo_scores_as_its_upright_twin(scorer, tmp_path):
    upright = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 70, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    upright.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    assert scorer(str(tmp_path / "turned.png")) == scorer(str(tmp_path / "upright.png"))
    assert scorer(str(tmp_path / "turned.png")) != scorer(upright.transpose(Image.Transpose.ROTATE_180))


def test_percentiles_follow_the_stored_quantiles(tiny_checkpoint, tmp_path, scorer, photos):
    """Half of the training pictures scored below the median of these photos, so half of them are above it."""
    scores = sorted(scores_of(scorer(photos)))
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    quantiles = [scores[0] - 0.5, scores[1], scores[1] + 0.001, scores[2], scores[3]]
    (folder / "config.json").write_text(json.dumps(config | {"score_quantiles": quantiles}))
    records = sorted(load_pipeline(folder)(photos), key=lambda record: record["score"])
    assert [record["percentile"] for record in records[1:]] == pytest.approx([25, 75, 100], abs=0.1)
    assert 0 < records[0]["percentile"] <= 25
    (folder / "config.json").write_text(json.dumps(config | {"score_quantiles": None}))
    assert load_pipeline(folder)(photos[0])["percentile"] is None


def test_unknown_parameters_are_refused(scorer, photos):
    with pytest.raises(TypeError, match="got 'top_k'"):
        scorer(photos[0], top_k=3)


def test_a_bad_file_is_named(scorer, photos, tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageReadError, match="empty.jpg.*0 bytes"):
        scorer([photos[0], str(tmp_path / "empty.jpg")])


def test_a_model_that_does_not_score_is_refused(tmp_path):
    config = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 8], embedding_size=8)
    ResNetForImageClassification(config).save_pretrained(tmp_path / "classifier")
    ModalityImageProcessor().save_pretrained(tmp_path / "classifier")
    with pytest.raises(ValueError, match="classifier', which is a 'resnet'"):
        load_pipeline(tmp_path / "classifier")


def test_stock_image_classification_shows_the_ratings(scorer, tiny_checkpoint, photos):
    stock = pipeline("image-classification", model=str(tiny_checkpoint), top_k=10)
    for path in photos:
        shares = {answer["label"]: answer["score"] for answer in stock(path)}
        assert shares == pytest.approx(scorer(path)["distribution"], abs=1e-6)


def test_a_saved_pipeline_is_a_plain_checkpoint(scorer, photos, tmp_path):
    """`custom_pipelines` in a configuration would demand `trust_remote_code` of people who have the package."""
    scorer.save_pretrained(tmp_path / "saved")
    assert "custom_pipelines" not in (tmp_path / "saved" / "config.json").read_text()
    assert not list((tmp_path / "saved").glob("*pipeline*"))
    again = load_pipeline(tmp_path / "saved")
    assert again(photos) == scorer(photos)


def test_registering_twice_is_harmless(tiny_checkpoint):
    register_pipelines()
    assert isinstance(load_pipeline(tiny_checkpoint), ImageAestheticsPipeline)
