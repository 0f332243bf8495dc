"""Rendered series as a typed data set that needs no download: a detail of a few pixels decides which picture is best.

Knows nothing about models. The ranks are a planted truth for demonstrations and tests.
"""

import hashlib
import io
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, NamedSplit, Value
from PIL import Image as PILImage

from .columns import pair_features, series_features
from .pairs import ComparedPictures
from .rendering.series import render_series
from .splits import SPLITS


CAPTIONS = {True: "the woven cloth is sharper", False: "the woven cloth is softer"}
_MAX_SERIES = 1_000_000


def load_synthetic_series(
    num_train: int = 128,
    num_validation: int = 48,
    num_test: int = 200,
    num_pictures: int = 3,
    do_cut: bool = False,
    do_distract: bool = False,
    seed: int = 0,
    cache_dir: str | Path | None = None,
) -> ComparedPictures:
    """
    Renders series. A series depends on `seed`, its split and its number alone.

    Args:
        num_train (`int`, *optional*, defaults to 128), num_validation (`int`, *optional*, defaults to 48), \
        num_test (`int`, *optional*, defaults to 200):
            Number of series a split.
        num_pictures (`int`, *optional*, defaults to 3):
            Pictures of a series.
        do_cut (`bool`, *optional*, defaults to `False`), do_distract (`bool`, *optional*, defaults to `False`):
            What makes it harder, see [`render_series`].
        seed (`int`, *optional*, defaults to 0):
            Seed of the scenes.
        cache_dir (`str` or `Path`, *optional*):
            Where `datasets` keeps the pictures.

    Returns:
        [`ComparedPictures`] with series and ranks of the pictures, and of every two of a series a comparison with its
        `caption`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> series = load_synthetic_series(2, 1, 1)
        >>> series.pictures["train"]["series_rank"][:], series.pairs["train"]["caption"][0]
        ([0, 1, 2, 0, 1, 2], 'the woven cloth is sharper')
    """
    if seed < 0:
        raise ValueError(f"`seed` must not be negative, got {seed}.")
    pictures, pairs = DatasetDict(), DatasetDict()
    for index, (split, count) in enumerate(zip(SPLITS, (num_train, num_validation, num_test), strict=True)):
        if not 0 < count <= _MAX_SERIES:
            raise ValueError(f"`num_{split}` must be between 1 and {_MAX_SERIES}, got {count}.")
        first = (seed * len(SPLITS) + index) * _MAX_SERIES
        seeds = range(first, first + count)
        pictures[split] = Dataset.from_generator(
            partial(_pictures, seeds, num_pictures, do_cut, do_distract),
            features=series_features(),
            cache_dir=None if cache_dir is None else str(cache_dir),  # ty: ignore[invalid-argument-type]
            split=NamedSplit(split),
            fingerprint=_fingerprint(seeds, num_pictures, do_cut, do_distract),
        )
        rows = [row for number in seeds for row in _comparisons(number, num_pictures)]
        pairs[split] = Dataset.from_list(rows, features=pair_features({"caption": Value("string")}))
    return ComparedPictures(pictures, pairs)


def _pictures(seeds: range, num_pictures: int, do_cut: bool, do_distract: bool) -> Iterator[dict[str, Any]]:
    for number in seeds:
        series = render_series(number, num_pictures, do_cut=do_cut, do_distract=do_distract)
        for rank, pixels in enumerate(series.pictures):
            buffer = io.BytesIO()
            PILImage.fromarray(pixels).save(buffer, "PNG")  # JPEG would smooth the detail
            yield {
                "image": {"bytes": buffer.getvalue(), "path": None},
                "image_id": _name(number, rank),
                "series_id": _name(number),
                "series_rank": rank,
            }


def _comparisons(number: int, num_pictures: int) -> Iterator[dict[str, Any]]:
    """Every two of a series; in half of the series the worse one stands first."""
    for better, worse in combinations(range(num_pictures), 2):
        both = (better, worse) if number % 2 == 0 else (worse, better)
        is_better = both[0] == better
        names = (_name(number, rank) for rank in both)
        yield {
            **dict(zip(("image_a", "image_b"), names, strict=True)),
            "preference": float(is_better),
            "caption": CAPTIONS[is_better],
        }


def _name(number: int, rank: int | None = None) -> str:
    return f"series-{number:07d}" + ("" if rank is None else f"-{rank}")


def _fingerprint(*asked: Any) -> str:
    """Name of a split in the cache: what was asked for, and the code that makes it."""
    digest = hashlib.sha256(repr(asked).encode())
    for source in [Path(__file__), *sorted((Path(__file__).parent / "rendering").glob("*.py"))]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]
