"""Series of pictures as batches: whole ones, every picture beside every other, in turn with batches of rated pictures.

Knows nothing about models or optimisers. What a batch holds follows from seed, epoch and its number alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import BatchFeature, PreTrainedModel, default_data_collator

from ..data.columns import PAIR_COLUMNS, SERIES_COLUMNS
from ..data.training_rows import IndexedRows
from ..models.diff_tokens import seeded_numbers
from ..models.image_processing_modality import ModalityImageProcessor
from .frozen_features import FrozenFeatureRows, record_batches
from .series_views import graded_series


NUM_ROWS = "num_rows"  # of a batch that count, beside its tensors
TEXT_COLUMN = "text_embeds"


class SeriesRows:
    """
    The series of a collection, ready to be batched.

    Args:
        pictures (`Dataset`):
            With the columns of [`series_features`]; series of one picture are left out. Without `series_id` and
            `series_rank` every comparison of `pairs` is a series of two.
        processor ([`ModalityImageProcessor`]):
            Makes inputs of them: with `preprocess_series`, as [`FgaesqImageProcessor`] has it, of every picture beside
            every other one, and else of each alone.
        pairs (`Dataset`, *optional*):
            Comparisons with the columns of [`pair_features`] and, where there are captions, their embeddings in
            `text_embeds`, see [`add_text_embeds`]. Comparisons of two series are left out.
        seed (`int`, *optional*, defaults to 0):
            Another seed draws other patches in training.
        compositional_views (`float`, *optional*, defaults to 0.0):
            Share of the series that [`graded_series`] changes in training, drawn anew for each epoch.

    Raises:
        ValueError: If a column is missing, or no series has two pictures.
    """

    def __init__(
        self,
        pictures: Dataset,
        processor: ModalityImageProcessor,
        pairs: Dataset | None = None,
        seed: int = 0,
        compositional_views: float = 0.0,
    ) -> None:
        if not 0 <= compositional_views <= 1:
            raise ValueError(
                f"`compositional_views` must be a share of the series in [0, 1], got {compositional_views}."
            )
        self.processor, self.seed, self.compositional_views = processor, seed, compositional_views
        self.features: torch.Tensor | None = None
        self.images = pictures.select_columns(["image"])
        self.ids: list[str] = pictures["image_id"][:]
        self.members: dict[str, list[int]] = {}
        self.ranks: dict[str, list[int]] = {}
        if not {"series_id", "series_rank"}.isdisjoint(pictures.column_names):
            self._read_series(pictures)
        elif pairs is not None:
            self._read_series_of_two(pairs)
        self.names = list(self.members)
        if not self.names:
            raise ValueError(
                f"Expected series of at least 2 pictures, got none in {len(pictures)} pictures with the columns "
                f"{', '.join(pictures.column_names)}. Give {' and '.join(SERIES_COLUMNS[2:])}, or a table of pairs."
            )
        self.preferences: dict[tuple[int, int], float] = {}
        self.texts: dict[tuple[int, int], np.ndarray] = {}
        self.has_preferences = pairs is not None
        self.text_size = 0
        if pairs is not None:
            self._read_pairs(pairs)

    def _read_series(self, pictures: Dataset) -> None:
        if missing := [column for column in SERIES_COLUMNS if column not in pictures.column_names]:
            raise ValueError(
                f"Series need the columns {', '.join(SERIES_COLUMNS)}, got {', '.join(pictures.column_names)}. "
                f"Add {', '.join(missing)}."
            )
        members: dict[str, list[tuple[int, int]]] = defaultdict(list)
        labels = pictures.select_columns(["series_id", "series_rank"])[:]
        for row, (name, rank) in enumerate(zip(labels["series_id"], labels["series_rank"], strict=True)):
            members[name].append((row, rank))
        for name, both in members.items():
            if len(both) > 1:
                self.members[name], self.ranks[name] = (list(each) for each in zip(*both, strict=True))

    def _read_series_of_two(self, pairs: Dataset) -> None:
        rows = {name: row for row, name in enumerate(self.ids)}
        for number, pair in enumerate(pairs.select_columns([*PAIR_COLUMNS])):
            both = [rows.get(pair[side]) for side in PAIR_COLUMNS[:2]]
            if None not in both and pair["preference"] is not None:
                name, share = f"pair {number}", pair["preference"]
                self.members[name] = [row for row in both if row is not None]
                self.ranks[name] = [int(share < 0.5), int(share > 0.5)]

    def _read_pairs(self, pairs: Dataset) -> None:
        rows = {name: row for row, name in enumerate(self.ids)}
        choices = defaultdict(list)
        has_texts = TEXT_COLUMN in pairs.column_names
        columns = ["image_a", "image_b", "preference", *([TEXT_COLUMN] if has_texts else [])]
        for pair in pairs.select_columns(columns):
            first, second = rows.get(pair["image_a"]), rows.get(pair["image_b"])
            if first is None or second is None:
                continue
            if (share := pair["preference"]) is not None:
                choices[first, second].append(share)
                choices[second, first].append(1 - share)
            if has_texts and pair[TEXT_COLUMN] is not None:
                # how the second differs from the first points the other way
                text = np.asarray(pair[TEXT_COLUMN], np.float32)
                self.texts.setdefault((first, second), text)
                self.texts.setdefault((second, first), -text)
                self.text_size = len(text)
        self.preferences = {key: float(np.mean(shares)) for key, shares in choices.items()}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_compared(self) -> bool:
        """Whether pictures are seen beside each other, so that there are two rows a pair and not one a picture."""
        return hasattr(self.processor, "preprocess_series")

    @property
    def num_pictures(self) -> np.ndarray:
        """How many pictures each series has, `(num_series,)`."""
        return np.array([len(self.members[name]) for name in self.names])

    def make_batch(self, numbers: Sequence[int], epoch: int | None = None) -> BatchFeature:
        """
        What the model reads of some series.

        Args:
            numbers (`Sequence[int]`):
                Which ones.
            epoch (`int`, *optional*):
                Draws the refined patches anew for each epoch of training. By default they follow from the pixels, as
                in use.

        Returns:
            `BatchFeature` with what the processor makes of each series, one after the other, `pair_images` (int64 of
            shape `(num_pairs, 2)`, the rows of `ranks` that a pair is made of), `ranks`, `series` and, where they are
            known, `preferences` and, of pictures beside each other, `text_embeds`.
        """
        parts: dict[str, list[torch.Tensor]] = defaultdict(list)
        start = 0
        for number, name in enumerate(self.names[each] for each in numbers):
            rows = self.members[name]
            pairs = list(combinations(rows, 2))
            ids = None
            if epoch is not None:
                ids = [f"{self.seed}:{epoch}:{self.ids[first]}:{self.ids[second]}" for first, second in pairs]
            for key, values in self._make_inputs(name, epoch, ids).items():
                parts[key].append(values + start if key == "pair_images" else values)
            parts["ranks"].append(torch.tensor(self.ranks[name]))
            parts["series"].append(torch.full((len(rows),), number))
            if self.has_preferences:
                parts["preferences"].append(torch.tensor([self.preferences.get(pair, np.nan) for pair in pairs]))
            if self.text_size and self.is_compared:
                unknown = np.full(self.text_size, np.nan, np.float32)
                texts = np.stack([self.texts.get(pair, unknown) for pair in pairs])
                parts["text_embeds"].append(torch.from_numpy(texts))
            start += len(rows)
        return BatchFeature({key: torch.cat(values) for key, values in parts.items()})

    def _make_inputs(self, name: str, epoch: int | None, pair_ids: list[str] | None) -> dict[str, torch.Tensor]:
        rows = self.members[name]
        if self.features is not None:
            inputs = {"pixel_values": self.features[rows]}
        else:
            images = self.images[rows]["image"]
            key = f"{self.seed}:{epoch}:{name}"
            if epoch is not None and seeded_numbers(key, 1).item() < self.compositional_views:
                images = graded_series(images, self.ranks[name], f"{key}/views")
            if self.is_compared:
                return dict(self.processor.preprocess_series(images, pair_ids=pair_ids))
            inputs = self._make_pixels(images)
        return {**inputs, "pair_images": torch.tensor(list(combinations(range(len(rows)), 2)))}

    def _make_pixels(self, images: list[Any]) -> dict[str, torch.Tensor]:
        return dict(self.processor(images, return_tensors="pt"))

    def record_features(self, model: PreTrainedModel, batch_size: int = 32) -> None:
        """
        Runs the frozen stages of a model over all pictures, once, for training under [`skip_frozen_stages`]: nothing
        is random about series of pictures that are seen one by one.

        Args:
            model (`PreTrainedModel`):
                A scorer after `model.freeze_stages(...)`.
            batch_size (`int`, *optional*, defaults to 32):
                Pictures that go through the stages together.

        Raises:
            ValueError: If series are changed in training.
        """
        if self.compositional_views:
            raise ValueError(
                "What frozen stages make of a picture is recorded once, and `compositional_views` = "
                f"{self.compositional_views} draws pictures anew. Leave one of them out."
            )
        starts = range(0, len(self.images), batch_size)
        images = (self.images[start : start + batch_size]["image"] for start in starts)
        self.features = torch.cat(list(record_batches(model, map(self._make_pixels, images))))


class AlternatingBatches(torch.utils.data.Dataset):
    """
    The batches of an epoch, for each step one part a process and accumulated batch: a step of rated pictures, then one
    of series, and so on. All parts of a step are of one kind, so that every row of it counts alike.

    An epoch is one pass over the series. Rated pictures go on where they stood in the epoch before, pass after pass.

    Args:
        series ([`SeriesRows`]):
            The series.
        num_series_pictures (`int`):
            Pictures of series a part, about: whole series are packed into steps of equal work.
        rated ([`IndexedRows`] or [`FrozenFeatureRows`], *optional*):
            Rated pictures. Without them every step is one of series.
        num_rated_pictures (`int`, *optional*, defaults to 1):
            Rated pictures a part.
        num_parts (`int`, *optional*, defaults to 1):
            Number of processes times that of accumulated batches.
        seed (`int`, *optional*, defaults to 0):
            Of the order.
    """

    def __init__(
        self,
        series: SeriesRows,
        num_series_pictures: int,
        rated: IndexedRows | FrozenFeatureRows | None = None,
        num_rated_pictures: int = 1,
        num_parts: int = 1,
        seed: int = 0,
    ) -> None:
        self.series, self.rated, self.num_parts, self.seed = series, rated, num_parts, seed
        self.num_rated = num_rated_pictures * num_parts
        self.num_steps = int(-(-series.num_pictures.sum() // (num_series_pictures * num_parts)))
        # in shared memory, because the workers of a data loader outlive an epoch
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return self.num_steps * (1 if self.rated is None else 2) * self.num_parts

    def set_epoch(self, epoch: int) -> None:
        self.epoch.fill_(epoch)
        if self.rated is not None:
            self.rated.set_epoch(epoch)

    def __getitem__(self, index: int) -> dict[str, Any]:
        step, part = divmod(index, self.num_parts)
        if self.rated is None:
            return self._series_part(step, part)
        turn, is_series = divmod(step, 2)
        return self._series_part(turn, part) if is_series else self._rated_part(self.rated, turn, part)

    def series_of_step(self, turn: int) -> list[list[int]]:
        """Numbers of the series of a step, part by part."""
        epoch = int(self.epoch)
        work = self.series.num_pictures * (self.series.num_pictures - 1)
        order = self._permutation("series", epoch, len(self.series))
        step = pack(order, work, self.num_steps)[turn]
        return pack(step, work, self.num_parts)

    def _series_part(self, turn: int, part: int) -> dict[str, Any]:
        parts = self.series_of_step(turn)
        # a process without any takes one along, of weight zero, because all have to exchange gradients
        numbers = parts[part] or max(parts, key=len)[:1]
        return {**self.series.make_batch(numbers, int(self.epoch)), NUM_ROWS: len(parts[part])}

    def _rated_part(self, rated: IndexedRows | FrozenFeatureRows, turn: int, part: int) -> dict[str, Any]:
        steps_a_pass = -(-len(rated) // self.num_rated)
        number, step = divmod(int(self.epoch) * self.num_steps + turn, steps_a_pass)
        order = self._permutation("rated", number, len(rated))
        rows = order[step * self.num_rated : (step + 1) * self.num_rated]
        mine = np.array_split(rows, self.num_parts)[part].tolist()
        batch = default_data_collator(rated.__getitems__(mine or rows[:1].tolist()))
        return {**batch, NUM_ROWS: len(mine)}

    def _permutation(self, kind: str, number: int, count: int) -> np.ndarray:
        key = [self.seed, {"series": 0, "rated": 1}[kind], number]
        return np.random.Generator(np.random.PCG64(key)).permutation(count)


def pack(items: Sequence[int] | np.ndarray, work: np.ndarray, num_bins: int) -> list[list[int]]:
    """
    Deals items into bins of nearly equal work, each into the one that has least so far.

    Args:
        items (`Sequence[int]`):
            Their numbers, in the order in which they are dealt.
        work (`np.ndarray`):
            What each number costs.
        num_bins (`int`):
            Number of bins.

    Example:
        >>> pack([0, 1, 2, 3, 4], np.array([6, 2, 2, 2, 6]), 2)
        [[0, 4], [1, 2, 3]]
    """
    bins: list[list[int]] = [[] for _ in range(num_bins)]
    loads = np.zeros(num_bins)
    for item in items:
        least = int(loads.argmin())
        bins[least].append(int(item))
        loads[least] += work[item]
    return bins
