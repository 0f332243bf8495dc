"""Torchvision networks behind the interface of transformers' backbones, in the manner of `timm_wrapper`.

Knows nothing about scores.
"""

import torch
from torch import nn
from torchvision import models
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .configuration_torchvision_wrapper import TorchvisionWrapperConfig


class TorchvisionWrapperPreTrainedModel(PreTrainedModel):
    config: TorchvisionWrapperConfig
    base_model_prefix = "torchvision_model"
    main_input_name = "pixel_values"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # the base class draws every weight with one small spread, under which deep plain networks go silent
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)


class TorchvisionWrapperModel(TorchvisionWrapperPreTrainedModel):
    """
    A torchvision classification network without its last layer.

    Args:
        config ([`TorchvisionWrapperConfig`]):
            Which network, and whether its fully connected layers belong to the feature.

    Raises:
        ValueError: If torchvision has no such network, or it is not made of `features` and `classifier`.

    Example:
        >>> model = TorchvisionWrapperModel(TorchvisionWrapperConfig(architecture="alexnet", use_classifier=False))
        >>> model(torch.zeros(1, 3, 64, 64)).pooler_output.shape
        torch.Size([1, 256])
    """

    def __init__(self, config: TorchvisionWrapperConfig) -> None:
        super().__init__(config)
        if config.architecture not in models.list_models(module=models):
            raise ValueError(
                f"`architecture` must name a classification network of torchvision, got {config.architecture!r}. "
                "List them with torchvision.models.list_models(module=torchvision.models)."
            )
        network = models.get_model(config.architecture, weights=None)
        if not (hasattr(network, "features") and hasattr(network, "classifier")):
            raise ValueError(
                f"`architecture` must be made of `features` and `classifier`, which {config.architecture!r} is not. "
                "Take it from transformers or timm instead."
            )
        self.features = network.features
        classifier = network.classifier if isinstance(network.classifier, nn.Sequential) else [network.classifier]
        linear = [module for module in classifier if isinstance(module, nn.Linear)]
        self.use_classifier = config.use_classifier and len(linear) > 1
        self.avgpool = getattr(network, "avgpool", None) if self.use_classifier else None
        # what precedes the last linear layer: fc6 and fc7 with their dropout
        self.classifier = nn.Sequential(*list(classifier)[:-1]) if self.use_classifier else None
        self.feature_size = linear[-1].in_features
        if not self.use_classifier:
            convolutions = [module for module in self.features.modules() if isinstance(module, nn.Conv2d)]
            self.feature_size = convolutions[-1].out_channels
        self.post_init()

    @classmethod
    def from_torchvision(cls, architecture: str, use_classifier: bool = True) -> "TorchvisionWrapperModel":
        """
        Loads torchvision's own ImageNet weights of a network (`weights="DEFAULT"`), from its cache or its server.

        Args:
            architecture (`str`):
                Name of the network, such as `"alexnet"`.
            use_classifier (`bool`, *optional*, defaults to `True`):
                Keep the fully connected layers before the last one.
        """
        model = cls(TorchvisionWrapperConfig(architecture=architecture, use_classifier=use_classifier))
        state_dict = models.get_model_weights(architecture)["DEFAULT"].get_state_dict(progress=False)
        own = model.state_dict()
        missing = own.keys() - state_dict.keys()
        if missing:
            raise ValueError(f"torchvision's weights of {architecture!r} lack {sorted(missing)}.")
        model.load_state_dict({name: state_dict[name] for name in own})
        return model

    def forward(self, pixel_values: torch.Tensor, output_hidden_states: bool | None = None, **kwargs):
        hidden_states = []
        hidden_state = pixel_values
        for layer in self.features:
            hidden_state = layer(hidden_state)
            hidden_states.append(hidden_state)
        if self.classifier is not None:
            pooled = hidden_state if self.avgpool is None else self.avgpool(hidden_state)
            pooled = self.classifier(pooled.flatten(1))  # (B, C, h, w) -> (B, feature_size)
        else:
            pooled = hidden_state.mean(dim=(-2, -1))  # (B, C, h, w) -> (B, C)
        return BaseModelOutputWithPooling(
            last_hidden_state=hidden_state,
            pooler_output=pooled,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
        )


__all__ = ["TorchvisionWrapperModel", "TorchvisionWrapperPreTrainedModel"]
