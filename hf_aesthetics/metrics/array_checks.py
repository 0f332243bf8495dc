"""Checks that the metrics make on their arrays: shape, finite values, rows. Knows nothing about any metric."""

import numpy as np
from numpy.typing import ArrayLike


# Published histograms are rounded to three or four digits; a row further from 1 than this is not a distribution.
SUM_TOLERANCE = 1e-3


def as_floats(values: ArrayLike, name: str) -> np.ndarray:
    """Returns `values` as float64, or says that they are not numbers in rows of equal length."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must hold numbers in rows of equal length: {error}") from error


def _require_finite(values: np.ndarray, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row = np.argwhere(~finite)[0][0]
        raise ValueError(
            f"`{name}` must be finite, got {np.count_nonzero(~finite)} NaN or infinite values, first in row {row}. "
            "Leave those pictures out."
        )


def require_same_length(**arrays: np.ndarray) -> None:
    """Raises unless all arrays have the same number of rows."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise ValueError(
            f"All arrays must have one row a picture, got rows: {listed}. Pass the same pictures in the same order."
        )


def as_vector(values: ArrayLike, name: str) -> np.ndarray:
    """Returns one finite float64 a picture."""
    vector = as_floats(values, name)
    if vector.ndim != 1:
        raise ValueError(
            f"`{name}` must have shape (num_images,), got {vector.shape}. "
            "Pass one score a picture: distribution_mean(distribution, bin_values)."
        )
    _require_finite(vector, name)
    return vector


def as_vector_pair(predicted: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns two vectors over the same pictures, of which there must be at least two."""
    predicted, target = as_vector(predicted, "predicted"), as_vector(target, "target")
    require_same_length(predicted=predicted, target=target)
    if len(predicted) < 2:
        raise ValueError(f"A metric over pictures needs at least 2 of them, got {len(predicted)}. Pass more pictures.")
    return predicted, target


def as_distributions(values: ArrayLike, name: str) -> np.ndarray:
    """Returns one distribution a row, float64, each row summing to exactly 1 up to rounding."""
    rows = as_floats(values, name)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] < 2:
        raise ValueError(
            f"`{name}` must have shape (num_images, num_bins) with at least 2 bins, got {rows.shape}. "
            "Pass one distribution over the rating bins for each picture."
        )
    _require_finite(rows, name)
    if rows.min() < 0:
        raise ValueError(f"`{name}` must not be negative, got {rows.min():g}. Pass probabilities, not logits.")
    sums = rows.sum(axis=1, keepdims=True)
    if np.abs(sums - 1).max() > SUM_TOLERANCE:
        raise ValueError(
            f"Rows of `{name}` must sum to 1, got sums between {sums.min():.6g} and {sums.max():.6g}. "
            "Pass vote shares: vote_counts / vote_counts.sum(axis=1, keepdims=True)."
        )
    return rows / sums


def as_distribution_pair(predicted: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns two sets of distributions over the same pictures and bins."""
    predicted, target = as_distributions(predicted, "predicted"), as_distributions(target, "target")
    if predicted.shape != target.shape:
        raise ValueError(
            f"`predicted` and `target` must have the same shape, got {predicted.shape} and {target.shape}. "
            "Pass the same pictures on the same rating scale."
        )
    return predicted, target


def as_bin_values(values: ArrayLike, num_bins: int) -> np.ndarray:
    """Returns the ratings that the bins stand for, strictly increasing."""
    bins = as_floats(values, "bin_values")
    if bins.shape != (num_bins,):
        raise ValueError(
            f"`bin_values` must hold one rating for each of the {num_bins} bins, got shape {bins.shape}. "
            "Pass for example range(1, 11) for a scale of 1 to 10."
        )
    _require_finite(bins, "bin_values")
    if (np.diff(bins) <= 0).any():
        raise ValueError(
            f"`bin_values` must be strictly increasing, got {bins.tolist()}. Put the lowest rating first."
        )
    return bins


def as_vote_counts(values: ArrayLike) -> np.ndarray:
    """Returns the numbers of votes in each bin as int64, at least one vote a picture."""
    counts = as_floats(values, "vote_counts")
    if counts.ndim != 2 or counts.shape[0] < 1 or counts.shape[1] < 2:
        raise ValueError(
            f"`vote_counts` must have shape (num_images, num_bins) with at least 2 bins, got {counts.shape}. "
            "Pass the number of votes in each rating bin for each picture."
        )
    _require_finite(counts, "vote_counts")
    wrong = (counts < 0) | (counts != np.rint(counts))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"`vote_counts` must be whole numbers of votes, got {counts[row, column]:g} in row {row}. "
            "Pass counts, not vote shares."
        )
    totals = counts.sum(axis=1)
    if (totals == 0).any():
        raise ValueError(
            f"Every row of `vote_counts` must hold a vote, got none in row {np.argmin(totals)}. "
            "Leave out pictures whose votes are unknown."
        )
    return counts.astype(np.int64)


def as_wins(values: ArrayLike, name: str) -> np.ndarray:
    """Returns how often pictures were chosen, at least 0 each. Choices may have weights."""
    wins = as_vector(values, name)
    if (wins < 0).any():
        raise ValueError(f"`{name}` must not be negative, got {wins.min():g}. Pass numbers of choices.")
    return wins
