"""Losses between score distributions, pure functions. Know nothing about networks or data sets."""

import torch

from .distributions import distribution_mean, distribution_std


def earth_mover_distance(predicted: torch.Tensor, target: torch.Tensor, order: float = 2) -> torch.Tensor:
    r"""
    Earth mover's distance between score distributions over ordered bins
    ([NIMA](https://huggingface.co/papers/1709.05424), eq. 1).

    $$\mathrm{EMD}_r(p, q) =
        \Big(\tfrac{1}{N}\sum_{k=1}^{N} \lvert \mathrm{CDF}_p(k) - \mathrm{CDF}_q(k) \rvert^r\Big)^{1/r}$$

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins, lowest rating first. Rows sum to 1.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins. Rows sum to 1.
        order (`float`, *optional*, defaults to 2):
            The exponent \\(r\\). The paper trains with 2 and reports 1.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`, between 0 and 1.

    Raises:
        ValueError: If the shapes differ.

    Requirements:
        The bins are equally spaced and in order.

    Relations:
        At order 1 it is Wasserstein's distance divided by the number of bins; at order 2 it is smoother near the
        optimum and weighs large shifts more. A floor of 1e-12 under the root (our choice) keeps the gradient finite
        where prediction and target are equal, at the price of a distance of 1e-6 instead of 0.

    Example:
        >>> low, high = torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 1.0]])
        >>> earth_mover_distance(low, high, order=1)
        tensor([0.7500])
    """
    if predicted.shape != target.shape:
        raise ValueError(
            f"`predicted` and `target` must have one shape, got {tuple(predicted.shape)} and {tuple(target.shape)}."
        )
    difference = (predicted.cumsum(dim=-1) - target.cumsum(dim=-1)).abs()
    if order == 1:
        return difference.mean(dim=-1)
    return (difference.pow(order).mean(dim=-1) + 1e-12).pow(1 / order)


def score_distribution_loss(
    predicted: torch.Tensor,
    target: torch.Tensor,
    bins: torch.Tensor,
    order: float = 2,
    mean_weight: float = 0.0,
    std_weight: float = 0.0,
) -> torch.Tensor:
    r"""
    NIMA's distance with optional terms that name the mean and the spread.

    $$L = \mathrm{EMD}_r + w_\mu \frac{\lvert\mu_p - \mu_q\rvert}{s_N - s_1}
        + w_\sigma \frac{\lvert\sigma_p - \sigma_q\rvert}{(s_N - s_1)/2}$$

    Both weights are 0 in [NIMA](https://huggingface.co/papers/1709.05424).
    [Explaining Automatic Image Assessment](https://huggingface.co/papers/2502.01873) adds terms that make the
    prediction aware of the distribution; its equations are not public in what we could read, so these two, and 1 as
    their usual weight, are our choice.

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins, lowest rating first.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins.
        bins (`torch.Tensor` of shape `(num_bins,)`):
            Rating of every bin, in rating units; the terms do not depend on the unit.
        order (`float`, *optional*, defaults to 2):
            Exponent of the distance.
        mean_weight (`float`, *optional*, defaults to 0.0):
            Weight of the error of the mean.
        std_weight (`float`, *optional*, defaults to 0.0):
            Weight of the error of the standard deviation, which the distance supervises worst.

    Returns:
        `torch.Tensor`, a scalar: the mean over the batch.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> low, high = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> score_distribution_loss(low, high, torch.tensor([1.0, 2.0]), order=1, mean_weight=1.0)
        tensor(1.5000)
    """
    loss = earth_mover_distance(predicted, target, order)
    span = bins[-1] - bins[0]
    if mean_weight:
        loss = loss + mean_weight * (distribution_mean(predicted, bins) - distribution_mean(target, bins)).abs() / span
    if std_weight:
        difference = distribution_std(predicted, bins) - distribution_std(target, bins)
        loss = loss + std_weight * difference.abs() / (span / 2)
    return loss.mean()


def mean_score_squared_error(predicted: torch.Tensor, target: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    r"""
    Squared error of the mean score, in units of the scale's length: \\(((\mu_p - \mu_q) / (s_N - s_1))^2\\).

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins, lowest rating first.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins.
        bins (`torch.Tensor` of shape `(num_bins,)`):
            Rating of every bin.

    Returns:
        `torch.Tensor`, a scalar: the mean over the batch.

    Relations:
        For data that publish means only, where the spread of a histogram would be an invention. Prefer
        [`score_distribution_loss`] where votes are known: the spread it learns is part of the answer.

    Example:
        >>> low, high = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
        >>> mean_score_squared_error(low, high, torch.tensor([1.0, 2.0, 3.0]))
        tensor(0.2500)
    """
    error = distribution_mean(predicted, bins) - distribution_mean(target, bins)
    return (error / (bins[-1] - bins[0])).square().mean()
