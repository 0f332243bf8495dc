"""The image processor of every model here: picture or modality map -> `pixel_values`.

A pure function of the pixels; knows nothing about networks, files or scores.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub.dataclasses import validate_typed_dict
from PIL import Image
from torchvision.transforms.v2 import functional as tvF
from transformers import AutoConfig, AutoImageProcessor, BatchFeature
from transformers.image_processing_backends import TorchvisionBackend
from transformers.image_transforms import group_images_by_shape, reorder_images
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    ChannelDimension,
    ImageInput,
    PILImageResampling,
    SizeDict,
)
from transformers.processing_utils import ImagesKwargs, Unpack

from .modality_maps import MODALITIES, check_modality, make_modality_maps, split_modality
from .rgb_conversion import convert_to_rgb


class ModalityImageProcessorKwargs(ImagesKwargs, total=False):
    """
    modality (`str`):
        What the network sees: `"rgb"` for the picture, a modality map, or `"rgb+<map>"` for both.
    view (`str`):
        `"squash"` or `"crop"`.
    crop_fraction (`float`):
        Share of the shorter side that the crop view keeps.
    map_size (`int`):
        Longer side, in pixels, at which modality maps are made.
    extractor_checkpoint (`str`):
        Network that makes the maps, for whoever loads the processor.
    extractor_revision (`str`):
        Its commit, or a hash of its weights.
    """

    modality: str
    view: Literal["squash", "crop"]
    crop_fraction: float
    map_size: int
    extractor_checkpoint: str | None
    extractor_revision: str | None


def view_box(height: int, width: int, size: SizeDict, view: str, crop_fraction: float) -> tuple[int, int, int, int]:
    """
    The part of a picture that a view shows, as `(top, left, height, width)` in pixels.

    Example:
        >>> view_box(200, 400, SizeDict(height=224, width=224), "crop", 0.875)
        (13, 113, 175, 175)
    """
    if view == "squash":
        return 0, 0, height, width
    scale = crop_fraction * min(height / size.height, width / size.width)
    box_height, box_width = max(1, round(size.height * scale)), max(1, round(size.width * scale))
    return (height - box_height + 1) // 2, (width - box_width + 1) // 2, box_height, box_width


def shrink(images: torch.Tensor, map_size: int) -> torch.Tensor:
    """
    Pictures at the size at which maps are made: the longer side has `map_size` pixels at most.

    Example:
        >>> shrink(torch.zeros(1, 3, 600, 1024, dtype=torch.uint8), 512).shape
        torch.Size([1, 3, 300, 512])
    """
    height, width = images.shape[-2:]
    scale = map_size / max(height, width)
    if scale >= 1:
        return images
    return tvF.resize(images, [max(1, round(height * scale)), max(1, round(width * scale))], antialias=True)


class ModalityImageProcessor(TorchvisionBackend):
    r"""
    Prepares pictures, or modality maps of them, for a network.

    Pictures of every kind become upright 8-bit sRGB first (see `rgb_conversion.py`). The two evaluation views of the
    field differ by 41 of 255 levels in the mean pixel of a photograph, so the view is named and saved:

    - `"squash"` resizes the whole frame to `size`, its aspect ratio lost
      ([NIMA](https://huggingface.co/papers/1709.05424) trains this way; nothing is cut off);
    - `"crop"` keeps the aspect ratio and takes the centre: `crop_fraction` of the shorter side. It cuts before it
      resizes, which agrees with resizing to 256 and cutting 224 up to less than a pixel of offset.

    A map has one channel, which is repeated so that pretrained stems stay valid. With `"rgb+<map>"` it is the fourth
    channel behind those of the picture, cut and resized like it, and brought from [0, 1] to [-1, 1], whatever the
    statistics of the backbone are (our choice).

    The processor runs no network. Maps that a network makes are passed to it.

    Args:
        modality (`str`, *optional*, defaults to `"rgb"`):
            What the network sees: `"rgb"`, a map of `MODALITIES` in `modality_maps.py`, or `"rgb+<map>"`.
        view (`str`, *optional*, defaults to `"squash"`):
            `"squash"` or `"crop"`.
        crop_fraction (`float`, *optional*, defaults to 0.875):
            Share of the shorter side that the crop view keeps; 224 of 256.
        map_size (`int`, *optional*, defaults to 512):
            Modality maps are made at this longer side in pixels at most, so that they do not depend on the camera.
        extractor_checkpoint, extractor_revision (`str`, *optional*):
            The network that made the maps which the model was trained on, and its commit or the hash of its weights.
            Scoring takes its maps from there.
        size (`dict`, *optional*, defaults to `{"height": 224, "width": 224}`):
            Size of `pixel_values`.
        resample (`int`, *optional*, defaults to 2):
            Interpolation, PIL's numbers: bilinear, antialiased.
        image_mean, image_std (`list[float]`, *optional*, default to ImageNet's):
            Statistics of the backbone, for values in [0, 1].

    Raises:
        ValueError: If there is no such modality; maps are missing, or given to the RGB processor; or a map cannot be
            that of its picture.

    Example:
        >>> processor = ModalityImageProcessor(modality="gray", size={"height": 32, "width": 32})
        >>> processor([Image.new("RGB", (640, 480))], return_tensors="pt").pixel_values.shape
        torch.Size([1, 3, 32, 32])
    """

    valid_kwargs = ModalityImageProcessorKwargs
    model_input_names = ["pixel_values"]

    modality = "rgb"
    view = "squash"
    crop_fraction = 0.875
    map_size = 512
    extractor_checkpoint = None
    extractor_revision = None
    size = {"height": 224, "width": 224}
    resample = PILImageResampling.BILINEAR
    image_mean = IMAGENET_DEFAULT_MEAN
    image_std = IMAGENET_DEFAULT_STD
    do_convert_rgb = True
    do_resize = True
    do_rescale = True
    do_normalize = True

    def __init__(self, **kwargs: Unpack[ModalityImageProcessorKwargs]) -> None:
        # the base class checks what a call is given, but not what a processor is built with
        declared = self.valid_kwargs.__annotations__
        validate_typed_dict(self.valid_kwargs, {name: value for name, value in kwargs.items() if name in declared})
        super().__init__(**kwargs)
        check_modality(self.modality)
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"`crop_fraction` must be in (0, 1], got {self.crop_fraction}.")

    @classmethod
    def from_backbone_pretrained(cls, checkpoint: str, **kwargs) -> "ModalityImageProcessor":
        """
        A processor with the statistics, size and interpolation that a pretrained backbone was trained with.

        Args:
            checkpoint (`str`):
                Hub repository, local folder, or `torchvision/<architecture>`.
            **kwargs:
                Fields of [`ModalityImageProcessor`], which win.
        """
        return cls(**{**_pretrained_statistics(checkpoint), **kwargs})

    def __call__(
        self, images: ImageInput | None = None, modality_maps: ImageInput | None = None, **kwargs
    ) -> BatchFeature:
        """
        Prepares a picture or a list of them, or maps that were made before.

        Args:
            images (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor`, path, or a list of these, *optional*):
                Pictures; arrays are 8-bit or 16-bit integers, or floats in [0, 1].
            modality_maps (the same types, *optional*):
                One-channel maps of the pictures, such as a column of a data set. The pictures are needed beside them
                for `"rgb+<map>"` alone.

        Returns:
            `BatchFeature` with `pixel_values`, a list of float32 tensors of shape `(3, height, width)`, or
            `(4, height, width)` for `"rgb+<map>"`, stacked with `return_tensors="pt"`.
        """
        return super().__call__(images, image_like_kwargs={"modality_maps": modality_maps}, **kwargs)

    def _preprocess_image_like_inputs(
        self, images: ImageInput | None, modality_maps: ImageInput | None = None, **kwargs
    ) -> BatchFeature:
        sees_picture, map_name = split_modality(kwargs["modality"])
        _check_given(kwargs["modality"], images, modality_maps)
        pictures, maps = [], []
        if modality_maps is None or sees_picture:
            pictures = self._prepare_image_like_inputs(images, **kwargs)
        if modality_maps is not None:
            maps = self._prepare_image_like_inputs(modality_maps, **{**kwargs, "do_convert_rgb": False})
        elif map_name is not None:
            grouped, index = group_images_by_shape(pictures, disable_grouping=kwargs.get("disable_grouping"))
            made = {shape: self.make_modality_maps(stacked, **kwargs) for shape, stacked in grouped.items()}
            maps = reorder_images(made, index)
        if not sees_picture:
            pixel_values = self._preprocess(maps, **kwargs)
        else:
            pixel_values = self._preprocess(pictures, **kwargs)
            if map_name is not None:
                _check_pairs(pictures, maps)
                centred = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
                shown = zip(pixel_values, self._preprocess(maps, **{**kwargs, **centred}), strict=True)
                pixel_values = [torch.cat([picture, map_[:1]]) for picture, map_ in shown]
        return BatchFeature(data={"pixel_values": pixel_values}, tensor_type=kwargs["return_tensors"])

    def fetch_images(self, image_url_or_urls: Any) -> Any:
        """Opens local files through PIL, whose header tells orientation and profile; leaves the rest to the base."""
        if isinstance(image_url_or_urls, (str, Path)) and Path(image_url_or_urls).is_file():
            return Image.open(image_url_or_urls)
        return super().fetch_images(image_url_or_urls)

    def _prepare_images_structure(self, images: ImageInput, expected_ndims: int = 3) -> list[Any]:
        """One picture, a list or a 4-D array as a list; unlike the base class, grey arrays `(H, W)` are pictures."""
        images = self.fetch_images(images)
        return list(images) if isinstance(images, (list, tuple)) or getattr(images, "ndim", 3) == 4 else [images]

    def process_image(
        self,
        image: ImageInput,
        do_convert_rgb: bool | None = None,
        input_data_format: str | ChannelDimension | None = None,
        device: torch.device | None = None,
        **kwargs,
    ) -> torch.Tensor:
        """One picture or map as uint8 of shape `(channels, height, width)`."""
        is_picture = isinstance(image, Image.Image)
        if is_picture:
            is_deep = image.mode == "F" or image.mode.startswith("I")  # of which PIL would clip what is above 255
            image = convert_to_rgb(image) if do_convert_rgb or is_deep else image
            image = image if do_convert_rgb else image.convert("L")
        pixels = _to_uint8(image)
        if do_convert_rgb and is_picture:
            pixels, input_data_format = torch.from_numpy(pixels).permute(2, 0, 1), ChannelDimension.FIRST
        if do_convert_rgb and isinstance(pixels, torch.Tensor) and pixels.ndim == 3 and pixels.shape[0] == 3:
            if input_data_format in (None, ChannelDimension.FIRST):
                # not made contiguous: with its channels last in memory it resizes five times as fast, to the same bits
                return pixels if device is None else pixels.to(device)
        kwargs |= {"input_data_format": input_data_format, "device": device}
        tensor = super().process_image(pixels, do_convert_rgb=do_convert_rgb, **kwargs)
        if not do_convert_rgb and tensor.shape[0] != 1:
            raise ValueError(f"A modality map must have one channel, got shape {tuple(tensor.shape)}.")
        return tensor

    def make_modality_maps(self, images: torch.Tensor, **kwargs) -> torch.Tensor:
        """
        Closed-form maps of pictures of one size, `(B, 3, H, W)` uint8 -> `(B, 1, h, w)` uint8, where
        `max(h, w) <= map_size`.

        Args:
            images (`torch.Tensor` of shape `(batch_size, 3, height, width)`, uint8):
                sRGB pictures.
        """
        _, map_name = split_modality(kwargs.get("modality", self.modality))
        small = shrink(images, kwargs.get("map_size", self.map_size))
        # contiguous, because sums depend on the order in memory
        return make_modality_maps(small.contiguous(), map_name or "rgb")

    def _preprocess(
        self,
        images: list[torch.Tensor],
        do_resize: bool,
        size: SizeDict,
        resample: PILImageResampling | int | None,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | list[float] | None,
        image_std: float | list[float] | None,
        view: str,
        crop_fraction: float,
        disable_grouping: bool | None = None,
        **kwargs,
    ) -> list[torch.Tensor]:
        """What a view shows of pictures or maps, `(C, H, W)` uint8 each, resized and normalised."""
        grouped, index = group_images_by_shape(images, disable_grouping=disable_grouping)
        for shape, stacked in grouped.items():
            if do_resize:
                top, left, height, width = view_box(*stacked.shape[-2:], size, view, crop_fraction)
                stacked = stacked[..., top : top + height, left : left + width]
                stacked = self.resize(stacked, size=size, resample=resample)
            stacked = stacked.expand(-1, 3, -1, -1)  # (B, 1 or 3, H, W) -> (B, 3, H, W)
            grouped[shape] = self.rescale_and_normalize(
                stacked, do_rescale, rescale_factor, do_normalize, image_mean, image_std
            )
        return reorder_images(grouped, index)


def _check_given(modality: str, images: Any, modality_maps: Any) -> None:
    """Pictures and maps must be there as a modality needs them."""
    sees_picture, map_name = split_modality(modality)
    if images is None and modality_maps is None:
        raise ValueError("Expected `images` or `modality_maps`, got neither.")
    if modality_maps is None:
        if map_name is not None and MODALITIES[map_name].function is None:
            call = f"processor({'images, ' if sees_picture else ''}modality_maps=...)"
            raise ValueError(
                f"Modality {modality!r} needs maps that a network makes ({MODALITIES[map_name].task}), got pictures "
                f"alone, and a processor runs no network. Make 8-bit maps and call {call}, or score with "
                "hf_aesthetics, which makes them."
            )
    elif map_name is None:
        raise ValueError(
            "`modality_maps` were given, but this processor has modality 'rgb', which reads the pictures. "
            "Pass `images`, or load the processor of the modality's own checkpoint."
        )
    elif sees_picture and images is None:
        raise ValueError(f"Modality {modality!r} needs `images` beside `modality_maps`, got maps alone.")
    elif isinstance(images, (list, tuple)) and isinstance(modality_maps, (list, tuple)):
        if len(images) != len(modality_maps) and (images or sees_picture):
            raise ValueError(f"Every picture needs one map, got {len(modality_maps)} maps for {len(images)} pictures.")


def _check_pairs(pictures: list[torch.Tensor], maps: list[torch.Tensor]) -> None:
    """A map may have another resolution than its picture, but must have its proportions, up to 5 % or a pixel."""
    if len(pictures) != len(maps):
        raise ValueError(f"Every picture needs one map, got {len(maps)} maps for {len(pictures)} pictures.")
    for picture, map_ in zip(pictures, maps, strict=True):
        (height, width), (map_height, map_width) = picture.shape[-2:], map_.shape[-2:]
        expected = map_width * height / width
        if abs(map_height - expected) > max(0.05 * expected, 1, height / width):
            raise ValueError(
                f"A map must have the proportions of its picture, got a map of {map_width} x {map_height} for a "
                f"picture of {width} x {height} pixels. Make it of the upright picture."
            )


def _to_uint8(image: Any) -> Any:
    """Arrays of other types as 8-bit ones: floats in [0, 1] and 16-bit integers are scaled, not clipped."""
    if isinstance(image, Image.Image):
        return np.array(image)
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.dtype == np.uint8:
        return image if isinstance(image, torch.Tensor) or array.flags.writeable else array.copy()
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if array.dtype.kind == "f":
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"Float pictures must hold values in [0, 1], got {low:g} to {high:g}. Pass uint8 instead."
            )
        return (array * 255).round().astype(np.uint8)
    if array.dtype == np.uint16:
        return (array / 257).round().astype(np.uint8)
    if low < 0 or high > 255:
        raise ValueError(f"Integer pictures must hold values in 0..255, got {low:g} to {high:g}. Pass uint8 instead.")
    return array.astype(np.uint8)


def _pretrained_statistics(checkpoint: str) -> dict[str, Any]:
    if checkpoint.startswith("torchvision/"):
        return {}  # ImageNet's, which are the defaults
    config = AutoConfig.from_pretrained(checkpoint)
    if config.model_type == "timm_wrapper":
        fields = getattr(config, "pretrained_cfg", {})
        statistics = {"image_mean": fields.get("mean"), "image_std": fields.get("std")}
        size = fields.get("input_size", (3, 224, 224))[1:]
        resample = {"bicubic": PILImageResampling.BICUBIC}.get(
            fields.get("interpolation"), PILImageResampling.BILINEAR
        )
    else:
        source = AutoImageProcessor.from_pretrained(checkpoint)
        statistics = {"image_mean": source.image_mean, "image_std": source.image_std}
        # a backbone that resizes to 256 and cuts 224 was trained at 224
        given = dict(getattr(source, "crop_size", None) or source.size or {})
        side = given.get("shortest_edge") or 224
        size = (given.get("height") or side, given.get("width") or side)
        resample = source.resample
    statistics = {name: list(values) for name, values in statistics.items() if values is not None}
    return {**statistics, "size": {"height": size[0], "width": size[1]}, "resample": resample}


__all__ = ["ModalityImageProcessor", "ModalityImageProcessorKwargs", "shrink", "view_box"]
