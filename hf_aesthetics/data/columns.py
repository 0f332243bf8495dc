"""The columns that every data set yields, the rating scale behind them, and what a card says about their source.

Knows nothing about where the pictures come from or which model reads them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, List, Value

from ..licensing import NOT_STATED, Permission


RATING_COLUMNS = ("vote_counts", "score_mean", "score_std", "num_votes")
LABEL_COLUMNS = ("image_id", *RATING_COLUMNS)
COMMON_COLUMNS = ("image", *LABEL_COLUMNS)
SERIES_COLUMNS = ("image", "image_id", "series_id", "series_rank")
PAIR_COLUMNS = ("image_a", "image_b", "preference")


@dataclass(frozen=True)
class RatingScale:
    """
    An ordered rating scale with equally spaced bins: AVA `(1, 10, 10)`, OASIS `(1, 7, 7)`, PARA in halves `(1, 5, 9)`.

    Args:
        min_score (`float`):
            Rating of the lowest bin.
        max_score (`float`):
            Rating of the highest bin.
        num_bins (`int`):
            Number of bins, at least 2.

    Raises:
        ValueError: If there are fewer than two bins or `max_score` does not exceed `min_score`.

    Example:
        >>> RatingScale(1, 5, 9).bin_scores.tolist()
        [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    """

    min_score: float
    max_score: float
    num_bins: int

    def __post_init__(self) -> None:
        if self.num_bins < 2:
            raise ValueError(f"A rating scale needs at least 2 bins, got {self.num_bins}.")
        if not (math.isfinite(self.max_score - self.min_score) and self.max_score > self.min_score):
            raise ValueError(f"`max_score` must exceed `min_score`, got {self.max_score} and {self.min_score}.")

    @property
    def bin_scores(self) -> np.ndarray:
        """Ratings of the bins, lowest first, float64 of shape `(num_bins,)`."""
        return np.linspace(self.min_score, self.max_score, self.num_bins)

    def __str__(self) -> str:
        return f"{self.min_score:g}..{self.max_score:g} in {self.num_bins} bins"


@dataclass(frozen=True)
class DatasetFacts:
    """
    What a card says about the data, and what of it may be published. Every loader defines its own as `FACTS`.

    Args:
        name (`str`):
            Name of the data set, as a sentence would use it.
        license (`str`):
            Under which terms its pictures and its ratings may be used.
        description (`str`, *optional*):
            What was rated, by whom and on which scale.
        source_url (`str`, *optional*):
            Where it is published.
        citation (`str`, *optional*):
            How to cite it.
        notice (`str`, *optional*):
            What has to be said wherever a model trained on it shows a score.
        pictures, ratings, weights ([`Permission`], *optional*):
            Whether the pictures, the ratings and the weights of a model trained on both may be published. Maps of the
            pictures go with the pictures. Where nobody has said, they may not.

    Example:
        >>> DatasetFacts(name="my photographs", license="all rights reserved").license
        'all rights reserved'
    """

    name: str
    license: str
    description: str | None = None
    source_url: str | None = None
    citation: str | None = None
    notice: str | None = None
    pictures: Permission = NOT_STATED
    ratings: Permission = NOT_STATED
    weights: Permission = NOT_STATED


def rating_features(num_bins: int, extra: Mapping[str, Any] | None = None) -> Features:
    """
    Typed features of a rated collection: the common columns, then the ones that a data set adds.

    Args:
        num_bins (`int`):
            Length of `vote_counts`.
        extra (`Mapping[str, Any]`, *optional*):
            Further columns, such as `{"depth": Image(mode="L"), "theme": Value("string")}`.

    Example:
        >>> list(rating_features(10, {"theme": Value("string")}))
        ['image', 'image_id', 'vote_counts', 'score_mean', 'score_std', 'num_votes', 'theme']
    """
    return Features(
        {
            "image": Image(),
            "image_id": Value("string"),
            "vote_counts": List(Value("int32"), length=num_bins),
            "score_mean": Value("float32"),
            "score_std": Value("float32"),
            "num_votes": Value("int32"),
            **(extra or {}),
        }
    )


def series_features(extra: Mapping[str, Any] | None = None) -> Features:
    """
    Typed features of a ranked collection: pictures in series, such as bursts, of which people said which is best.

    - `series_id`: the series a picture belongs to; ranks compare inside of one alone.
    - `series_rank`: 0 is the best picture of its series, 1 the next one; equal ranks are a tie.

    Args:
        extra (`Mapping[str, Any]`, *optional*):
            Further columns. `{"source": Value("string")}` tells kinds of series apart, such as bursts and crops.

    Example:
        >>> list(series_features({"source": Value("string")}))
        ['image', 'image_id', 'series_id', 'series_rank', 'source']
    """
    return Features(
        {
            "image": Image(),
            "image_id": Value("string"),
            "series_id": Value("string"),
            "series_rank": Value("int32"),
            **(extra or {}),
        }
    )


def pair_features(extra: Mapping[str, Any] | None = None) -> Features:
    """
    Typed features of a table of comparisons, which lies beside a collection: its pictures are told by their ids.

    - `image_a`, `image_b`: `image_id` of the two pictures;
    - `preference`: share of the people who prefer `image_a`, between 0 and 1.

    Args:
        extra (`Mapping[str, Any]`, *optional*):
            Further columns. `{"caption": Value("string")}` says in words how `image_a` differs from `image_b`.

    Example:
        >>> list(pair_features())
        ['image_a', 'image_b', 'preference']
    """
    return Features(
        {
            "image_a": Value("string"),
            "image_b": Value("string"),
            "preference": Value("float32"),
            **(extra or {}),
        }
    )


def require_attributes(
    features: Features | None, attributes: Sequence[str], name: str, flag: str = "--attributes"
) -> None:
    """
    Refuses attributes that are no columns of numbers beside the ratings.

    Args:
        features (`Features`, *optional*):
            Columns of the collection, where they are known.
        attributes (`Sequence[str]`):
            Names of its attributes.
        name (`str`):
            What an error calls the collection.

    Raises:
        ValueError: If a column is missing, not of numbers, or a part of the ratings themselves.

    Example:
        >>> require_attributes(rating_features(5, {"sharpness": Value("float32")}), ["valence"], "holiday")
        Traceback (most recent call last):
        ...
        ValueError: Attributes of holiday are its columns of numbers, sharpness, but 'valence' is not there. Correct --attributes.
    """  # noqa: E501
    types = {column: str(getattr(feature, "dtype", "")) for column, feature in (features or {}).items()}
    numbers = [
        column
        for column, dtype in types.items()
        if column not in COMMON_COLUMNS and dtype.startswith(("float", "int", "uint", "bool"))
    ]
    for attribute in attributes:
        if attribute not in numbers:
            problem = f"holds {types[attribute] or 'something else'}" if attribute in types else "is not there"
            problem = "is a part of the ratings" if attribute in COMMON_COLUMNS else problem
            raise ValueError(
                f"Attributes of {name} are its columns of numbers, {', '.join(numbers) or 'of which it has none'}, "
                f"but {attribute!r} {problem}. Correct {flag}."
            )


def vote_statistics(vote_counts: Sequence[int] | np.ndarray, scale: RatingScale, name: str) -> dict[str, Any]:
    """
    Checks one histogram of votes and returns the columns that follow from it.

    Args:
        vote_counts (`Sequence[int]` of length `scale.num_bins`):
            Votes a bin, lowest rating first.
        scale (`RatingScale`):
            The scale on which the votes were given.
        name (`str`):
            What an error calls the picture, such as `"labels.csv, row 12 (I12.jpg)"`.

    Returns:
        `dict` with `vote_counts`, `score_mean`, `score_std` (of the votes, dividing by their number) and `num_votes`.

    Raises:
        ValueError: If the votes are of the wrong length, not finite, negative, fractional, or all zero.

    Example:
        >>> vote_statistics([0, 1, 3], RatingScale(1, 3, 3), "I1.jpg")
        {'vote_counts': [0, 1, 3], 'score_mean': 2.75, 'score_std': 0.4330127018922193, 'num_votes': 4}
    """
    try:
        counts = np.asarray(vote_counts, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: votes must be numbers, got {list(vote_counts)!r}. Correct the row.") from None
    if counts.shape != (scale.num_bins,):
        raise ValueError(
            f"{name}: expected {scale.num_bins} vote counts for the scale {scale}, got {counts.size}. "
            "Does the data set use another rating scale? Give its minimum, maximum and number of bins."
        )
    if not np.isfinite(counts).all() or (counts < 0).any() or (counts != np.round(counts)).any():
        raise ValueError(f"{name}: votes must be whole numbers >= 0, got {counts.tolist()}. Correct or drop the row.")
    total = counts.sum()
    if total == 0:
        raise ValueError(f"{name}: all votes are zero, so there is no score. Drop the row or give a mean instead.")
    bins = scale.bin_scores
    mean = float(counts @ bins / total)
    variance = float(counts @ (bins - mean) ** 2 / total)
    return {
        "vote_counts": counts.astype(int).tolist(),
        "score_mean": mean,
        "score_std": variance**0.5,
        "num_votes": int(total),
    }


def known_votes(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """
    The rows that have votes: their `vote_counts` as float64 of shape `(num_rows, num_bins)`, and their `score_mean`.

    Example:
        >>> known_votes(Dataset.from_dict({"vote_counts": [[1, 0, 3], None], "score_mean": [2.5, 4.0]}))
        (array([[1., 0., 3.]]), array([2.5]))
    """
    # by Arrow, because a quarter of a million histograms as lists take half a gigabyte
    labels = dataset.select_columns(["vote_counts", "score_mean"]).with_format("arrow")[:]
    labels = labels.filter(labels["vote_counts"].is_valid())
    if len(labels) == 0:
        return np.empty((0, 0)), np.empty(0)
    votes = labels["vote_counts"].combine_chunks().flatten().to_numpy()
    return votes.reshape(len(labels), -1).astype(np.float64), labels["score_mean"].to_numpy().astype(np.float64)


def infer_rating_scale(dataset: Dataset) -> RatingScale | None:
    """
    Reads the rating scale off a data set: `score_mean` is linear in the mean bin of `vote_counts`.

    A hosted data set so needs no side file that says how its bins are called, and one whose means and votes disagree
    is found out before training.

    Returns:
        `RatingScale`, or `None` where the data set holds means only, or the votes of all pictures have one mean, so
        that the user has to say the scale.

    Raises:
        ValueError: If the means do not follow from the votes on any scale.

    Example:
        >>> rows = {"vote_counts": [[1, 0, 0], [0, 1, 1], [0, 0, 2]], "score_mean": [1.0, 4.0, 5.0]}
        >>> print(infer_rating_scale(Dataset.from_dict(rows)))
        1..5 in 3 bins
    """
    votes, means = known_votes(dataset)
    if len(votes) == 0:
        return None
    mean_bin = votes @ np.arange(votes.shape[1]) / votes.sum(axis=1)
    design = np.stack([np.ones_like(mean_bin), mean_bin], axis=1)
    (lowest, step), _, rank, _ = np.linalg.lstsq(design, means, rcond=None)
    if rank < 2:
        return None
    residual = np.abs(design @ (lowest, step) - means).max()
    if step <= 0 or residual > 1e-3 * abs(step):
        raise ValueError(
            f"`score_mean` must follow from `vote_counts` on one scale, but is up to {residual:.3g} off the best one. "
            "Recompute the column with vote_statistics(...)."
        )
    # float32 columns: a scale is written with a few digits, so the rounding error of the fit must not show
    return RatingScale(round(float(lowest), 3), round(float(lowest + step * (votes.shape[1] - 1)), 3), votes.shape[1])
