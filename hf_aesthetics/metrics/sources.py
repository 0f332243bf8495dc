"""
Metrics over all series, by source and over sources, with intervals over series.

Knows nothing about what is measured: it gets arrays with one row a series, and functions of them.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .array_checks import require_same_length
from .bootstrap import bootstrap_interval


Metric = tuple[Callable[..., float], tuple[np.ndarray, ...]]
"""A function, and the arrays with one row a series that it takes."""


def source_of_series(sources: np.ndarray, names: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """One source a series."""
    require_same_length(series=inverse, sources=sources)
    _, first = np.unique(inverse, return_index=True)
    if (other := np.flatnonzero(sources[first][inverse] != sources)).size:
        name = names[inverse[other[0]]]
        raise ValueError(
            f"All pictures of a series must have one source, but series {str(name)!r} has "
            f"{str(sources[first][inverse[other[0]]])!r} and {str(sources[other[0]])!r}. Correct the sources."
        )
    return sources[first]


def summarize_by_source(
    metrics: dict[str, Metric],
    numbers: dict[str, np.ndarray],
    source_of: np.ndarray | None,
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Sums of the numbers and values of the metrics over all series, under `by_source` over those of each source."""

    def summarize(rows: np.ndarray) -> dict[str, Any]:
        found: dict[str, Any] = {name: int(counts[rows].sum()) for name, counts in numbers.items()}
        found |= {name: metric(*(array[rows] for array in arrays)) for name, (metric, arrays) in metrics.items()}
        if num_resamples and rows.sum() > 1:
            found["intervals"] = {
                name: list(
                    bootstrap_interval(metric, *(a[rows] for a in arrays), num_resamples=num_resamples, seed=seed)
                )
                for name, (metric, arrays) in metrics.items()
            }
        return found

    everything = summarize(np.ones(len(next(iter(numbers.values()))), dtype=bool))
    if source_of is not None:
        by_source = {str(source): summarize(source_of == source) for source in np.unique(source_of)}
        everything["by_source"] = by_source
        everything["mean_of_sources"] = {
            name: mean(np.array([found[name] for found in by_source.values()])) for name in metrics
        }
    return everything


def ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def ratio_of_sums(part: np.ndarray, whole: np.ndarray) -> float:
    return ratio(part.sum(), whole.sum())


def mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
