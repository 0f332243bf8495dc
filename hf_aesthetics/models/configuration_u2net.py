"""Configuration of U²-Net. Knows nothing about weights."""

from dataclasses import field

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class U2NetConfig(PreTrainedConfig):
    r"""
    Configuration of [`U2NetForImageSegmentation`], salient object detection by
    [U²-Net](https://huggingface.co/papers/2005.09007).

    The defaults are those of the full network, 44.0 million parameters. U²-Net-P, with 1.13 million, has 64 channels
    between all stages and 16 within them.

    Args:
        encoder_hidden_sizes (`list[int]`, *optional*, defaults to `[64, 128, 256, 512, 512, 512]`):
            Channels that each of the six stages of the encoder hands on.
        encoder_inner_sizes (`list[int]`, *optional*, defaults to `[32, 32, 64, 128, 256, 256]`):
            Channels within each of these stages.
        decoder_hidden_sizes (`list[int]`, *optional*, defaults to `[512, 256, 128, 64, 64]`):
            Channels that each of the five stages of the decoder hands on, the deepest first.
        decoder_inner_sizes (`list[int]`, *optional*, defaults to `[256, 128, 64, 32, 16]`):
            Channels within each of these stages.

    Raises:
        ValueError: If a list is not as long as there are stages, or holds a number below 1.

    Example:
        >>> small = U2NetConfig(  # U²-Net-P
        ...     encoder_hidden_sizes=[64] * 6,
        ...     encoder_inner_sizes=[16] * 6,
        ...     decoder_hidden_sizes=[64] * 5,
        ...     decoder_inner_sizes=[16] * 5,
        ... )
        >>> small.decoder_inner_sizes
        [16, 16, 16, 16, 16]
    """

    model_type = "u2net"

    encoder_hidden_sizes: list[int] = field(default_factory=lambda: [64, 128, 256, 512, 512, 512])
    encoder_inner_sizes: list[int] = field(default_factory=lambda: [32, 32, 64, 128, 256, 256])
    decoder_hidden_sizes: list[int] = field(default_factory=lambda: [512, 256, 128, 64, 64])
    decoder_inner_sizes: list[int] = field(default_factory=lambda: [256, 128, 64, 32, 16])

    def validate_sizes(self):
        for part, num_stages in (("encoder", 6), ("decoder", 5)):
            for name in (f"{part}_hidden_sizes", f"{part}_inner_sizes"):
                sizes = getattr(self, name)
                if len(sizes) != num_stages or min(sizes) < 1:
                    raise ValueError(f"`{name}` must be {num_stages} positive numbers, one a stage, got {sizes}.")


__all__ = ["U2NetConfig"]
