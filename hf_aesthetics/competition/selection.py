"""
Which pictures of a corpus to show to people, so that few answers tell scorers, or classifiers, apart.

Knows nothing about what people answer.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


NUM_LEVELS, TOLERANCE = 6, 9.0


@dataclass(frozen=True, kw_only=True)
class AttackPair:
    """
    Two pictures by which one scorer attacks another: alike to the defender, far apart to the attacker.

    Args:
        defender (`str`), attacker (`str`):
            The scorers.
        level (`int`):
            Level of the defender, 0 the lowest.
        better (`int`), worse (`int`):
            Positions of the pictures that the attacker holds to be better and worse.
        attacker_gap (`float`), defender_gap (`float`):
            How far apart they are for both, in percentiles.
    """

    defender: str
    attacker: str
    level: int
    better: int
    worse: int
    attacker_gap: float
    defender_gap: float


def select_attacks(
    percentiles: dict[str, np.ndarray],
    *,
    num_pairs: int = 1,
    num_levels: int = NUM_LEVELS,
    tolerance: float = TOLERANCE,
    groups: ArrayLike | None = None,
    max_per_group: int = 1,
) -> list[AttackPair]:
    """
    The pairs of gMAD for every two scorers, both ways.

    For each level of the defender, equal steps of its percentiles, the pool is what lies within `tolerance` of the
    middle of the step. From the pool come the pictures that the attacker puts highest and lowest. A pair that is no
    farther apart for the attacker than it may be for the defender is no attack, and is left out: so two scorers that
    say the same never meet. A picture is shown once for each two scorers, and, with `groups`, at most `max_per_group`
    of a group for each: of one photographer, series or cluster of embeddings. (That limit, and percentiles in place of
    a fitted scale, are our choice.)

    Args:
        percentiles (`dict[str, np.ndarray]`):
            [`ScoredCorpus.percentiles`], or any scores from 0 to 100 with NaN for none.
        num_pairs (`int`, *optional*, defaults to 1):
            Pairs a level.
        num_levels (`int`, *optional*, defaults to 6), tolerance (`float`, *optional*, defaults to 9):
            Levels of the defender, and how far from the middle of one its pool reaches, in percentiles.
        groups (array of shape `(num_images,)`, *optional*):
            Group of each picture.
        max_per_group (`int`, *optional*, defaults to 1):
            How many pictures of a group may be shown for each two scorers.

    Returns:
        `list[AttackPair]`.

    Raises:
        ValueError: If lengths differ or a number is out of range.

    Example:
        >>> import numpy as np
        >>> truth = np.linspace(0, 100, 201)
        >>> pairs = select_attacks({"good": truth, "blind": np.roll(truth, 70)})
        >>> len(pairs) <= 12 and all(pair.attacker_gap > 18 >= pair.defender_gap for pair in pairs)
        True
    """
    if num_pairs < 1 or num_levels < 1 or not tolerance > 0 or max_per_group < 1:
        raise ValueError(
            f"`num_pairs`, `num_levels`, `tolerance` and `max_per_group` must be above 0, got {num_pairs}, "
            f"{num_levels}, {tolerance} and {max_per_group}."
        )
    groups = None if groups is None else np.asarray(groups)
    lengths = {len(values) for values in percentiles.values()} | (set() if groups is None else {len(groups)})
    if len(lengths) != 1:
        raise ValueError(f"All scorers and groups must have one value a picture, got lengths {sorted(lengths)}.")
    selected = []
    shown: dict[frozenset[str], tuple[set[int], Counter]] = {}
    for defender, attacker in permutations(percentiles, 2):
        used, counts = shown.setdefault(frozenset((defender, attacker)), (set(), Counter()))
        defends, attacks = percentiles[defender], percentiles[attacker]
        for level in range(num_levels):
            pool = _pool(defends, level, num_levels, tolerance)
            order = pool[np.argsort(attacks[pool], kind="stable")]
            highest, lowest = iter(order[::-1].tolist()), iter(order.tolist())
            for _ in range(num_pairs):
                pair = _take(highest, lowest, used, counts, groups, max_per_group)
                if pair is None:
                    break
                gaps = [float(values[pair[0]] - values[pair[1]]) for values in (attacks, defends)]
                if gaps[0] <= 2 * tolerance:
                    break
                used.update(pair)
                counts.update(() if groups is None else (groups[image] for image in pair))
                selected.append(
                    AttackPair(
                        defender=defender,
                        attacker=attacker,
                        level=level,
                        better=pair[0],
                        worse=pair[1],
                        attacker_gap=gaps[0],
                        defender_gap=abs(gaps[1]),
                    )
                )
    return selected


def level_weights(percentiles: ArrayLike, num_levels: int = NUM_LEVELS, tolerance: float = TOLERANCE) -> np.ndarray:
    """
    Share of a scorer's pictures in the pool of each of its levels, as shares of their sum.

    Args:
        percentiles (array of shape `(num_images,)`):
            Of the scorer.
        num_levels, tolerance (*optional*):
            As in [`select_attacks`].

    Returns:
        `np.ndarray` of shape `(num_levels,)`, which sums to 1.

    Example:
        >>> import numpy as np
        >>> level_weights(np.linspace(0, 100, 1001)).round(3).tolist()
        [0.163, 0.169, 0.168, 0.168, 0.169, 0.163]
    """
    values = np.asarray(percentiles)
    sizes = np.array([len(_pool(values, level, num_levels, tolerance)) for level in range(num_levels)], dtype=float)
    return sizes / sizes.sum()


def mad_images(first: ArrayLike, second: ArrayLike, num_images: int, groups: ArrayLike | None = None) -> np.ndarray:
    """
    The single pictures on which two scorers disagree most, by the distance of their percentiles.

    Args:
        first, second (arrays of shape `(num_images,)`):
            Percentiles; NaN for none.
        num_images (`int`):
            How many pictures, at most.
        groups (array of shape `(num_images,)`, *optional*):
            Group of each picture, of which one is taken.

    Returns:
        `np.ndarray` of positions, the largest distance first; among equal ones the earlier picture.

    Example:
        >>> mad_images([0, 50, 100, 30], [90, 50, 20, 25], 2).tolist()
        [0, 2]
    """
    distance = np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float))
    taken: list[int] = []
    seen: set[Any] = set()
    for image in np.argsort(-distance, kind="stable").tolist():  # NaN comes last
        if len(taken) == num_images or not distance[image] > 0:
            break
        group = image if groups is None else np.asarray(groups)[image]
        if group not in seen:
            seen.add(group)
            taken.append(image)
    return np.array(taken, dtype=np.int64)


def mad_labels(
    first: Sequence[Any],
    second: Sequence[Any],
    distance: Callable[[Any, Any], float],
    num_images: int,
    *,
    confidences: tuple[ArrayLike, ArrayLike] | None = None,
    min_confidence: float = 0.8,
    max_per_class: int = 3,
) -> list[int]:
    """
    The pictures on which two classifiers disagree most ([MAD](https://huggingface.co/papers/2002.10648)).

    Pictures are walked through by falling distance between the two labels; one is taken if both classifiers are sure
    of it, each label has been taken less than `max_per_class` times, and the two labels, whoever said which, have not
    been taken together. Only what is taken counts.

    Args:
        first, second (`Sequence`):
            Labels of the pictures.
        distance (`Callable`):
            Between two labels, such as [`tree_distance`] of their paths.
        num_images (`int`):
            How many pictures, at most.
        confidences (two arrays of shape `(num_images,)`, *optional*):
            How sure the classifiers are.
        min_confidence (`float`, *optional*, defaults to 0.8), max_per_class (`int`, *optional*, defaults to 3):
            As said.

    Returns:
        `list[int]`: Positions, the largest distance first.

    Example:
        >>> mad_labels(["cat", "cat", "dog"], ["dog", "cat", "cat"], lambda a, b: float(a != b), 5)
        [0]
    """
    sure = np.ones(len(first), dtype=bool)
    for confidence in confidences or ():
        sure &= np.asarray(confidence) >= min_confidence
    known: dict[frozenset, float] = {}
    distances = np.zeros(len(first))
    for image in np.flatnonzero(sure):
        pair = frozenset((first[image], second[image]))
        if len(pair) == 2 and pair not in known:
            known[pair] = distance(first[image], second[image])
        distances[image] = known.get(pair, 0.0)
    taken: list[int] = []
    counts: Counter = Counter()
    pairs: set[frozenset] = set()
    for image in np.argsort(-distances, kind="stable").tolist():
        labels = first[image], second[image]
        if len(taken) == num_images or not distances[image] > 0:
            break
        if frozenset(labels) not in pairs and all(counts[label] < max_per_class for label in labels):
            taken.append(image)
            pairs.add(frozenset(labels))
            counts.update(labels)
    return taken


def tree_distance(first: Collection[Sequence[Any]], second: Collection[Sequence[Any]]) -> float:
    r"""
    How far apart two classes of a tree are: the weights of the nodes that their paths do not share.

    A node at depth d, the root at 0, weighs \\(2^{1 - d}\\). Of several paths to a class those count that are nearest.

    Args:
        first, second (`Collection[Sequence]`):
            Paths of each class, from the root on.

    Example:
        >>> tree_distance([("thing", "animal", "cat")], [("thing", "animal", "dog")])
        1.0
    """

    def apart(one: Sequence[Any], other: Sequence[Any]) -> float:
        shared = 0
        while shared < min(len(one), len(other)) and one[shared] == other[shared]:
            shared += 1
        return math.fsum(2.0 ** (1 - depth) for path in (one, other) for depth in range(shared, len(path)))

    return min(apart(one, other) for one in first for other in second)


def _pool(defender: np.ndarray, level: int, num_levels: int, tolerance: float) -> np.ndarray:
    middle = 100 * (level + 0.5) / num_levels
    return np.flatnonzero(np.abs(defender - middle) <= tolerance)  # NaN is in no pool


def _take(
    highest: Any, lowest: Any, used: set[int], counts: Counter, groups: np.ndarray | None, max_per_group: int
) -> tuple[int, int] | None:
    """The next picture from above and the next from below that may be shown."""

    def may(image: int, beside: int | None = None) -> bool:
        if image in used or image == beside:
            return False
        if groups is None:
            return True
        together = int(beside is not None and groups[beside] == groups[image])
        return counts[groups[image]] + together < max_per_group

    better = next((image for image in highest if may(image)), None)
    if better is None:
        return None
    worse = next((image for image in lowest if may(image, better)), None)
    return None if worse is None else (better, worse)
