"""What the features of a picture are measured on, made once for all of them. Knows nothing about the features."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .color_spaces import rgb_to_lab, rgb_to_luma
from .saliency_maps import saliency_map


LAYOUT_SIZE = 64  # pixels a side, at which colours and places are looked at
NUM_HUES = 36
FLOOR = 1e-8  # under roots, whose gradient at 0 is infinite


class PicturePlanes(NamedTuple):
    """
    A batch of pictures from several sides.

    Args:
        rgb (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
            sRGB in [0, 1].
        aspect_ratio (`torch.FloatTensor` of shape `(batch_size,)`):
            Width / height of the pictures as they were taken.
        luma, slope_x, slope_y, edges, laplacian (`torch.FloatTensor` of shape `(batch_size, 1, height, width)`):
            Luma in [0, 1], its central differences to the right and down, their length, and its Laplacian.
        small (`torch.FloatTensor` of shape `(batch_size, 3, 64, 64)`):
            sRGB at the size of layouts.
        lab (`torch.FloatTensor` of shape `(batch_size, 3, 64, 64)`):
            The same in CIE L*a*b*.
        chroma (`torch.FloatTensor` of shape `(batch_size, 1, 64, 64)`):
            Distance from grey in L*a*b*.
        hues (`torch.FloatTensor` of shape `(batch_size, 36)`):
            How much of each picture has which hue; see [`hue_histogram`].
        saliency (`torch.FloatTensor` of shape `(batch_size, 1, 64, 64)`):
            See [`saliency_map`].
        subject, ground (`torch.FloatTensor` of shape `(batch_size, 1, 64, 64)`):
            Saliency and what it leaves, as weights of mean 1: how much each place is the subject.
    """

    rgb: torch.Tensor
    aspect_ratio: torch.Tensor
    luma: torch.Tensor
    slope_x: torch.Tensor
    slope_y: torch.Tensor
    edges: torch.Tensor
    laplacian: torch.Tensor
    small: torch.Tensor
    lab: torch.Tensor
    chroma: torch.Tensor
    hues: torch.Tensor
    saliency: torch.Tensor
    subject: torch.Tensor
    ground: torch.Tensor


def picture_planes(images: torch.Tensor, aspect_ratio: torch.Tensor | None = None) -> PicturePlanes:
    """
    Looks at pictures from several sides.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1], of any size.
        aspect_ratio (`torch.Tensor` of shape `(batch_size,)`, *optional*):
            Width / height before the pictures were squashed; by default that of `images`.

    Example:
        >>> planes = picture_planes(torch.rand(2, 3, 40, 60))
        >>> planes.aspect_ratio, planes.lab.shape
        (tensor([1.5000, 1.5000]), torch.Size([2, 3, 64, 64]))
    """
    # a margin, because the gradient of what is clamped at its bounds is 0, and much of a picture is black or white
    images = images.float().clamp(-0.01, 1.01)
    if aspect_ratio is None:
        aspect_ratio = images.new_full(images.shape[:1], images.shape[-1] / images.shape[-2])
    luma = rgb_to_luma(images)
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    left, right = padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]
    above, below = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]
    slope_x, slope_y = (right - left) / 2, (below - above) / 2
    small = resize(images, LAYOUT_SIZE)
    lab, saliency = rgb_to_lab(small), saliency_map(small)
    # what stands out nowhere is subject everywhere
    subject, ground = saliency + 1e-3, 1 - saliency + 1e-3
    return PicturePlanes(
        rgb=images,
        aspect_ratio=aspect_ratio.float(),
        luma=luma,
        slope_x=slope_x,
        slope_y=slope_y,
        edges=(slope_x.square() + slope_y.square() + FLOOR).sqrt(),
        laplacian=left + right + above + below - 4 * luma,
        small=small,
        lab=lab,
        chroma=(lab[:, 1:].square().sum(dim=1, keepdim=True) + FLOOR).sqrt(),
        hues=hue_histogram(small),
        saliency=saliency,
        subject=subject / subject.mean(dim=(2, 3), keepdim=True),
        ground=ground / ground.mean(dim=(2, 3), keepdim=True),
    )


def hue_histogram(images: torch.Tensor) -> torch.Tensor:
    """
    How much of each picture has which hue, in 36 soft bins, red first.

    The hue is the angle in the plane of the three channels, that of HSV up to a degree. Grey (saturation below 0.2),
    too dark and too bright pixels (value outside 0.15 to 0.95) have none, as with Ke et al. 2006; the bins sum to the
    share of the others.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Example:
        >>> hue_histogram(torch.tensor([0.0, 0.8, 0.0]).view(1, 3, 1, 1)).argmax().item()  # green, at 120 degrees
        12
    """
    red, green, blue = images.flatten(2).unbind(dim=1)
    along, across = 2 * red - green - blue, math.sqrt(3) * (green - blue)
    length = (along.square() + across.square() + 1e-4).sqrt()
    hues = torch.arange(NUM_HUES, device=images.device) * (2 * math.pi / NUM_HUES)
    # by the cosine of the angle to each bin, because the angle itself has no gradient at grey
    cosines = (along / length)[..., None] * hues.cos() + (across / length)[..., None] * hues.sin()
    members = (300 * cosines).softmax(dim=-1)  # as wide as a bin
    brightest, darkest = images.flatten(2).amax(dim=1), images.flatten(2).amin(dim=1)
    has_hue = soft_step((brightest - darkest) / (brightest + 0.01), 0.2, 0.03)
    has_hue = has_hue * soft_step(brightest, 0.15, 0.02) * soft_step(-brightest, -0.95, 0.02)
    return (members * has_hue[..., None]).mean(dim=1)


def resize(maps: torch.Tensor, size: int) -> torch.Tensor:
    """`(B, C, H, W)` -> `(B, C, size, size)`, bilinear, antialiased."""
    return F.interpolate(maps, size=(size, size), mode="bilinear", antialias=True)


def places(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance of each pixel from the upper and from the left border, from 0 to 1: `(H, 1)` and `(1, W)`."""
    height, width = maps.shape[-2:]
    y = (torch.arange(height, device=maps.device) + 0.5) / height
    x = (torch.arange(width, device=maps.device) + 0.5) / width
    return y[:, None], x[None, :]


def average(maps: torch.Tensor) -> torch.Tensor:
    """Mean over all but the batch, `(B, ...)` -> `(B,)`."""
    return maps.flatten(1).mean(dim=1)


def spread(maps: torch.Tensor) -> torch.Tensor:
    """Standard deviation over all but the batch, `(B, ...)` -> `(B,)`."""
    return (maps.flatten(1).var(dim=1, correction=0) + FLOOR).sqrt()


def soft_step(values: torch.Tensor, threshold: float, width: float) -> torch.Tensor:
    """1 above a threshold, 0 below it, with a slope of `width` between, so that there is a gradient."""
    return torch.sigmoid((values - threshold) / width)
