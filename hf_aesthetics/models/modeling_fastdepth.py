"""FastDepth: how far each pixel is away. Knows nothing about data sets, training or files."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import DepthEstimatorOutput
from transformers.utils.generic import can_return_tuple

from .configuration_fastdepth import FastDepthConfig


STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of MobileNet's layers
LAST_OF_A_SIZE = (1, 3, 5, 11)  # layers of the encoder before it halves the map again


class FastDepthConvolution(nn.Sequential):
    """A convolution without bias, its batch norm and a rectifier, which ends at 6 in the encoder."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        is_clipped: bool = False,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.normalization = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU6() if is_clipped else nn.ReLU()


class FastDepthSeparableLayer(nn.Sequential):
    """A convolution within each channel, then one across channels."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, is_clipped: bool = False
    ) -> None:
        super().__init__()
        self.depthwise = FastDepthConvolution(
            in_channels, in_channels, kernel_size, stride, groups=in_channels, is_clipped=is_clipped
        )
        self.pointwise = FastDepthConvolution(in_channels, out_channels, 1, is_clipped=is_clipped)


class FastDepthPreTrainedModel(PreTrainedModel):
    config: FastDepthConfig
    base_model_prefix = "fastdepth"
    main_input_name = "pixel_values"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # the base class draws every weight with one small spread, under which deep plain networks go silent
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class FastDepthForDepthEstimation(FastDepthPreTrainedModel):
    """
    Depth of one picture, fast enough for a phone ([FastDepth](https://huggingface.co/papers/1903.03273)): MobileNet,
    and a decoder of 5 x 5 depthwise separable layers, each followed by doubling the size (nearest neighbour), to which
    three maps of the encoder are added.

    Maps are enlarged to the size that the encoder had, which is the doubled one where the sides divide by 32 and lets
    other sizes through, which is ours.

    Args:
        config ([`FastDepthConfig`]):
            How wide the layers are.

    Example:
        >>> config = FastDepthConfig(encoder_hidden_sizes=[8] * 14, decoder_hidden_sizes=[8] * 5)
        >>> FastDepthForDepthEstimation(config)(torch.zeros(1, 3, 64, 96)).predicted_depth.shape
        torch.Size([1, 64, 96])
    """

    def __init__(self, config: FastDepthConfig) -> None:
        super().__init__(config)
        widths = config.encoder_hidden_sizes
        self.encoder = nn.ModuleList([FastDepthConvolution(3, widths[0], 3, STRIDES[0], is_clipped=True)])
        self.encoder.extend(
            FastDepthSeparableLayer(widths[index - 1], widths[index], 3, STRIDES[index], is_clipped=True)
            for index in range(1, len(widths))
        )
        widths = [widths[-1], *config.decoder_hidden_sizes]
        self.decoder = nn.ModuleList(
            FastDepthSeparableLayer(in_channels, out_channels, 5)
            for in_channels, out_channels in zip(widths, widths[1:], strict=False)
        )
        self.head = FastDepthConvolution(widths[-1], 1, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs
    ) -> DepthEstimatorOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
                Pictures in [0, 1].
            labels (`torch.FloatTensor` of shape `(batch_size, height, width)`, *optional*):
                Distances in metres; 0 where they are not known. The loss is their mean absolute error, as published.

        Returns:
            `DepthEstimatorOutput` with `predicted_depth` of shape `(batch_size, height, width)`, in metres.

        Raises:
            ValueError: If distances and pictures differ in size.
        """
        hidden_state = pixel_values
        finer = [pixel_values]
        for index, layer in enumerate(self.encoder):
            hidden_state = layer(hidden_state)
            if index in LAST_OF_A_SIZE:
                finer.append(hidden_state)
        for index, layer in enumerate(self.decoder):
            like = finer.pop()
            hidden_state = F.interpolate(layer(hidden_state), size=like.shape[-2:], mode="nearest")
            if 1 <= index <= 3:
                hidden_state = hidden_state + like
        depth = self.head(hidden_state).squeeze(dim=1)  # (B, 1, H, W) -> (B, H, W)
        loss = None
        if labels is not None:
            if labels.shape != depth.shape:
                raise ValueError(
                    f"`labels` must have shape (batch_size, height, width) = {tuple(depth.shape)}, got "
                    f"{tuple(labels.shape)}. Resize the distances as the pictures are."
                )
            is_known = labels > 0
            error = (depth.float() - labels.float()).abs() * is_known
            loss = error.sum() / is_known.sum().clamp(min=1)
        return DepthEstimatorOutput(loss=loss, predicted_depth=depth)


__all__ = ["FastDepthForDepthEstimation", "FastDepthPreTrainedModel"]
