"""Pictures of a series with patches of better ones: differences that are smaller than those at hand.

Knows nothing about models or batches.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from ..models.compositional_views import choose_cells, exchange_cells
from ..models.diff_tokens import seeded_numbers
from ..models.rgb_conversion import convert_to_rgb


def graded_series(
    images: Sequence[Image.Image], ranks: Sequence[int], key: str, grid: int = 4, share: float = 0.7
) -> list[Image.Image]:
    """
    A series in which one picture comes closer to the next better one, by patches that it takes over from the same
    places: compositional views ([Sun et al. 2021](https://huggingface.co/papers/2109.12380)) whose categories are
    ranks.

    The ranks stay true, because what has patches of both lies between them; so do choices and captions, as far as they
    say which of two is better. Seen from the better picture, it is one with some patches of a worse one. That this
    makes it a graded negative, and nothing else in the series changes, is our choice. Seams can show where two
    pictures do not lie over each other.

    Args:
        images (`Sequence[PIL.Image.Image]`):
            The pictures.
        ranks (`Sequence[int]`):
            Their places, 0 the best. A picture that shares its place with another is left alone, and so is one of
            another size than the next better one.
        key (`str`):
            From which follows what is drawn.
        grid (`int`, *optional*, defaults to 4):
            Cells along each side.
        share (`float`, *optional*, defaults to 0.7):
            Of the cells, that come from the better picture.

    Returns:
        `list[PIL.Image.Image]`: The pictures, one of them replaced, upright and in sRGB; or as they are, where none
        can be, or nothing of the difference to the better one would be left.

    Example:
        >>> burst = [Image.new("L", (8, 8), level) for level in (200, 100)]
        >>> [round(np.asarray(image).mean()) for image in graded_series(burst, [0, 1], "a word")]
        [200, 169]
    """
    pictures = [convert_to_rgb(image) for image in images]
    steps = []
    for worse, rank in enumerate(ranks):
        better = max((each for each in ranks if each < rank), default=None)
        if better is not None and list(ranks).count(rank) == 1:
            both = pictures[list(ranks).index(better)], pictures[worse]
            steps += [(worse, *both)] if both[0].size == both[1].size else []
    if not steps:
        return list(images)
    drawn = seeded_numbers(key, 2)
    worse, *both = steps[int(drawn[0] * len(steps))]
    first, second = (torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] for picture in both)
    cells = choose_cells(1, grid, share, generator=torch.Generator().manual_seed(int(drawn[1] * 2**53)))
    mixed = exchange_cells(second, first, cells)
    if torch.equal(mixed, first):
        return list(images)
    answer = list(images)
    answer[worse] = Image.fromarray(mixed[0].permute(1, 2, 0).numpy())
    return answer
