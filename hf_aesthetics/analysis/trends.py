"""How the score runs with properties of the maps, such as the range of depth. Knows nothing about models."""

from collections.abc import Mapping

import numpy as np

from ..metrics import bootstrap_interval, spearman_correlation
from .cues import first_of_cues
from .descriptors import NAMED_DESCRIPTORS, describe_cue
from .findings import Estimate, Trend


NUM_PARTS = 8


def find_trends(
    maps: Mapping[str, np.ndarray],
    true_means: np.ndarray,
    groups: np.ndarray | None = None,
    num_resamples: int = 500,
    seed: int = 0,
) -> list[Trend]:
    """
    The mean score against every named property of the maps, in eight parts of equally many pictures.

    Args:
        maps (`Mapping[str, np.ndarray]`):
            By modality, as [`~hf_aesthetics.analysis.descriptors.small_maps`] makes them.
        true_means (`np.ndarray` of shape `(num_images,)`):
            Mean scores.
        groups (`np.ndarray` of shape `(num_images,)`, *optional*):
            What is drawn together in the bootstrap.
        num_resamples (`int`, *optional*, defaults to 500), seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.

    Returns:
        `list[Trend]`, for the first modality of each cue that has named properties, strongest correlation first within
        a cue. A property that does not vary has no correlation and no parts.

    Example:
        >>> levels = np.random.default_rng(0).integers(0, 256, (40, 1, 1)).astype(np.uint8)
        >>> maps = {"blur": np.broadcast_to(levels, (40, 64, 64))}
        >>> [trend.descriptor for trend in find_trends(maps, levels[:, 0, 0], num_resamples=20)]
        ['blur_share']
    """
    first = first_of_cues(maps)
    trends = []
    for cue in filter(first.__contains__, NAMED_DESCRIPTORS):
        modality = first[cue]
        found = describe_cue(cue, {**maps, cue: maps[modality]})
        of_cue = [
            _trend(name, meaning, modality, found[name], np.asarray(true_means, float), groups, num_resamples, seed)
            for name, meaning in NAMED_DESCRIPTORS[cue].items()
            if name in found
        ]
        trends += sorted(of_cue, key=lambda trend: -abs(trend.correlation.value) if trend.correlation else 0.0)
    return trends


def _trend(
    name: str,
    meaning: str,
    modality: str,
    values: np.ndarray,
    true_means: np.ndarray,
    groups: np.ndarray | None,
    num_resamples: int,
    seed: int,
) -> Trend:
    if np.ptp(values) < 1e-6 or np.ptp(true_means) == 0:
        return Trend(name, meaning, modality, None, [], [], [], [])
    correlation = spearman_correlation(values, true_means)
    interval = bootstrap_interval(
        spearman_correlation, values, true_means, groups=groups, num_resamples=num_resamples, seed=seed
    )
    centers, means, lows, highs = [], [], [], []
    for part in np.array_split(np.argsort(values, kind="stable"), min(NUM_PARTS, len(values) // 2)):
        own = None if groups is None or len(np.unique(np.asarray(groups)[part])) < 2 else np.asarray(groups)[part]
        low, high = bootstrap_interval(np.mean, true_means[part], groups=own, num_resamples=num_resamples, seed=seed)
        centers.append(float(np.median(values[part])))
        means.append(float(true_means[part].mean()))
        lows.append(low)
        highs.append(high)
    return Trend(name, meaning, modality, Estimate(correlation, *interval), centers, means, lows, highs)
