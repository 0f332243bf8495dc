"""U²-Net: which pixels belong to the object that stands out. Knows nothing about data sets, training or files."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_u2net import U2NetConfig


# layers of a stage from its finest to its coarsest; the two deepest stages of the encoder dilate instead of pooling
ENCODER_DEPTHS = (7, 6, 5, 4, 4, 4)
DECODER_DEPTHS = (4, 4, 5, 6, 7)
IS_DILATED = (False, False, False, False, True, True)


@dataclass
class U2NetOutput(ModelOutput):
    """
    Output of [`U2NetForImageSegmentation`].

    Args:
        loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` is given):
            Sum of the binary cross entropies of `logits` and of the six side outputs.
        logits (`torch.FloatTensor` of shape `(batch_size, 1, height, width)`):
            Their sigmoid is the probability that a pixel belongs to the salient object.
        side_logits (`tuple(torch.FloatTensor)`, *optional*, returned when `output_side_logits=True`):
            The same of the six stages of the decoder, the finest first.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    side_logits: tuple[torch.FloatTensor, ...] | None = None


class U2NetLayer(nn.Module):
    """A 3 x 3 convolution, its batch norm and a rectifier."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.normalization = nn.BatchNorm2d(out_channels)

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return F.relu(self.normalization(self.convolution(hidden_state)))


class U2NetStage(nn.Module):
    """
    A residual U-block: a small U-Net over the first layer's output, which is added to its own.

    Args:
        in_channels, inner_channels, out_channels (`int`):
            Channels that it reads, that it works with, and that it hands on.
        depth (`int`):
            Number of layers from the finest to the coarsest one.
        is_dilated (`bool`, *optional*, defaults to `False`):
            Widen the layers' view by dilation in place of pooling, which would leave nothing of a map that is small.
    """

    def __init__(
        self, in_channels: int, inner_channels: int, out_channels: int, depth: int, is_dilated: bool = False
    ) -> None:
        super().__init__()
        self.is_dilated = is_dilated
        down = [2**index if is_dilated else 1 for index in range(depth - 1)]
        self.input_layer = U2NetLayer(in_channels, out_channels)
        self.encoder = nn.ModuleList(
            U2NetLayer(inner_channels if index else out_channels, inner_channels, dilation)
            for index, dilation in enumerate([*down, 2 ** (depth - 1) if is_dilated else 2])
        )
        self.decoder = nn.ModuleList(
            U2NetLayer(2 * inner_channels, inner_channels if index else out_channels, down[index])
            for index in reversed(range(depth - 1))
        )

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        first = hidden_state = self.input_layer(hidden_state)
        skipped: list[torch.Tensor] = []
        for index, layer in enumerate(self.encoder):
            # the coarsest layer dilates: there is no pooling before it
            if 0 < index < len(self.encoder) - 1 and not self.is_dilated:
                hidden_state = _pool(hidden_state)
            hidden_state = layer(hidden_state)
            skipped.append(hidden_state)
        skipped.pop()
        for layer in self.decoder:
            finer = skipped.pop()
            hidden_state = layer(torch.cat([_resize(hidden_state, finer), finer], dim=1))
        return hidden_state + first


class U2NetPreTrainedModel(PreTrainedModel):
    config: U2NetConfig
    base_model_prefix = "u2net"
    main_input_name = "pixel_values"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # the base class draws every weight with one small spread, under which deep plain networks go silent
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)


class U2NetForImageSegmentation(U2NetPreTrainedModel):
    """
    Salient object detection by nested U-structures ([U²-Net](https://huggingface.co/papers/2005.09007)).

    Args:
        config ([`U2NetConfig`]):
            How wide the network is.

    Example:
        >>> encoder = {"encoder_hidden_sizes": [8] * 6, "encoder_inner_sizes": [4] * 6}
        >>> decoder = {"decoder_hidden_sizes": [8] * 5, "decoder_inner_sizes": [4] * 5}
        >>> model = U2NetForImageSegmentation(U2NetConfig(**encoder, **decoder))
        >>> outputs = model(torch.zeros(1, 3, 64, 96), output_side_logits=True)
        >>> outputs.logits.shape, len(outputs.side_logits)
        (torch.Size([1, 1, 64, 96]), 6)
    """

    def __init__(self, config: U2NetConfig) -> None:
        super().__init__(config)
        hidden, inner = config.encoder_hidden_sizes, config.encoder_inner_sizes
        self.encoder = nn.ModuleList(
            U2NetStage(hidden[index - 1] if index else 3, inner[index], hidden[index], depth, IS_DILATED[index])
            for index, depth in enumerate(ENCODER_DEPTHS)
        )
        decoded, inner = [hidden[-1], *config.decoder_hidden_sizes], config.decoder_inner_sizes
        self.decoder = nn.ModuleList(
            U2NetStage(decoded[index] + hidden[4 - index], inner[index], decoded[index + 1], depth, index == 0)
            for index, depth in enumerate(DECODER_DEPTHS)
        )
        self.side_heads = nn.ModuleList(nn.Conv2d(channels, 1, 3, padding=1) for channels in reversed(decoded))
        self.fusion = nn.Conv2d(len(decoded), 1, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_side_logits: bool = False,
        **kwargs,
    ) -> U2NetOutput:
        r"""
        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, 3, height, width)`):
                Pictures from [`U2NetImageProcessor`].
            labels (`torch.FloatTensor` of shape `(batch_size, 1, height, width)`, *optional*):
                Masks of the salient object, from 0 to 1.
            output_side_logits (`bool`, *optional*, defaults to `False`):
                Return the six side outputs, too.

        Raises:
            ValueError: If masks and pictures differ in size.
        """
        hidden_state = pixel_values
        skipped: list[torch.Tensor] = []
        for index, stage in enumerate(self.encoder):
            hidden_state = stage(_pool(hidden_state) if index else hidden_state)
            skipped.append(hidden_state)
        decoded = [skipped.pop()]
        for stage in self.decoder:
            finer = skipped.pop()
            decoded.append(stage(torch.cat([_resize(decoded[-1], finer), finer], dim=1)))
        sides = tuple(
            _resize(head(hidden_state), pixel_values)
            for head, hidden_state in zip(self.side_heads, reversed(decoded), strict=True)
        )
        logits = self.fusion(torch.cat(sides, dim=1))  # 6 x (B, 1, H, W) -> (B, 1, H, W)
        loss = None
        if labels is not None:
            if labels.shape != logits.shape:
                raise ValueError(
                    f"`labels` must have shape (batch_size, 1, height, width) = {tuple(logits.shape)}, got "
                    f"{tuple(labels.shape)}. Resize the masks as the pictures are, and keep their one channel."
                )
            targets = labels.float()
            losses = [F.binary_cross_entropy_with_logits(output.float(), targets) for output in (logits, *sides)]
            loss = torch.stack(losses).sum()
        return U2NetOutput(loss=loss, logits=logits, side_logits=sides if output_side_logits else None)


def _pool(hidden_state: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(hidden_state, 2, stride=2, ceil_mode=True)


def _resize(hidden_state: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(hidden_state, size=like.shape[-2:], mode="bilinear", align_corners=False)


__all__ = ["U2NetForImageSegmentation", "U2NetOutput", "U2NetPreTrainedModel"]
