"""DiffToken: two pictures into tokens of two sizes, the small ones where the pictures differ. Pure functions.

Knows nothing about networks or files.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from .structural_similarity import structural_similarity


COARSE, FINE, PADDING = 0, 1, -1  # what a slot of a sequence holds
OVERFULL = 1.2  # an enlarged picture has so many small patches a slot


@dataclass(frozen=True)
class DiffTokens:
    """
    The tokens of one picture, in their order: coarse ones row by row, then fine ones patch by patch.

    Args:
        pixels (`torch.Tensor` of shape `(num_tokens, 3, patch_size, patch_size)`):
            What each shows; coarse tokens are patches of twice the size at half the resolution.
        positions (`torch.Tensor` of shape `(num_tokens, 2)`):
            Centre of each, as shares of height and width.
        scales (`torch.Tensor` of shape `(num_tokens,)`, int64):
            `COARSE` or `FINE`, or `PADDING` for a slot without a token.
    """

    pixels: torch.Tensor
    positions: torch.Tensor
    scales: torch.Tensor


def seeded_numbers(key: str, *shape: int) -> torch.Tensor:
    """
    Numbers in [0, 1) that follow from a word alone, on every machine; float64.

    Example:
        >>> torch.equal(seeded_numbers("a, b", 2, 3), seeded_numbers("a, b", 2, 3))
        True
    """
    seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).random(shape))


def picture_digest(picture: torch.Tensor) -> str:
    """A word for the pixels of a picture, `(3, height, width)` with values to 255: the same for the same pixels."""
    levels = picture.detach() if picture.dtype == torch.uint8 else picture.detach().round().clamp(0, 255)
    shape = "x".join(map(str, picture.shape)).encode()
    return hashlib.blake2b(levels.byte().cpu().contiguous().numpy().tobytes(), key=shape, digest_size=16).hexdigest()


# ---- sizes ----


def aligned_sizes(
    sizes: list[tuple[int, int]],
    patch_size: int,
    sequence_length: int,
    shortest_edge: int,
    longest_edge: int,
    side: int = 0,
) -> list[tuple[int, int]]:
    """
    Heights and widths that a picture, or the two of a pair, are resized to, proportions kept.

    1. A side above `longest_edge` is brought down to it.
    2. Both get the larger one of their heights (`side` 0) or of their widths (`side` 1).
    3. Where one of them has no more small patches than the sequence has slots, both are enlarged by the larger one of
       the factors that bring each to 1.2 patches a slot, with `shortest_edge` at least.

    In the end no side exceeds `longest_edge`, and none is 0: our choice for pictures that are very long.

    Example:
        >>> aligned_sizes([(300, 400), (200, 300)], 16, 512, 384, 2048)
        [(384, 512), (384, 576)]
    """
    exact = [_shrunk(height, width, longest_edge) for height, width in sizes]
    target = max(size[side] for size in exact)
    exact = [(height * target / size[side], width * target / size[side]) for size in exact for height, width in [size]]
    factors = [
        max(
            math.sqrt(OVERFULL * sequence_length * patch_size**2 / (height * width)),
            shortest_edge / min(height, width),
            1.0,
        )
        for height, width in exact
        if int(height // patch_size) * int(width // patch_size) <= sequence_length
    ]
    factor = min(max(factors, default=1.0), longest_edge / max(max(size) for size in exact))
    return [(max(1, round(height * factor)), max(1, round(width * factor))) for height, width in exact]


def _shrunk(height: float, width: float, longest_edge: int) -> tuple[float, float]:
    factor = min(1.0, longest_edge / max(height, width))
    return height * factor, width * factor


def fit_to_grid(picture: torch.Tensor, cell: int) -> torch.Tensor:
    """
    Cuts a picture `(3, height, width)` at its lower and right end, or repeats its last row and column, up to a
    multiple of `cell` pixels: whichever changes fewer pixels.

    Example:
        >>> fit_to_grid(torch.zeros(3, 400, 37), 32).shape
        torch.Size([3, 416, 32])
    """
    height, width = (max(1, (side + cell // 2) // cell) * cell for side in picture.shape[-2:])
    picture = picture[:, :height, :width]
    below, right = height - picture.shape[1], width - picture.shape[2]
    if below or right:
        picture = F.pad(picture[None].float(), (0, right, 0, below), mode="replicate")[0].to(picture.dtype)
    return picture


# ---- where to look closely ----


def cut_patches(picture: torch.Tensor, cell: int) -> torch.Tensor:
    """`(3, rows * cell, columns * cell)` -> `(rows, columns, 3, cell, cell)`."""
    channels, height, width = picture.shape
    grid = picture.reshape(channels, height // cell, cell, width // cell, cell)
    return grid.permute(1, 3, 0, 2, 4)


def pair_importance(
    first: torch.Tensor, second: torch.Tensor, numbers: torch.Tensor, flat: bool = False
) -> list[torch.Tensor]:
    r"""
    How much the two pictures of a pair differ at each patch: \\(1 - \mathrm{SSIM}\\), in [0, 1].

    Args:
        first, second (`torch.Tensor` of shape `(rows, columns, 3, cell, cell)`):
            Patches of the two, values in [0, 1]. Patches of one row and column are compared.
        numbers (`torch.Tensor` of shape `(max_rows, max_columns)`):
            Random, in [0, 1). A patch that only one of them has is as important as one that both have, drawn by these.
            That is our choice: with the numbers themselves, as in the released code, such patches push out those in
            which two pictures differ a little.
        flat (`bool`, *optional*, defaults to `False`):
            Do as the released code does. It compares patches of one number, counted row by row: of pictures of
            different widths these lie in different columns.

    Returns:
        `list[torch.Tensor]`: of both, `(rows, columns)` each.
    """
    if flat:
        answer = [numbers[: each.shape[0], : each.shape[1]].clone() for each in (first, second)]
        shared = min(first.shape[0] * first.shape[1], second.shape[0] * second.shape[1])
        both = [each.flatten(0, 1)[:shared] for each in (first, second)]
        difference = (1 - structural_similarity(*both)).clamp(0, 1).to(numbers.dtype)
        for each in answer:
            each.view(-1)[:shared] = difference
        return answer
    rows, columns = (min(first.shape[axis], second.shape[axis]) for axis in (0, 1))
    both = [each[:rows, :columns].flatten(0, 1) for each in (first, second)]
    difference = (1 - structural_similarity(*both)).clamp(0, 1).to(numbers.dtype)
    drawn = difference.sort().values[(numbers * len(difference)).long()]
    answer = [drawn[: each.shape[0], : each.shape[1]].clone() for each in (first, second)]
    for each in answer:
        each[:rows, :columns] = difference.view(rows, columns)
    return answer


def lost_detail(patches: torch.Tensor) -> torch.Tensor:
    r"""
    What coarse tokens lose of a picture without a partner: \\(1 - \mathrm{SSIM}\\) of each patch and its coarse token
    at full size again, `(rows, columns, 3, cell, cell)` with values in [0, 1] -> `(rows, columns)`.
    """
    flat = patches.flatten(0, 1)
    shown = F.interpolate(shrink_patches(flat), size=flat.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)
    return (1 - structural_similarity(flat, shown)).clamp(0, 1).double().view(patches.shape[:2])


def choose_patches(
    importance: torch.Tensor, order: torch.Tensor, num_refined: int, candidate_share: float
) -> torch.Tensor:
    """
    The patches to look at closely: of the most important ones, those that come first in a random order.

    Args:
        importance (`torch.Tensor` of shape `(rows, columns)`):
            Of the patches.
        order (`torch.Tensor` of shape `(rows, columns)`):
            A number for each patch; the lowest come first, also among patches of one importance.
        num_refined (`int`):
            How many; fewer where there are fewer candidates.
        candidate_share (`float`):
            Share of the patches that are candidates.

    Returns:
        `torch.Tensor`: Their numbers, counted row by row, ascending.

    Example:
        >>> importance = torch.tensor([[0.1, 0.9], [0.8, 0.0]])
        >>> choose_patches(importance, torch.tensor([[0.0, 0.7], [0.2, 0.1]]), 1, 0.5)
        tensor([2])
    """
    first = order.flatten().argsort(stable=True)
    by_importance = first[importance.flatten()[first].argsort(descending=True, stable=True)]
    candidates = by_importance[: math.ceil(candidate_share * importance.numel())]
    chosen = candidates[order.flatten()[candidates].argsort(stable=True)][:num_refined]
    return chosen.sort().values


# ---- tokens ----


def shrink_patches(patches: torch.Tensor) -> torch.Tensor:
    """Patches at half the resolution, by bicubic interpolation without aliases: `(..., 2 p, 2 p)` -> `(..., p, p)`."""
    cell = patches.shape[-1]
    # what interpolation does to each unit vector is the matrix that does it to all patches, many times as fast
    units = torch.eye(cell, dtype=patches.dtype, device=patches.device).view(1, cell, 1, cell)
    matrix = F.interpolate(units, size=(1, cell // 2), mode="bicubic", align_corners=False, antialias=True).view(
        cell, -1
    )
    return (matrix.T @ patches @ matrix).clamp(0, 1)


def cut_tokens(patches: torch.Tensor, refined: torch.Tensor, row_major_positions: bool = False) -> DiffTokens:
    """
    All tokens of a picture: four fine ones of each refined patch, a coarse one of every other.

    Args:
        patches (`torch.Tensor` of shape `(rows, columns, 3, cell, cell)`):
            Values in [0, 1].
        refined (`torch.Tensor`):
            Numbers of the refined patches, counted row by row, ascending.
        row_major_positions (`bool`, *optional*, defaults to `False`):
            Give fine tokens, which come patch by patch, the positions of the fine grid row by row, which are others.
    """
    rows, columns, channels, cell, _ = patches.shape
    size, flat = cell // 2, patches.flatten(0, 1)
    is_refined = torch.zeros(rows * columns, dtype=torch.bool)
    is_refined[refined] = True
    kept = (~is_refined).nonzero().squeeze(1)
    fine = flat[refined].reshape(-1, channels, 2, size, 2, size).permute(0, 2, 4, 1, 3, 5)
    fine = fine.reshape(-1, channels, size, size)  # upper left, upper right, lower left, lower right
    places = torch.stack([kept // columns, kept % columns], dim=1)
    corners = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    fine_places = (2 * torch.stack([refined // columns, refined % columns], dim=1)[:, None] + corners).flatten(0, 1)
    if row_major_positions:
        fine_places = fine_places[(fine_places[:, 0] * 2 * columns + fine_places[:, 1]).argsort()]
    grid = torch.tensor([rows, columns], dtype=torch.float64)
    return DiffTokens(
        torch.cat([shrink_patches(flat[kept]), fine]),
        torch.cat([(places + 0.5) / grid, (fine_places + 0.5) / (2 * grid)]).float(),
        torch.cat([torch.full((len(kept),), COARSE), torch.full((len(fine),), FINE)]),
    )


def fill_slots(
    tokens: DiffTokens, num_slots: int, refined: torch.Tensor, numbers: torch.Tensor, by_patch_number: bool = False
) -> DiffTokens:
    """
    Exactly `num_slots` tokens: of too many, coarse ones are dropped at random; too few are filled up with padding.

    Args:
        tokens ([`DiffTokens`]):
            All tokens of a picture.
        num_slots (`int`):
            Length of the sequence without its class token.
        refined (`torch.Tensor`):
            Numbers of the refined patches, ascending.
        numbers (`torch.Tensor` of shape `(rows, columns, 4)`):
            For each patch; the tokens with the highest go. That of a coarse token is the first of its patch.
        by_patch_number (`bool`, *optional*, defaults to `False`):
            Keep the tokens whose place in the sequence is the number of a refined patch, instead of the fine ones.
    """
    surplus = len(tokens.scales) - num_slots
    if surplus > 0:
        is_fine = tokens.scales == FINE
        is_coarse_patch = torch.ones(numbers.shape[0] * numbers.shape[1], dtype=torch.bool)
        is_coarse_patch[refined] = False
        flat = numbers.flatten(0, 1)
        rank = torch.cat([flat[is_coarse_patch, 0], flat[refined].flatten()])
        rank[refined if by_patch_number else is_fine] = -1.0
        kept = rank.argsort(stable=True)[:num_slots].sort().values
        return DiffTokens(tokens.pixels[kept], tokens.positions[kept], tokens.scales[kept])
    return DiffTokens(
        F.pad(tokens.pixels, (0, 0, 0, 0, 0, 0, 0, -surplus)),
        F.pad(tokens.positions, (0, 0, 0, -surplus)),
        F.pad(tokens.scales, (0, -surplus), value=PADDING),
    )
