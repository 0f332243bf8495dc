"""
One prediction as explanations see it: a model, what it saw, and which number of its answer is asked about.

Knows nothing about files, or about how an explanation is made of scores and gradients.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from ..pipelines import check_scorer_config


@dataclass(frozen=True, eq=False)
class Prediction:
    """
    What a model says of one picture. Asking it leaves no trace in the model: mode, gradients and hooks stay as they
    are, whatever the mode in which it is asked.

    Args:
        model (`PreTrainedModel`):
            A scorer, such as [`NimaForAestheticAssessment`], on any device and in either mode.
        inputs (`Mapping[str, torch.Tensor]`):
            Of one picture, as its processor returns them; `pixel_values` of shape `(1, channels, height, width)`.
        target (`str`, *optional*, defaults to `"score"`):
            Which output is explained, one number a picture: `"score"`, or `"score_std"` for how much people disagree.

    Raises:
        ValueError: If the model is no scorer, or the inputs are those of several pictures.

    Example:
        >>> from hf_aesthetics import NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> prediction = Prediction(model, {"pixel_values": torch.rand(1, 3, 32, 32)})
        >>> features, gradients = prediction.spatial_features()
        >>> features.shape, prediction.values(torch.rand(5, 3, 32, 32)).shape
        (torch.Size([16, 4, 4]), torch.Size([5]))
    """

    model: PreTrainedModel
    inputs: Mapping[str, torch.Tensor]
    target: str = "score"

    def __post_init__(self) -> None:
        check_scorer_config(self.model.config, self.model.name_or_path or type(self.model).__name__)
        shape = tuple(self.inputs["pixel_values"].shape)
        if len(shape) != 4 or shape[0] != 1:
            raise ValueError(
                f"`pixel_values` must be those of one picture, (1, channels, height, width), got {shape}. "
                "Explain one picture after another."
            )

    def rank_places(self, heat: ArrayLike) -> torch.Tensor:
        """
        Ranks of the places of a heat as large as `pixel_values`, the hottest first, of shape `(height, width)`.

        Raises:
            ValueError: If the heat is of another size.
        """
        places, shape = torch.tensor(np.asarray(heat)), self.inputs["pixel_values"].shape[-2:]
        if places.shape != shape:
            raise ValueError(
                f"`heat` must be as large as `pixel_values`, {tuple(shape)}, got {tuple(places.shape)}. "
                "Make it with explain_prediction."
            )
        return places.flatten().argsort(descending=True, stable=True).argsort().view(shape)

    @property
    def pixel_values(self) -> torch.Tensor:
        """What the model saw, float32 of shape `(1, channels, height, width)`, on its device."""
        return self.inputs["pixel_values"].to(self.model.device, torch.float32)

    @property
    def baseline(self) -> torch.Tensor:
        """
        What stands where nothing is shown: the mean colour of the picture, `(1, channels, 1, 1)`.

        Our choice: black, as in many papers, is itself something to see, and makes what is black in a picture seem
        without effect.
        """
        return self.pixel_values.mean(dim=(-2, -1), keepdim=True)

    def values(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """The target of other pictures in place of this one, `(N, channels, height, width)` -> float32 `(N,)`."""
        with _undisturbed(self.model), torch.no_grad():
            return self._answer(self._run(pixel_values))

    def covered_values(self, covers: torch.Tensor, batch_size: int = 16) -> torch.Tensor:
        """
        The target where parts of the picture are covered with its mean colour.

        Args:
            covers (`torch.Tensor` of shape `(num_covers, height, width)`, bool):
                What to cover.
            batch_size (`int`, *optional*, defaults to 16):
                Pictures that go through the model together.

        Returns:
            `torch.Tensor` of shape `(num_covers,)`.
        """
        parts = covers.to(self.model.device)[:, None].split(batch_size)
        return torch.cat([self.values(torch.where(part, self.baseline, self.pixel_values)) for part in parts])

    def pixel_gradients(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Gradients of the target at other pictures in place of this one, `(N, channels, height, width)` each."""
        with _undisturbed(self.model), torch.enable_grad():
            pixel_values = pixel_values.detach().clone().requires_grad_()
            return torch.autograd.grad(self._answer(self._run(pixel_values)).sum(), pixel_values)[0]

    def spatial_features(self) -> tuple[torch.Tensor, torch.Tensor]:
        """
        The last feature that has places, and the gradient of the target at it.

        Returns:
            `tuple[torch.Tensor, torch.Tensor]`, both float32 of shape `(channels, h, w)`.

        Raises:
            ValueError: If the model has no such feature.
        """
        name = type(self.model).__name__
        if not getattr(self.model, "supports_spatial_explanation", False):
            raise ValueError(
                "This method needs a model with `supports_spatial_explanation`, whose score comes from a feature that "
                f"has places, but {name} has none. Choose 'integrated_gradients' or 'occlusion'."
            )
        with _undisturbed(self.model), torch.enable_grad():
            # a frozen model, too, has to remember how it came to its score
            pixel_values = self.pixel_values.detach().clone().requires_grad_()
            outputs = self._run(pixel_values, output_hidden_states=True)
            features = outputs["spatial_features"]
            gradients = torch.autograd.grad(self._answer(outputs).sum(), features)[0]
        if features.ndim == 3:
            features, gradients = self._patches(features), self._patches(gradients)
        return features[0].detach().float(), gradients[0].float()

    def _run(self, pixel_values: torch.Tensor, **kwargs) -> ModelOutput:
        rest = {name: value for name, value in self.inputs.items() if name != "pixel_values"}
        for name, value in rest.items():
            value = value.to(self.model.device, self.model.dtype if value.is_floating_point() else None)
            rest[name] = value.expand(len(pixel_values), *value.shape[1:])
        return self.model(pixel_values=pixel_values.to(self.model.device, self.model.dtype), **rest, **kwargs)

    def _answer(self, outputs: ModelOutput) -> torch.Tensor:
        numbers = [name for name, value in outputs.items() if isinstance(value, torch.Tensor) and value.ndim == 1]
        if self.target not in numbers:
            raise ValueError(
                f"`target` must be an output of {type(self.model).__name__} with one number a picture, one of "
                f"{numbers}, got {self.target!r}."
            )
        return outputs[self.target].float()

    def _patches(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(1, tokens, channels)` -> `(1, channels, h, w)`, without class and register tokens, which come first."""
        height, width = self.inputs["pixel_values"].shape[-2:]
        backbone_config = getattr(self.model.config, "backbone_config", self.model.config)
        size = getattr(backbone_config, "patch_size", None)
        # networks that merge patches have larger ones in the end, and timm's configurations do not say
        sizes = range(size if isinstance(size, int) else 1, min(height, width) + 1)
        h, w = next((height // s, width // s) for s in sizes if (height // s) * (width // s) <= tokens.shape[1])
        return tokens[:, -h * w :].transpose(1, 2).unflatten(2, (h, w))


@contextmanager
def _undisturbed(model: nn.Module) -> Generator[None]:
    """Eval mode and gradients as far as they are asked for; then every module is in its own mode again."""
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.inference_mode(False):
            model.eval()
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
