"""Features of composition and of the subject: one number a picture each. Know nothing about scores or networks."""

import torch

from .picture_planes import FLOOR, PicturePlanes, average, places, resize, soft_step, spread


# ---- composition ----


def aspect(planes: PicturePlanes) -> torch.Tensor:
    """log2 of width / height: 0 for a square, positive for a landscape format."""
    return torch.log2(planes.aspect_ratio)


def rule_of_thirds(planes: PicturePlanes) -> torch.Tensor:
    """How much more salient the four crossings of the thirds are than the whole; Gaussians of a tenth of the frame."""
    y, x = places(planes.subject)
    crossings = sum(
        torch.exp(-((y - row / 3).square() + (x - column / 3).square()) / (2 * 0.1**2))
        for row in (1, 2)
        for column in (1, 2)
    )
    return average(planes.subject * crossings) / crossings.mean()


def symmetry(planes: PicturePlanes) -> torch.Tensor:
    """1 where the saliency is its own mirror image, left and right; 0 where the two share no place."""
    return 1 - average((planes.subject - planes.subject.flip(-1)).abs()) / 2


def simplicity(planes: PicturePlanes) -> torch.Tensor:
    r"""Minus log2 of the effective number of colours, \\(1 / \sum_k p_k^2\\) over 8 x 8 x 8 soft bins of RGB."""
    levels = torch.linspace(0, 1, 8, device=planes.small.device)
    members = (1 - 7 * (planes.small.flatten(2)[..., None] - levels).abs()).clamp(min=0)  # (B, 3, places, 8)
    red_green = (members[:, 0, :, :, None] * members[:, 1, :, None, :]).flatten(2)  # (B, places, 64)
    shares = torch.einsum("bpi,bpj->bij", red_green, members[:, 2]) / members.shape[2]
    return torch.log2(shares.square().sum(dim=(1, 2)) + FLOOR)


def clean_border(planes: PicturePlanes) -> torch.Tensor:
    """Minus the standard deviation of L*a*b* along the border of the frame, a sixteenth wide."""
    y, x = places(planes.lab)
    border = ((torch.minimum(y, 1 - y) < 1 / 16) | (torch.minimum(x, 1 - x) < 1 / 16)).to(planes.lab.dtype)
    border = border / border.mean()
    centre = (planes.lab * border).mean(dim=(2, 3), keepdim=True)
    return -((planes.lab - centre).square().sum(dim=1) * border).mean(dim=(1, 2)).clamp(min=FLOOR).sqrt()


def colour_layers(planes: PicturePlanes) -> torch.Tensor:
    """Share of the variance of a* and b* that lies between rows: sky, land and water, or the bands of a sunset."""
    colours = planes.lab[:, 1:]
    between = colours.mean(dim=3).var(dim=2, correction=0).sum(dim=1)
    return between / (colours.flatten(2).var(dim=2, correction=0).sum(dim=1) + 4)


def colour_below(planes: PicturePlanes) -> torch.Tensor:
    """Where the colour lies: -1 all at the upper border, 1 all at the lower one."""
    y, _ = places(planes.chroma)
    return average(planes.chroma * (2 * y - 1)) / (average(planes.chroma) + 2)


def edge_spread(planes: PicturePlanes) -> torch.Tensor:
    """Area of the box, in areas of the frame, that holds 98 % of the edges in either direction."""
    edges = resize(planes.edges, 64)[:, 0]
    return _middle_width(edges.sum(dim=1)) * _middle_width(edges.sum(dim=2))


def _middle_width(amounts: torch.Tensor) -> torch.Tensor:
    """Width of the middle 98 % of what lies along a line, `(B, n)` -> `(B,)`, as a share of the line."""
    shares = amounts / amounts.sum(dim=1, keepdim=True)
    before = shares.cumsum(dim=1) - shares
    ends = [((level - before) / shares).clamp(0, 1).mean(dim=1) for level in (0.01, 0.99)]
    return ends[1] - ends[0]


def detail_above(planes: PicturePlanes) -> torch.Tensor:
    """Where the edges lie: -1 all at the lower border, 1 all at the upper one."""
    y, _ = places(planes.edges)
    return average(planes.edges * (1 - 2 * y)) / average(planes.edges)


# ---- the subject ----


def subject_size(planes: PicturePlanes) -> torch.Tensor:
    """Mean saliency."""
    return average(planes.saliency)


def subject_light(planes: PicturePlanes) -> torch.Tensor:
    """Lightness of what is salient minus that of the rest."""
    return average(planes.lab[:, :1] * (planes.subject - planes.ground))


def subject_colour(planes: PicturePlanes) -> torch.Tensor:
    """Distance in a* and b* between the mean colours of what is salient and of the rest."""
    apart = (planes.lab[:, 1:] * (planes.subject - planes.ground)).mean(dim=(2, 3))
    return (apart.square().sum(dim=1) + FLOOR).sqrt()


def subject_sharpness(planes: PicturePlanes) -> torch.Tensor:
    """log2 of the detail of what is salient over that of the rest."""
    detail = resize(planes.laplacian.abs(), planes.subject.shape[-1])
    return torch.log2((average(detail * planes.subject) + 1e-3) / (average(detail * planes.ground) + 1e-3))


def depth_of_field(planes: PicturePlanes) -> torch.Tensor:
    """Share of the finest detail that lies in the middle quarter of the frame; a quarter where it is even."""
    y, x = places(planes.laplacian)
    middle = soft_step(-(y - 0.5).abs(), -0.25, 0.01) * soft_step(-(x - 0.5).abs(), -0.25, 0.01)
    detail = planes.laplacian.abs() + 1e-5
    return average(detail * middle) / average(detail)


def focus_variation(planes: PicturePlanes) -> torch.Tensor:
    """
    Standard deviation, over 8 x 8 places, of how much of their edges is fine: high where one thing is sharp and the
    rest is not. Of the energies of Laplacian \\(l\\) and gradient \\(g\\): \\(l / (l + 4 g)\\).
    """
    fine, edges = resize(planes.laplacian.square(), 8), resize(planes.edges.square(), 8)
    return spread((fine + 1e-5) / (fine + 4 * edges + 2e-5))
