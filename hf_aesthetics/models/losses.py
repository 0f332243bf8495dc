"""Losses between score distributions, pure functions. Know nothing about networks or data sets."""

import torch

from .distributions import distribution_mean, distribution_std


FLOOR = 1e-12  # under roots, logarithms and quotients: keeps gradients finite where shares are 0 or equal


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
        Of all distances here, this one and [`cumulative_jensen_shannon_divergence`] know that the bins have an order.
        At order 1 it is Wasserstein's distance divided by the number of bins; at order 2 it is smoother near the
        optimum and weighs large shifts more. A floor of 1e-12 under the root (our choice) keeps the gradient finite
        where prediction and target are equal, at the price of a distance of 1e-6 instead of 0.

    Example:
        >>> low, high = torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 1.0]])
        >>> earth_mover_distance(low, high, order=1)
        tensor([0.7500])
    """
    _require_same_shape(predicted, target)
    difference = (predicted.cumsum(dim=-1) - target.cumsum(dim=-1)).abs()
    if order == 1:
        return difference.mean(dim=-1)
    return (difference.pow(order).mean(dim=-1) + FLOOR).pow(1 / order)


def chi_square_distance(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""
    Symmetric chi-square distance between score distributions.

    $$\chi^2(p, q) = \tfrac{1}{2} \sum_k \frac{(p_k - q_k)^2}{p_k + q_k}$$

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins. Rows sum to 1.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins. Rows sum to 1.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`, between 0 and 1, which is reached where no bin has both.

    Raises:
        ValueError: If the shapes differ.

    Requirements:
        None on the order of the bins: a vote one bin off costs as much as one at the other end of the scale.

    Relations:
        Pearson's chi-square divides by \\(q_k\\) alone and has no value for bins without votes; the symmetric form is
        our choice. It lies within a constant factor of [`jensen_shannon_divergence`].

    Example:
        >>> predicted, target = torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[0.0, 0.5, 0.5]])
        >>> chi_square_distance(predicted, target)
        tensor([0.5000])
    """
    _require_same_shape(predicted, target)
    return ((predicted - target).square() / (predicted + target + FLOOR)).sum(dim=-1) / 2


def kullback_leibler_divergence(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""
    Kullback-Leibler divergence of a predicted score distribution from the true one, in nats.

    $$\mathrm{KL}(q \,\Vert\, p) = \sum_k q_k \log \frac{q_k}{p_k}$$

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities \\(p\\) over rating bins. Rows sum to 1.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares \\(q\\) over the same bins. Rows sum to 1.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`, from 0 to about 28: a floor of 1e-12 under both shares (our choice)
        stands for the infinite price of a vote in a bin of probability 0.

    Raises:
        ValueError: If the shapes differ.

    Requirements:
        None on the order of the bins.

    Relations:
        Cross entropy with the vote shares, less their entropy, which does not depend on the prediction: both train
        alike. It is the likelihood of the votes, so it punishes missing votes more than inventing some.

    Example:
        >>> predicted, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
        >>> kullback_leibler_divergence(predicted, target)
        tensor([0.6931])
    """
    _require_same_shape(predicted, target)
    return _relative_entropy(target, predicted).sum(dim=-1)


def jensen_shannon_divergence(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""
    Jensen-Shannon divergence between score distributions, in nats.

    $$\mathrm{JS}(p, q) = \tfrac{1}{2} \mathrm{KL}(p \,\Vert\, m) + \tfrac{1}{2} \mathrm{KL}(q \,\Vert\, m),
        \qquad m = \tfrac{1}{2}(p + q)$$

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins. Rows sum to 1.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins. Rows sum to 1.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`, between 0 and \\(\log 2\\), which is reached where no bin has both.

    Raises:
        ValueError: If the shapes differ.

    Requirements:
        None on the order of the bins.

    Relations:
        Symmetric and bounded, where [`kullback_leibler_divergence`] is neither. Prefer
        [`cumulative_jensen_shannon_divergence`] for ratings, whose order it ignores.

    Example:
        >>> low, high = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> jensen_shannon_divergence(low, high)
        tensor([0.6931])
    """
    _require_same_shape(predicted, target)
    middle = (predicted + target) / 2
    return (_relative_entropy(predicted, middle) + _relative_entropy(target, middle)).sum(dim=-1) / 2


def cumulative_jensen_shannon_divergence(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""
    Jensen-Shannon divergence between cumulative score distributions
    ([Jin et al. 2018](https://huggingface.co/papers/1708.07089)), in nats.

    $$\mathrm{CJS}(p, q) = \frac{1}{2N} \sum_{k=1}^{N} \Big( F_k \log \frac{F_k}{M_k}
        + G_k \log \frac{G_k}{M_k} \Big), \qquad M = \tfrac{1}{2}(F + G)$$

    where \\(F\\) and \\(G\\) are the cumulative sums of \\(p\\) and \\(q\\). In this symmetric form the linear terms
    that keep either half non-negative cancel.

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins, lowest rating first. Rows sum to 1.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins. Rows sum to 1.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`, between 0 and \\(\tfrac{1}{2} \log 2\\).

    Raises:
        ValueError: If the shapes differ.

    Requirements:
        The bins are equally spaced and in order.

    Relations:
        It compares the shares below each rating in proportion, [`earth_mover_distance`] by difference: so it is
        stricter at the low end of the scale, and turning the scale round changes it. The mean over the bins, so that
        scales of any number of bins compare, is our choice; the weights by which the paper trusts some histograms
        more than others are left out.

    Example:
        >>> low, middle, high = torch.eye(3)[:, None]
        >>> cumulative_jensen_shannon_divergence(low, middle), cumulative_jensen_shannon_divergence(low, high)
        (tensor([0.1155]), tensor([0.2310]))
    """
    _require_same_shape(predicted, target)
    predicted, target = predicted.cumsum(dim=-1), target.cumsum(dim=-1)
    middle = (predicted + target) / 2
    return (_relative_entropy(predicted, middle) + _relative_entropy(target, middle)).mean(dim=-1) / 2


def _relative_entropy(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return p * ((p + FLOOR).log() - (q + FLOOR).log())


def _require_same_shape(predicted: torch.Tensor, target: torch.Tensor) -> None:
    if predicted.shape != target.shape:
        raise ValueError(
            f"`predicted` and `target` must have one shape, got {tuple(predicted.shape)} and {tuple(target.shape)}."
        )


DIVERGENCES = {
    "chi_square": chi_square_distance,
    "kl": kullback_leibler_divergence,
    "js": jensen_shannon_divergence,
    "cjs": cumulative_jensen_shannon_divergence,
}


def score_distribution_loss(
    predicted: torch.Tensor,
    target: torch.Tensor,
    bins: torch.Tensor,
    order: float = 2,
    mean_weight: float = 0.0,
    std_weight: float = 0.0,
    distance: str = "emd",
) -> torch.Tensor:
    r"""
    NIMA's distance, or another one, with optional terms that name the mean and the spread.

    $$L = D + w_\mu \frac{\lvert\mu_p - \mu_q\rvert}{s_N - s_1}
        + w_\sigma \frac{\lvert\sigma_p - \sigma_q\rvert}{(s_N - s_1)/2}$$

    Both weights are 0 in [NIMA](https://huggingface.co/papers/1709.05424).
    [Explaining Automatic Image Assessment](https://huggingface.co/papers/2502.01873) adds terms that make the
    prediction aware of the distribution; its equations are not public in what we could read, so these two, and 1 as
    their usual weight, are our choice. \\(D\\) is \\(\mathrm{EMD}_r\\) unless another distance is named.

    Args:
        predicted (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Probabilities over rating bins, lowest rating first.
        target (`torch.Tensor` of shape `(batch_size, num_bins)`):
            Vote shares over the same bins.
        bins (`torch.Tensor` of shape `(num_bins,)`):
            Rating of every bin, in rating units; the terms do not depend on the unit.
        order (`float`, *optional*, defaults to 2):
            Exponent of the earth mover's distance.
        mean_weight (`float`, *optional*, defaults to 0.0):
            Weight of the error of the mean.
        std_weight (`float`, *optional*, defaults to 0.0):
            Weight of the error of the standard deviation, which the distance supervises worst.
        distance (`str`, *optional*, defaults to `"emd"`):
            `"emd"`, or a name of `DIVERGENCES`: `"chi_square"`, `"kl"`, `"js"`, `"cjs"`.

    Returns:
        `torch.Tensor`, a scalar: the mean over the batch.

    Raises:
        ValueError: If the shapes differ, or there is no such distance.

    Example:
        >>> low, high = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> score_distribution_loss(low, high, torch.tensor([1.0, 2.0]), order=1, mean_weight=1.0)
        tensor(1.5000)
    """
    if distance == "emd":
        loss = earth_mover_distance(predicted, target, order)
    elif distance in DIVERGENCES:
        loss = DIVERGENCES[distance](predicted, target)
    else:
        raise ValueError(f"`distance` must be one of {['emd', *DIVERGENCES]}, got {distance!r}.")
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
