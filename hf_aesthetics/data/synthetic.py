"""Rendered scenes rated by a simulated panel, as a typed data set that needs no download.

Knows nothing about models. The ratings are a planted truth for demonstrations and tests: they follow from measured
properties of the scenes by a formula, and are no evidence about human taste.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Image, NamedSplit, Value

from ..licensing import license_permission
from .columns import DatasetFacts, rating_features, vote_statistics
from .rater_panel import RaterPanel
from .rendering import CAUSES
from .rendering.stream import MAPS, render_rows


FACTS = DatasetFacts(
    name="rendered scenes with a simulated panel",
    license="Apache-2.0",
    description=(
        "Computer-generated landscapes with votes of simulated raters, which follow from measured properties of the "
        "scenes (focus, light, depth, composition, saliency) by a formula, with bias and noise a rater."
    ),
    notice="demonstration, trained on rendered scenes",
    pictures=license_permission("apache-2.0"),
    ratings=license_permission("apache-2.0"),
    weights=license_permission("apache-2.0"),
)
_SPLITS = ("train", "validation", "test")
_MAX_PICTURES = 1_000_000


def load_synthetic(
    num_train: int = 1200,
    num_validation: int = 150,
    num_test: int = 300,
    causes: Mapping[str, float] | None = None,
    seed: int = 0,
    num_proc: int | None = None,
    with_maps: bool = True,
    panel: RaterPanel | None = None,
    cache_dir: str | Path | None = None,
) -> DatasetDict:
    """
    Renders scenes and lets a simulated panel rate them.

    A picture depends on `seed`, its split and its number alone: more training pictures leave the test pictures as they
    were. Scenes are written to the cache of `datasets` as they come and are read from there the next time.

    Args:
        num_train (`int`, *optional*, defaults to 1200), num_validation (`int`, *optional*, defaults to 150), \
        num_test (`int`, *optional*, defaults to 300):
            Number of pictures a split.
        causes (`Mapping[str, float]`, *optional*):
            What the panel looks at, see [`RaterPanel`].
        seed (`int`, *optional*, defaults to 0):
            Seed of scenes and raters.
        num_proc (`int`, *optional*):
            Number of processes that render; the result is the same for any. By default the calling process renders.
        with_maps (`bool`, *optional*, defaults to `True`):
            Whether to add the maps of the renderer `true_depth`, `true_saliency` and `true_blur`, 8-bit pictures of
            the photograph's size.
        panel ([`RaterPanel`], *optional*):
            A panel with other raters or another rating scale, instead of `causes`.
        cache_dir (`str` or `Path`, *optional*):
            Where `datasets` keeps the pictures.

    Returns:
        `DatasetDict` with `train`, `validation` and `test`. Beyond the common columns: the maps, and for each of
        [`CAUSES`] its measured value `cause_<name>`. `image_id` tells the seed of [`render_scene`].

    Raises:
        ValueError: If a cause is unknown, both `causes` and `panel` are given, or a number is out of range.

    Example:
        >>> pictures = load_synthetic(4, 1, 1, with_maps=False)
        >>> sum(pictures["train"][0]["vote_counts"]) == pictures["train"][0]["num_votes"] == 120
        True
        >>> pictures["test"]["image_id"][0], pictures["test"].column_names[-2:]
        ('scene-2000000', ['cause_colour', 'cause_saliency'])
    """
    if panel is not None and causes is not None:
        raise ValueError("Expected `causes` or `panel`, got both. Give the weights to RaterPanel(causes=...).")
    if seed < 0:
        raise ValueError(f"`seed` must not be negative, got {seed}.")
    counts = dict(zip(_SPLITS, (num_train, num_validation, num_test), strict=True))
    for split, count in counts.items():
        if not 0 < count <= _MAX_PICTURES:
            raise ValueError(f"`num_{split}` must be between 1 and {_MAX_PICTURES}, got {count}.")
    panel = panel or RaterPanel(causes=causes, seed=seed)
    map_features = {name: Image(mode="L") for name in MAPS if with_maps}
    cause_features = {f"cause_{name}": Value("float32") for name in CAUSES}
    features = rating_features(panel.num_bins, {**map_features, **cause_features})

    splits = DatasetDict()
    for index, (split, count) in enumerate(counts.items()):
        first = (seed * len(_SPLITS) + index) * _MAX_PICTURES
        seeds = range(first, first + count)
        splits[split] = Dataset.from_generator(
            partial(_rated_scenes, seeds, panel, with_maps, num_proc),
            features=features,
            cache_dir=None if cache_dir is None else str(cache_dir),  # ty: ignore[invalid-argument-type]
            split=NamedSplit(split),
            fingerprint=_fingerprint(seeds, panel, with_maps),
        )
    return splits


def _fingerprint(seeds: range, panel: RaterPanel, with_maps: bool) -> str:
    """Name of a split in the cache: what was asked for, and the code that makes it."""
    here = Path(__file__).parent
    sources = [
        Path(__file__),
        here / "rater_panel.py",
        here / "columns.py",
        *sorted((here / "rendering").glob("*.py")),
    ]
    digest = hashlib.sha256(repr((seeds, panel, with_maps)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _rated_scenes(seeds: range, panel: RaterPanel, with_maps: bool, num_proc: int | None) -> Iterator[dict[str, Any]]:
    for seed, row in zip(seeds, render_rows(seeds, with_maps, num_proc), strict=True):
        votes = panel.rate({name: [row[f"cause_{name}"]] for name in CAUSES}, [seed]).vote_counts[0]
        image_id = f"scene-{seed:07d}"
        yield {**row, "image_id": image_id, **vote_statistics(votes, panel.scale, image_id)}
