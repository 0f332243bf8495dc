"""Maps of a modality for any pictures: in closed form, or by a network that is named by checkpoint and revision.

Knows nothing about data sets, scores, or where the pictures come from.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms.v2 import functional as tvF
from transformers import AutoModelForDepthEstimation, AutoModelForImageSegmentation, PreTrainedConfig
from transformers.image_processing_utils import BaseImageProcessor

from .models.image_processing_modality import shrink
from .models.modality_maps import MODALITIES, make_modality_maps, split_modality
from .strict_loading import hash_weights, load_checkpoint, resolve_commit


_TASKS = {"depth-estimation": AutoModelForDepthEstimation, "image-segmentation": AutoModelForImageSegmentation}
# models whose output is a distance in metres though their configuration does not say so
_METRIC_MODELS = {"depth_pro", "glpn", "tipsv2_dpt", "zoedepth"}


class ModalityExtractor:
    """
    Makes the maps of a modality, `PIL` pictures in, 8-bit `PIL` maps out.

    Closed-form maps are what [`~hf_aesthetics.models.modality_maps.make_modality_maps`] makes. Networks are loaded
    from their checkpoint by their Auto class, and get the pictures at the size of the maps:

    - depth is brought to nearness, which is 1 at the nearest place: distances in metres are inverted, and the 1st to
      the 99th percentile of a picture becomes 0 to 1. A picture that is equally near everywhere becomes 0 everywhere;
    - the mask of salient objects is the sigmoid of the logits. It is not stretched (our choice), so that a picture
      without a salient object stays near 0.

    Args:
        map_name (`str`):
            A map of [`~hf_aesthetics.models.modality_maps.MODALITIES`].
        checkpoint (`str`, *optional*):
            The network: a folder, or a repository on the Hub. That of the table where it is left out.
        revision (`str`, *optional*):
            Commit, branch or tag of the repository; of a folder, the `sha256:...` that its weights must have.
        map_size (`int`, *optional*, defaults to 512):
            Longer side of the maps in pixels, at most.
        device (`str` or `torch.device`, *optional*):
            CUDA where there is one, else Apple's MPS, else the CPU.
        batch_size (`int`, *optional*):
            Pictures that go through the function or the network together; 8 by default, but 1 on a CPU, whose cache
            does not hold more.

    Raises:
        OSError: If there is no such checkpoint or revision, or it cannot be read.
        ValueError: If there is no such map, it needs a checkpoint or takes none, the checkpoint is a network for
            another task, or the weights of a folder have changed.

    Example:
        >>> [map_] = ModalityExtractor("gray", device="cpu").make_maps([Image.new("RGB", (1024, 768), "white")])
        >>> map_.mode, map_.size, map_.getpixel((0, 0))
        ('L', (512, 384), 255)
        >>> ModalityExtractor("saliency_u2net")
        Traceback (most recent call last):
            ...
        ValueError: The maps 'saliency_u2net' come from a network for image-segmentation, and none is named. Give its checkpoint.
    """  # noqa: E501

    def __init__(
        self,
        map_name: str,
        checkpoint: str | None = None,
        revision: str | None = None,
        map_size: int = 512,
        device: str | torch.device | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.map_name, self.map_size = map_name, map_size
        self.device = choose_device(device)
        self.batch_size = batch_size or (1 if self.device.type == "cpu" else 8)
        self.checkpoint, self.revision = resolve_extractor(map_name, checkpoint, revision)
        if self.checkpoint is not None:
            task = str(MODALITIES[map_name].task)
            loaded = load_checkpoint(
                self.checkpoint,
                _TASKS[task],
                lambda config, name: _check_task(config, name, task),
                revision=None if Path(self.checkpoint).is_dir() else self.revision,
            )
            self.model = loaded.model.eval()
            # convolutions run about a quarter faster in this layout
            self.model.to(device=self.device, memory_format=torch.channels_last)
            self.processor: Any = loaded.processor

    @classmethod
    def of_processor(
        cls, processor: BaseImageProcessor, device: str | torch.device | None = None
    ) -> "ModalityExtractor | None":
        """
        The network that makes the maps which a processor needs and cannot make; `None` where there is no such need.

        Args:
            processor (`BaseImageProcessor`):
                Names modality, extractor and revision.
            device (`str` or `torch.device`, *optional*):
                As in [`ModalityExtractor`].

        Raises:
            ValueError: If the processor names no network, because the maps came with the collection.
        """
        fields: Any = processor
        modality = getattr(processor, "modality", "rgb")
        if not needs_network(modality):
            return None
        _, map_name = split_modality(modality)
        if fields.extractor_checkpoint is None:
            raise ValueError(
                f"The processor of a model for {modality!r} must name the network that makes its maps, but this one "
                "names none: the maps came with the data that it was trained on. Pass `modality_maps`, or set "
                "processor.extractor_checkpoint."
            )
        return cls(str(map_name), fields.extractor_checkpoint, fields.extractor_revision, fields.map_size, device)

    @torch.inference_mode()
    def make_maps(self, pictures: Iterable[Image.Image]) -> list[Image.Image]:
        """
        Maps of pictures of any sizes, in their order.

        Args:
            pictures (`Iterable[PIL.Image.Image]`):
                Upright, of mode `"RGB"`, as [`read_image`] gives them; one after another is shrunk.

        Returns:
            `list[PIL.Image.Image]` of mode `"L"`.
        """
        images, sizes = self.prepare(pictures)
        maps: dict[int, Image.Image] = {}
        for places, batch in self.batches(images):
            for place, map_ in zip(places, self._map_batch(batch, [sizes[i] for i in places]), strict=True):
                maps[place] = tvF.to_pil_image(map_)
        return [maps[place] for place in range(len(sizes))]

    def prepare(self, pictures: Iterable[Image.Image]) -> tuple[list[torch.Tensor], list[tuple[int, int]]]:
        """What the function or the network reads of each picture, and the height and width of its map."""
        images = [shrink(tvF.pil_to_tensor(picture), self.map_size) for picture in pictures]
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        if self.checkpoint is not None and images:
            images = [_thicken(image) for image in images]
            images = [torch.as_tensor(values) for values in self.processor(images=images).pixel_values]
        return images, sizes

    def batches(self, images: list[torch.Tensor]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Images of one shape together, and their places in the list."""
        places: dict[torch.Size, list[int]] = {}
        for place, image in enumerate(images):
            places.setdefault(image.shape, []).append(place)
        for of_shape in places.values():
            for start in range(0, len(of_shape), self.batch_size):
                part = of_shape[start : start + self.batch_size]
                yield part, torch.stack([images[place] for place in part]).to(self.device)

    def _map_batch(self, batch: torch.Tensor, sizes: list[tuple[int, int]]) -> Iterable[torch.Tensor]:
        """Pictures as function or network read them -> maps `(1, height, width)`, uint8, on the CPU."""
        if self.checkpoint is None:
            return make_modality_maps(batch, self.map_name).cpu()
        outputs = self.model(batch)
        if MODALITIES[self.map_name].task == "depth-estimation":
            config = self.model.config
            is_distance = (
                config.model_type in _METRIC_MODELS or getattr(config, "depth_estimation_type", None) == "metric"
            )
            return [nearness_map(depth, is_distance).cpu() for depth in self._resize_depth(outputs, sizes)]
        logits = outputs.logits
        if logits.ndim != 4 or logits.shape[1] != 1:
            raise ValueError(
                f"A network for masks must give logits of shape (batch_size, 1, height, width), but "
                f"{self.checkpoint!r} gives {tuple(logits.shape)}. Choose another extractor."
            )
        shares = [_resize(values, size) for values, size in zip(logits.sigmoid(), sizes, strict=True)]
        return [_to_uint8(share).cpu() for share in shares]

    def _resize_depth(self, outputs: Any, sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
        """What the network says of each picture, `(1, height, width)`."""
        if hasattr(self.processor, "post_process_depth_estimation"):  # some pad, or predict other than what they mean
            # by position, because ZoeDepth calls it otherwise
            results = self.processor.post_process_depth_estimation(outputs, sizes)
            depths = [result["predicted_depth"] for result in results]
            return [depth.reshape(1, *size) for depth, size in zip(depths, sizes, strict=True)]
        return [_resize(depth[None], size) for depth, size in zip(outputs.predicted_depth, sizes, strict=True)]


def nearness_map(depth: torch.Tensor, is_distance: bool) -> torch.Tensor:
    r"""
    Depth of one picture -> how near each place is, uint8, stretched from its 1st to its 99th percentile.

    Args:
        depth (`torch.Tensor`):
            Inverse depth up to scale and shift, or distance.
        is_distance (`bool`):
            Whether large values are far.

    Example:
        >>> nearness_map(torch.tensor([[1.0, 2.0, 4.0]]), is_distance=True)
        tensor([[255,  85,   0]], dtype=torch.uint8)
        >>> nearness_map(torch.full((1, 3), 7.0), is_distance=False)
        tensor([[0, 0, 0]], dtype=torch.uint8)
    """
    near = 1 / depth.float().clamp(min=1e-6) if is_distance else depth.float()
    step = max(1, min(near.shape[-2:]) // 128)  # a grid of so many places a side tells the percentiles, too
    low, high = torch.quantile(near[..., ::step, ::step], torch.tensor([0.01, 0.99], device=near.device))
    if not high - low > 1e-5 * high.abs():
        return torch.zeros_like(near, dtype=torch.uint8)
    return _to_uint8((near - low) / (high - low))


def needs_network(modality: str) -> bool:
    """
    Whether maps of a modality come from a network.

    Example:
        >>> needs_network("rgb+depth"), needs_network("blur"), needs_network("rgb")
        (True, False, False)
    """
    _, map_name = split_modality(modality)
    return map_name is not None and MODALITIES[map_name].function is None


def resolve_extractor(
    map_name: str, checkpoint: str | None = None, revision: str | None = None
) -> tuple[str | None, str | None]:
    """
    The network that makes a map, and which state of it: a commit, or `sha256:` and 12 digits of the hash of a folder's
    weights. Both are `None` for a closed-form map.

    Args:
        map_name (`str`), checkpoint (`str`, *optional*), revision (`str`, *optional*):
            As in [`ModalityExtractor`].

    Raises:
        OSError: If there is no such checkpoint or revision.
        ValueError: If there is no such map, it needs a checkpoint or takes none, or the weights of a folder have
            changed.

    Example:
        >>> resolve_extractor("blur")
        (None, None)
    """
    if map_name not in MODALITIES or map_name == "rgb":
        raise ValueError(f"A map must be one of {sorted(MODALITIES.keys() - {'rgb'})}, got {map_name!r}.")
    row = MODALITIES[map_name]
    if row.function is not None:
        if checkpoint is not None:
            raise ValueError(f"The maps {map_name!r} come from no network, got {checkpoint!r}. Leave it out.")
        return None, None
    checkpoint = checkpoint or row.checkpoint
    if checkpoint is None:
        raise ValueError(
            f"The maps {map_name!r} come from a network for {row.task}, and none is named. Give its checkpoint."
        )
    if not Path(checkpoint).is_dir():
        return checkpoint, resolve_commit(checkpoint, revision)
    found = f"sha256:{hash_weights(checkpoint)[:12]}"
    if revision not in (None, found):
        raise ValueError(
            f"The weights in {checkpoint!r} must be those of {revision!r}, got {found!r}. Name the folder that has "
            "them, or make the maps and train again."
        )
    return checkpoint, found


def name_extractors(named: Iterable[str], modalities: Iterable[str]) -> dict[str, str]:
    """
    Extractors by map, as `MODALITY=CHECKPOINT[@REVISION]` names them in a command line.

    Args:
        named (`Iterable[str]`):
            The flags.
        modalities (`Iterable[str]`):
            Maps that are wanted.

    Raises:
        ValueError: If one is named otherwise, or for a map that is not wanted.

    Example:
        >>> name_extractors(["depth=org/network@v2"], ["depth", "blur"])
        {'depth': 'org/network@v2'}
    """
    found = dict(text.partition("=")[::2] for text in named)
    wanted = list(modalities)
    if wrong := sorted(name for name, checkpoint in found.items() if name not in wanted or not checkpoint):
        raise ValueError(
            f"Extractors must be named MODALITY=CHECKPOINT, for one of {', '.join(wanted)}, got {', '.join(wrong)}."
        )
    return found


def split_revision(extractor: str | None) -> tuple[str | None, str | None]:
    """
    Checkpoint and revision of an extractor as it is named in a command line.

    Example:
        >>> split_revision("org/depth@v2"), split_revision("org/depth")
        (('org/depth', 'v2'), ('org/depth', None))
    """
    if extractor is None or Path(extractor).is_dir() or "@" not in extractor:
        return extractor, None
    checkpoint, _, revision = extractor.rpartition("@")
    return checkpoint, revision


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """
    A device that this machine has: CUDA where there is one, else Apple's MPS, else the CPU, unless one is named.

    Raises:
        ValueError: If the machine has no such device.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"`device` must be one that this machine has, such as 'cpu', got {str(device)!r} "
            f"({str(error).splitlines()[0]}). Leave it out to have one chosen."
        ) from error
    return torch.device(device)


def _check_task(config: PreTrainedConfig, name: str, task: str) -> None:
    known = sorted(known.model_type for known in _TASKS[task]._model_mapping)
    if config.model_type not in known:
        raise ValueError(
            f"Expected a network for {task} ({', '.join(known)}), got {name!r}, which is a {config.model_type!r}. "
            "Choose another extractor."
        )


def _thicken(image: torch.Tensor, side: int = 16) -> torch.Tensor:
    """Pictures of a few rows, which some networks refuse, with a few more."""
    height, width = image.shape[-2:]
    return image if min(height, width) >= side else tvF.resize(image, [max(height, side), max(width, side)])


def _resize(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """`(1, h, w)` -> `(1, height, width)`."""
    return F.interpolate(values[None].float(), size, mode="bilinear", align_corners=False, antialias=True)[0]


def _to_uint8(values: torch.Tensor) -> torch.Tensor:
    return (values * 255).round().clamp(0, 255).to(torch.uint8)
