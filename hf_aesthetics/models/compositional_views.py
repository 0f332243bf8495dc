"""Pictures of which some patches are those of another picture, or masked. Pure functions of `pixel_values`.

Know nothing about networks or losses, nor what the labels mean.
"""

from typing import Literal

import torch


MaskFill = Literal["zero", "mean", "noise"]


def choose_cells(
    batch_size: int,
    grid: int,
    share: float,
    device: torch.device | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """
    Draws which cells of a grid are exchanged, for each picture anew.

    Args:
        batch_size (`int`):
            Number of pictures.
        grid (`int`):
            Cells along each side, at least 1.
        share (`float`):
            Of all cells, in [0, 1]; `round(share * grid**2)` of them are drawn.
        device (`torch.device`, *optional*):
            Of the answer.
        generator (`torch.Generator`, *optional*):
            Source of what is drawn, on any device; PyTorch's own by default.

    Returns:
        `torch.Tensor`: bool of shape `(batch_size, grid, grid)`.

    Raises:
        ValueError: If there is no such grid or share.

    Example:
        >>> choose_cells(2, grid=4, share=0.3).sum(dim=(1, 2))
        tensor([5, 5])
    """
    if grid < 1 or not 0 <= share <= 1:
        raise ValueError(f"A grid needs at least 1 cell a side and a share in [0, 1], got {grid} and {share}.")
    order = _draw((batch_size, grid * grid), device, generator).argsort(dim=1).argsort(dim=1)
    return (order < round(share * grid * grid)).view(batch_size, grid, grid)


def exchange_cells(pixel_values: torch.Tensor, others: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """
    Pictures with some cells of the pictures in the same places of `others`. Where sides are no multiples of the grid,
    cells differ by a pixel.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, channels, height, width)`):
            Pictures, which stay as they are.
        others (`torch.Tensor`, of a shape that expands to it):
            What the cells show.
        cells (`torch.Tensor` of shape `(batch_size, grid, grid)`, bool):
            Which ones.

    Raises:
        ValueError: If the grid is finer than the pictures.

    Example:
        >>> cells = torch.tensor([[[True, False], [False, False]]])
        >>> exchange_cells(torch.zeros(1, 1, 2, 4), torch.ones(1, 1, 2, 4), cells)
        tensor([[[[1., 1., 0., 0.],
                  [0., 0., 0., 0.]]]])
    """
    height, width = pixel_values.shape[-2:]
    grid = cells.shape[-1]
    if grid > min(height, width):
        raise ValueError(
            f"A cell must have at least one pixel, got {grid} cells a side for {height} x {width} pixels. Choose a "
            "coarser grid."
        )
    rows, columns = (torch.arange(side, device=cells.device) * grid // side for side in (height, width))
    inside = cells[:, rows][:, :, columns].unsqueeze(1)  # (B, 1, H, W)
    return torch.where(inside, others, pixel_values)


def choose_donors(labels: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """
    For each picture of a batch another one, of another label, all of which are equally likely.

    Args:
        labels (`torch.Tensor` of shape `(batch_size,)`):
            Categories of the pictures.
        generator (`torch.Generator`, *optional*):
            Source of what is drawn.

    Returns:
        `torch.Tensor`: int64 of shape `(batch_size,)`, rows of the batch.

    Raises:
        ValueError: If all pictures have one label.

    Example:
        >>> choose_donors(torch.tensor([7, 7, 3]))[:2]
        tensor([2, 2])
    """
    differs = labels[:, None] != labels[None, :]
    if not differs.any(dim=1).all():
        found = f"{len(labels)} of label {labels[0].item()}" if len(labels) else "none"
        raise ValueError(
            f"Patches come from pictures of another label, so a batch must have at least 2 labels, got {found}. Draw "
            "batches across categories, or use larger ones."
        )
    drawn = _draw(differs.shape, labels.device, generator)
    return torch.where(differs, drawn, -1).argmax(dim=1)


def replaced_view(
    pixel_values: torch.Tensor,
    labels: torch.Tensor,
    grid: int = 4,
    share: float = 0.3,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """
    Pictures of which some patches show what a picture of another category has in the same places, after compositional
    feature embedding ([Sun et al. 2021](https://huggingface.co/papers/2109.12380)).

    The abstract says what is done and gives no numbers. That all patches of a picture come from one other, that they
    keep their places, and the grid, are our choice.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, channels, height, width)`):
            Pictures, which stay as they are.
        labels (`torch.Tensor` of shape `(batch_size,)`):
            Their categories; those of the views are the same.
        grid (`int`, *optional*, defaults to 4), share (`float`, *optional*, defaults to 0.3), generator \
        (`torch.Generator`, *optional*):
            As in [`choose_cells`].

    Returns:
        `torch.Tensor` of the shape of `pixel_values`.

    Raises:
        ValueError: If all pictures have one label, unless nothing is replaced.

    Example:
        >>> pictures = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1).expand(2, 1, 8, 8)
        >>> replaced_view(pictures, torch.tensor([0, 1])).mean(dim=(1, 2, 3))  # 5 of 16 cells are the other's
        tensor([1.3125, 1.6875])
    """
    cells = choose_cells(len(pixel_values), grid, share, pixel_values.device, generator)
    if not round(share * grid * grid):
        return pixel_values.clone()
    return exchange_cells(pixel_values, pixel_values[choose_donors(labels, generator)], cells)


def masked_view(
    pixel_values: torch.Tensor,
    grid: int = 4,
    share: float = 0.3,
    fill: MaskFill = "zero",
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """
    Pictures of which some patches are masked, after the same paper.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, channels, height, width)`):
            Pictures, which stay as they are.
        grid (`int`, *optional*, defaults to 4), share (`float`, *optional*, defaults to 0.3), generator \
        (`torch.Generator`, *optional*):
            As in [`choose_cells`].
        fill (`str`, *optional*, defaults to `"zero"`):
            What the mask shows: `"zero"`, which is the mean of the data where pixels are normalised; `"mean"`, that of
            each picture and channel; or uniform `"noise"` of the same mean and spread.

    Returns:
        `torch.Tensor` of the shape of `pixel_values`.

    Example:
        >>> masked_view(torch.ones(1, 1, 8, 8), grid=2, share=0.25).sum()
        tensor(48.)
    """
    cells = choose_cells(len(pixel_values), grid, share, pixel_values.device, generator)
    if fill == "zero":
        others = pixel_values.new_zeros(())
    else:
        others = pixel_values.mean(dim=(-2, -1), keepdim=True)
        if fill == "noise":
            noise = 12**0.5 * (_draw(pixel_values.shape, pixel_values.device, generator) - 0.5)  # of spread 1
            others = others + pixel_values.std(dim=(-2, -1), keepdim=True) * noise.to(pixel_values)
    return exchange_cells(pixel_values, others, cells)


def _draw(
    shape: tuple[int, ...] | torch.Size, device: torch.device | None, generator: torch.Generator | None
) -> torch.Tensor:
    """Uniform numbers; those of a generator are drawn where it lives, so that they are the same on every device."""
    source = device if generator is None else generator.device
    return torch.rand(shape, device=source, generator=generator).to(device)
