"""Configuration of FastDepth. Knows nothing about weights."""

from dataclasses import field
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class FastDepthConfig(PreTrainedConfig):
    r"""
    Configuration of [`FastDepthForDepthEstimation`], depth of one picture by
    [FastDepth](https://huggingface.co/papers/1903.03273).

    The defaults are the widths of MobileNet and of the published decoder. Pruned networks name theirs.

    Args:
        encoder_hidden_sizes (`list[int]`, *optional*):
            Channels behind each of the 14 layers of the encoder; by default MobileNet's, 32 to 1024.
        decoder_hidden_sizes (`list[int]`, *optional*, defaults to `[512, 256, 128, 64, 32]`):
            Channels behind each of the 5 layers of the decoder.
        depth_estimation_type (`str`, *optional*, defaults to `"metric"`):
            `"metric"`: the output is a distance in metres, so near is small.

    Raises:
        ValueError: If a list has not as many widths as there are layers, or two layers that are added differ.

    Example:
        >>> FastDepthConfig().encoder_hidden_sizes[:4]
        [32, 64, 128, 128]
    """

    model_type = "fastdepth"

    encoder_hidden_sizes: list[int] = field(
        default_factory=lambda: [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    )
    decoder_hidden_sizes: list[int] = field(default_factory=lambda: [512, 256, 128, 64, 32])
    depth_estimation_type: Literal["metric"] = "metric"

    def validate_sizes(self):
        for name, num_layers in (("encoder_hidden_sizes", 14), ("decoder_hidden_sizes", 5)):
            sizes = getattr(self, name)
            if len(sizes) != num_layers or min(sizes) < 1:
                raise ValueError(f"`{name}` must be {num_layers} positive numbers, one a layer, got {sizes}.")
        added = [self.encoder_hidden_sizes[index] for index in (5, 3, 1)]
        if self.decoder_hidden_sizes[1:4] != added:
            raise ValueError(
                f"`decoder_hidden_sizes[1:4]` must be {added}, the widths of layers 5, 3 and 1 of the encoder, which "
                f"are added there, got {self.decoder_hidden_sizes[1:4]}."
            )


__all__ = ["FastDepthConfig"]
