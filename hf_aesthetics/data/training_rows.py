"""
Rows of a collection as a data loader of torch takes them, on disk or streamed, under a transform that knows the epoch.

Knows nothing about models or how the rows become batches.
"""

from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset, IterableDataset

from .transforms import EvaluationTransform, TrainingTransform


def transform_rows(
    rows: Dataset | IterableDataset,
    transform: EvaluationTransform,
    num_rows: int | None = None,
    shuffle_buffer: int = 0,
) -> "IndexedRows | StreamedRows":
    """
    Rows of a collection under a transform.

    Args:
        rows (`Dataset` or `IterableDataset`):
            On disk, or streamed.
        transform (`EvaluationTransform`):
            Also a `TrainingTransform`, which then follows the epochs.
        num_rows (`int`, *optional*):
            How many there are; a stream does not know.
        shuffle_buffer (`int`, *optional*, defaults to 0):
            Of how many rows of a stream the next one is drawn; 0 leaves their order. Rows on disk are shuffled by the
            sampler of the data loader.

    Raises:
        ValueError: If the length of a stream is not given.
    """
    if isinstance(rows, Dataset):
        return IndexedRows(rows, transform)
    if num_rows is None:
        raise ValueError("`num_rows` must say how many rows a stream has, got None. Count its labels.")
    return StreamedRows(rows, transform, num_rows, shuffle_buffer)


class IndexedRows(torch.utils.data.Dataset):
    """Rows on disk. Columns that the transform does not read are not decoded."""

    def __init__(self, rows: Dataset, transform: EvaluationTransform) -> None:
        self.transform = transform
        self.rows = rows.with_transform(transform, columns=transform.columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return self.rows[index]

    def __getitems__(self, indices: list[int]) -> list[dict[str, torch.Tensor]]:
        return self.rows.__getitems__(indices)

    def set_epoch(self, epoch: int) -> None:
        _set_epoch(self.transform, epoch)


class StreamedRows(torch.utils.data.IterableDataset):
    """Rows from a host, read in one process while they are used; each epoch has its order, by the transform's seed."""

    BATCH_SIZE = 16  # rows that go through the transform together

    def __init__(
        self, rows: IterableDataset, transform: EvaluationTransform, num_rows: int, shuffle_buffer: int
    ) -> None:
        self.transform, self.num_rows = transform, num_rows
        self.rows = rows.select_columns(transform.columns)
        if shuffle_buffer:
            self.rows = self.rows.shuffle(seed=getattr(transform, "seed", 0), buffer_size=shuffle_buffer)

    def __len__(self) -> int:
        return self.num_rows

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        if torch.utils.data.get_worker_info() is not None:
            raise ValueError("A stream is read in one process; every worker would read all of it. Use 0 workers.")
        for batch in self.rows.iter(self.BATCH_SIZE):
            columns: dict[str, list[Any]] = self.transform(batch)
            for values in zip(*columns.values(), strict=True):
                yield dict(zip(columns, values, strict=True))

    def set_epoch(self, epoch: int) -> None:
        self.rows.set_epoch(epoch)
        _set_epoch(self.transform, epoch)


def _set_epoch(transform: EvaluationTransform, epoch: int) -> None:
    if isinstance(transform, TrainingTransform):
        transform.set_epoch(epoch)
