"""The same network with the same weights in other hands: a loop of plain transformers, and pyiqa's.

Knows nothing about how they are timed.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from PIL import Image
from torch import nn
from transformers import PreTrainedModel, ViTImageProcessor

from hf_aesthetics import ModalityImageProcessor


TIMM_NAMES = {"mobilenet_v2": "mobilenetv2_100", "resnet-50": "resnet50"}
_SAME = 1e-3  # of logits, between two implementations of a network in float32


class PlainLoop:
    """
    What a user of transformers would write: open with PIL, prepare as vision transformers do, ask the model.

    Args:
        model (`PreTrainedModel`), processor ([`ModalityImageProcessor`]):
            The scorer; the processor of transformers gets its statistics, and gives the same pixels.
        batch_size (`int`):
            Number of pictures that go through the model together.
    """

    def __init__(self, model: PreTrainedModel, processor: ModalityImageProcessor, batch_size: int) -> None:
        statistics = {name: getattr(processor, name) for name in ("size", "resample", "image_mean", "image_std")}
        self.processor = ViTImageProcessor(**statistics)
        self.model = model.eval()
        self.batch_size = batch_size

    def __call__(self, paths: Sequence[Path]) -> list[float]:
        scores, rest = [], iter(paths)
        with torch.inference_mode():
            while batch := list(islice(rest, self.batch_size)):
                pictures = [Image.open(path).convert("RGB") for path in batch]
                scores += self.model(**self.processor(pictures, return_tensors="pt")).score.tolist()
        return scores


class PyiqaLoop:
    """
    pyiqa's NIMA over the network of timm, with the weights of a scorer of ours; a path at a time, as it takes them.

    Args:
        name (`str`):
            Backbone, one of `TIMM_NAMES`.
        model (`PreTrainedModel`):
            The scorer.

    Raises:
        ValueError: If the two do not agree on a picture.
    """

    def __init__(self, name: str, model: PreTrainedModel) -> None:
        import timm

        pyiqa = import_module("pyiqa")  # a type checker may not find it

        network = timm.create_model(TIMM_NAMES[name], num_classes=0, global_pool="")
        with patch("pyiqa.archs.nima_arch.timm.create_model", lambda *_, **__: _Features(network)):
            self.metric = pyiqa.create_metric("nima", device="cpu", pretrained=False, base_model_name=TIMM_NAMES[name])
        self.metric.net.classifier[2].load_state_dict(model.score_head.dense.state_dict())
        pixels = nn.functional.interpolate(torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0)), 224)
        with torch.inference_mode():
            _copy_weights(model.base_model, network, pixels)
            ours = model(pixel_values=self.metric.net.preprocess(pixels)).logits.softmax(-1)
            theirs = self.metric.net(pixels, return_mos=False, return_dist=True)
        self.difference = (ours - theirs).abs().max().item()
        if self.difference > _SAME:
            raise ValueError(
                f"Expected the same shares from pyiqa's network, got {self.difference:.1e} between them. Is "
                f"{TIMM_NAMES[name]!r} of timm the network of the backbone?"
            )

    def __call__(self, paths: Sequence[Path]) -> list[float]:
        return [self.metric(str(path)).item() for path in paths]


def has_pyiqa() -> bool:
    return find_spec("pyiqa") is not None


class _Features(nn.Module):
    """A network of timm as pyiqa asks for it, up to its last feature, which `features_only` leaves out of some."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.default_cfg = self.pretrained_cfg = network.default_cfg

    @property
    def feature_info(self) -> Any:
        return self

    def channels(self) -> list[int]:
        return [self.network.head_hidden_size]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [self.network(images)]


def _copy_weights(ours: nn.Module, theirs: nn.Module, images: torch.Tensor) -> None:
    """Layer by layer in the order in which they are called, whatever they are called."""
    for mine, other in zip(_called_layers(ours, images), _called_layers(theirs, images), strict=True):
        other.load_state_dict(mine.state_dict())
        if isinstance(mine, nn.BatchNorm2d):
            other.eps = mine.eps


def _called_layers(network: nn.Module, images: torch.Tensor) -> list[nn.Module]:
    called: list[nn.Module] = []
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d))]
    handles = [layer.register_forward_hook(lambda layer, *_: called.append(layer)) for layer in layers]
    network.eval()(images)
    for handle in handles:
        handle.remove()
    return called
