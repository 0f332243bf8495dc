"""Groups of pictures by what carries their judgement, found without any label.

Knows nothing about pictures: it reads off which cues the votes follow, and names what it finds by categories that
others have made.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, hypergeom

from ..metrics import earth_mover_distance
from .findings import Categorisation, Cluster
from .panel import ModalityPanel
from .regimes import Regimes, fit_regimes


# noise of the scores: normal, or with the heavy tails of Student's t
FREEDOMS = (np.inf, 4.0)
PICTURES_PER_CUE = 30
LEAST_SHARE = 0.03
LEAST_STABILITY = 0.5
# "very strong" in the words of Kass and Raftery 1995, doi 10.1080/01621459.1995.10476572
LEAST_LEAD = 10


def categorise(
    panel: ModalityPanel,
    categories: Mapping[str, ArrayLike] | None = None,
    num_resamples: int = 20,
    num_exemplars: int = 6,
    seed: int = 0,
) -> Categorisation:
    r"""
    Clusters pictures by the way in which their scores follow the cues (our choice of method).

    A single picture tells little: by chance the score of any one of several cues comes near. So a cluster is a regime,
    $y = a_k + \sum_m \beta_{km} \mu_m + \sigma_k \varepsilon$ of true mean $y$ on the predicted means $\mu_m$ of the
    cues, with coefficients of its own, and the regimes are a mixture of regressions. Either each picture has its
    regime, or each group of the panel as a whole (pictures of one theme are judged alike), with normal or heavy-tailed
    noise: the Bayesian information criterion decides, and on the number of regimes, too.

    It compares them with mixtures where all pictures follow the cues in the same proportion, and only the level, the
    strength and the noise differ: once of a line, and once of a quadratic whose noise depends on the cues, too. If one
    of these is as good, or resampling the groups does not find the same clusters again, there are none.

    Regimes of single pictures show only where the cues predict closely: two regimes cannot be told apart in pictures
    on which their cues agree. Cues whose noise grows with their own value look like two regimes.

    Args:
        panel ([`ModalityPanel`]):
            Predictions and votes. Select one variant of each cue.
        categories (`Mapping[str, array of shape (num_images,)]`, *optional*):
            Which pictures are members of each, for the names: those that are more frequent inside a cluster by
            Fisher's exact test over pictures, after Benjamini and Hochberg.
        num_resamples (`int`, *optional*, defaults to 20):
            Draws of groups for the stability: mean adjusted Rand index between the clusters and those of a draw.
        num_exemplars (`int`, *optional*, defaults to 6):
            Pictures to name for each cluster, those that tell its regime from the others most clearly; as many as the
            panel has names all members.
        seed (`int`, *optional*, defaults to 0):
            Of all draws.

    Returns:
        [`Categorisation`]: Largest cluster first. `profile` holds how much closer each cue comes to the votes than to
        those of other pictures, and than other cues do, in standard deviations.

    Raises:
        ValueError: If a category does not have one value for each picture.

    Example:
        >>> flat = np.full((60, 5), 0.2)
        >>> panel = ModalityPanel(
        ...     image_ids=np.arange(60),
        ...     groups=np.arange(60),
        ...     bin_scores=np.arange(1, 6),
        ...     target=np.eye(5)[np.arange(60) % 5],
        ...     num_votes=None,
        ...     constant=flat,
        ...     predicted={"blur": flat, "depth": flat},
        ... )
        >>> categorise(panel).reason
        'No clusters: fewer than two cues predict anything that varies (none).'
    """
    members = _members(categories or {}, len(panel.image_ids))
    names = [name for name in panel.cues if panel.varies(name)]
    needed = PICTURES_PER_CUE * (len(names) + 1)
    if np.ptp(panel.true_means) == 0:
        return _no_clusters("the votes of all pictures have the same mean.")
    if len(names) < 2:
        return _no_clusters(f"fewer than two cues predict anything that varies ({', '.join(names) or 'none'}).")
    if len(panel.image_ids) < needed:
        return _no_clusters(f"{len(names)} cues need at least {needed} pictures, got {len(panel.image_ids)}.")

    data = _standardise(panel, names)
    found = _choose(data, max_regimes=min(5, len(names) + 1), seed=seed)
    if found is None:
        return _no_clusters("the votes are as likely where all pictures follow the cues in the same proportion.")
    labels = found.regimes.assign(data.inputs, data.target, found.units)
    stability = _stability(data, found, labels, num_resamples, seed)
    if stability < LEAST_STABILITY:
        return _no_clusters(
            f"resampled groups do not give them again (adjusted Rand index {stability:.2f}).", stability
        )

    closeness = _closeness(panel, names)
    evidence = found.regimes.evidence(data.inputs, data.target)
    numbers, sizes = np.unique(labels, return_counts=True)
    telling = _telling_categories(members, labels, numbers)
    clusters: list[Cluster] = []
    taken: list[str] = []
    for number in numbers[np.argsort(-sizes, kind="stable")]:
        inside = np.flatnonzero(labels == number)
        others = np.delete(evidence[inside], number, axis=1).max(axis=1)
        surest = inside[np.argsort(others - evidence[inside, number], kind="stable")[:num_exemplars]]
        name = _name(closeness[inside], names, telling[number])
        taken.append(name)
        clusters.append(
            Cluster(
                name=f"{name} ({taken.count(name)})" if taken.count(name) > 1 else name,
                size=len(inside),
                profile=dict(zip(names, closeness[inside].mean(axis=0).tolist(), strict=True)),
                categories=telling[number],
                exemplars=[str(panel.image_ids[row]) for row in surest],
            )
        )
    return Categorisation(clusters, stability)


class _Data(NamedTuple):
    inputs: np.ndarray  # (num_images, 1 + num_cues)
    target: np.ndarray
    groups: np.ndarray  # numbers from 0


class _Found(NamedTuple):
    regimes: Regimes
    units: np.ndarray


def _no_clusters(reason: str, stability: float | None = None) -> Categorisation:
    return Categorisation([], stability, f"No clusters: {reason}")


def _members(categories: Mapping[str, ArrayLike], num_images: int) -> dict[str, np.ndarray]:
    members = {name: np.asarray(values) for name, values in categories.items()}
    for name, values in members.items():
        if values.shape != (num_images,):
            raise ValueError(
                f"Category {name!r} must have one value for each of the {num_images} pictures, got shape "
                f"{values.shape}. Pass True for its members, in the order of the panel's `image_ids`."
            )
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"Category {name!r} must be True for its members and False for others, got "
                f"{values[~np.isin(values, (0, 1))][0]}. Leave ratings out, or divide them: ratings > 3."
            )
    return {name: values.astype(bool) for name, values in members.items()}


def _standardise(panel: ModalityPanel, names: Sequence[str]) -> _Data:
    means = np.column_stack([panel.predicted_means[name] for name in names])
    inputs = np.column_stack([np.ones(len(means)), (means - means.mean(axis=0)) / means.std(axis=0)])
    target = (panel.true_means - panel.true_means.mean()) / panel.true_means.std()
    return _Data(inputs, target, np.unique(panel.groups, return_inverse=True)[1])


def _choose(data: _Data, max_regimes: int, seed: int) -> _Found | None:
    """The mixture of least criterion; `None` where it is not clearly ahead of all where one direction is followed."""
    num_images = len(data.target)
    levels = [np.arange(num_images)]
    if len(np.unique(data.groups)) < num_images:
        levels.append(data.groups)

    def criterion(log_likelihood: float, num_parameters: int) -> float:
        return num_parameters * np.log(num_images) - 2 * log_likelihood

    best, found = np.inf, None
    for units, freedom, number in product(levels, FREEDOMS, range(2, max_regimes + 1)):
        fit = fit_regimes(data.inputs, data.target, units, number, freedom, seed=seed)
        sizes = np.bincount(fit.assign(data.inputs, data.target, units), minlength=number)
        value = criterion(fit.log_likelihood, fit.num_parameters)
        if value < best and sizes.min() >= LEAST_SHARE * num_images:
            best, found = value, _Found(fit, units)
    for inputs, target, log_scale, num_parameters in (_line(data), _quadratic(data)):
        for number, units, freedom in product(range(1, max_regimes + 1), levels, FREEDOMS):
            fit = _fit_in_proportion(inputs, target, units, number, freedom, seed)
            if criterion(fit.log_likelihood - log_scale, num_parameters + fit.num_parameters) < best + LEAST_LEAD:
                return None
    return found


def _fit_in_proportion(
    inputs: np.ndarray, target: np.ndarray, units: np.ndarray, num_regimes: int, freedom: float, seed: int
) -> Regimes:
    """Regimes with one and the same direction of coefficients, each with its own level, strength and scale."""
    direction = np.linalg.lstsq(inputs, target, rcond=None)[0]
    fits = []
    for _ in range(2 if num_regimes > 1 else 1):
        single = np.column_stack([inputs[:, 0], inputs @ direction])
        fits.append(fit_regimes(single, target, units, num_regimes, freedom, num_starts=4, seed=seed))
        labels = fits[-1].assign(single, target, units)
        (level, strength), scale = fits[-1].coefficients[:, labels], fits[-1].scales[labels]
        weights = (strength / scale)[:, None]
        direction = np.linalg.lstsq(inputs * weights, (target - level * inputs[:, 0]) / scale, rcond=None)[0]
    return max(fits, key=lambda fit: fit.log_likelihood)


def _line(data: _Data) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Terms, target, sum of the log scales by which both were divided, parameters beside those of the regimes."""
    return data.inputs, data.target, 0.0, data.inputs.shape[1] - 2


def _quadratic(data: _Data) -> tuple[np.ndarray, np.ndarray, float, int]:
    """The same of a quadratic with a scale whose logarithm is a quadratic, too."""
    num_inputs = data.inputs.shape[1]
    # the products with the first input, 1, are the inputs themselves
    products = [data.inputs[:, a] * data.inputs[:, b] for a, b in combinations_with_replacement(range(num_inputs), 2)]
    terms = np.column_stack(products)
    log_scales = np.zeros(len(data.target))
    for _ in range(4):
        weights = np.exp(-log_scales)
        fit = terms @ np.linalg.lstsq(terms * weights[:, None], data.target * weights, rcond=None)[0]
        squares = (data.target - fit) ** 2
        squares += 1e-3 * squares.mean() + 1e-12
        log_scales = terms @ np.linalg.lstsq(terms, np.log(squares) / 2, rcond=None)[0]
        log_scales = np.clip(log_scales - log_scales.mean(), -2.5, 2.5)
        log_scales += np.log(np.mean(squares * np.exp(-2 * log_scales))) / 2
    weights = np.exp(-log_scales)
    return terms * weights[:, None], data.target * weights, float(log_scales.sum()), 2 * terms.shape[1] - 3


def _stability(data: _Data, found: _Found, labels: np.ndarray, num_resamples: int, seed: int) -> float:
    """Mean adjusted Rand index between the clusters and those that draws of whole groups find."""
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(seed)
    members = np.split(np.argsort(data.groups, kind="stable"), np.cumsum(np.bincount(data.groups))[:-1])
    indices = []
    for draw in range(num_resamples):
        drawn = [members[group] for group in rng.integers(len(members), size=len(members))]
        rows = np.concatenate(drawn)
        # a group that is drawn twice is two groups
        copies = np.repeat(np.arange(len(drawn)), [len(each) for each in drawn])
        units = copies if found.units is data.groups else np.arange(len(rows))
        regimes = fit_regimes(
            data.inputs[rows],
            data.target[rows],
            units,
            len(found.regimes.scales),
            found.regimes.freedom,
            seed=seed + 1 + draw,
        )
        indices.append(adjusted_rand_score(labels, regimes.assign(data.inputs, data.target, found.units)))
    return float(np.mean(indices))


def _closeness(panel: ModalityPanel, names: Sequence[str]) -> np.ndarray:
    """Standardised closeness to the votes, less its mean over cues: where all are close, none stands out."""
    distances = np.column_stack([earth_mover_distance(panel.predicted[name], panel.target, order=1) for name in names])
    closeness = (distances.mean(axis=0) - distances) / np.maximum(distances.std(axis=0), 1e-12)
    return closeness - closeness.mean(axis=1, keepdims=True)


def _name(closeness: np.ndarray, names: Sequence[str], categories: Sequence[str]) -> str:
    """By the cues that are clearly closer than elsewhere, and the categories that tell most."""
    means = closeness.mean(axis=0)
    errors = closeness.std(axis=0) / np.sqrt(len(closeness))
    order = np.argsort(-means)
    stand_out = [names[cue] for cue in order if means[cue] > max(2 * errors[cue], means.max() / 2)]
    name = " and ".join(stand_out) or "no single cue"
    return f"{name}: {', '.join(categories[:2])}" if categories else name


def _telling_categories(
    members: Mapping[str, np.ndarray], labels: np.ndarray, numbers: np.ndarray, level: float = 0.05
) -> dict[int, list[str]]:
    """For each cluster the categories that are more frequent inside, the least probable by chance first."""
    if not members:
        return {number: [] for number in numbers}
    names = list(members)
    table = np.array(list(members.values()))
    inside = np.array([table[:, labels == number].sum(axis=1) for number in numbers])  # (num_clusters, num_categories)
    sizes = np.array([np.count_nonzero(labels == number) for number in numbers])[:, None]
    chances = hypergeom.sf(inside - 1, len(labels), table.sum(axis=1), sizes)
    telling = false_discovery_control(chances.ravel()).reshape(chances.shape) < level
    return {
        number: [names[column] for column in np.argsort(row, kind="stable") if clear[column]]
        for number, row, clear in zip(numbers, chances, telling, strict=True)
    }
