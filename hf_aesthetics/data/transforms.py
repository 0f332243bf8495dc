"""What happens to rows of a data set on their way to a network: the view, random when training, and the labels.

Made for `dataset.with_transform(transform, columns=transform.columns)`; `transformers.default_data_collator` stacks
what comes out. Knows nothing about models, or about where the rows come from.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tvF
from transformers import BatchFeature
from transformers.image_utils import SizeDict

from ..extraction import needs_network
from ..models.distributions import maximum_entropy_distribution, normalize_votes
from ..models.image_processing_modality import ModalityImageProcessor, view_box
from ..models.modality_maps import split_modality
from ..models.rgb_conversion import convert_to_rgb
from .columns import COMMON_COLUMNS
from .modality_columns import map_columns


_LABEL_COLUMNS = ("vote_counts", "score_mean", "score_std")


@dataclass(frozen=True, eq=False)
class EvaluationTransform:
    """
    Rows as the network is evaluated on them: the processor's own view, nothing random.

    Args:
        processor ([`ModalityImageProcessor`]):
            Turns pictures, or maps of them, into `pixel_values` and whatever else its model reads.
        bin_scores (`Sequence[float]` of length `num_bins`):
            Rating of every bin, lowest first.
        modality_column (`str`, *optional*):
            Column of maps that were made before. By default the processor makes what it needs of the pictures, where
            it can: a network's maps need a column.
        attribute_columns (`Sequence[str]`, *optional*):
            Columns of numbers that are labels beside the ratings.

    Returns:
        For a batch, a `dict` of lists: `pixel_values`, tensors of shape `(3, height, width)`, what else the processor
        returns, and `labels`, float32 tensors of shape `(num_bins,)` that sum to 1. These are the shares of
        `vote_counts`; where it is null, the maximum-entropy histogram with `score_mean` and, where known, `score_std`.
        With attributes also `attribute_labels`, float32 tensors of shape `(num_attributes,)`, NaN where null.

    Raises:
        KeyError: If the batch lacks a column.
        ValueError: If a row has no picture, or neither votes nor a mean, or the maps of a network have no column.

    Example:
        >>> processor = ModalityImageProcessor(size={"height": 32, "width": 32})
        >>> transform = EvaluationTransform(processor, bin_scores=[1, 2, 3])
        >>> image = Image.new("RGB", (64, 48))
        >>> batch = {"image": [image], "vote_counts": [[0, 1, 3]], "score_mean": [2.75], "score_std": [0.43]}
        >>> transform(batch)["labels"]
        [tensor([0.0000, 0.2500, 0.7500])]
    """

    processor: ModalityImageProcessor
    bin_scores: Sequence[float]
    modality_column: str | None = None
    attribute_columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.modality_column is None and needs_network(self.processor.modality):
            raise ValueError(
                f"Modality {self.processor.modality!r} needs a column of maps that a network makes, got "
                "`modality_column=None`. Make it with add_maps(...) or scripts/cache_modalities.py."
            )

    @property
    def columns(self) -> list[str]:
        """The columns that are read; `with_transform(transform, columns=transform.columns)` decodes no others."""
        inputs = map_columns(self.processor.modality, self.modality_column)
        return [*inputs, *_LABEL_COLUMNS, *self.attribute_columns]

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        inputs = {name: list(values) for name, values in self._make_inputs(batch).items()}
        labels: dict[str, list[Any]] = {"labels": make_labels(batch, self.bin_scores)}
        if self.attribute_columns:
            rows = zip(*(_read_column(batch, column) for column in self.attribute_columns), strict=True)
            labels["attribute_labels"] = [
                torch.tensor([math.nan if value is None else value for value in row], dtype=torch.float32)
                for row in rows
            ]
        return {**inputs, **labels}

    def _read_pictures(self, batch: dict[str, list[Any]]) -> dict[str, list[Image.Image]]:
        """Pictures and maps, by the names under which the processor takes them."""
        given = {}
        for column in map_columns(self.processor.modality, self.modality_column):
            pictures = _read_column(batch, column)
            if any(picture is None for picture in pictures):
                raise ValueError(f"Every row needs a picture in `{column}`, got null. Filter such rows out.")
            given["modality_maps" if column == self.modality_column else "images"] = pictures
        return given

    def _make_inputs(self, batch: dict[str, list[Any]]) -> BatchFeature:
        return self.processor(**self._read_pictures(batch))


@dataclass(frozen=True, eq=False)
class TrainingTransform(EvaluationTransform):
    """
    Rows as the network is trained on them: a random part of each picture, flipped in half of the cases.

    In the squash view the part is `crop_fraction` of both sides. With 0.875 this is what
    [NIMA](https://huggingface.co/papers/1709.05424) does, which resizes to 256 and cuts 224 at random; that the cut
    comes first, so that a picture is resized once, is our choice. In the crop view the part has the shape and size of
    that view, at a random place.

    A modality map is cut where its picture would be. One that is made on the fly is made of the whole picture before,
    so that it trains like one of a column.

    What is drawn for a picture follows from `seed`, epoch and `image_id` alone, not from the state of a generator: it
    does not depend on the order of the pictures, the number of workers and processes, or on where a run was resumed.

    Args:
        processor ([`ModalityImageProcessor`]):
            Turns pictures, or maps of them, into `pixel_values`.
        bin_scores (`Sequence[float]` of length `num_bins`):
            Rating of every bin, lowest first.
        modality_column (`str`, *optional*):
            Column of maps that were made before.
        attribute_columns (`Sequence[str]`, *optional*):
            Columns of numbers that are labels beside the ratings.
        crop_fraction (`float`, *optional*, defaults to 0.875):
            Share of each side that is kept in the squash view, of the shorter side in the crop view.
        do_flip (`bool`, *optional*, defaults to `True`):
            Whether to mirror left and right in half of the cases.
        seed (`int`, *optional*, defaults to 0):
            Another seed draws other parts.

    Returns:
        For a batch, a `dict` of lists, as [`EvaluationTransform`] makes it.

    Raises:
        KeyError: If the batch lacks a column.
        ValueError: If `crop_fraction` is not in (0, 1], or a row has no picture, or neither votes nor a mean.

    Example:
        >>> processor = ModalityImageProcessor(size={"height": 32, "width": 32})
        >>> transform = TrainingTransform(processor, bin_scores=[1, 2, 3])
        >>> image = Image.new("RGB", (64, 48))
        >>> labels = {"vote_counts": [[0, 1, 3]], "score_mean": [2.75], "score_std": [0.43]}
        >>> transform({"image": [image], "image_id": ["I1"], **labels})["pixel_values"][0].shape
        torch.Size([3, 32, 32])
    """

    crop_fraction: float = 0.875
    do_flip: bool = True
    seed: int = 0
    # in shared memory, because the workers of a data loader outlive an epoch
    epoch: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64).share_memory_(), repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"`crop_fraction` must be in (0, 1], got {self.crop_fraction}.")

    @property
    def columns(self) -> list[str]:
        return [*super().columns, "image_id"]

    def set_epoch(self, epoch: int) -> None:
        """Lets other parts be drawn, in the workers of data loaders, too."""
        self.epoch.fill_(epoch)

    def _make_inputs(self, batch: dict[str, list[Any]]) -> BatchFeature:
        given = self._read_pictures(batch)
        if "images" in given:
            given["images"] = [convert_to_rgb(picture) for picture in given["images"]]
        sees_picture, map_name = split_modality(self.processor.modality)
        if map_name is not None and self.modality_column is None:
            given["modality_maps"] = [self._make_map(picture) for picture in given["images"]]
        if not sees_picture:
            given.pop("images", None)
        draws = [self._draw(image_id) for image_id in _read_column(batch, "image_id")]
        parts = {
            name: [self._cut(picture, *draw) for picture, draw in zip(pictures, draws, strict=True)]
            for name, pictures in given.items()
        }
        return self.processor(**parts, view="squash")

    def _make_map(self, picture: Image.Image) -> Image.Image:
        (modality_map,) = self.processor.make_modality_maps(tvF.pil_to_tensor(picture)[None])
        return tvF.to_pil_image(modality_map)

    def _draw(self, image_id: str) -> list[float]:
        """Three numbers in [0, 1) for a picture in this epoch."""
        digest = hashlib.blake2b(f"{self.seed}:{int(self.epoch)}:{image_id}".encode(), digest_size=24).digest()
        return [int.from_bytes(digest[at : at + 8], "big") / 2**64 for at in (0, 8, 16)]

    def _cut(self, picture: Image.Image, top: float, left: float, coin: float) -> Image.Image:
        width, height = picture.size
        part_height, part_width = (max(1, round(self.crop_fraction * side)) for side in (height, width))
        if self.processor.view == "crop":
            size = SizeDict(height=self.processor.size["height"], width=self.processor.size["width"])
            *_, part_height, part_width = view_box(height, width, size, "crop", self.crop_fraction)
        # shares of what is free, so that a picture and a map of another resolution are cut alike
        y, x = round(top * (height - part_height)), round(left * (width - part_width))
        part = picture.crop((x, y, x + part_width, y + part_height))
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.do_flip and coin < 0.5 else part


def _read_column(batch: dict[str, list[Any]], column: str) -> list[Any]:
    if column not in batch:
        raise KeyError(
            f"{column!r} is not a column of the dataset ({', '.join(batch)}). Every data set needs "
            f"{', '.join(COMMON_COLUMNS)}; add a column of maps, or leave out `modality_column`."
        )
    return batch[column]


def make_labels(batch: dict[str, list[Any]], bin_scores: Sequence[float]) -> list[torch.Tensor]:
    """The `labels` of [`EvaluationTransform`] alone."""
    votes, means, stds = (_read_column(batch, column) for column in _LABEL_COLUMNS)
    bins = torch.as_tensor(bin_scores, dtype=torch.float32)
    labels: list[Any] = [None if counts is None else normalize_votes(torch.tensor(counts)) for counts in votes]
    for has_std in (True, False):
        rows = [i for i, label in enumerate(labels) if label is None and (stds[i] is not None) is has_std]
        if not rows:
            continue
        if any(means[i] is None for i in rows):
            raise ValueError("Every row needs `vote_counts` or `score_mean`, got null in both. Filter such rows out.")
        mean = torch.tensor([means[i] for i in rows], dtype=torch.float32)
        std = torch.tensor([stds[i] for i in rows], dtype=torch.float32) if has_std else None
        for i, label in zip(rows, maximum_entropy_distribution(mean, bins, std), strict=True):
            labels[i] = label
    return labels
