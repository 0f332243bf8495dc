"""Closed-form modality maps: one kind of visual information of a picture, as a picture, batched.

Knows nothing about networks, files or scores. A new closed-form modality is one function here and one row in
`MODALITY_MAPS`.
"""

from collections.abc import Callable

import torch


def gray_map(images: torch.Tensor) -> torch.Tensor:
    r"""
    Luma, \\(0.299 R + 0.587 G + 0.114 B\\) (ITU-R BT.601): the control without colour.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)` in [0, 1].

    Example:
        >>> gray_map(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).item()
        0.29899999499320984
    """
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=images.dtype, device=images.device)
    return (images * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def constant_map(images: torch.Tensor) -> torch.Tensor:
    """
    Nothing at all: the control under which a model can only learn the constant predictor.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`):
            sRGB pictures in [0, 1].

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)`, all 0.

    Example:
        >>> constant_map(torch.rand(1, 3, 2, 2)).sum().item()
        0.0
    """
    return torch.zeros_like(images[:, :1])


# `rgb` is the picture itself
MODALITY_MAPS: dict[str, Callable[[torch.Tensor], torch.Tensor] | None] = {
    "constant": constant_map,
    "gray": gray_map,
    "rgb": None,
}


def check_modality(modality: str) -> None:
    """Raises a `ValueError` that lists the modalities, unless `modality` is one of them."""
    if modality not in MODALITY_MAPS:
        raise ValueError(f"`modality` must be one of {sorted(MODALITY_MAPS)}, got {modality!r}.")


def make_modality_maps(images: torch.Tensor, modality: str) -> torch.Tensor:
    """
    Makes the maps of a batch. Every map, cached or made on the fly, is what this function returns.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`, uint8):
            sRGB pictures.
        modality (`str`):
            A key of `MODALITY_MAPS` other than `"rgb"`.

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)`, uint8.

    Raises:
        ValueError: If there is no such modality, or it is the picture itself.

    Example:
        >>> make_modality_maps(torch.full((1, 3, 1, 2), 200, dtype=torch.uint8), "gray").tolist()
        [[[[200, 200]]]]
    """
    check_modality(modality)
    function = MODALITY_MAPS[modality]
    if function is None:
        raise ValueError(f"{modality!r} is the picture itself and has no map. Pass the pictures to the processor.")
    return (function(images.float() / 255) * 255).round().clamp(0, 255).to(torch.uint8)
