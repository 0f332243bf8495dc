"""Columns of maps: those that training would make on the fly, kept, joined by id, and not lost by a kill."""

import dataclasses
import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image, ImageCms
from transformers import AutoConfig, AutoModelForDepthEstimation

from hf_aesthetics import ModalityImageProcessor
from hf_aesthetics.data.columns import RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.modality_columns import (
    ModalityColumn,
    add_modality_column,
    cache_modality_column,
    find_modality_column,
)
from hf_aesthetics.data.transforms import EvaluationTransform, TrainingTransform
from hf_aesthetics.extraction import ModalityExtractor
from hf_aesthetics.models.modality_maps import MODALITIES
from hf_aesthetics.models.rgb_conversion import convert_to_rgb
from hf_aesthetics.scoring import hash_weights


SCALE = RatingScale(1, 5, 5)
GRAY = ModalityColumn("gray")


def kinds_of_pictures() -> list[bytes]:
    """Encoded pictures of several sizes and kinds: colour profile, orientation, transparency, 16 bit, palette."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    large = Image.fromarray(rng.integers(0, 256, (30, 700, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = rgb.copy()
    transparent.putalpha(Image.linear_gradient("L").resize((60, 40)))
    deep = Image.fromarray(rng.integers(0, 65536, (40, 60), dtype=np.uint16))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    kinds = [
        (rgb, "JPEG", {}),
        (large, "PNG", {}),
        (rgb, "PNG", {"exif": turned}),
        (transparent, "PNG", {}),
        (deep, "PNG", {}),
        (rgb.quantize(16), "PNG", {}),
        (rgb.convert("LAB"), "TIFF", {"icc_profile": profile}),
    ]
    encoded = []
    for image, kind, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        encoded.append(buffer.getvalue())
    return encoded


def rated(contents: list, prefix: str = "p") -> Dataset:
    votes = vote_statistics([1, 2, 3, 4, 5], SCALE, prefix)
    rows = [{"image_id": f"{prefix}{i}", "image": {"bytes": c, "path": None}, **votes} for i, c in enumerate(contents)]
    return Dataset.from_list(rows, features=rating_features(5))


@pytest.fixture(scope="module")
def pictures() -> Dataset:
    return rated(kinds_of_pictures())


@pytest.mark.parametrize("transform_class", [EvaluationTransform, TrainingTransform])
def test_a_network_sees_the_same_from_the_column_and_on_the_fly(pictures, tmp_path, transform_class):
    processor = ModalityImageProcessor(modality="gray", size={"height": 32, "width": 32})
    joined = add_modality_column(pictures, cache_modality_column(pictures, GRAY, tmp_path, rows_a_file=3))
    seen = []
    for column in (None, "gray"):
        transform = transform_class(processor, SCALE.bin_scores.tolist(), modality_column=column)
        torch.manual_seed(0)
        rows = joined.with_transform(transform, columns=transform.columns)[:]
        seen.append(torch.stack(rows["pixel_values"]))
    assert torch.equal(*seen) and seen[0].std() > 0.1


def test_maps_are_8_bit_pictures_of_the_pixels(tmp_path):
    values = np.random.default_rng(1).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    maps = cache_modality_column(rated([buffer.getvalue()]), GRAY, tmp_path)
    assert maps.features["gray"] == ImageFeature(mode="L")
    expected = values @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(np.asarray(maps[0]["gray"]), expected, atol=0.51)
    assert maps.cast_column("gray", ImageFeature(decode=False))[0]["gray"]["bytes"].startswith(b"\x89PNG")


def test_maps_are_no_larger_than_asked(pictures, tmp_path):
    maps = cache_modality_column(pictures, ModalityColumn("gray", map_size=35), tmp_path)
    assert [image.size for image in maps["gray"]][:3] == [(35, 23), (35, 2), (23, 35)]


def test_what_was_made_is_found_until_something_changes(pictures, tmp_path):
    assert find_modality_column(pictures, GRAY, tmp_path) is None
    made = cache_modality_column(pictures, GRAY, tmp_path)
    (folder,) = tmp_path.iterdir()
    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = cache_modality_column(pictures, GRAY, tmp_path)
    assert again._fingerprint == made._fingerprint
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps
    assert find_modality_column(pictures, GRAY, tmp_path)["image_id"][:] == pictures["image_id"][:]
    for changed in (
        ModalityColumn("gray", version=2),
        ModalityColumn("gray", map_size=64),
        ModalityColumn("constant"),
    ):
        assert find_modality_column(pictures, changed, tmp_path) is None
    assert find_modality_column(rated(kinds_of_pictures()[::-1]), GRAY, tmp_path) is None
    next(folder.glob("*.arrow")).unlink()
    assert find_modality_column(pictures, GRAY, tmp_path) is None


def test_a_join_copies_nothing_and_keeps_the_order(pictures, tmp_path):
    joined = add_modality_column(pictures, cache_modality_column(pictures, GRAY, tmp_path, rows_a_file=2))
    assert joined.column_names == [*pictures.column_names, "gray"]
    assert len(joined.cache_files) == 4  # those of the maps; the pictures of this test lie in memory
    shuffled = joined.shuffle(seed=0)
    assert shuffled["image_id"][:] != joined["image_id"][:]
    sizes = {"p1": (512, 22), "p2": (40, 60)}
    found = {row["image_id"]: row["gray"].size for row in shuffled}
    assert found == {image_id: sizes.get(image_id, (60, 40)) for image_id in pictures["image_id"]}


def test_a_column_goes_to_a_host_as_it_is(pictures, tmp_path):
    maps = cache_modality_column(pictures, GRAY, tmp_path / "cache", rows_a_file=2)
    maps.to_parquet(tmp_path / "train.parquet")
    hosted = Dataset.from_parquet(str(tmp_path / "train.parquet"), cache_dir=str(tmp_path / "hosted"))
    assert hosted.features == maps.features
    assert [image.tobytes() for image in hosted["gray"]] == [image.tobytes() for image in maps["gray"]]


def test_rows_that_were_picked_are_not_joined(pictures, tmp_path):
    maps = cache_modality_column(pictures, GRAY, tmp_path)
    with pytest.raises(ValueError, match="shuffled, filtered or selected.* Join the column first"):
        add_modality_column(pictures.shuffle(seed=0), maps)
    few = Dataset.from_dict({"image_id": pictures["image_id"][:3]})
    with pytest.raises(ValueError, match="maps of 3 rows, got 7"):
        add_modality_column(few, maps)
    with pytest.raises(ValueError, match="got 'q0' for 'p0' in row 0"):
        add_modality_column(pictures, cache_modality_column(rated(kinds_of_pictures(), "q"), GRAY, tmp_path))


def test_a_networks_maps_follow_its_weights_not_its_place(pictures, tiny_depth, tmp_path):
    column = ModalityColumn("depth", str(tiny_depth))
    assert column.revision == f"sha256:{hash_weights(tiny_depth)[:12]}"
    made = cache_modality_column(pictures, column, tmp_path, rows_a_file=4)
    extractor = ModalityExtractor("depth", str(tiny_depth), device="cpu")
    for row, map_ in zip(pictures, made["depth"], strict=True):
        alone = np.asarray(extractor.make_maps([convert_to_rgb(row["image"])])[0], dtype=int)
        assert np.abs(np.asarray(map_, dtype=int) - alone).max() <= 1
    moved = shutil.copytree(tiny_depth, tmp_path / "moved")
    assert find_modality_column(pictures, ModalityColumn("depth", str(moved)), tmp_path, rows_a_file=4) is not None
    torch.manual_seed(1)
    other = AutoModelForDepthEstimation.from_config(AutoConfig.from_pretrained(moved))
    other.save_pretrained(moved)
    assert find_modality_column(pictures, ModalityColumn("depth", str(moved)), tmp_path, rows_a_file=4) is None
    with pytest.raises(ValueError, match=f"must be those of '{column.revision}', got 'sha256:"):
        ModalityColumn("depth", str(moved), column.revision)


@pytest.mark.parametrize(
    "name, message", [("rgb", "got 'rgb'"), ("rgb+gray", "got 'rgb.gray'"), ("bluur", "'blur'.*'bluur'")]
)
def test_only_maps_have_columns(name, message):
    with pytest.raises(ValueError, match=f"A map must be one of .*{message}"):
        ModalityColumn(name)


def test_a_row_of_the_table_gives_its_version(monkeypatch):
    monkeypatch.setitem(MODALITIES, "gray", dataclasses.replace(MODALITIES["gray"], version=3))
    assert ModalityColumn("gray").version == 3 and ModalityColumn("gray").key != GRAY.key


@pytest.mark.parametrize("content, reason", [(b"no picture", "starts with b'no picture'"), (None, "0 bytes")])
def test_a_picture_that_cannot_be_read_is_named(content, reason, tmp_path):
    rows = Dataset.from_dict({"image_id": ["a"], "image": [content and {"bytes": content, "path": None}]})
    rows = rows.cast_column("image", ImageFeature())
    with pytest.raises(ValueError, match=f"'a' has no gray map. .*{reason}"):
        cache_modality_column(rows, GRAY, tmp_path)


PROGRAM = """
import sys
from datasets import Dataset
from hf_aesthetics.data.modality_columns import ModalityColumn, cache_modality_column

cache_modality_column(Dataset.load_from_disk(sys.argv[1]), ModalityColumn("gray"), sys.argv[2], 2, rows_a_file=4)
"""


def test_a_column_that_lacks_is_named(tmp_path):
    rows = Dataset.from_dict({"image_id": ["a"], "score_mean": [3.0]})
    with pytest.raises(ValueError, match="`image_id` and `image`, got .*'score_mean'.*. Add image."):
        cache_modality_column(rows, ModalityColumn("gray"), tmp_path)


def test_killed_maps_go_on_where_they_were_and_leave_no_process(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    from prove_scale import run

    buffer = io.BytesIO()
    Image.effect_noise((800, 600), 60).save(buffer, "JPEG")
    rated([buffer.getvalue()] * 120).save_to_disk(tmp_path / "rows")
    rows = Dataset.load_from_disk(tmp_path / "rows")

    def made() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob("maps/*/*.arrow")}

    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "rows"), str(tmp_path / "maps")]
    run(command, Path(os.environ["HF_HOME"]), tmp_path / "log.txt", lambda: len(made()) >= 3)
    before = made()
    assert 3 <= len(before) < 30 and find_modality_column(rows, GRAY, tmp_path / "maps", rows_a_file=4) is None
    maps = cache_modality_column(rows, GRAY, tmp_path / "maps", rows_a_file=4)
    assert before.items() <= made().items() and len(made()) == 30
    assert maps["image_id"][:] == rows["image_id"][:]
    # those of the killed processes, and those made here
    assert len({image.tobytes() for image in maps["gray"]}) == 1
