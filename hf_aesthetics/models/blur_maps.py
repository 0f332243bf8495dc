"""Blur in closed form, on an absolute scale. Knows nothing about networks, files or scores."""

import torch
import torch.nn.functional as F

from .color_spaces import rgb_to_luma


NUM_SIZES = 4  # the picture itself, and at a half, a quarter and an eighth of its size
GRID = 4  # pixels of the picture to a place at which patterns are counted
WINDOWS = (5, 11, 21)  # places
LITTLE_EVIDENCE = 0.1  # share of sharp patterns that weighs as much as what the whole picture suggests
FOUR_LEVELS = 0.016  # of 255: smaller differences between neighbours are noise


def blur_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    How blurred each place is, from local binary patterns (Yi & Eramian, IEEE TIP 2016, doi 10.1109/TIP.2016.2528042).

    $$B = \frac{\tfrac{1}{3}\sum_{l=0}^{2} (c_3 - c_l) + 0.1\, \bar{B}}{c_3 + 0.1}, \qquad c_l = \max_{k \le l} s_k$$

    with the share \\(s_l\\) of [`sharp_patterns`] around a place, in the picture at \\(1 / 2^l\\) of its size, mean
    over windows of 20, 44 and 84 pixels. What is sharp shows as many of them at its own size as at smaller ones: 0.
    What shows them only once it is shrunk to an eighth is blurred: 1. Flat places show none at any size; they are as
    blurred as what surrounds them and as the picture on the whole, \\(\bar{B}\\), and a picture that is flat all over
    is blurred. Sizes, windows and this rule are ours, in place of the paper's windows of 11 to 21 pixels, matting and
    fusion. The scale is absolute, in pixels: a picture that is blurred everywhere is not stretched to look like a
    sharp one.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1]; 1 is no sharp detail at all.

    Example:
        >>> noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> bool(blur_map(noise).mean() < 0.1), blur_map(torch.zeros(1, 3, 64, 64)).mean().item()
        (True, 1.0)
    """
    luma = rgb_to_luma(images).float()
    height, width = luma.shape[-2:]
    grid = -(-height // GRID), -(-width // GRID)
    found: list[torch.Tensor] = []
    for level in range(NUM_SIZES):
        small = F.avg_pool2d(luma, 2**level, ceil_mode=True, count_include_pad=False)
        mode = "area" if 2**level <= GRID else "bilinear"
        patterns = F.interpolate(sharp_patterns(small), size=grid, mode=mode)
        share = torch.stack([_box_mean(patterns, window) for window in WINDOWS]).mean(dim=0)
        found.append(torch.maximum(found[-1], share) if found else share)
    missing = found[-1] - torch.stack(found[:-1]).mean(dim=0)
    whole, all_missing = (maps.mean(dim=(2, 3), keepdim=True) for maps in (found[-1], missing))
    # a picture that shows next to nothing counts as blurred
    expected = (all_missing + LITTLE_EVIDENCE) / (whole + LITTLE_EVIDENCE)
    blur = (missing + LITTLE_EVIDENCE * expected) / (found[-1] + LITTLE_EVIDENCE)
    return F.interpolate(blur, size=(height, width), mode="bilinear").to(images.dtype)


def sharp_patterns(luma: torch.Tensor) -> torch.Tensor:
    """
    Where a local binary pattern is that blur removes (Yi & Eramian, IEEE TIP 2016, section III).

    A pattern has a bit for each of 8 neighbours at distance 1 that is brighter than the centre by more than 0.016. It
    is sharp with 6 to 8 bits in a row, or with more than one row of them.

    Args:
        luma (`torch.Tensor` of shape `(batch_size, 1, height, width)`):
            Luma in [0, 1].

    Returns:
        `torch.Tensor` of the same shape: 1 or 0.

    Example:
        >>> dot = torch.ones(1, 1, 3, 5)
        >>> dot[..., 1, 1] = 0  # darker than all its neighbours
        >>> sharp_patterns(dot)[0, 0].tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    padded, (height, width) = _pad(luma, 1), luma.shape[-2:]

    def neighbour(dy: int, dx: int) -> torch.Tensor:
        return padded[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    side = 0.5**0.5  # the diagonal neighbours lie at distance 1, between pixels
    bits = []
    for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)):
        value = neighbour(dy, dx)
        if dy and dx:
            near = neighbour(dy, 0) + neighbour(0, dx)
            value = side * side * value + side * (1 - side) * near + (1 - side) * (1 - side) * luma
        bits.append((value - luma > FOUR_LEVELS).to(torch.uint8))
    count = torch.stack(bits).sum(dim=0, dtype=torch.uint8)
    pairs = zip(bits, bits[1:] + bits[:1], strict=True)
    changes = torch.stack([one ^ following for one, following in pairs]).sum(dim=0, dtype=torch.uint8)
    return ((changes > 2) | (count >= 6)).to(luma.dtype)


def laplacian_blur_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    How blurred each place is, from the variance of the Laplacian \\(V\\) (Pech-Pacheco et al. 2000,
    doi 10.1109/ICPR.2000.903548) in a window of 15 pixels: \\(1 / (1 + V / 0.01)\\). Window and scale are our choice;
    the scale is absolute.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in (0, 1]; 1 is no detail at all.

    Example:
        >>> laplacian_blur_map(torch.zeros(1, 3, 32, 32)).mean().item()
        1.0
    """
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], device=images.device)
    laplacian = F.conv2d(_pad(rgb_to_luma(images).float(), 1), kernel.view(1, 1, 3, 3))
    mean = _box_mean(laplacian, 15)
    variance = (_box_mean(laplacian.square(), 15) - mean.square()).clamp(min=0)
    return (1 / (1 + variance / 0.01)).to(images.dtype)


def tenengrad_blur_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    How blurred each place is, from the mean energy of the Sobel gradient \\(T\\) (Tenenbaum 1970, named Tenengrad by
    Krotkov 1988) in a window of 15 pixels: \\(1 / (1 + T / 0.1)\\). Window and scale are our choice; the scale is
    absolute.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in (0, 1]; 1 is no detail at all.

    Example:
        >>> tenengrad_blur_map(torch.zeros(1, 3, 32, 32)).mean().item()
        1.0
    """
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=images.device)
    kernels = torch.stack([sobel, sobel.T])[:, None]  # (2, 1, 3, 3)
    energy = F.conv2d(_pad(rgb_to_luma(images).float(), 1), kernels).square().sum(dim=1, keepdim=True)
    return (1 / (1 + _box_mean(energy, 15) / 0.1)).to(images.dtype)


def _pad(images: torch.Tensor, margin: int) -> torch.Tensor:
    return F.pad(images, (margin, margin, margin, margin), mode="replicate")


def _box_mean(images: torch.Tensor, window: int) -> torch.Tensor:
    """Mean in a square window, of what lies in the picture."""
    rows = F.avg_pool2d(images, (1, window), stride=1, padding=(0, window // 2), count_include_pad=False)
    return F.avg_pool2d(rows, (window, 1), stride=1, padding=(window // 2, 0), count_include_pad=False)
