"""
A scorer as a reward of a generator: a score with a gradient to the pixels.

Knows nothing about generators or how they are trained.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import BatchFeature, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor

from ..models.image_processing_modality import shrink, view_box
from ..models.modality_maps import MODALITIES, split_modality
from ..pipelines import check_scorer_config, make_pixel_values
from .scorer import AestheticScorer


_OVERSHOOT = 0.25  # of the range: decoders leave it a little, pictures of another range by far
_CENTRED = (0.5, 0.5, 0.5)  # statistics of a map behind the picture
_ROUNDING = 1e-5  # by which the weights of a resize may miss a sum of 1


class AestheticReward(nn.Module):
    """
    Scores of pictures in rating units, with a gradient to the pictures: pictures in, one number each out, higher is
    better.

    A batch of floats keeps its graph. The processor itself resizes and normalises it, as floats in place of 8-bit
    numbers: what comes out is the score of the saved picture, up to the rounding of its pixels. That is one level of
    255 at most, and the third of one on average; with bicubic interpolation, whose 8-bit version clips on the way,
    single pixels differ by more. Networks that hang on single levels show it: the scores of an EfficientNet on
    photographs move by 0.01 as a rule, and by 0.08 at most, where they differ by 0.8 between pictures. Values beyond
    `value_range` count as its ends, as in a saved picture, so that there is no gradient there.

    A list of pictures is scored as [`AestheticScorer`] does it, to the last bit, without gradients. So one object
    serves trainers that differentiate the reward and those that only ask for it, such as policy gradients.

    The weights are frozen and the model stays in eval mode, also in a generator that is set to train. The gradient
    leads to pictures that the scorer likes, and before long to ones that only the scorer likes: watch another scorer
    meanwhile.

    Args:
        model (`PreTrainedModel`):
            A scorer, such as [`NimaForAestheticAssessment`]. It is frozen and set to eval mode.
        processor ([`ModalityImageProcessor`]):
            Its image processor.
        value_range (`tuple[float, float]`, *optional*, defaults to `(0.0, 1.0)`):
            Values of black and of white in a batch of floats; `(-1.0, 1.0)` for what diffusion models decode.

    Raises:
        ValueError: If the model is no scorer, or sees a map that has no gradient to the picture: one by a network, or
            one that compares and counts.

    Example:
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> reward = AestheticReward(model, ModalityImageProcessor())
        >>> images = torch.rand(2, 3, 96, 128, requires_grad=True)
        >>> reward(images).sum().backward()
        >>> images.grad.shape
        torch.Size([2, 3, 96, 128])
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: BaseImageProcessor,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        check_scorer_config(model.config, model.name_or_path or type(model).__name__)
        self.processor: Any = processor
        _, map_name = split_modality(self.processor.modality)
        self._make_maps = None if map_name is None else _map_function(map_name)
        self.model = model.eval().requires_grad_(False)
        self.value_range = value_range

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | os.PathLike[str],
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
        **kwargs: Any,
    ) -> "AestheticReward":
        """
        Loads a checkpoint.

        Args:
            checkpoint (`str` or `os.PathLike`):
                A folder, or a repository on the Hub.
            value_range (`tuple[float, float]`, *optional*, defaults to `(0.0, 1.0)`):
                As in [`AestheticReward`].
            **kwargs:
                `revision`, `device` and `trust_remote_code`, as in [`AestheticScorer.from_pretrained`].

        Raises:
            OSError: If there is no such checkpoint or revision, or it cannot be read.
            ValueError: If it is no scorer, or sees a map that has no gradient to the picture.
        """
        scorer = AestheticScorer.from_pretrained(checkpoint, **kwargs)
        return cls(scorer.model, scorer.processor, value_range)

    def train(self, mode: bool = True) -> "AestheticReward":
        """Stays in eval mode: dropout and batch statistics would make another scorer of it."""
        return super().train(False)

    def forward(self, images: torch.Tensor | Sequence[Any]) -> torch.Tensor:
        """
        Scores pictures.

        Args:
            images (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`, or a sequence):
                A batch with values in `value_range`, of any float type; or pictures as [`AestheticScorer.score`] takes
                them, such as a list of `PIL.Image.Image`, which need not be of one size, or a batch of 8-bit integers.

        Returns:
            `torch.FloatTensor` of shape `(batch_size,)`: scores in rating units, float32. Trainers without
            gradients want `.tolist()` of it.

        Raises:
            ImageReadError: If a picture of a list cannot be read.
            ValueError: If a batch has another shape, or its values are far beyond `value_range`.
        """
        if isinstance(images, torch.Tensor) and images.is_floating_point():
            return self._score(self._differentiable_inputs(images))
        with torch.no_grad():
            return self._score(make_pixel_values(self.processor, images))

    def _score(self, inputs: BatchFeature) -> torch.Tensor:
        return self.model(**inputs.to(self.model.device, self.model.dtype)).score.float()

    def _differentiable_inputs(self, images: torch.Tensor) -> BatchFeature:
        """What the processor makes of 8-bit pictures, of floats."""
        low, high = self.value_range
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"A batch of floats must have shape (batch_size, 3, height, width), got {tuple(images.shape)}. "
                "Pass pictures of several sizes as a list of PIL.Image.Image, which have no gradient."
            )
        smallest, largest = (float(x) for x in images.detach().aminmax()) if images.numel() else (low, high)
        margin = _OVERSHOOT * (high - low)
        if not (smallest >= low - margin and largest <= high + margin):
            raise ValueError(
                f"`images` must hold values from {low:g} to {high:g}, got {smallest:g} to {largest:g}. Say which ones "
                "are black and white, as in AestheticReward(..., value_range=(-1.0, 1.0))."
            )
        pictures = ((images.float() - low) / (high - low)).clamp(0, 1)
        if hasattr(self.processor, "differentiable_inputs"):  # which cuts pictures in its own way
            return self.processor.differentiable_inputs(pictures)
        sees_picture, _ = split_modality(self.processor.modality)
        mean, std = self.processor.image_mean, self.processor.image_std
        channels = [self._process(pictures, mean, std)] if sees_picture else []
        if self._make_maps is not None:
            maps = self._make_maps(shrink(pictures, self.processor.map_size)).clamp(0, 1)
            statistics = (_CENTRED, _CENTRED) if channels else (mean, std)
            maps = self._process(maps, *statistics)
            channels.append(maps[:, :1] if channels else maps)
        inputs = {"pixel_values": torch.cat(channels, dim=1)}
        if "aspect_ratio" in self.processor.model_input_names:
            _, _, height, width = self._view_box(pictures)
            inputs["aspect_ratio"] = pictures.new_full((len(pictures),), width / height)
        return BatchFeature(inputs)

    def _process(self, images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
        """Pictures or maps in [0, 1] through view, resize and normalisation of the processor."""
        processor = self.processor
        if processor.do_resize:
            top, left, height, width = self._view_box(images)
            images = images[..., top : top + height, left : left + width]
            images = processor.resize(images, size=processor.size, resample=processor.resample)
        levels = 255 * images.clamp(-_ROUNDING, 1 + _ROUNDING).expand(-1, 3, -1, -1)  # bicubic leaves [0, 1]
        return processor.rescale_and_normalize(
            levels, processor.do_rescale, processor.rescale_factor, processor.do_normalize, mean, std
        )

    def _view_box(self, images: torch.Tensor) -> tuple[int, int, int, int]:
        processor = self.processor
        return view_box(*images.shape[-2:], processor.size, processor.view, processor.crop_fraction)


def _map_function(map_name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """What makes a map, if its maps remember how they came from the pixels."""
    function = MODALITIES[map_name].function
    if function is not None:
        with torch.enable_grad():
            if function(torch.full((1, 3, 64, 64), 0.5, requires_grad=True)).requires_grad:
                return function
    raise ValueError(
        f"A reward needs a gradient from the score to the picture, but the maps {map_name!r} have none: "
        f"{'a network makes them apart' if function is None else 'they compare and count'}. Choose a model for 'rgb', "
        "or sort by score, which needs no gradient."
    )
