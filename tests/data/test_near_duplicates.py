"""Planted copies among rendered scenes: all are found, and nothing else."""

import io

import datasets
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from hf_aesthetics.data.near_duplicates import NearDuplicate, find_leaks, find_near_duplicates, join_groups
from hf_aesthetics.data.rendering import render_scene


def encoded(image: Image.Image, **options) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, **{"format": "JPEG", "quality": 95, **options})
    return {"bytes": buffer.getvalue(), "path": None}


def collection(files: list[dict]) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"image": files}).cast_column("image", datasets.Image())


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [Image.open(io.BytesIO(render_scene(seed).jpeg)) for seed in range(12)]


def crop(image: Image.Image, number: int) -> Image.Image:
    """Without 5 % of each side, at one of the corners."""
    width, height = round(0.95 * image.width), round(0.95 * image.height)
    left, top = (number % 2) * (image.width - width), (number // 2 % 2) * (image.height - height)
    return image.crop((left, top, left + width, top + height))


COPIES = {
    "jpeg": lambda image, number: encoded(image, quality=50),
    "png": lambda image, number: encoded(image, format="PNG"),
    "halved": lambda image, number: encoded(image.reduce(2)),
    "stretched": lambda image, number: encoded(image.resize((image.width, 2 * image.height))),
    "brighter": lambda image, number: encoded(ImageEnhance.Brightness(image).enhance(1.3)),
    "grey": lambda image, number: encoded(image.convert("L")),
    "mirrored": lambda image, number: encoded(ImageOps.mirror(image)),
    "cropped": lambda image, number: encoded(crop(image, number)),
    "all": lambda image, number: encoded(crop(ImageOps.mirror(image.reduce(2)), number), quality=50),
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_found_and_nothing_else(copy, scenes):
    copies = [COPIES[copy](image, number) for number, image in enumerate(scenes)]
    pairs = find_near_duplicates(collection([encoded(image) for image in scenes] + copies))
    assert sorted((pair.first, pair.second) for pair in pairs) == [(n, n + 12) for n in range(12)]
    assert {pair.is_mirrored for pair in pairs} == {copy in ("mirrored", "all")}
    assert all(0.8 < pair.similarity <= 1 for pair in pairs)
    assert [pair.similarity for pair in pairs] == sorted((pair.similarity for pair in pairs), reverse=True)


def test_pairs_are_found_across_the_blocks_in_which_pictures_are_compared(scenes, monkeypatch):
    pictures = collection([encoded(image) for image in scenes + scenes[::-1]])
    at_once = find_near_duplicates(pictures)
    monkeypatch.setattr("hf_aesthetics.data.near_duplicates._ROWS", 5)
    monkeypatch.setattr("hf_aesthetics.data.near_duplicates._COLUMNS", 7)
    in_blocks = find_near_duplicates(pictures)
    assert sorted(pair[:2] for pair in in_blocks) == [(n, 23 - n) for n in range(12)]
    np.testing.assert_allclose(
        [pair.similarity for pair in in_blocks], [pair.similarity for pair in at_once], atol=1e-5
    )


def test_pictures_of_one_colour_resemble_none():
    plain = [Image.new("RGB", (64, 48), colour) for colour in ("red", "red", "blue")]
    assert find_near_duplicates(collection([encoded(image, format="PNG") for image in plain])) == []


def test_a_picture_that_needs_turning_is_the_turned_one(scenes):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned = scenes[0].rotate(90, expand=True)
    (pair,) = find_near_duplicates(collection([encoded(scenes[0]), encoded(turned, exif=exif), encoded(scenes[1])]))
    assert pair[:2] == (0, 1)


def test_leaks_are_the_pairs_between_the_parts():
    pairs = [NearDuplicate(0, 5, 0.9, False), NearDuplicate(1, 4, 0.8, True), NearDuplicate(2, 3, 0.8, False)]
    assert find_leaks([0, 1, 2, 3], [5], pairs) == [NearDuplicate(0, 5, 0.9, False)]
    assert find_leaks(np.array([4, 3]), np.array([0, 1]), pairs) == [NearDuplicate(4, 1, 0.8, True)]
    assert find_leaks([0, 5], [1, 2], pairs) == []


def test_groups_that_share_near_duplicates_are_one():
    pairs = [NearDuplicate(0, 5, 0.9, False), NearDuplicate(2, 5, 0.9, False), NearDuplicate(1, 4, 0.8, False)]
    assert join_groups(range(6), pairs).tolist() == [0, 1, 0, 3, 1, 0]
    assert join_groups(["b", "b", "a", "c", "d", "e"], pairs).tolist() == ["a", "a", "a", "c", "a", "a"]


def test_nonsense_is_refused(scenes):
    pictures = collection([encoded(scenes[0])])
    with pytest.raises(ValueError, match=r"`min_similarity` must be in \(0, 1\], got 70"):
        find_near_duplicates(pictures, min_similarity=70)
    with pytest.raises(ValueError, match=r"column 'image', got \['photo'\]"):
        find_near_duplicates(pictures.rename_column("image", "photo"))
