"""
Choices between the pictures of series -> strengths with intervals, one rank, and the pairs that are clear.

Knows nothing about pictures or how people were asked.
"""

import csv
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics import BradleyTerryFit, UnlinkedError, fit_bradley_terry
from ..whole_files import whole_file


logger = logging.getLogger(__name__)

PICTURE_FIELDS = ("file_name", "series_id", "series_rank", "strength", "strength_error")
PAIR_FIELDS = ("image_a", "image_b", "preference", "low", "high", "series_id")


@dataclass(frozen=True)
class RankCalibration:
    """
    What [`calibrate_ranks`] finds.

    Args:
        pictures (`list[dict]`):
            One row a picture, the best of each series first, with the keys of `PICTURE_FIELDS`: its place,
            Bradley-Terry strength, and standard error of that.
        pairs (`list[dict]`):
            One row for each pair of a series that is clear, the better picture first, with the keys of `PAIR_FIELDS`:
            the probability that `image_a` is preferred, and its interval at 95 %.
        num_unclear (`int`):
            Pairs that are not, and were dropped.
        unlinked (`dict[str, str]`):
            Series that were left out because their choices do not link all their pictures, and what is missing.
    """

    pictures: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    num_unclear: int
    unlinked: dict[str, str]


def calibrate_ranks(
    comparisons: Iterable[Mapping[str, Any]], *, min_margin: float = 0.1, prior: float = 0.5
) -> RankCalibration:
    """
    One rank a series from choices between its pictures, which may contradict each other.

    Bradley-Terry strengths of all choices of a series give the probability of every pair, asked or not. A pair whose
    probability is within `min_margin` of 0.5 is dropped. The rank of a picture is the number of pictures that are
    clearly better. So pictures that the same ones are clearly better than share a rank, and a picture of a better rank
    is never the weaker one. Two pictures may lie in different ranks though they are not clear themselves, where a
    third is clearly better than one of them alone; learn from `pairs` where that matters. (Margin, prior and this rank
    are our choice; [FGAesthetics](https://huggingface.co/papers/2603.03907) does not say its own.)

    Args:
        comparisons (`Iterable[Mapping]`):
            Rows with `image_a`, `image_b`, `series_id`, and `wins_a` and `wins_b` or else `preference`, which counts
            as one choice that is shared. Without `series_id` all are of one series, `all`. A pair may come again.
        min_margin (`float`, *optional*, defaults to 0.1):
            How far from 0.5 the probability of a clear pair is.
        prior (`float`, *optional*, defaults to 0.5):
            As in [`fit_bradley_terry`]. Few choices need it: a picture that won them all would be infinitely strong.

    Returns:
        [`RankCalibration`].

    Raises:
        ValueError: If `min_margin` is not in [0, 0.5), a row is malformed, or a series without a `prior` has no
            maximum of its likelihood.

    Example:
        >>> choices = [("sea", "sky", 4, 1), ("sea", "rock", 4, 1), ("sky", "rock", 2, 3)]
        >>> rows = [dict(zip(("image_a", "image_b", "wins_a", "wins_b"), choice)) for choice in choices]
        >>> calibration = calibrate_ranks(rows)
        >>> [(picture["file_name"], picture["series_rank"]) for picture in calibration.pictures]
        [('sea', 0), ('rock', 1), ('sky', 1)]
        >>> calibration.num_unclear
        1
    """
    if not 0 <= min_margin < 0.5:
        raise ValueError(f"`min_margin` must be in [0, 0.5), got {min_margin}. Pass for example 0.1.")
    series: dict[str, list[tuple[str, str, float, float]]] = defaultdict(list)
    for number, row in enumerate(comparisons):
        series[str(row.get("series_id") or "all")].append(
            (str(row["image_a"]), str(row["image_b"]), *_wins(row, number))
        )
    pictures: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    unlinked: dict[str, str] = {}
    num_unclear = 0
    for name, choices in series.items():
        images = list(dict.fromkeys(image for choice in choices for image in choice[:2]))
        place = {image: number for number, image in enumerate(images)}
        first, second = ([place[choice[side]] for choice in choices] for side in (0, 1))
        won, lost = ([choice[side] for choice in choices] for side in (2, 3))
        try:
            fit = fit_bradley_terry(first, second, won, lost, prior=prior)
        except UnlinkedError as error:
            unlinked[name] = f"nothing compares {', '.join(images[i] for i in error.part)} with the others"
            continue
        except ValueError as error:
            raise ValueError(f"Series {name!r}: {error}") from error
        order = sorted(range(len(images)), key=lambda image: -fit.strengths[image])
        pictures += _rank_pictures(name, images, order, fit, min_margin)
        clear = list(_clear_pairs(name, images, order, fit, min_margin))
        num_unclear += len(images) * (len(images) - 1) // 2 - len(clear)
        pairs += clear
    if unlinked:
        name, reason = next(iter(unlinked.items()))
        logger.warning("%d of %d series are left out; in %r %s.", len(unlinked), len(series), name, reason)
    return RankCalibration(pictures, pairs, num_unclear, unlinked)


def write_calibration(calibration: RankCalibration, folder: str | os.PathLike[str]) -> None:
    """
    Writes `series.csv` and `pairs.csv`, which [`load_series`] reads beside the pictures.

    Args:
        calibration ([`RankCalibration`]):
            What [`calibrate_ranks`] found.
        folder (`str` or `os.PathLike`):
            An existing folder. Tables of these names are replaced.
    """
    tables = {"series.csv": (PICTURE_FIELDS, calibration.pictures), "pairs.csv": (PAIR_FIELDS, calibration.pairs)}
    for name, (fields, rows) in tables.items():
        with whole_file(Path(folder, name)) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _wins(row: Mapping[str, Any], number: int) -> tuple[float, float]:
    if row.get("wins_a") is not None and row.get("wins_b") is not None:
        return float(row["wins_a"]), float(row["wins_b"])
    if (preference := row.get("preference")) is None or not 0 <= float(preference) <= 1:
        raise ValueError(
            f"Row {number}: expected `wins_a` and `wins_b`, or a `preference` from 0 to 1, got {dict(row)}."
        )
    return float(preference), 1 - float(preference)


def _rank_pictures(
    series: str, images: list[str], order: list[int], fit: BradleyTerryFit, min_margin: float
) -> Iterable[dict[str, Any]]:
    errors = fit.standard_errors
    for image in order:
        others = fit.probability(np.arange(len(images)), image)
        yield {
            "file_name": images[image],
            "series_id": series,
            "series_rank": int(np.count_nonzero(_is_clear(others, min_margin) & (others > 0.5))),
            "strength": float(fit.strengths[image]),
            "strength_error": float(errors[image]),
        }


def _clear_pairs(
    series: str, images: list[str], order: list[int], fit: BradleyTerryFit, min_margin: float
) -> Iterable[dict[str, Any]]:
    for better, worse in combinations(order, 2):
        preference = float(fit.probability(better, worse))
        if _is_clear(preference, min_margin):
            low, high = (float(end) for end in fit.interval(better, worse))
            yield {
                "image_a": images[better],
                "image_b": images[worse],
                "preference": preference,
                "low": low,
                "high": high,
                "series_id": series,
            }


def _is_clear(probability: Any, min_margin: float) -> Any:
    """Whether it is not near one half; exactly one half is not clear, whatever the margin."""
    distance = abs(probability - 0.5)
    return (distance >= min_margin) & (distance > 1e-9)
