"""Structural similarity of pictures or patches, a pure batched function. Knows nothing about where they come from."""

import torch


WINDOW = 7  # pixels a side, as usual for a uniform window


def structural_similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    r"""
    Structural similarity (Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP) of pictures with values in [0, 1], mean over places and channels.

    $$\mathrm{SSIM} = \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}, \qquad C_1 = 0.01^2,\; C_2 = 0.03^2$$

    with means, variances and covariance (of samples: over \\(n - 1\\)) in windows of 7 x 7 pixels that lie inside.

    Args:
        first, second (`torch.Tensor` of shape `(batch_size, channels, height, width)`):
            Pictures of at least 7 x 7 pixels.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`, float32 or wider, at most 1 and exactly 1 where the two are equal.

    Raises:
        ValueError: If the shapes differ, or a side is too short.

    Example:
        >>> dark, light = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
        >>> structural_similarity(dark, dark), structural_similarity(dark, light)
        (tensor([1.]), tensor([9.9990e-05]))
    """
    if first.shape != second.shape or first.ndim != 4 or min(first.shape[-2:]) < WINDOW:
        raise ValueError(
            f"`first` and `second` must have one shape (batch_size, channels, height, width) with sides of at least "
            f"{WINDOW}, got {tuple(first.shape)} and {tuple(second.shape)}."
        )
    dtype = torch.promote_types(first.dtype, torch.float32)
    first, second = first.to(dtype), second.to(dtype)
    # a variance is a small difference of large numbers, which are smaller about the mean of a picture
    centers = [each.mean(dim=(2, 3), keepdim=True) for each in (first, second)]
    x, y = first - centers[0], second - centers[1]
    moments = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    rows, columns = (_window_means(side, moments) for side in moments.shape[-2:])
    moments = rows @ moments @ columns.T
    mean_x, mean_y, square_x, square_y, product = moments.split(x.shape[1], dim=1)
    to_sample = WINDOW**2 / (WINDOW**2 - 1)
    variance_x, variance_y = (square_x - mean_x**2) * to_sample, (square_y - mean_y**2) * to_sample
    covariance = (product - mean_x * mean_y) * to_sample
    mean_x, mean_y = mean_x + centers[0], mean_y + centers[1]
    low, high = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + low) * (2 * covariance + high)
    similarity = similarity / ((mean_x**2 + mean_y**2 + low) * (variance_x + variance_y + high))
    return similarity.mean(dim=(1, 2, 3))


def _window_means(side: int, like: torch.Tensor) -> torch.Tensor:
    """The matrix `(side - 6, side)` that takes the mean of each window; quicker than pooling for small pictures."""
    start = torch.arange(side - WINDOW + 1, device=like.device)[:, None]
    place = torch.arange(side, device=like.device)
    return ((place >= start) & (place < start + WINDOW)).to(like.dtype) / WINDOW
