"""Scorers to measure with: usual backbones with random weights, which take as long as trained ones.

Knows nothing about what is measured.
"""

import io
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from transformers import MobileNetV2Config, PreTrainedConfig, ResNetConfig, ViTConfig, set_seed
from transformers.models.mobilenet_v2.modeling_mobilenet_v2 import MobileNetV2InvertedResidual
from transformers.models.resnet.modeling_resnet import ResNetBottleNeckLayer

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment

from .pictures import render_photographs


# padding and epsilon as torchvision and timm have them, so that these can hold the same weights
BACKBONES: dict[str, PreTrainedConfig] = {
    "mobilenet_v2": MobileNetV2Config(tf_padding=False, layer_norm_eps=1e-5),
    "resnet-50": ResNetConfig(),
    "vit-base": ViTConfig(),
    "tiny": ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, layer_type="basic"),
}
TITLES = {"mobilenet_v2": "MobileNetV2", "resnet-50": "ResNet-50", "vit-base": "ViT-B/16", "tiny": "a tiny ResNet"}
SPREAD = 0.2  # of a logit over pictures
LITTLE = 0.2


def save_scorer(folder: Path, name: str, backbone: str | None = None) -> str:
    """
    Saves a NIMA with random weights and its processor.

    Args:
        folder (`Path`):
            Where it goes.
        name (`str`):
            One of `BACKBONES`.
        backbone (`str`, *optional*):
            A pretrained backbone to take in its place: a folder, or a repository on the Hub.
    """
    model, processor = build_scorer(name, backbone)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def build_scorer(name: str, backbone: str | None = None) -> tuple[NimaForAestheticAssessment, ModalityImageProcessor]:
    """The same, not saved."""
    set_seed(0)
    if backbone is not None:
        model = NimaForAestheticAssessment.from_backbone_pretrained(backbone)
        processor = ModalityImageProcessor.from_backbone_pretrained(backbone)
    else:
        model = NimaForAestheticAssessment(NimaConfig(backbone_config=BACKBONES[name].to_dict()))
        size = 32 if name == "tiny" else 224
        processor = ModalityImageProcessor(size={"height": size, "width": size})
    pictures = [Image.open(io.BytesIO(content)) for content in render_photographs(8, seed=0, megapixels=(0.05, 0.1))]
    pixel_values = processor(pictures, return_tensors="pt").pixel_values
    with torch.no_grad():
        if backbone is None:
            _wake(model, pixel_values)
        _spread_scores(model.eval(), pixel_values)
    return model, processor


def _wake(model: NimaForAestheticAssessment, pixel_values: torch.Tensor) -> None:
    """
    Weights and normalisations of the usual size: what flows through a trained network is not tiny, and what a block
    adds to its input is little, without which rounding would grow from block to block.
    """
    norms = [module for module in model.base_model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in model.base_model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, ResNetBottleNeckLayer):
            nn.init.constant_(module.layer[-1].normalization.weight, LITTLE)
        if isinstance(module, MobileNetV2InvertedResidual) and module.use_residual:
            nn.init.constant_(module.reduce_1x1.normalization.weight, LITTLE)
    for norm in norms:
        norm.momentum = 1.0  # all of the next batch
    model.train()(pixel_values)
    for norm in norms:
        norm.momentum = 0.1


def _spread_scores(model: NimaForAestheticAssessment, pixel_values: torch.Tensor) -> None:
    """A head whose scores differ between pictures as those of a trained one do, or differences would say little."""
    dense = model.score_head.dense
    nn.init.normal_(dense.weight)
    logits = model(pixel_values).logits  # (8, num_labels)
    spread = logits.std(dim=0).mean() / SPREAD
    dense.weight /= spread
    dense.bias -= logits.mean(dim=0) / spread
