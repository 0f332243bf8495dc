"""Mixtures of linear regressions: pictures, or whole groups of them, that follow the same inputs in different ways.

Knows nothing about what the inputs mean.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import t as student_t


# of the residuals of a single regression
LEAST_SCALE = 0.02


@dataclass(frozen=True, eq=False)
class Regimes:
    r"""
    A fitted mixture: in regime $k$ is $y = x^T \beta_k + \sigma_k \varepsilon$.

    Args:
        coefficients (`np.ndarray` of shape `(num_inputs, num_regimes)`):
            $\beta_k$.
        scales (`np.ndarray` of shape `(num_regimes,)`):
            $\sigma_k$.
        shares (`np.ndarray` of shape `(num_regimes,)`):
            How frequent the regimes are among the units.
        freedom (`float`):
            Degrees of freedom of $\varepsilon$, Student's t; infinite where it is normal.
        log_likelihood (`float`):
            Of the data that it was fitted to.
    """

    coefficients: np.ndarray
    scales: np.ndarray
    shares: np.ndarray
    freedom: float
    log_likelihood: float

    @property
    def num_parameters(self) -> int:
        """Of coefficients, scales and shares."""
        return self.coefficients.size + 2 * len(self.scales) - 1

    def evidence(self, inputs: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Log likelihood of each picture in each regime, of shape `(num_images, num_regimes)`."""
        residuals = target[:, None] - inputs @ self.coefficients
        return student_t.logpdf(residuals, self.freedom, scale=self.scales)

    def assign(self, inputs: np.ndarray, target: np.ndarray, units: np.ndarray) -> np.ndarray:
        """The likeliest regime of each picture, the same for all of a unit, of shape `(num_images,)`."""
        evidence = _membership(units) @ self.evidence(inputs, target) + np.log(self.shares)
        return evidence.argmax(axis=1)[units]


def fit_regimes(
    inputs: np.ndarray,
    target: np.ndarray,
    units: np.ndarray,
    num_regimes: int,
    freedom: float = np.inf,
    num_starts: int = 10,
    seed: int = 0,
) -> Regimes:
    """
    Fits a mixture of regressions by expectation maximisation from several random starts, the best of which is kept
    (DeSarbo and Cron 1988, doi 10.1007/BF01897167; units, heavy tails, starts and the weak prior are our choice).

    Args:
        inputs (array of shape `(num_images, num_inputs)`):
            Standardised, the first of them 1.
        target (array of shape `(num_images,)`):
            Standardised.
        units (array of shape `(num_images,)`):
            Numbers from 0 of what lies in one regime as a whole: `arange(num_images)` for single pictures.
        num_regimes (`int`):
            How many.
        freedom (`float`, *optional*, defaults to infinity):
            Degrees of freedom of the noise.
        num_starts (`int`, *optional*, defaults to 10), seed (`int`, *optional*, defaults to 0):
            Random starts.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> inputs = np.column_stack([np.ones(200), rng.normal(size=(200, 2))])
        >>> follows = rng.integers(2, size=200)
        >>> target = np.where(follows == 0, inputs[:, 1], inputs[:, 2])
        >>> regimes = fit_regimes(inputs, target, np.arange(200), num_regimes=2)
        >>> sorted(regimes.coefficients.T.round(1).astype(int).tolist())
        [[0, 0, 1], [0, 1, 0]]
    """
    num_starts = num_starts if num_regimes > 1 else 1
    num_inputs = inputs.shape[1]
    single = np.linalg.lstsq(inputs, target, rcond=None)[0]
    spread = max(float(np.std(target - inputs @ single)), 1e-6)
    rng = np.random.default_rng(seed)
    # one column a start and regime, the regimes of a start side by side
    apart = 0.5 * rng.normal(size=(num_inputs, num_starts * num_regimes)) * (num_regimes > 1)
    state = _State(
        single[:, None] + apart,
        np.full(num_starts * num_regimes, spread),
        np.full((num_starts, num_regimes), 1 / num_regimes),
    )
    problem = _Problem(inputs, target, units, freedom, single, spread)
    state, likelihoods = problem.climb(state, num_steps=20)
    best = np.argsort(-likelihoods)[:2]
    state, likelihoods = problem.climb(state.pick(best), num_steps=200)
    state = state.pick(np.argmax(likelihoods, keepdims=True))
    return Regimes(state.coefficients, state.scales, state.shares[0], freedom, float(likelihoods.max()))


@dataclass
class _State:
    coefficients: np.ndarray  # (num_inputs, num_starts * num_regimes)
    scales: np.ndarray  # (num_starts * num_regimes,)
    shares: np.ndarray  # (num_starts, num_regimes)

    def pick(self, starts: np.ndarray) -> "_State":
        num_regimes = self.shares.shape[1]
        columns = (starts[:, None] * num_regimes + np.arange(num_regimes)).ravel()
        return _State(self.coefficients[:, columns], self.scales[columns], self.shares[starts])


class _Problem:
    def __init__(
        self,
        inputs: np.ndarray,
        target: np.ndarray,
        units: np.ndarray,
        freedom: float,
        single: np.ndarray,
        spread: float,
    ) -> None:
        self.inputs, self.target, self.units, self.freedom = inputs, target, units, freedom
        self.single, self.spread = single, spread
        num_images, num_inputs = inputs.shape
        self.products = (inputs[:, :, None] * inputs[:, None, :]).reshape(num_images, -1)
        self.with_target = inputs * target[:, None]
        self.membership = _membership(units)
        self.ridge = 0.01 * np.eye(num_inputs)
        self.log_density_at_0 = float(student_t.logpdf(0, freedom))

    def climb(self, state: _State, num_steps: int) -> tuple[_State, np.ndarray]:
        """Steps of expectation maximisation, all starts at once, and their log likelihoods: (num_starts,)."""
        before = np.full(len(state.shares), -np.inf)
        for step in range(num_steps + 1):
            ratios = (self.target[:, None] - self.inputs @ state.coefficients) / state.scales
            evidence = self._log_density(ratios) - np.log(state.scales)
            joint = (self.membership @ evidence).reshape(-1, *state.shares.shape) + np.log(state.shares)
            of_units = np.logaddexp.reduce(joint, axis=2)
            likelihoods = of_units.sum(axis=0)
            if step == num_steps or np.max(likelihoods - before) < 0.01:
                break
            before = likelihoods
            state = self._maximise(np.exp(joint - of_units[:, :, None]), ratios)
        return state, likelihoods

    def _log_density(self, ratios: np.ndarray) -> np.ndarray:
        """Of Student's t; written out, because scipy's takes half the time of a fit."""
        if np.isinf(self.freedom):
            return self.log_density_at_0 - ratios**2 / 2
        return self.log_density_at_0 - (self.freedom + 1) / 2 * np.log1p(ratios**2 / self.freedom)

    def _maximise(self, belongs: np.ndarray, ratios: np.ndarray) -> _State:
        num_units, _, num_regimes = belongs.shape
        num_inputs = self.inputs.shape[1]
        weights = belongs.reshape(num_units, -1)[self.units]  # (num_images, num_starts * num_regimes)
        totals = weights.sum(axis=0)
        if np.isfinite(self.freedom):
            # outliers count less
            weights = weights * (self.freedom + 1) / (self.freedom + ratios**2)
        gram = (weights.T @ self.products).reshape(-1, num_inputs, num_inputs) + self.ridge
        moments = weights.T @ self.with_target + self.ridge @ self.single
        coefficients = np.linalg.solve(gram, moments[:, :, None])[:, :, 0].T
        squares = (weights * (self.target[:, None] - self.inputs @ coefficients) ** 2).sum(axis=0)
        # a quarter of a picture's worth of prior keeps a regime of few pictures from shrinking to nothing
        scales = np.sqrt((squares + self.spread**2 / 4) / (totals + 1))
        shares = (belongs.sum(axis=0) + 1) / (num_units + num_regimes)
        return _State(coefficients, np.maximum(scales, LEAST_SCALE * self.spread), shares)


def _membership(units: np.ndarray) -> csr_array:
    """Sums rows of pictures to rows of units."""
    return csr_array((np.ones(len(units)), (units, np.arange(len(units)))))
