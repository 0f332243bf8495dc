"""Which cue comes closest to the votes of each single picture, where the votes are many enough to tell.

Knows nothing about why: a cue may come closest by luck, so that only pictures with a clear margin are counted.
"""

from collections.abc import Sequence

import numpy as np

from ..metrics import earth_mover_distance
from .findings import Dominance
from .panel import ModalityPanel


def dominant_modalities(
    panel: ModalityPanel, noise: float | None = None, num_exemplars: int = 6, seed: int = 0
) -> Dominance | None:
    """
    Counts the pictures that one cue predicts clearly better than all others (our choice of definition).

    The cue of least earth mover's distance (order 1) to the votes wins a picture if its margin over the runner-up is
    larger than the noise of the votes: the distance between two random halves of them. What has seen the whole picture
    takes no part, nor do controls. Variants of one cue compete with each other: select one of each.

    Args:
        panel ([`ModalityPanel`]):
            Predictions and votes.
        noise (`float`, *optional*):
            The least margin, for all pictures. By default that of each picture, from its number of votes.
        num_exemplars (`int`, *optional*, defaults to 6):
            Pictures to name for each cue.
        seed (`int`, *optional*, defaults to 0):
            Of the halves.

    Returns:
        [`Dominance`], *optional*: `None` where fewer than two cues compete.

    Raises:
        ValueError: If neither the numbers of votes nor the noise are known.

    Example:
        >>> votes = np.eye(5)[np.arange(60) % 5]
        >>> flat = np.full((60, 5), 0.2)
        >>> panel = ModalityPanel(
        ...     image_ids=np.arange(60),
        ...     groups=np.arange(60),
        ...     bin_scores=np.arange(1, 6),
        ...     target=votes,
        ...     num_votes=np.full(60, 20),
        ...     constant=flat,
        ...     predicted={"blur": np.where(np.arange(60)[:, None] < 50, votes, flat), "depth": flat},
        ... )
        >>> found = dominant_modalities(panel)
        >>> found.counts, found.undecided
        ({'blur': 50, 'depth': 0}, 10)
    """
    if len(panel.cues) < 2:
        return None
    if noise is not None:
        limits = np.full(len(panel.target), float(noise))
    elif panel.num_votes is not None:
        limits = vote_noise(panel.target, panel.num_votes, seed=seed)
    else:
        raise ValueError(
            "The noise of the votes needs their number, but the panel has no `num_votes`. Pass the earth mover's "
            "distance that counts as clear, such as noise=0.025."
        )
    distances = np.stack([earth_mover_distance(panel.predicted[name], panel.target, order=1) for name in panel.cues])
    nearest = np.sort(distances, axis=0)
    margins = nearest[1] - nearest[0]
    winners = np.where(margins > limits, distances.argmin(axis=0), -1)
    exemplars = {}
    for index, name in enumerate(panel.cues):
        won = np.flatnonzero(winners == index)
        exemplars[name] = [str(panel.image_ids[row]) for row in won[np.argsort(-margins[won], kind="stable")]]
    return Dominance(
        counts={name: len(ids) for name, ids in exemplars.items()},
        undecided=int(np.count_nonzero(winners < 0)),
        noise=float(limits.mean()),
        exemplars={name: ids[:num_exemplars] for name, ids in exemplars.items()},
    )


def vote_noise(
    target: np.ndarray, num_votes: Sequence[float] | np.ndarray, num_draws: int = 20, seed: int = 0
) -> np.ndarray:
    """
    Earth mover's distance (order 1) between two random halves of the votes of each picture, mean over several draws.

    Args:
        target (array of shape `(num_images, num_bins)`):
            Vote shares.
        num_votes (array of shape `(num_images,)`):
            Votes of each picture. A single vote is as far from telling anything as can be: 1.
        num_draws (`int`, *optional*, defaults to 20), seed (`int`, *optional*, defaults to 0):
            Of the halves, drawn without replacement.

    Returns:
        `np.ndarray` of shape `(num_images,)`.

    Example:
        >>> vote_noise(np.array([[0.0, 1.0], [0.5, 0.5]]), num_votes=[8, 2])  # two votes, one of each: always apart
        array([0. , 0.5])
    """
    rng = np.random.default_rng(seed)
    counts = np.rint(target * np.asarray(num_votes)[:, None]).astype(np.int64)
    noise = np.ones(len(counts))
    for row, votes in enumerate(counts):
        total = votes.sum()
        if total > 1:
            half = rng.multivariate_hypergeometric(votes, total // 2, size=num_draws)
            rest = votes - half
            noise[row] = earth_mover_distance(
                half / (total // 2), rest / rest.sum(axis=1, keepdims=True), order=1
            ).mean()
    return noise
