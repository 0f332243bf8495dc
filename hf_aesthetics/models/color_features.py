"""Features of light and colour: one number a picture each, from its planes. Know nothing about scores or networks."""

import math

import torch

from .picture_planes import FLOOR, NUM_HUES, PicturePlanes, average, places, soft_step, spread


# arcs of the hue circle in degrees, as (centre, width): the templates of Cohen-Or et al. without the grey one
HARMONY_TEMPLATES = (
    ((0, 18.0),),  # i
    ((0, 93.6),),  # V
    ((0, 79.2), (90, 18.0)),  # L
    ((0, 18.0), (180, 18.0)),  # I
    ((0, 180.0),),  # T
    ((0, 93.6), (180, 18.0)),  # Y
    ((0, 93.6), (180, 93.6)),  # X
)


# ---- light ----


def exposure(planes: PicturePlanes) -> torch.Tensor:
    """Mean of log2 of the linear luminance, with a floor of 1/256."""
    return average(torch.log2(planes.luma.clamp(min=0).pow(2.2) + 1 / 256))


def blown_highlights(planes: PicturePlanes) -> torch.Tensor:
    """Share of the pixels whose brightest channel is above 250 of 255."""
    return average(soft_step(planes.rgb.amax(dim=1), 250 / 255, 2 / 255))


def crushed_shadows(planes: PicturePlanes) -> torch.Tensor:
    """Share of the pixels whose brightest channel is below 10 of 255."""
    return average(soft_step(-planes.rgb.amax(dim=1), -10 / 255, 2 / 255))


def contrast(planes: PicturePlanes) -> torch.Tensor:
    """Standard deviation of luma."""
    return spread(planes.luma)


def high_key(planes: PicturePlanes) -> torch.Tensor:
    """Share of the picture that is lighter than L* = 85."""
    return average(soft_step(planes.lab[:, 0], 85, 4))


def light_peak(planes: PicturePlanes) -> torch.Tensor:
    """log of the kurtosis of lightness: low where light and dark halve the frame, high where little is lit."""
    lightness = planes.lab[:, :1]
    deviation = (lightness - lightness.mean(dim=(2, 3), keepdim=True)) / (spread(lightness).view(-1, 1, 1, 1) + 1)
    return torch.log(average(deviation.pow(4)) + 0.1)


def light_from_above(planes: PicturePlanes) -> torch.Tensor:
    """Lightness of the upper part of the frame minus that of the lower."""
    y, _ = places(planes.lab)
    return average(planes.lab[:, 0] * (0.5 - y)) * 8


# ---- colour ----


def colourfulness(planes: PicturePlanes) -> torch.Tensor:
    r"""Of opponent colours, \\(\sqrt{\sigma_{rg}^2 + \sigma_{yb}^2} + 0.3 \sqrt{\mu_{rg}^2 + \mu_{yb}^2}\\)."""
    red, green, blue = planes.rgb.unbind(dim=1)
    rg, yb = red - green, (red + green) / 2 - blue
    deviation = (spread(rg).square() + spread(yb).square()).sqrt()
    return 255 * (deviation + 0.3 * (average(rg).square() + average(yb).square() + FLOOR).sqrt())


def saturation(planes: PicturePlanes) -> torch.Tensor:
    """Mean of (max - min) / max of the channels; 1/100 is added below, where black has no colour."""
    brightest, darkest = planes.small.amax(dim=1), planes.small.amin(dim=1)
    return average((brightest - darkest) / (brightest + 0.01))


def hue_count(planes: PicturePlanes) -> torch.Tensor:
    """Number of hues, of 36, with more than 5 % of the pixels of the most frequent one."""
    return soft_step(planes.hues / (planes.hues.amax(dim=1, keepdim=True) + 0.01), 0.05, 0.008).sum(dim=1)


def hue_harmony(planes: PicturePlanes) -> torch.Tensor:
    """
    Minus the mean angle, in degrees, by which hues lie outside the templates of colour harmony, each turned to fit.

    The mean over the templates instead of the best one is our choice: the wide ones fit nearly everything.
    """
    hues = planes.hues + 1e-4 / NUM_HUES
    shares = hues / hues.sum(dim=1, keepdim=True)
    distances = torch.einsum("bh,thr->btr", shares, harmony_costs(hues.device))
    return -distances.amin(dim=2).mean(dim=1)


def harmony_costs(device: torch.device | None = None) -> torch.Tensor:
    """
    Angle from each hue to the nearest arc of each template under each turn, `(templates, hues, turns)` in degrees.

    Example:
        >>> harmony_costs().shape, harmony_costs()[0, :3, 0]
        (torch.Size([7, 36, 36]), tensor([ 0.,  1., 11.]))
    """
    hues = torch.arange(NUM_HUES, device=device) * (360 / NUM_HUES)
    turned = hues[:, None] - hues[None, :]
    return torch.stack(
        [
            torch.stack([_angle(turned - centre) - width / 2 for centre, width in arcs]).amin(dim=0).clamp(min=0)
            for arcs in HARMONY_TEMPLATES
        ]
    )


def _angle(degrees: torch.Tensor) -> torch.Tensor:
    return ((degrees + 180) % 360 - 180).abs()


# ---- what is shown, by the colours that things are remembered in ----


def sky(planes: PicturePlanes) -> torch.Tensor:
    """Share of light blue."""
    return average(_of_hue(planes, 265, 40, chroma=8) * soft_step(planes.lab[:, :1], 40, 5))


def foliage(planes: PicturePlanes) -> torch.Tensor:
    """Share of yellowish green."""
    return average(_of_hue(planes, 125, 35, chroma=12))


def skin(planes: PicturePlanes) -> torch.Tensor:
    """Share of orange that is neither vivid nor very dark, the range of human skin."""
    muted, light = soft_step(-planes.chroma, -50, 3), soft_step(planes.lab[:, :1], 25, 4)
    return average(_of_hue(planes, 52, 30, chroma=12) * muted * light)


def _of_hue(planes: PicturePlanes, degrees: float, reach: float, chroma: float) -> torch.Tensor:
    """How much each place is of a hue of L*a*b*, give or take `reach` degrees, and coloured at all."""
    towards = planes.lab[:, 1:2] * math.cos(math.radians(degrees)) + planes.lab[:, 2:] * math.sin(
        math.radians(degrees)
    )
    inside = soft_step(towards / (planes.chroma + 1), math.cos(math.radians(reach)), 0.03)
    return inside * soft_step(planes.chroma, chroma, 3)
