"""Configuration of torchvision networks as backbones. Knows nothing about the networks themselves."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class TorchvisionWrapperConfig(PreTrainedConfig):
    r"""
    Configuration of [`TorchvisionWrapperModel`], for networks that neither transformers nor timm has, such as AlexNet.

    Args:
        architecture (`str`, *optional*, defaults to `"alexnet"`):
            A classification network of `torchvision.models` made of `features`, `avgpool` and `classifier`:
            AlexNet, VGG, MobileNetV2, EfficientNet, ConvNeXt, ...
        use_classifier (`bool`, *optional*, defaults to `True`):
            Keep the layers of the classifier before its last one (`fc6` and `fc7` of AlexNet and VGG) as part of the
            pooled feature. Without them the feature map is averaged.

    Example:
        >>> TorchvisionWrapperConfig().architecture
        'alexnet'
    """

    model_type = "torchvision_wrapper"

    architecture: str = "alexnet"
    use_classifier: bool = True


__all__ = ["TorchvisionWrapperConfig"]
