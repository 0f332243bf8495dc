"""
Dense local descriptors of pictures, batched: which way edges run and which colours there are, patch by patch.

Knows nothing about codebooks, networks or scores.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .color_spaces import rgb_to_lab, rgb_to_luma


NUM_CELLS = 4  # to a side of a patch
NUM_DIRECTIONS = 8
HIGHEST_SHARE = 0.2  # of one entry of a gradient descriptor, so that a single strong edge does not drown the others
FAINT_CONTRAST = 1e-4  # squared length of a gradient descriptor below which there is nothing but noise
FAINT_VARIANCE = 1e-6  # keeps the gradient of a deviation finite; a tenth of a step in L*a*b*, which nobody sees


class LocalDescriptor(NamedTuple):
    """
    One kind of local descriptors.

    Args:
        function (`Callable`):
            `(images, patch_size, patch_stride)` -> descriptors `(batch_size, num_patches, size)`.
        size (`int`):
            Numbers to a patch.
    """

    function: Callable[[torch.Tensor, int, int], torch.Tensor]
    size: int


def gradient_descriptors(images: torch.Tensor, patch_size: int = 32, patch_stride: int = 8) -> torch.Tensor:
    r"""
    Histograms of gradient directions in the 4 x 4 cells of every patch, after SIFT (Lowe, IJCV 2004,
    doi 10.1023/B:VISI.0000029664.99615.94): of unit length, clipped at 0.2, and of unit length again.

    A gradient \\(g\\) counts in the 8 directions \\(u_k\\) with \\(\max(0, \langle g, u_k \rangle)\\), its length
    times the cosine of the angle between. This soft assignment is ours, and so are cells with sharp borders, no window
    over the patch, no dominant direction to which a patch is turned, and that faint patches are shorter than 1, so
    that the noise of a clear sky does not look like texture.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].
        patch_size (`int`, *optional*, defaults to 32):
            Side of a patch in pixels, a multiple of 4.
        patch_stride (`int`, *optional*, defaults to 8):
            Pixels between patches, a multiple of `patch_size / 4`.

    Returns:
        `torch.Tensor` of shape `(batch_size, num_patches, 128)`: directions (right, lower right, down, ...) by cells,
        patches and cells in reading order.

    Example:
        >>> picture = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)  # brighter towards the right
        >>> descriptors = gradient_descriptors(picture)
        >>> descriptors.shape, descriptors[0, 0].view(8, 16).sum(dim=1).argmax().item()
        (torch.Size([1, 25, 128]), 0)
    """
    luma = F.pad(rgb_to_luma(images), (1, 1, 1, 1), mode="replicate")
    gradient = torch.cat(
        [luma[..., 1:-1, 2:] - luma[..., 1:-1, :-2], luma[..., 2:, 1:-1] - luma[..., :-2, 1:-1]], dim=1
    )
    angles = torch.arange(NUM_DIRECTIONS, dtype=images.dtype, device=images.device) * (2 * math.pi / NUM_DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)  # (8, 2)
    strengths = F.conv2d(gradient / 2, directions[:, :, None, None]).relu()  # (B, 8, H, W)
    histograms = _shorten(_patches(strengths, patch_size, patch_stride), FAINT_CONTRAST)
    return F.normalize(histograms.clamp(max=HIGHEST_SHARE), dim=-1, eps=HIGHEST_SHARE)


def color_descriptors(images: torch.Tensor, patch_size: int = 32, patch_stride: int = 8) -> torch.Tensor:
    """
    Mean and standard deviation of each channel in the 4 x 4 cells of every patch (Marchesotti, Perronnin, Larlus &
    Csurka, ICCV 2011, doi 10.1109/ICCV.2011.6126444). That the channels are those of CIE L*a*b*, divided by 100, and
    not red, green and blue, is our choice.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].
        patch_size (`int`, *optional*, defaults to 32):
            Side of a patch in pixels, a multiple of 4.
        patch_stride (`int`, *optional*, defaults to 8):
            Pixels between patches, a multiple of `patch_size / 4`.

    Returns:
        `torch.Tensor` of shape `(batch_size, num_patches, 96)`: the means, channels by cells, then the deviations.

    Example:
        >>> descriptors = color_descriptors(torch.full((1, 3, 64, 64), 0.5))
        >>> descriptors.shape, descriptors[0, 0, ::48]
        (torch.Size([1, 25, 96]), tensor([0.5339, 0.0010]))
    """
    lab = rgb_to_lab(images) / 100
    means, squares = (_patches(maps, patch_size, patch_stride) for maps in (lab, lab.square()))
    variances = (squares - means.square()).clamp(min=0)
    return torch.cat([means, (variances + FAINT_VARIANCE).sqrt()], dim=-1)


LOCAL_DESCRIPTORS = {
    "gradients": LocalDescriptor(gradient_descriptors, NUM_DIRECTIONS * NUM_CELLS**2),
    "colors": LocalDescriptor(color_descriptors, 2 * 3 * NUM_CELLS**2),
}


def pyramid_sizes(height: int, width: int, scales: Sequence[float], patch_size: int) -> list[tuple[int, int]]:
    """
    Heights and widths of a picture at several scales, as far as it holds a patch there.

    Args:
        height, width (`int`):
            Of the picture, in pixels.
        scales (`Sequence[float]`):
            Factors of both.
        patch_size (`int`):
            Side of a patch in pixels.

    Raises:
        ValueError: If it holds a patch at no scale.

    Example:
        >>> pyramid_sizes(64, 96, scales=[1.0, 0.7, 0.25], patch_size=32)
        [(64, 96), (45, 67)]
    """
    sizes = [(round(scale * height), round(scale * width)) for scale in scales]
    sizes = [size for size in sizes if min(size) >= patch_size]
    if not sizes:
        raise ValueError(
            f"Pictures must hold a patch of {patch_size} x {patch_size} pixels at one of the scales {list(scales)}, "
            f"got pictures of {width} x {height}. Take larger ones."
        )
    return sizes


def _patches(maps: torch.Tensor, patch_size: int, patch_stride: int) -> torch.Tensor:
    """Means in the cells of every patch, `(B, C, H, W)` -> `(B, num_patches, C * 16)`."""
    cell_size = patch_size // NUM_CELLS
    cells = F.avg_pool2d(maps, cell_size)
    return F.unfold(cells, NUM_CELLS, stride=patch_stride // cell_size).transpose(1, 2)


def _shorten(descriptors: torch.Tensor, floor: float) -> torch.Tensor:
    """Unit length, but less for what is not much longer than the root of the floor."""
    return descriptors * (descriptors.square().sum(dim=-1, keepdim=True) + floor).rsqrt()


__all__ = [
    "LOCAL_DESCRIPTORS",
    "LocalDescriptor",
    "color_descriptors",
    "gradient_descriptors",
    "pyramid_sizes",
]
