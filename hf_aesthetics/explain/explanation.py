"""
Explaining a prediction: which parts of a picture raise its score, and which lower it.

Knows nothing about colours or files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from ..extraction import ModalityExtractor
from ..images import read_image
from ..models.image_processing_modality import view_box
from ..pipelines import make_pixel_values
from .activation_maps import cam, grad_cam, grad_cam_plus_plus
from .pixel_maps import integrated_gradients, occlusion
from .prediction import Prediction


METHODS: dict[str, Callable[..., torch.Tensor]] = {
    function.__name__: function for function in (grad_cam, grad_cam_plus_plus, cam, integrated_gradients, occlusion)
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """
    Why a picture has its score.

    Args:
        heat (`np.ndarray` of shape `(h, w)`, float32):
            In the proportions of the picture: positive where it raises the target, negative where it lowers it, 0
            where the model does not look. In the unit of the target for `integrated_gradients`, a pixel, and for
            `occlusion`; in no unit otherwise.
        method (`str`):
            How it was made.
        score (`float`):
            The predicted mean score, in rating units.
        target (`str`):
            Which output is explained.
    """

    heat: np.ndarray
    method: str
    score: float
    target: str = "score"


def explain(
    model: PreTrainedModel,
    processor: BaseImageProcessor,
    image: Any,
    method: str = "grad_cam",
    modality_map: Any = None,
    target: str = "score",
    extractor: ModalityExtractor | None = None,
    **options: Any,
) -> Explanation:
    """
    Explains what a scorer says of a picture. The model stays as it is.

    `grad_cam`, `grad_cam_plus_plus` and `cam` are coarse, quick, and need a model with `supports_spatial_explanation`;
    `integrated_gradients` and `occlusion` are fine and work with every scorer. Where two methods disagree, trust the
    one that is more faithful to this model: `faithfulness.py` measures it.

    Args:
        model (`PreTrainedModel`):
            A scorer, such as [`NimaForAestheticAssessment`].
        processor (`BaseImageProcessor`):
            Its image processor.
        image (`str`, `os.PathLike`, `bytes` or `PIL.Image.Image`):
            The picture.
        method (`str`, *optional*, defaults to `"grad_cam"`):
            One of `METHODS`.
        modality_map (`PIL.Image.Image` or `np.ndarray`, *optional*):
            Map of the picture that was made before, for a model that sees one. It is made where it is missing.
        target (`str`, *optional*, defaults to `"score"`):
            Which output to explain: `"score"`, or `"score_std"` for how much people disagree.
        extractor ([`ModalityExtractor`], *optional*):
            The network that makes the map, if the model sees such a map; it is loaded anew where it is left out.
        **options:
            Of the method: see [`integrated_gradients`] and [`occlusion`].

    Raises:
        ImageReadError: If the picture cannot be read.
        ValueError: If there is no such method or target, or the model does not suit the method.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> explain(model, ModalityImageProcessor(), Image.new("RGB", (640, 480))).heat.shape
        (168, 224)
    """
    picture = read_image(image)
    if modality_map is None and extractor is None:
        extractor = ModalityExtractor.of_processor(processor, model.device)
    maps = None if modality_map is None else [modality_map]
    prediction = Prediction(model, make_pixel_values(processor, [picture], maps, extractor), target)
    heat = explain_prediction(prediction, method, **options)
    score = Prediction(model, prediction.inputs).values(prediction.pixel_values).item()
    return Explanation(place_in_picture(heat, picture.size, processor), method, score, target)


def explain_prediction(prediction: Prediction, method: str = "grad_cam", **options: Any) -> torch.Tensor:
    """
    The heat of what the model saw, for who has model inputs in place of a picture.

    Args:
        prediction ([`Prediction`]):
            Model and inputs.
        method (`str`, *optional*, defaults to `"grad_cam"`), **options:
            As in [`explain`].

    Returns:
        `torch.Tensor` of shape `(height, width)`, float32 on the CPU, as large as `pixel_values`.

    Raises:
        ValueError: If there is no such method, the model does not suit it, or it answers with NaN.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {list(METHODS)}, got {method!r}.")
    heat = METHODS[method](prediction, **options).float().cpu()
    if not heat.isfinite().all():
        raise ValueError(
            f"Scores and gradients of {type(prediction.model).__name__} must be finite, but {method!r} met NaN or "
            "infinity. Choose 'occlusion', which needs no gradients, or look at the weights."
        )
    return _resize(heat, *prediction.inputs["pixel_values"].shape[-2:])


def place_in_picture(heat: torch.Tensor, size: tuple[int, int], processor: Any) -> np.ndarray:
    """
    Heat of what the model saw, back in the frame of the picture: [`Explanation.heat`].

    Args:
        heat (`torch.Tensor` of shape `(height, width)`):
            What [`explain_prediction`] gives.
        size (`tuple[int, int]`):
            Width and height of the picture.
        processor (`BaseImageProcessor`):
            Which part of the picture the model saw.

    Returns:
        `np.ndarray`, float32, with 0 where the model did not look. The longer side of what it saw stays as long.
    """
    width, height = size
    view, crop_fraction = getattr(processor, "view", "squash"), getattr(processor, "crop_fraction", 1.0)
    top, left, box_height, box_width = view_box(height, width, processor.size, view, crop_fraction)
    scale = max(heat.shape) / max(box_height, box_width)
    edges = [round(scale * edge) for edge in (top, left, top + box_height, left + box_width, height, width)]
    top, left, bottom, right = edges[:4]
    bottom, right = max(bottom, top + 1), max(right, left + 1)
    canvas = np.zeros((max(edges[4], bottom), max(edges[5], right)), dtype=np.float32)
    canvas[top:bottom, left:right] = _resize(heat, bottom - top, right - left).numpy()
    return canvas


def _resize(heat: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """`(h, w)` -> `(height, width)`."""
    if heat.shape == (height, width):
        return heat
    return F.interpolate(heat[None, None], (height, width), mode="bilinear", align_corners=False, antialias=True)[0, 0]
