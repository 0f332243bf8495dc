"""How much of the votes each cue tells: cross-fitted kernel regressions on descriptors, and shares of the cues.

Knows nothing about what the descriptors mean.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, rankdata


NUM_FOLDS = 5
PENALTIES = np.logspace(-2.5, 2, 10)  # a training picture, of the kernel's eigenvalues
BANDWIDTH = 0.3  # of the squared distance over its median
# the reading of one cue that holds another's, too, must not be blown up to explain it
COLLINEARITY_PENALTY = 1e-3


class CueReader:
    r"""
    Predicts values of pictures from descriptors of one cue, each picture by what was fitted on other groups.

    Kernel ridge regression (Saunders, Gammerman & Vovk 1998) with a Gaussian kernel over the ranks of the descriptors
    as normal scores, so that neither units nor outliers matter; the penalty is that of the least leave-one-out error
    among the training pictures, or the mean where nothing beats it. The kernel is decomposed once: many values, such
    as permuted ones, cost little more than one.

    Args:
        descriptors (`np.ndarray` of shape `(num_images, num_descriptors)`):
            Finite numbers.
        folds (`np.ndarray` of shape `(num_images,)`):
            Which fold each picture is in, see [`deal_folds`].

    Example:
        >>> brightness = np.linspace(0, 1, 50)[:, None]
        >>> reader = CueReader(brightness, deal_folds(np.arange(50)))
        >>> bool(np.corrcoef(reader.predict(brightness**2)[:, 0], brightness[:, 0] ** 2)[0, 1] > 0.99)
        True
    """

    def __init__(self, descriptors: np.ndarray, folds: np.ndarray) -> None:
        scores = norm.ppf((rankdata(descriptors, axis=0) - 0.5) / len(descriptors))
        squares = (scores**2).sum(axis=1)
        distances = np.maximum(squares[:, None] + squares - 2 * scores @ scores.T, 0)
        scale = np.median(distances[np.triu_indices(len(distances), 1)]) or 1.0
        kernel = np.exp(-BANDWIDTH * distances / scale)
        self._parts = []
        for fold in np.unique(folds):
            train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            inner = kernel[np.ix_(train, train)]
            means = inner.mean(axis=0)
            values, vectors = np.linalg.eigh(inner - means - means[:, None] + means.mean())
            kept = values > 1e-10 * len(train)
            values, vectors = values[kept], vectors[:, kept]
            outer = kernel[np.ix_(test, train)] - means
            outer = outer - outer.mean(axis=1, keepdims=True)
            self._parts.append((train, test, values, vectors, outer @ vectors))

    def predict(self, values: np.ndarray) -> np.ndarray:
        """
        Cross-fitted predictions of values.

        Args:
            values (`np.ndarray` of shape `(num_images, num_columns)`):
                What to predict; every column on its own.

        Returns:
            `np.ndarray` of the same shape.
        """
        predicted = np.empty(values.shape)
        for train, test, eigenvalues, vectors, outer in self._parts:
            number, mean = len(train), values[train].mean(axis=0)
            centred = values[train] - mean
            moments, squares = vectors.T @ centred, vectors**2
            # left out, a picture is predicted by the mean of the others
            least = ((centred * number / max(number - 1, 1)) ** 2).sum(axis=0)
            predicted[test] = mean
            for penalty in PENALTIES * number / 100:
                kept = eigenvalues / (eigenvalues + penalty)
                leverage = squares @ kept + 1 / number
                residuals = (centred - vectors @ (kept[:, None] * moments)) / (1 - leverage)[:, None]
                errors = (residuals**2).sum(axis=0)
                better = errors < least
                least[better] = errors[better]
                weights = moments[:, better] / (eigenvalues + penalty)[:, None]
                predicted[np.ix_(test, better)] = mean[better] + outer @ weights
        return predicted


def deal_folds(groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """
    Deals groups of pictures into at most five folds of about equal size.

    Example:
        >>> sorted(deal_folds(np.array(["lake", "lake", "dog"])).tolist())[:2] in ([0, 0], [0, 1])
        True
    """
    _, group_of = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(group_of.max() + 1)
    return (order % NUM_FOLDS)[group_of]


class Shares(NamedTuple):
    """
    What the readings of all cues explain of some values.

    Args:
        parts (`np.ndarray` of shape `(num_columns, num_cues)`):
            Part of the variance that goes to each cue; they sum to `explained`, and may be slightly negative.
        explained (`np.ndarray` of shape `(num_columns,)`):
            Of all together.
    """

    parts: np.ndarray
    explained: np.ndarray


def explained_parts(readings: np.ndarray, values: np.ndarray, weights: np.ndarray | None = None) -> Shares:
    r"""
    Divides the variance of values among the readings of the cues:
    $V_m = \beta_m \operatorname{cov}(r_m, y) / \operatorname{var}(y)$ with the coefficients of the regression of $y$
    on all readings $r_m$ (Pratt 1987). A cue whose reading follows the values only through another's gets nothing.

    Args:
        readings (`np.ndarray` of shape `(num_cues, num_images, num_columns)`):
            Cross-fitted predictions of the values from each cue.
        values (`np.ndarray` of shape `(num_images, num_columns)`):
            Such as mean scores.
        weights (`np.ndarray` of shape `(num_draws, num_images)`, *optional*):
            How often each picture counts, for a bootstrap of a single column: the parts are one row a draw then.
    """
    if weights is None:
        draws = [(np.ones(len(values)), column) for column in range(values.shape[1])]
    else:
        draws = [(weight, 0) for weight in weights]
    rows = []
    for weight, column in draws:
        coefficients, moments, variance = _regress(readings[:, :, column], values[:, column], weight)
        rows.append(coefficients * moments / max(variance, 1e-300))
    found = np.array(rows)
    return Shares(found, found.sum(axis=1))


def _regress(readings: np.ndarray, values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients of values on the readings, their covariances, and the variance of the values."""
    weight = weight / weight.sum()
    stacked = np.vstack([readings, values])
    stacked = stacked - (stacked @ weight)[:, None]
    moments = (stacked * weight) @ stacked.T
    variance = moments[-1, -1]
    if variance <= 0:
        return np.zeros(len(readings)), moments[:-1, -1], variance
    gram = moments[:-1, :-1] + COLLINEARITY_PENALTY * variance * np.eye(len(readings))
    return np.linalg.solve(gram, moments[:-1, -1]), moments[:-1, -1], variance


def read_cues(readers: Mapping[str, CueReader], values: np.ndarray) -> np.ndarray:
    """
    What each cue tells of values: read on its own first, and then once more of what the others leave.

    The second reading is a sweep of backfitting (Buja, Hastie & Tibshirani 1989). Maps of one cue show some of
    another, as a blur map shows edges of depth; whatever the other tells better is so left to it.

    Args:
        readers (`Mapping[str, CueReader]`):
            By cue.
        values (`np.ndarray` of shape `(num_images, num_columns)`):
            What to predict; every column on its own.

    Returns:
        `np.ndarray` of shape `(num_cues, num_images, num_columns)`.
    """
    centred = values - values.mean(axis=0)
    alone = np.stack([reader.predict(centred) for reader in readers.values()])
    every = np.ones(len(values))
    columns = [_regress(alone[:, :, place], centred[:, place], every)[0] for place in range(values.shape[1])]
    told = alone * np.stack(columns, axis=1)[:, None]
    together = told.sum(axis=0)
    pairs = zip(readers.values(), told, strict=True)
    return np.stack([reader.predict(centred - together + own) for reader, own in pairs])
