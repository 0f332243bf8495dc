"""Losses that teach the order of pictures alone, pure functions. Know nothing about networks or rating scales."""

import torch


def margin_ranking_loss(scores: torch.Tensor, ratings: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    r"""
    Hinge over all pairs of a batch ([Kong et al. 2016](https://huggingface.co/papers/1606.01621)).

    $$L = \frac{1}{\lvert P \rvert} \sum_{(i, j) \in P} \max(0,\; m - (x_i - x_j)),
        \qquad P = \{(i, j) : y_i > y_j\}$$

    Args:
        scores (`torch.Tensor` of shape `(batch_size,)`):
            Predictions \\(x\\), on any scale.
        ratings (`torch.Tensor` of shape `(batch_size,)`):
            True scores \\(y\\), on any scale; only their order counts.
        margin (`float`, *optional*, defaults to 1.0):
            How far apart \\(m\\) the two scores of a pair have to be, in the unit of `scores`.

    Returns:
        `torch.Tensor`, a scalar: the mean over the pairs, 0 where no two ratings differ.

    Raises:
        ValueError: If the two are not vectors of one length.

    Requirements:
        Batches of several pictures. Pairs are made inside a batch.

    Relations:
        `torch.nn.MarginRankingLoss` over every pair of the batch. The paper draws pairs of one rater, or far apart;
        all pairs are our choice. A pair that is the margin apart teaches nothing any more, unlike in
        [`list_mle_loss`].

    Example:
        >>> margin_ranking_loss(torch.tensor([0.0, 0.2, 3.0]), torch.tensor([2.0, 4.0, 5.0]))
        tensor(0.2667)
    """
    _require_vectors(scores, ratings)
    is_better = ratings[:, None] > ratings[None, :]
    hinge = (margin - (scores[:, None] - scores[None, :])).relu()
    return (hinge * is_better).sum() / is_better.sum().clamp(min=1)


def triplet_ranking_loss(scores: torch.Tensor, ratings: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    r"""
    Triplet loss over all triples of a batch whose ratings differ, \\(y_h > y_m > y_l\\).

    Seen from either end, the middle has to be nearer than the other end:

    $$L = \frac{1}{2 \lvert T \rvert} \sum_{(h, m, l) \in T}
        \max(0,\; \mu + \lvert x_h - x_m \rvert - (x_h - x_l)) +
        \max(0,\; \mu + \lvert x_m - x_l \rvert - (x_h - x_l))$$

    A triplet loss of distances alone does not know which end is the better one. That the long side has a sign, so that
    the best is above the worst, is our choice. A triple costs nothing exactly where it is in order and its neighbours
    are a margin \\(\mu\\) apart.

    Args:
        scores (`torch.Tensor` of shape `(batch_size,)`):
            Predictions \\(x\\), on any scale.
        ratings (`torch.Tensor` of shape `(batch_size,)`):
            True scores \\(y\\), on any scale; only their order counts.
        margin (`float`, *optional*, defaults to 1.0):
            How much nearer \\(\mu\\) the middle has to be, in the unit of `scores`.

    Returns:
        `torch.Tensor`, a scalar: the mean over the triples and both ends, 0 where there are no three ratings.

    Raises:
        ValueError: If the two are not vectors of one length.

    Requirements:
        Batches of at least three pictures; time and memory grow with the cube of the batch.

    Relations:
        Where the middle is in place, each end is a pair of [`margin_ranking_loss`]; neighbours are in more triples
        than the best and the worst, so the close calls weigh more.

    Example:
        >>> triplet_ranking_loss(torch.tensor([0.0, 0.2, 3.0]), torch.tensor([2.0, 4.0, 5.0]))
        tensor(0.4000)
    """
    _require_vectors(scores, ratings)
    is_better = ratings[:, None] > ratings[None, :]
    difference = scores[:, None] - scores[None, :]
    triples = is_better[:, :, None] & is_better[None, :, :]  # (high, middle, low)
    whole = difference[:, None, :]
    from_high = (margin + difference.abs()[:, :, None] - whole).relu()
    from_low = (margin + difference.abs()[None, :, :] - whole).relu()
    return ((from_high + from_low) * triples).sum() / (2 * triples.sum()).clamp(min=1)


def list_mle_loss(scores: torch.Tensor, ratings: torch.Tensor) -> torch.Tensor:
    r"""
    ListMLE (Xia et al. 2008, "Listwise approach to learning to rank", ICML): how unlikely the true order of a batch is
    under the model of Plackett and Luce, which draws the best first, each with a chance that grows with its score.

    $$L = -\frac{1}{n} \log P(\pi) = \frac{1}{n} \sum_{i=1}^{n} \Big( \log \sum_{j \ge i} e^{x_{\pi(j)}}
        - x_{\pi(i)} \Big), \qquad y_{\pi(1)} \ge \dots \ge y_{\pi(n)}$$

    Args:
        scores (`torch.Tensor` of shape `(batch_size,)`):
            Predictions \\(x\\), in units of log-odds.
        ratings (`torch.Tensor` of shape `(batch_size,)`):
            True scores \\(y\\), on any scale; only their order counts.

    Returns:
        `torch.Tensor`, a scalar, 0 for a single picture.

    Raises:
        ValueError: If the two are not vectors of one length.

    Requirements:
        Batches of several pictures with few ties; tied ratings stand in the order of the batch.

    Relations:
        With two pictures it is the logistic loss of the pair, \\(P(i\text{ above }j) = \sigma(x_i - x_j)\\), over 2.
        Dividing by the length of the list is our choice, so that learning rates do not depend on the batch size.

    Example:
        >>> list_mle_loss(torch.zeros(3), torch.tensor([1.0, 2.0, 3.0]))  # log(3!) / 3
        tensor(0.5973)
    """
    _require_vectors(scores, ratings)
    ordered = scores[ratings.argsort(descending=True, stable=True)]
    rest = ordered.flip(0).logcumsumexp(dim=0).flip(0)
    return (rest - ordered).mean()


def _require_vectors(scores: torch.Tensor, ratings: torch.Tensor) -> None:
    if scores.ndim != 1 or scores.shape != ratings.shape:
        raise ValueError(
            "`scores` and `ratings` must be vectors of one length, got the shapes "
            f"{tuple(scores.shape)} and {tuple(ratings.shape)}. Pass one number a picture."
        )
