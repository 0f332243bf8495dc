"""The table of modalities: one kind of visual information of a picture each, as a picture.

Knows nothing about files or scores, and runs no network. A new modality is one row of `MODALITIES`, and one function
or one checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .blur_maps import blur_map, laplacian_blur_map, tenengrad_blur_map
from .color_spaces import rgb_to_luma
from .saliency_maps import border_contrast_map, frequency_tuned_map, saliency_map, spectral_residual_map


@dataclass(frozen=True)
class Modality:
    """
    What a modality shows, and what makes its maps: a function or a network; neither where it is the picture itself.

    Args:
        meaning (`str`):
            What the map shows, in words that a report prints.
        function (`Callable`, *optional*):
            Makes the maps in closed form: pictures of shape `(batch_size, 3, height, width)` in [0, 1] -> maps of
            shape `(batch_size, 1, height, width)` in [0, 1].
        task (`str`, *optional*):
            What the network does that makes the maps: `"depth-estimation"` or `"image-segmentation"`.
        checkpoint (`str`, *optional*):
            Network that is taken where none is named.
        version (`int`, *optional*, defaults to 1):
            Raised when the function changes what comes out, so that maps which were kept are made anew.

    Example:
        >>> Modality("how red each place is", function=lambda images: images[:, :1]).task is None
        True
    """

    meaning: str
    function: Callable[[torch.Tensor], torch.Tensor] | None = None
    task: str | None = None
    checkpoint: str | None = None
    version: int = 1


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


MODALITIES: dict[str, Modality] = {
    "rgb": Modality("the picture itself"),
    "gray": Modality("lightness without colour", rgb_to_luma),
    "constant": Modality("nothing at all", constant_map),
    "saliency": Modality("what stands out", saliency_map),
    "saliency_border": Modality("what stands out from the border", border_contrast_map),
    "saliency_spectral": Modality("odd structure (spectral residual)", spectral_residual_map),
    "saliency_frequency": Modality("odd colour (frequency-tuned)", frequency_tuned_map),
    "saliency_u2net": Modality("objects that stand out", task="image-segmentation"),
    "blur": Modality("how blurred each place is (local binary patterns)", blur_map),
    "blur_laplacian": Modality("how blurred each place is (variance of the Laplacian)", laplacian_blur_map),
    "blur_tenengrad": Modality("how blurred each place is (energy of the gradient)", tenengrad_blur_map),
    "depth": Modality(
        "how near each place is",
        task="depth-estimation",
        checkpoint="depth-anything/Depth-Anything-V2-Small-hf",
    ),
}
EARLY_FUSION = "rgb+"  # the picture with a map as its fourth channel


def check_modality(modality: str) -> None:
    """
    Raises a `ValueError` that lists the modalities, unless `modality` is one of them or `"rgb+<map>"`.

    Example:
        >>> check_modality("rgb+saliency")
    """
    name = modality.removeprefix(EARLY_FUSION)
    if name not in MODALITIES or modality == f"{EARLY_FUSION}rgb":
        raise ValueError(
            f"`modality` must be one of {sorted(MODALITIES)}, or 'rgb+' and one of the maps, got {modality!r}."
        )


def split_modality(modality: str) -> tuple[bool, str | None]:
    """
    Whether a model of this modality sees the picture, and which map it sees.

    Example:
        >>> split_modality("rgb"), split_modality("depth"), split_modality("rgb+depth")
        ((True, None), (False, 'depth'), (True, 'depth'))
    """
    check_modality(modality)
    if modality == "rgb":
        return True, None
    return modality.startswith(EARLY_FUSION), modality.removeprefix(EARLY_FUSION)


def make_modality_maps(images: torch.Tensor, map_name: str) -> torch.Tensor:
    """
    Makes the closed-form maps of a batch. Every such map, cached or made on the fly, is what this function returns.

    Args:
        images (`torch.Tensor` of shape `(batch_size, 3, height, width)`, uint8):
            sRGB pictures.
        map_name (`str`):
            A key of `MODALITIES` that has a function.

    Returns:
        `torch.Tensor` of shape `(batch_size, 1, height, width)`, uint8.

    Raises:
        ValueError: If there is no such modality, it is the picture itself, or a network makes its maps.

    Example:
        >>> make_modality_maps(torch.full((1, 3, 1, 2), 200, dtype=torch.uint8), "gray").tolist()
        [[[[200, 200]]]]
    """
    if map_name not in MODALITIES:
        raise ValueError(f"A map must be one of {sorted(MODALITIES.keys() - {'rgb'})}, got {map_name!r}.")
    function, task = MODALITIES[map_name].function, MODALITIES[map_name].task
    if function is None:
        reason = "is the picture itself and has no map. Pass the pictures to the processor"
        if task is not None:
            reason = f"comes from a network for {task}. Make the maps first, and pass them as `modality_maps`"
        raise ValueError(f"{map_name!r} {reason}.")
    return (function(images.float() / 255) * 255).round().clamp(0, 255).to(torch.uint8)
