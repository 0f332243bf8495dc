"""Maps made worse on purpose: what they say should hold with them, too, where there is no second extractor to ask.

Knows nothing about models.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from datasets import Dataset, DatasetDict
from PIL import Image

from ..data.modality_columns import add_modality_column
from .modality_models import StudiedModality


NOISE = 0.2  # deviation, of the range


@dataclass(frozen=True)
class Degradation:
    """
    A way to make maps worse.

    Args:
        meaning (`str`):
            What it does, in words that go on after the source of the maps.
        function (`Callable[[PIL.Image.Image, int], PIL.Image.Image]`):
            A map of mode `"L"` and a seed that belongs to the picture -> a map of the same size.
    """

    meaning: str
    function: Callable[[Image.Image, int], Image.Image]


def coarsen(modality_map: Image.Image, seed: int = 0) -> Image.Image:
    """
    A map as if it had a quarter of its resolution.

    Example:
        >>> bars = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (8, 8)))
        >>> coarsen(bars).getextrema()
        (128, 128)
    """
    width, height = modality_map.size
    small = modality_map.resize((max(width // 4, 1), max(height // 4, 1)), Image.Resampling.BOX)
    return small.resize((width, height), Image.Resampling.BILINEAR)


def add_noise(modality_map: Image.Image, seed: int = 0) -> Image.Image:
    """
    A map with white noise, whose deviation is a fifth of the range.

    Example:
        >>> noisy = np.asarray(add_noise(Image.new("L", (200, 200), 128)))
        >>> round(float(noisy.mean())), round(float(noisy.std()) / 255, 2)
        (128, 0.2)
    """
    values = np.asarray(modality_map, dtype=np.float64)
    noise = np.random.default_rng(seed).normal(0, NOISE * 255, values.shape)
    return Image.fromarray((values + noise).round().clip(0, 255).astype(np.uint8))


DEGRADATIONS = {
    "coarse": Degradation("at a quarter of the resolution", coarsen),
    "noisy": Degradation(f"with noise of {NOISE:g} of the range", add_noise),
}


def degrade(studied: StudiedModality, degradation: str) -> StudiedModality:
    """
    A modality whose maps are made worse; the pictures stay.

    Args:
        studied ([`StudiedModality`]):
            With a column of maps.
        degradation (`str`):
            A key of `DEGRADATIONS`.

    Raises:
        ValueError: If the modality is the picture itself.
    """
    column, row = studied.map_column, DEGRADATIONS[degradation]
    if column is None:
        raise ValueError(f"Maps are made worse, but {studied.name} is the picture itself. Leave it out.")
    splits = DatasetDict()
    for name, rows in cast(DatasetDict, studied.collection.splits).items():
        maps = _worsen(rows.select_columns(["image_id", column]), column, degradation)
        splits[name] = add_modality_column(rows.remove_columns(column), maps)
    collection = replace(studied.collection, splits=splits)
    return replace(studied, collection=collection, source=f"{studied.source}, {row.meaning}", degradation=degradation)


def _worsen(maps: Dataset, column: str, degradation: str) -> Dataset:
    def worsen(row: dict[str, Any]) -> dict[str, Any]:
        seed = zlib.crc32(row["image_id"].encode())
        return {column: DEGRADATIONS[degradation].function(row[column].convert("L"), seed)}

    return maps.map(worsen, features=maps.features, desc=f"making {column}_{degradation} maps")
