"""The image processor of the model over named features. A pure function of the pixels; knows none of them."""

import torch
from transformers import BatchFeature
from transformers.image_utils import ImageInput
from transformers.processing_utils import Unpack

from .image_processing_modality import ModalityImageProcessor, ModalityImageProcessorKwargs, view_box


class HandcraftedImageProcessor(ModalityImageProcessor):
    r"""
    Prepares pictures for features that are measured on them: values in [0, 1], 256 x 256 pixels, and beside them the
    proportions that squashing takes away.

    Args:
        size (`dict`, *optional*, defaults to `{"height": 256, "width": 256}`):
            Size of `pixel_values`.

    Raises:
        ValueError: If `modality` is not `"rgb"`: the features are those of pictures.

    Example:
        >>> from PIL import Image
        >>> inputs = HandcraftedImageProcessor()(Image.new("RGB", (640, 480), "white"), return_tensors="pt")
        >>> inputs.aspect_ratio, inputs.pixel_values.max().item()
        (tensor([1.3333]), 1.0)
    """

    model_input_names = ["pixel_values", "aspect_ratio"]

    size = {"height": 256, "width": 256}
    do_normalize = False

    def __init__(self, **kwargs: Unpack[ModalityImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)
        if self.modality != "rgb":
            raise ValueError(f"`modality` must be 'rgb', because the features need pictures, got {self.modality!r}.")

    def _preprocess_image_like_inputs(
        self, images: ImageInput | None, modality_maps: ImageInput | None = None, **kwargs
    ) -> BatchFeature:
        pictures: list[torch.Tensor] | None = None
        if images is not None:
            pictures = self._prepare_image_like_inputs(images, **kwargs)
        inputs = super()._preprocess_image_like_inputs(pictures, modality_maps, **kwargs)
        view = kwargs["size"], kwargs["view"], kwargs["crop_fraction"]
        boxes = [view_box(*picture.shape[-2:], *view) for picture in pictures or []]
        ratios = [width / height for _, _, height, width in boxes]
        return BatchFeature({**inputs, "aspect_ratio": ratios}, tensor_type=kwargs["return_tensors"])


__all__ = ["HandcraftedImageProcessor"]
