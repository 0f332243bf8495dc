"""The image processor of U²-Net. A pure function of the pixels; knows nothing about networks."""

import torch
from transformers.processing_utils import Unpack

from .image_processing_modality import ModalityImageProcessor, ModalityImageProcessorKwargs


class U2NetImageProcessor(ModalityImageProcessor):
    r"""
    Prepares pictures for [U²-Net](https://huggingface.co/papers/2005.09007): the whole frame at 320 x 320 pixels,
    divided by the brightest value that the picture has there, not by 255, then ImageNet's mean and standard deviation.
    A black picture stays black.

    Args:
        size (`dict`, *optional*, defaults to `{"height": 320, "width": 320}`):
            Size of `pixel_values`.

    Raises:
        ValueError: If `modality` is not `"rgb"`: the network reads pictures.

    Example:
        >>> from PIL import Image
        >>> processor = U2NetImageProcessor(image_mean=[0.0] * 3, image_std=[1.0] * 3)
        >>> processor(Image.new("RGB", (64, 48), (102, 51, 0)), return_tensors="pt").pixel_values[0, :, 0, 0]
        tensor([1.0000, 0.5000, 0.0000])
    """

    size = {"height": 320, "width": 320}

    def __init__(self, **kwargs: Unpack[ModalityImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)
        if self.modality != "rgb":
            raise ValueError(f"`modality` must be 'rgb', because U²-Net reads pictures, got {self.modality!r}.")

    def rescale_and_normalize(
        self,
        images: torch.Tensor,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | list[float] | None,
        image_std: float | list[float] | None,
    ) -> torch.Tensor:
        """Divides each picture by its own maximum, `(B, 3, H, W)`, then as the base class."""
        if do_rescale:
            images = images.float() / images.float().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        return super().rescale_and_normalize(images, False, rescale_factor, do_normalize, image_mean, image_std)


__all__ = ["U2NetImageProcessor"]
