"""Which cue carries the judgement: the rule, and the verdict that it reaches on a collection.

Knows nothing about networks: the rule looks at descriptors of maps and at votes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .cue_reading import CueReader, deal_folds, explained_parts, read_cues
from .cues import first_of_cues, is_cue
from .descriptors import describe_cue
from .findings import Estimate, Verdict
from .resampling import draw_weights, number_groups


RULE = (
    "Each cue is read in its own terms (descriptors of its map), cross-fitted over groups. A cue's share is the part "
    "of the variance of the mean scores that goes to its reading, over the part of its property that its maps are "
    "known to show (readability). Nothing is claimed unless all cues together explain more than they do in "
    "{confidence} of the draws in which the scores belong to no picture. A cue is named where its share is ahead "
    "of every other's in {confidence} of the draws of groups, with every extractor of every cue."
)
CONFIDENCE = 0.95
# part of a property that a cue's own maps show, and its deviation: measured on mixtures of causes on rendered scenes,
# where the shares are known, seeds 100 to 109 (scripts/prove_causes.py --calibrate); other maps count as those
READABILITY: dict[str, tuple[float, float]] = {
    "depth": (0.96, 0.09),
    "saliency": (0.39, 0.04),
    "blur": (0.63, 0.06),
    "colour": (1.00, 0.00),
    "light": (1.00, 0.00),
}
MAX_PICTURES = 2000  # the kernel takes memory with the square of their number
LEAST_PICTURES = 20


@dataclass(frozen=True, eq=False)
class CuePanel:
    """
    Cues of the same pictures, ready to be compared with any votes.

    Args:
        readers (`dict[str, CueReader]`):
            By cue.
        groups (`np.ndarray` of shape `(num_images,)`):
            What is drawn, permuted and left out together.
    """

    readers: dict[str, CueReader]
    groups: np.ndarray

    @classmethod
    def from_maps(cls, maps: Mapping[str, np.ndarray], groups: np.ndarray | None = None, seed: int = 0) -> "CuePanel":
        """
        Describes the maps. Of several modalities of a cue, such as `saliency` and `saliency_u2net`, the first counts.

        Args:
            maps (`Mapping[str, np.ndarray]`):
                By modality, as [`~hf_aesthetics.analysis.descriptors.small_maps`] makes them; `rgb` gives colour and
                light.
            groups (`np.ndarray` of shape `(num_images,)`, *optional*):
                Such as themes.
            seed (`int`, *optional*, defaults to 0):
                Of the folds.
        """
        seen = {cue: {**maps, cue: maps[modality]} for cue, modality in first_of_cues(maps).items()}
        number = len(next(iter(maps.values())))
        groups = np.arange(number) if groups is None else np.asarray(groups)
        folds = deal_folds(groups, seed)
        readers = {}
        for cue, own in seen.items():
            descriptors = np.stack(list(describe_cue(cue, own).values()), axis=1)
            readers[cue] = CueReader(descriptors, folds)
        return cls(readers, groups)


def reach_verdict(
    maps: Mapping[str, np.ndarray],
    true_means: np.ndarray,
    groups: np.ndarray | None = None,
    reliability: float | None = None,
    num_resamples: int = 1000,
    num_permutations: int = 200,
    seed: int = 0,
) -> Verdict:
    """
    Which cue carries the judgement of a collection (our rule; the paper compares networks).

    Where there are several modalities of a cue, the first counts. What is claimed must hold with any of the others in
    its place, too: an order that another extractor turns round is none.

    Args:
        maps (`Mapping[str, np.ndarray]`):
            By modality, as [`~hf_aesthetics.analysis.descriptors.small_maps`] makes them.
        true_means (`np.ndarray` of shape `(num_images,)`):
            Mean scores.
        groups (`np.ndarray` of shape `(num_images,)`, *optional*):
            What the pictures show, such as themes.
        reliability (`float`, *optional*):
            Correlation of the mean scores of two such panels of raters; 1 where it is left out.
        num_resamples (`int`, *optional*, defaults to 1000), num_permutations (`int`, *optional*, defaults to 200), \
        seed (`int`, *optional*, defaults to 0):
            Of bootstrap and permutations.

    Returns:
        [`Verdict`]. More than 2,000 pictures are sampled.

    Raises:
        ValueError: If there are no maps of any cue, or as many scores as maps are not given.
    """
    true_means = np.asarray(true_means, dtype=np.float64)
    for modality, each in maps.items():
        if len(each) != len(true_means):
            raise ValueError(f"Expected {len(true_means)} {modality} maps, one for each score, got {len(each)}.")
    groups = np.arange(len(true_means)) if groups is None else np.asarray(groups)
    if len(true_means) > MAX_PICTURES:
        rows = np.sort(np.random.default_rng(seed).choice(len(true_means), MAX_PICTURES, replace=False))
        maps, true_means, groups = {name: each[rows] for name, each in maps.items()}, true_means[rows], groups[rows]
    if len(np.unique(groups)) < LEAST_PICTURES or np.ptp(true_means) == 0:
        reason = "all scores are the same" if np.ptp(true_means) == 0 else f"there are {len(np.unique(groups))} groups"
        return Verdict(None, f"Nothing is claimed: {reason}.", {}, Estimate(0.0, 0.0, 0.0), rule=_rule())
    panel = CuePanel.from_maps(maps, groups, seed)
    if not panel.readers:
        raise ValueError(f"Expected maps of at least one cue, got {sorted(maps)}. Add depth, saliency, blur or rgb.")
    settings = (reliability, num_resamples, num_permutations, seed)
    verdict = judge(panel, true_means, *settings)
    first = first_of_cues(maps).values()
    others = {
        modality: judge(CuePanel.from_maps({modality: maps[modality], **maps}, groups, seed), true_means, *settings)
        for modality in maps
        if is_cue(modality) and modality not in first
    }
    return _keep_what_survives(verdict, others)


def judge(
    panel: CuePanel,
    true_means: np.ndarray,
    reliability: float | None = None,
    num_resamples: int = 1000,
    num_permutations: int = 200,
    seed: int = 0,
) -> Verdict:
    """[`reach_verdict`] on cues that were described before; the scores must vary."""
    cues = list(panel.readers)
    rng = np.random.default_rng(seed)
    centred = true_means - true_means.mean()
    columns = np.column_stack([centred, _belonging_to_no_picture(centred, panel.groups, num_permutations, rng)])
    readings = read_cues(panel.readers, columns)
    found = explained_parts(readings, columns)
    p_value = float((1 + np.sum(found.explained[1:] >= found.explained[0])) / (1 + num_permutations))

    weights = np.concatenate(list(draw_weights(number_groups(panel.groups), num_resamples, seed)))
    draws = explained_parts(readings[:, :, :1], columns[:, :1], weights)
    known = np.array([READABILITY.get(cue, (1.0, 0.0)) for cue in cues])
    readable = np.vstack([known[:, 0], rng.normal(known[:, 0], known[:, 1], (num_resamples, len(cues)))])
    parts = np.clip(np.vstack([found.parts[:1], draws.parts]) / readable, 0, None)
    shares = parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-12)
    total = np.concatenate([found.explained[:1], draws.explained]) / (reliability or 1.0)
    explained = _estimate(np.clip(total, 0, 1))
    by_cue = {cue: _estimate(shares[:, number]) for number, cue in enumerate(cues)}
    if p_value > 1 - CONFIDENCE:
        sentence = (
            f"Nothing is claimed: {_listed(cues)} together explain {_percent(explained.value)} of the variance, and "
            f"chance does so, too (p = {p_value:.2f})."
        )
        return Verdict(None, sentence, by_cue, explained, rule=_rule(), p_value=p_value)
    order = [cues[number] for number in np.argsort(-shares[0])]
    claims = [
        f"{one} carries more than {other}"
        for place, one in enumerate(order)
        for other in order[place + 1 :]
        if _is_ahead(shares, cues.index(one), cues.index(other))
    ]
    leaders = [cue for cue in order if not _is_ahead(shares, cues.index(order[0]), cues.index(cue))]
    leading = ", ".join(f"{cue} {_interval(by_cue[cue])}" for cue in leaders)
    others = ", ".join(f"{cue} {_percent(by_cue[cue].value)}" for cue in order if cue not in leaders)
    sentence = (
        f"{_subject(leaders)}{', and cannot be told apart in weight' if len(leaders) > 1 else ''}: of what the cues "
        f"explain, {leading}{f'; then {others}' if others else ''}. Together they explain "
        f"{_percent(explained.value)} of the explainable variance."
    )
    cause = order[0] if len(leaders) == 1 else None
    return Verdict(cause, sentence, by_cue, explained, claims, _rule(), leaders, p_value)


def _keep_what_survives(verdict: Verdict, others: Mapping[str, Verdict]) -> Verdict:
    """The verdict without what does not hold by other extractors."""
    if not verdict.leaders or not others:
        return verdict
    claims = [claim for claim in verdict.claims if all(claim in other.claims for other in others.values())]
    found = {name: _listed(other.leaders) if other.leaders else "nothing" for name, other in others.items()}
    differing = [f"with {name} {found[name]}" for name, other in others.items() if other.leaders != verdict.leaders]
    if not differing:
        sentence = f"{verdict.sentence} So it is with {_listed(list(others))}, too."
        return replace(verdict, claims=claims, sentence=sentence)
    leaders = list(dict.fromkeys([*verdict.leaders, *(cue for other in others.values() for cue in other.leaders)]))
    _, _, figures = verdict.sentence.partition(": ")
    sentence = (
        f"{_subject(leaders)}, depending on the extractor: with the first ones {_listed(verdict.leaders)}, "
        f"{', '.join(differing)}. With the first ones, {figures}"
    )
    cause = None if any(other.cause != verdict.cause for other in others.values()) else verdict.cause
    return replace(verdict, cause=cause, leaders=leaders, claims=claims, sentence=sentence)


def _subject(leaders: list[str]) -> str:
    return f"{_listed(leaders).capitalize()} {'carry' if len(leaders) > 1 else 'carries'} the judgement"


def _belonging_to_no_picture(centred: np.ndarray, groups: np.ndarray, number: int, rng) -> np.ndarray:
    """Scores as they would be if they had nothing to do with the pictures, `(num_images, number)`."""
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) == len(groups):
        return np.stack([rng.permutation(centred) for _ in range(number)], axis=1)
    # groups differ in size, so their scores cannot change places: they change sign together
    return centred[:, None] * rng.choice([-1.0, 1.0], (len(names), number))[group_of]


def _is_ahead(shares: np.ndarray, one: int, other: int) -> bool:
    return one != other and bool(np.quantile(shares[1:, one] - shares[1:, other], (1 - CONFIDENCE) / 2) > 0)


def _estimate(values: np.ndarray) -> Estimate:
    low, high = np.quantile(values[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(values[0]), float(min(low, values[0])), float(max(high, values[0])))


def _interval(estimate: Estimate) -> str:
    return f"{_percent(estimate.value)} [{_percent(estimate.low)}, {_percent(estimate.high)}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _rule() -> str:
    return RULE.format(confidence=_percent(CONFIDENCE))
