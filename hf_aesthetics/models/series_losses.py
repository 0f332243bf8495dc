"""Losses that teach the order inside a series, pure functions. Know nothing about networks or pixels."""

import torch
from torch.nn import functional as F


def pair_probabilities(scores: torch.Tensor) -> torch.Tensor:
    r"""
    How likely the first picture of each pair is better, after Bradley and Terry: \\(\sigma(S_x - S_y)\\).

    Args:
        scores (`torch.Tensor` of shape `(2 * num_pairs,)`):
            Scores of both pictures of each pair, one pair after the other.

    Returns:
        `torch.Tensor` of shape `(num_pairs,)`.

    Example:
        >>> pair_probabilities(torch.tensor([5.0, 5.0, 6.0, 4.0]))
        tensor([0.5000, 0.8808])
    """
    first, second = scores.view(-1, 2).unbind(dim=1)
    return (first - second).sigmoid()


def win_shares(probabilities: torch.Tensor, pair_images: torch.Tensor, num_images: int) -> torch.Tensor:
    r"""
    How often each picture wins: the mean of its probabilities over its comparisons.

    Args:
        probabilities (`torch.Tensor` of shape `(num_pairs,)`):
            That the first picture of a pair is better.
        pair_images (`torch.Tensor` of shape `(num_pairs, 2)`, int64):
            Which pictures these are.
        num_images (`int`):
            Number of pictures.

    Returns:
        `torch.Tensor` of shape `(num_images,)`; 0 for a picture without a comparison.

    Example:
        >>> win_shares(torch.tensor([0.9, 0.8, 0.5]), torch.tensor([[0, 1], [0, 2], [1, 2]]), 3)
        tensor([0.8500, 0.3000, 0.3500])
    """
    won = torch.stack([probabilities, 1 - probabilities], dim=1).flatten()
    places = pair_images.flatten()
    total = won.new_zeros(num_images).index_add(0, places, won)
    count = won.new_zeros(num_images).index_add(0, places, torch.ones_like(won))
    return total / count.clamp(min=1)


def grouped_list_mle(values: torch.Tensor, order: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    r"""
    ListMLE of several lists at once: how unlikely the true order of each is under the model of Plackett and Luce.

    $$L_g = \sum_{i \in g} \Big( \log \sum_{j \in g:\, r_j \ge r_i} e^{v_j} - v_i \Big)$$

    Args:
        values (`torch.Tensor` of shape `(num_items,)`):
            Values \\(v\\) of the items of all lists.
        order (`torch.Tensor` of shape `(num_items,)`):
            Their places \\(r\\), the first ones lowest. Items of one place count as drawn before each other (Breslow's
            way, our choice), so that a tie teaches equal values and no order of the rows matters.
        groups (`torch.Tensor` of shape `(num_items,)`, int64):
            The list of each item, counted from 0.

    Returns:
        `torch.Tensor` of shape `(num_groups,)`.

    Relations:
        [`list_mle_loss`] is that of one list without ties, divided by its length.

    Example:
        >>> grouped_list_mle(torch.zeros(5), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 0, 0, 1, 1]))  # log n!
        tensor([1.7918, 0.6931])
    """
    follows = (groups[:, None] == groups[None, :]) & (order[None, :] >= order[:, None])
    rest = values.expand(len(values), -1).masked_fill(~follows, -torch.inf).logsumexp(dim=1)
    return values.new_zeros(int(groups.max()) + 1).index_add(0, groups, rest - values)


def rank_reg_loss(
    probabilities: torch.Tensor,
    pair_images: torch.Tensor,
    ranks: torch.Tensor,
    series: torch.Tensor,
    preferences: torch.Tensor | None = None,
    over_pairs: bool = False,
) -> torch.Tensor:
    r"""
    RankReg of [FGAesQ](https://huggingface.co/papers/2603.03907): the probabilities of Bradley and Terry, collected
    over a series, have to stand in its true order.

    $$L = - \sum_i \log \frac{e^{P'(r_i)}}{\sum_{j \ge i} e^{P'(r_j)}}$$

    The paper leaves open what \\(P'(r_i)\\) of a picture is. By default it is its [`win_shares`], the pictures from
    the best to the worst. With `over_pairs` it is the vector of the probabilities themselves, both ways of each pair,
    from the surest comparison to the least sure. Both readings agree for two pictures.

    Args:
        probabilities (`torch.Tensor` of shape `(num_pairs,)`):
            That the first picture of a pair is better.
        pair_images (`torch.Tensor` of shape `(num_pairs, 2)`, int64):
            Which pictures these are, of one series each.
        ranks (`torch.Tensor` of shape `(num_images,)`):
            True places in their series, 0 the best; equal ones are a tie.
        series (`torch.Tensor` of shape `(num_images,)`, int64):
            The series of each picture, counted from 0.
        preferences (`torch.Tensor` of shape `(num_pairs,)`, *optional*):
            With `over_pairs`: the share of people who prefer the first picture, NaN where unknown. By default and
            there it is 1, 1/2 or 0, as the ranks say.
        over_pairs (`bool`, *optional*, defaults to `False`):
            The other reading.

    Returns:
        `torch.Tensor` of shape `(num_series,)`.

    Requirements:
        Whole series; each picture compared with at least one other.

    Relations:
        Probabilities are bounded, so the loss has a floor above 0 (0.3133 for two pictures) and lets go of pairs that
        are in order; [`bradley_terry_loss`] pushes scores apart without end.

    Example:
        >>> pair, ranks, series = torch.tensor([[0, 1]]), torch.tensor([0, 1]), torch.tensor([0, 0])
        >>> rank_reg_loss(torch.tensor([1.0]), pair, ranks, series), rank_reg_loss(torch.tensor([0.5]), pair, ranks, series)
        (tensor([0.3133]), tensor([0.6931]))
    """  # noqa: E501
    if not over_pairs:
        return grouped_list_mle(win_shares(probabilities, pair_images, len(ranks)), ranks, series)
    wanted = _wanted(pair_images, ranks, preferences).to(probabilities)
    values = torch.cat([probabilities, 1 - probabilities])
    return grouped_list_mle(values, -torch.cat([wanted, 1 - wanted]), series[pair_images[:, 0]].repeat(2))


def bradley_terry_loss(
    scores: torch.Tensor,
    pair_images: torch.Tensor,
    ranks: torch.Tensor,
    series: torch.Tensor,
    preferences: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""
    Cross entropy of the comparisons, \\(-q \log \sigma(S_x - S_y) - (1 - q) \log \sigma(S_y - S_x)\\), mean over the
    pairs of each series; \\(q\\) is the share of people who prefer the first.

    Args:
        scores (`torch.Tensor` of shape `(2 * num_pairs,)`):
            Scores of both pictures of each pair.
        pair_images, ranks, series, preferences:
            As in [`rank_reg_loss`].

    Returns:
        `torch.Tensor` of shape `(num_series,)`.

    Example:
        >>> pair, ranks, series = torch.tensor([[0, 1]]), torch.tensor([0, 1]), torch.tensor([0, 0])
        >>> bradley_terry_loss(torch.tensor([5.0, 5.0]), pair, ranks, series)
        tensor([0.6931])
    """
    first, second = scores.view(-1, 2).unbind(dim=1)
    wanted = _wanted(pair_images, ranks, preferences).to(scores)
    losses = F.binary_cross_entropy_with_logits(first - second, wanted, reduction="none")
    return mean_by_group(losses, series[pair_images[:, 0]], int(series.max()) + 1)


def series_losses(
    name: str,
    scores: torch.Tensor,
    pair_images: torch.Tensor,
    ranks: torch.Tensor,
    series: torch.Tensor,
    preferences: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""
    One of the losses here by its name.

    A model that sees pictures one by one gives \\(S_x\\) where one that compares gives \\(S_{x|y}\\): its scores at
    `pair_images`. The same sigmoid without a temperature is then applied to rating units, so that two pictures a whole
    rating apart are in order with probability 0.73, on a scale of 7 bins as on one of 10 (our choice).

    Args:
        name (`str`):
            `"rank_reg"`, `"rank_reg_pairs"` or `"bradley_terry"`.
        scores (`torch.Tensor` of shape `(2 * num_pairs,)`):
            Scores of both pictures of each pair.
        pair_images, ranks, series, preferences:
            As in [`rank_reg_loss`].

    Returns:
        `torch.Tensor` of shape `(num_series,)`.

    Raises:
        ValueError: If there is no such loss.

    Example:
        >>> score, pairs = torch.tensor([5.0, 4.0, 4.0]), torch.tensor([[0, 1], [0, 2], [1, 2]])
        >>> truth = pairs, torch.tensor([0, 1, 2]), torch.tensor([0, 0, 0])
        >>> series_losses("bradley_terry", score[pairs].flatten(), *truth)  # -(2 log 0.731 + log 0.5) / 3
        tensor([0.4399])
    """
    if name == "bradley_terry":
        return bradley_terry_loss(scores, pair_images, ranks, series, preferences)
    if name not in ("rank_reg", "rank_reg_pairs"):
        raise ValueError(f"`name` must be rank_reg, rank_reg_pairs or bradley_terry, got {name!r}.")
    over_pairs = name == "rank_reg_pairs"
    return rank_reg_loss(pair_probabilities(scores), pair_images, ranks, series, preferences, over_pairs)


def comparative_alignment_loss(first: torch.Tensor, second: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    r"""
    CTAlign of [FGAesQ](https://huggingface.co/papers/2603.03907): the difference of two pictures points where the
    sentence that compares them points, \\(1 - \cos(f_x - f_y, t)\\).

    The paper prints a cosine and calls it a distance; that one minus it is meant is our reading.

    Args:
        first, second (`torch.Tensor` of shape `(num_pairs, size)`):
            Projected features of the two pictures of each pair.
        text (`torch.Tensor` of shape `(num_pairs, size)`):
            Feature of the sentence that says how the first differs from the second, by a tower that does not learn.

    Returns:
        `torch.Tensor` of shape `(num_pairs,)`, from 0 to 2.

    Example:
        >>> x, y = torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 1.0]])
        >>> sharper = torch.tensor([[1.0, 0.0]])
        >>> comparative_alignment_loss(x, y, sharper), comparative_alignment_loss(y, x, sharper)
        (tensor([0.]), tensor([2.]))
    """
    return 1 - F.cosine_similarity(first - second, text, dim=-1)


def mean_by_group(values: torch.Tensor, groups: torch.Tensor, num_groups: int) -> torch.Tensor:
    """
    Means of the values of each group, 0 for a group without any; `(num_values,)` -> `(num_groups,)`.

    Example:
        >>> mean_by_group(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 3)
        tensor([2., 0., 5.])
    """
    total = values.new_zeros(num_groups).index_add(0, groups, values)
    count = values.new_zeros(num_groups).index_add(0, groups, torch.ones_like(values))
    return total / count.clamp(min=1)


def _wanted(pair_images: torch.Tensor, ranks: torch.Tensor, preferences: torch.Tensor | None) -> torch.Tensor:
    first, second = ranks[pair_images].unbind(dim=1)
    by_rank = ((second - first).sign() + 1) / 2
    return by_rank if preferences is None else torch.where(preferences.isnan(), by_rank, preferences)
