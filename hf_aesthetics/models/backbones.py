"""Any vision network of transformers, timm or torchvision as a backbone: build, load, pool, freeze.

Knows nothing about scores, losses or data sets.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_torchvision_wrapper import TorchvisionWrapperConfig
from .modeling_torchvision_wrapper import TorchvisionWrapperModel


@dataclass(frozen=True)
class BackbonePreset:
    """
    A named starting point.

    Args:
        checkpoint (`str`):
            Hub repository of the pretrained weights, or `torchvision/<architecture>`.
        in_paper (`bool`):
            Whether the NIMA paper reports this network.
        license (`str`):
            Terms of the pretrained weights.
        note (`str`):
            Where it stands to the paper.
    """

    checkpoint: str
    in_paper: bool
    license: str
    note: str


BACKBONE_PRESETS = {
    "vgg16": BackbonePreset(
        "timm/vgg16.tv_in1k",
        True,
        "bsd-3-clause",
        "NIMA (VGG16): fc6 and fc7 kept, fc8 replaced; 134.30 M parameters as in its table III.",
    ),
    "mobilenet": BackbonePreset(
        "timm/mobilenetv1_100.ra4_e3600_r224_in1k",
        True,
        "apache-2.0",
        "NIMA (MobileNet): MobileNetV1 1.0, 3.22 M parameters as in its table III; weights of a newer recipe.",
    ),
    "inception_v3": BackbonePreset(
        "timm/inception_v3.tv_in1k",
        False,
        "bsd-3-clause",
        "Not the paper's: a neighbour of its Inception-v2 (10.16 M parameters), which no library has.",
    ),
    "alexnet": BackbonePreset(
        "torchvision/alexnet", False, "bsd-3-clause", "Not the paper's: the network of Kong et al. 2016 (AADB)."
    ),
    "mobilenet_v2": BackbonePreset(
        "google/mobilenet_v2_1.0_224", False, "apache-2.0", "Not the paper's: small and quick on a CPU."
    ),
    "efficientnet_lite0": BackbonePreset(
        "timm/tf_efficientnet_lite0.in1k",
        False,
        "apache-2.0",
        "Not the paper's: small, for a CPU, best here on OASIS.",
    ),
    "resnet50": BackbonePreset("microsoft/resnet-50", False, "apache-2.0", "Not the paper's: the common yardstick."),
    "siglip2": BackbonePreset(
        "google/siglip2-base-patch16-224", False, "apache-2.0", "Not the paper's: image-text pretraining."
    ),
    "dinov3": BackbonePreset(
        "facebook/dinov3-vits16-pretrain-lvd1689m",
        False,
        "dinov3-license",
        "Not the paper's: self-supervised; gated, under a licence of its own.",
    ),
}


def build_backbone(config: PreTrainedConfig, pooling: str = "auto") -> PreTrainedModel:
    """
    Builds a backbone with random weights.

    Args:
        config (`PreTrainedConfig`):
            Configuration of a transformers vision model, `TimmWrapperConfig` or [`TorchvisionWrapperConfig`].
        pooling (`str`, *optional*, defaults to `"auto"`):
            `"auto"` keeps the backbone's own pooling layers; otherwise they are left out, as nothing would train them.
    """
    if config.model_type == TorchvisionWrapperConfig.model_type:
        # outside the package no Auto class knows the wrapper
        backbone = TorchvisionWrapperModel(TorchvisionWrapperConfig.from_dict(config.to_dict()))
    else:
        backbone = AutoModel.from_config(config)
    if pooling != "auto" and getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    return backbone


def load_pretrained_backbone(checkpoint: str, dtype: torch.dtype = torch.float32) -> tuple[PreTrainedModel, str]:
    """
    Loads a pretrained backbone, the vision tower of an image-text model included.

    Args:
        checkpoint (`str`):
            Hub repository, local folder, or `torchvision/<architecture>`.
        dtype (`torch.dtype`, *optional*, defaults to `torch.float32`):
            Type of the weights. It is not the checkpoint's own, which is often half precision and trains badly.

    Returns:
        `tuple[PreTrainedModel, str]`: The backbone, and the pooling for which the checkpoint has weights.

    Raises:
        ValueError: If the checkpoint lacks weights of the backbone other than its pooling layer's.
    """
    if checkpoint.startswith("torchvision/"):
        return TorchvisionWrapperModel.from_torchvision(checkpoint.removeprefix("torchvision/")).to(dtype), "auto"
    config = AutoConfig.from_pretrained(checkpoint)
    config = getattr(config, "vision_config", None) or config
    backbone, report = AutoModel.from_pretrained(checkpoint, config=config, dtype=dtype, output_loading_info=True)
    missing = {name for name in report["missing_keys"] if not name.endswith("mask_token")}
    pooling = "auto"
    if missing and all(name.startswith("pooler.") for name in missing):
        # a ViT classifier has no pooling layer: its class token is the trained feature
        backbone.pooler, pooling = None, "cls"
    elif missing:
        raise ValueError(
            f"{checkpoint} must hold every weight of {type(backbone).__name__}, but lacks {len(missing)}, such as "
            f"{min(missing)!r}. Is it a checkpoint of another model type?"
        )
    return backbone, pooling


def backbone_feature_size(backbone: PreTrainedModel) -> int:
    """Width of the pooled feature, read off the modules, so that it is known before there are weights."""
    if isinstance(backbone, TorchvisionWrapperModel):
        return backbone.feature_size
    if (timm_model := getattr(backbone, "timm_model", None)) is not None:
        return getattr(timm_model, "head_hidden_size", None) or timm_model.num_features
    config = backbone.config
    if config.model_type == "mobilenet_v1":
        return backbone.layer[-1].convolution.out_channels
    if config.model_type == "mobilenet_v2":
        return backbone.conv_1x1.convolution.out_channels
    if (hidden_sizes := getattr(config, "hidden_sizes", None)) is not None:
        return hidden_sizes[-1]
    return config.hidden_size


def run_backbone(backbone: PreTrainedModel, pixel_values: torch.Tensor, **kwargs) -> ModelOutput:
    """
    Calls a backbone with the picture in the form that it takes.

    SigLIP 2's variable-resolution tower reads flattened patches; every other one reads `(B, C, H, W)`.
    """
    if backbone.config.model_type == "timm_wrapper" and not kwargs.get("output_attentions"):
        kwargs.pop("output_attentions", None)  # timm would hand it on to the network
    if backbone.config.model_type != "siglip2_vision_model":
        return backbone(pixel_values, **kwargs)
    size = backbone.config.patch_size
    batch_size, channels, height, width = pixel_values.shape
    rows, columns = height // size, width // size
    patches = pixel_values[:, :, : rows * size, : columns * size].unfold(2, size, size).unfold(3, size, size)
    # (B, C, rows, columns, size, size) -> (B, rows * columns, size * size * C)
    patches = patches.permute(0, 2, 3, 4, 5, 1).reshape(batch_size, rows * columns, size * size * channels)
    mask = torch.ones(patches.shape[:2], dtype=torch.int32, device=patches.device)
    spatial_shapes = torch.tensor([[rows, columns]], device=patches.device).expand(batch_size, 2)
    return backbone(patches, pixel_attention_mask=mask, spatial_shapes=spatial_shapes, **kwargs)


def pool_features(outputs: ModelOutput, pooling: str) -> torch.Tensor:
    """
    One feature a picture, of shape `(batch_size, feature_size)`, from a backbone's outputs.

    Args:
        outputs (`ModelOutput`):
            With `last_hidden_state` of shape `(B, C, h, w)` or `(B, tokens, C)`, and perhaps `pooler_output`.
        pooling (`str`):
            `"auto"` takes the backbone's own pooled output where there is one and averages otherwise, `"cls"` takes
            the first token, `"mean"` averages.
    """
    pooled = getattr(outputs, "pooler_output", None)
    if pooling == "auto" and pooled is not None:
        return pooled.flatten(1)
    return average_places(outputs.last_hidden_state, pooling)


def average_places(hidden: torch.Tensor, pooling: str) -> torch.Tensor:
    """`(B, C, h, w)` or `(B, tokens, C)` -> `(B, C)`: the mean over the places, or the first token for `"cls"`."""
    if hidden.ndim == 4:
        return hidden.mean(dim=(-2, -1))
    return hidden[:, 0] if pooling == "cls" else hidden.mean(dim=1)


def backbone_stages(backbone: nn.Module) -> list[nn.Module]:
    """
    The sequence of blocks that make up a backbone, first to last: 4 stages of a ResNet, 12 layers of a ViT-B, 16
    blocks of a MobileNetV2.

    The tree of modules is descended until a level holds lists of blocks: one list is taken apart, several are stages.

    Example:
        >>> from transformers import ResNetConfig, ResNetModel
        >>> len(backbone_stages(ResNetModel(ResNetConfig(depths=[1, 1], hidden_sizes=[8, 8], embedding_size=8))))
        2
    """
    node = backbone
    while True:
        children = [child for child in node.children() if _holds_parameters(child)]
        lists = [child for child in children if _is_block_list(child)]
        if len(lists) == 1:
            return [block for block in lists[0] if _holds_parameters(block)]
        if len(lists) > 1:
            return lists
        candidates = [child for child in children if any(_is_block_list(module) for module in child.modules())]
        if not candidates:
            return [node]
        node = max(candidates, key=lambda child: sum(parameter.numel() for parameter in child.parameters()))


def stage_feature_sizes(backbone: nn.Module, stages: Sequence[int]) -> list[int]:
    """
    Widths of the outputs of some stages, each read off the last module within that has a width.

    Raises:
        ValueError: If there is no such stage, or it is the last one, whose output is the pooled feature.
    """
    blocks, sizes = backbone_stages(backbone), []
    for index in stages:
        if not -len(blocks) <= index < len(blocks) - 1 or index == -1:
            raise ValueError(
                f"`pooled_stages` must be stages of {type(backbone).__name__} before the last one, 0 to "
                f"{len(blocks) - 2} or {-len(blocks)} to -2, got {index}."
            )
        widths = [
            getattr(module, name)
            for module in blocks[index].modules()
            for name in ("num_features", "out_channels", "out_features")
            if hasattr(module, name)
        ]
        sizes.append(widths[-1])
    return sizes


@contextmanager
def record_stage_outputs(backbone: nn.Module, stages: Sequence[int]) -> Generator[list[torch.Tensor]]:
    """Records what some stages hand on to the next one, in their order in the backbone."""
    recorded: list[torch.Tensor] = []

    def record(_module: nn.Module, args: tuple, kwargs: dict) -> None:
        recorded.append(args[0] if args else kwargs["hidden_states"])

    blocks = backbone_stages(backbone)
    handles = [blocks[index + 1].register_forward_pre_hook(record, with_kwargs=True) for index in stages]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


def _holds_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _is_block_list(module: nn.Module) -> bool:
    return isinstance(module, (nn.ModuleList, nn.Sequential)) and sum(map(_holds_parameters, module)) > 1


def freeze_stages(backbone: nn.Module, num_stages: int) -> None:
    """
    Stops the training of the first stages of a backbone, and resumes that of the others.

    What precedes the first stage (stem, embeddings) freezes with it; what follows the last one (final norm, pooling)
    with the last. Call it after loading: `from_pretrained` switches every gradient on again.

    Args:
        backbone (`nn.Module`):
            The backbone.
        num_stages (`int`):
            How many of [`backbone_stages`] to freeze, 0 to all. Negative numbers count from the end as in a slice: -1
            leaves the last stage free.

    Raises:
        ValueError: If the backbone has fewer stages.
    """
    stages = backbone_stages(backbone)
    if not -len(stages) <= num_stages <= len(stages):
        raise ValueError(
            f"`freeze_stages` must be between {-len(stages)} and {len(stages)}, the number of stages of "
            f"{type(backbone).__name__}, got {num_stages}."
        )
    num_frozen = num_stages if num_stages >= 0 else len(stages) + num_stages
    stage_of = {id(p): index for index, stage in enumerate(stages) for p in stage.parameters()}
    # parameters outside the stages lie before the first or after the last in the order of registration
    current = 0
    for parameter in backbone.parameters():
        current = stage_of.get(id(parameter), len(stages) - 1 if current > 0 or len(stages) == 1 else 0)
        parameter.requires_grad_(current >= num_frozen)


def unused_parameters(backbone: PreTrainedModel, pooling: str) -> list[str]:
    """
    Names of parameters that the pooled feature never reads, such as the mask token of DINO.

    They get no gradient, on which plain distributed training stops, so a training run freezes them.
    """
    dropped = () if pooling == "auto" else (".head.", "post_layernorm.")
    return [
        name
        for name, _ in backbone.named_parameters()
        if name.endswith("mask_token") or any(part in f".{name}" for part in dropped)
    ]


@contextmanager
def record_last_block_input(backbone: PreTrainedModel) -> Generator[list[torch.Tensor]]:
    """
    Records what enters the last block of a backbone.

    For a transformer read by its class token this is the last feature whose patches still act on the score: after
    the last block, only the class token does.
    """
    with record_stage_outputs(backbone, [-2]) as recorded:
        yield recorded
