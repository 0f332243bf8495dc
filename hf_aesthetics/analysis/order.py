"""Which cue's models predict the votes better, as far as it does not depend on what made the maps.

Knows nothing about maps: all comes from the predictions of a panel.
"""

from itertools import combinations, product

import numpy as np

from .cues import cue_of
from .findings import CueOrder, Estimate
from .panel import ModalityPanel
from .resampling import estimate, number_groups, observe_and_draw, weighted_correlation, weighted_ranks


def order_cues(panel: ModalityPanel, num_resamples: int = 1000, seed: int = 0) -> list[CueOrder]:
    """
    Compares every two cues by the SRCC of their models, over the same draws of groups.

    An order is that of the cues, and not of two extractors, only if it is clear with each extractor of the one beside
    each of the other: the lower end of every 95 % interval of the difference lies above 0 (our choice; the paper
    compares one extractor of each).

    Args:
        panel ([`ModalityPanel`]):
            Predictions and votes.
        num_resamples (`int`, *optional*, defaults to 1000), seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.

    Returns:
        `list[CueOrder]`: From the strongest cue on, by its first modality. Cues whose predictions do not vary are left
        out.

    Example:
        >>> votes = np.eye(5)[np.arange(60) % 5]
        >>> panel = ModalityPanel(
        ...     image_ids=np.arange(60),
        ...     groups=np.arange(60),
        ...     bin_scores=np.arange(1, 6),
        ...     target=votes,
        ...     num_votes=None,
        ...     constant=np.full((60, 5), 0.2),
        ...     predicted={"blur": np.roll(votes, 1, axis=1), "depth": votes, "depth_coarse": votes},
        ... )
        >>> [order] = order_cues(panel)
        >>> order.ahead, order.behind, order.num_pairs, order.holds
        ('depth', 'blur', 2, True)
    """
    cues: dict[str, list[str]] = {}
    for name in filter(panel.varies, panel.cues):
        cues.setdefault(cue_of(name), []).append(name)
    group_of = number_groups(panel.groups)
    draws: dict[str, list[np.ndarray]] = {name: [] for names in cues.values() for name in names}
    for weights in observe_and_draw(group_of, num_resamples, seed):
        true_ranks = weighted_ranks(weights, panel.true_means)
        for name, parts in draws.items():
            ranks = weighted_ranks(weights, panel.predicted_means[name])
            parts.append(weighted_correlation(weights, ranks, true_ranks))
    srcc = {name: np.concatenate(parts) for name, parts in draws.items()}

    ranked = sorted(cues, key=lambda cue: -srcc[cues[cue][0]][0])
    return [_compare(one, other, cues, srcc) for one, other in combinations(ranked, 2)]


def _compare(one: str, other: str, cues: dict[str, list[str]], srcc: dict[str, np.ndarray]) -> CueOrder:
    pairs = list(product(cues[one], cues[other]))
    found = [estimate(srcc[first] - srcc[second]) or Estimate(0.0, 0.0, 0.0) for first, second in pairs]
    weakest = min(found, key=lambda difference: difference.low)
    return CueOrder(one, other, weakest, len(pairs), holds=weakest.low > 0)
