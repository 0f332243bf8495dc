"""Score distributions over ordered rating bins: vote shares, moments, maximum entropy. Knows nothing about losses."""

import torch


def normalize_votes(vote_counts: torch.Tensor) -> torch.Tensor:
    """
    Turns vote counts into vote shares.

    Args:
        vote_counts (`torch.Tensor` of shape `(..., num_bins)`):
            Votes a bin, lowest rating first, integers or floats.

    Returns:
        `torch.Tensor` of the same shape, float32 (float64 stays), whose rows sum to 1.

    Raises:
        ValueError: If a count is negative or not finite, or a row has no vote.

    Example:
        >>> normalize_votes(torch.tensor([0, 1, 3]))
        tensor([0.0000, 0.2500, 0.7500])
    """
    votes = vote_counts if vote_counts.dtype == torch.float64 else vote_counts.float()
    if not torch.isfinite(votes).all() or (votes < 0).any():
        raise ValueError(f"Vote counts must be finite and >= 0, got values between {votes.min()} and {votes.max()}.")
    total = votes.sum(dim=-1, keepdim=True)
    if (total == 0).any():
        raise ValueError(
            "Every picture needs at least one vote, got a row of zeros. Drop it or give its mean instead."
        )
    return votes / total


def distribution_mean(distribution: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """
    Mean score of distributions over rating bins.

    Args:
        distribution (`torch.Tensor` of shape `(..., num_bins)`):
            Probabilities, lowest rating first.
        bins (`torch.Tensor` of shape `(num_bins,)`):
            Rating of every bin.

    Returns:
        `torch.Tensor` of shape `(...,)` in rating units.

    Example:
        >>> distribution_mean(torch.tensor([0.0, 0.25, 0.75]), torch.tensor([1.0, 2.0, 3.0]))
        tensor(2.7500)
    """
    return (distribution * bins).sum(dim=-1)


def distribution_std(distribution: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    r"""
    Standard deviation of the scores, \\(\sqrt{\sum_k p_k (s_k - \mu)^2}\\), of distributions over rating bins.

    A floor of 1e-12 under the root keeps the gradient finite where all raters agree.

    Args:
        distribution (`torch.Tensor` of shape `(..., num_bins)`):
            Probabilities, lowest rating first.
        bins (`torch.Tensor` of shape `(num_bins,)`):
            Rating of every bin.

    Returns:
        `torch.Tensor` of shape `(...,)` in rating units.

    Example:
        >>> distribution_std(torch.tensor([0.5, 0.0, 0.5]), torch.tensor([1.0, 2.0, 3.0]))
        tensor(1.)
    """
    mean = distribution_mean(distribution, bins).unsqueeze(-1)
    return ((distribution * (bins - mean) ** 2).sum(dim=-1) + 1e-12).sqrt()


def maximum_entropy_distribution(
    mean: torch.Tensor, bins: torch.Tensor, std: torch.Tensor | None = None, num_steps: int = 50
) -> torch.Tensor:
    r"""
    The least committed histogram with a given mean, and standard deviation where it is known.

    Data sets that publish only means become distributions this way ([NIMA](https://huggingface.co/papers/1709.05424)
    does so for TID2013). The solution has the form \\(p_k \propto \exp(a s_k + b s_k^2)\\); Newton's method on the
    convex dual finds \\(a\\) (and \\(b\\)). A target that no histogram on these bins can reach is approached as
    closely as the bins allow.

    Args:
        mean (`torch.Tensor` of shape `(batch_size,)`):
            Mean scores in rating units, within the range of `bins`.
        bins (`torch.Tensor` of shape `(num_bins,)`):
            Rating of every bin.
        std (`torch.Tensor` of shape `(batch_size,)`, *optional*):
            Standard deviations in rating units.
        num_steps (`int`, *optional*, defaults to 50):
            Newton steps.

    Returns:
        `torch.Tensor` of shape `(batch_size, num_bins)`, float32, whose rows sum to 1.

    Raises:
        ValueError: If a mean lies outside the scale.

    Example:
        >>> maximum_entropy_distribution(torch.tensor([2.0]), torch.tensor([1.0, 2.0, 3.0]))
        tensor([[0.3333, 0.3333, 0.3333]])
    """
    if not ((mean >= bins.min()) & (mean <= bins.max())).all():
        raise ValueError(
            f"Means must lie on the scale {bins.min():g}..{bins.max():g}, got values between {mean.min():g} and "
            f"{mean.max():g}. Set `min_score` and `max_score` to the scale of the ratings."
        )
    # on [-1, 1] the dual is well scaled whatever the rating scale is
    center, half = (bins.max() + bins.min()).double() / 2, (bins.max() - bins.min()).double() / 2
    points = (bins.double() - center) / half
    first = ((mean.double() - center) / half).clamp(-1 + 1e-4, 1 - 1e-4)
    moments = [first] if std is None else [first, (std.double() / half) ** 2 + first**2]
    target = torch.stack(moments, dim=-1)  # (batch_size, num_moments)
    powers = torch.stack([points ** (i + 1) for i in range(len(moments))], dim=-1)  # (num_bins, num_moments)
    weights = torch.zeros_like(target)

    def dual(candidate: torch.Tensor) -> torch.Tensor:
        return (candidate @ powers.T).logsumexp(dim=-1) - (candidate * target).sum(dim=-1)

    for _ in range(num_steps):
        p = (weights @ powers.T).softmax(dim=-1)
        expected = p @ powers
        centered = powers - expected.unsqueeze(1)  # (batch_size, num_bins, num_moments)
        hessian = torch.einsum("bk,bki,bkj->bij", p, centered, centered)
        hessian = hessian + 1e-9 * torch.eye(len(moments), dtype=torch.float64, device=mean.device)
        step = torch.linalg.solve(hessian, target - expected)
        # backtracking: a full Newton step can overshoot where the histogram is nearly a spike
        size, current = torch.ones_like(first), dual(weights)
        for _ in range(30):
            worse = dual(weights + size.unsqueeze(-1) * step) > current + 1e-12
            if not worse.any():
                break
            size = torch.where(worse, size / 2, size)
        weights = (weights + size.unsqueeze(-1) * step).clamp(-1e4, 1e4)
    return (weights @ powers.T).softmax(dim=-1).float()
