"""
Scoring a stream of pictures: threads read them while the model runs, and a bad one is a row, never the end.

Knows nothing about how rows are stored or shown.
"""

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from transformers import BatchFeature

from .batch import (
    Columns,
    PictureScore,
    PreparedBatch,
    gather_inputs,
    named_pictures,
    read_inputs,
    score_batch,
    score_prepared,
    with_kept,
)
from .scorer import AestheticScorer


Inputs = Future[BatchFeature | str]


def score_pictures(
    scorer: AestheticScorer,
    pictures: Iterable[Any],
    *,
    batch_size: int = 16,
    num_workers: int | None = None,
) -> Iterator[PictureScore]:
    """
    Scores pictures: one row each, in their order.

    At most `num_workers` whole pictures and the inputs of a few batches are in memory, however many files there are.
    Batches follow from `pictures` and `batch_size` alone, so the number of workers does not change one bit of a score.
    Whole collections are for [`score_collection`], which uses every core, can be killed, and goes on.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        pictures (`Iterable` of `str`, `os.PathLike`, `bytes`, `PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
            Files, such as [`find_images`] gives them, or whatever else [`AestheticScorer.score`] takes; or functions
            that return such a picture when a thread is ready to read it.
        batch_size (`int`, *optional*, defaults to 16):
            Number of pictures that go through the model together.
        num_workers (`int`, *optional*):
            Number of threads that read and resize pictures; one for each core of the CPU where it is left out, but no
            more than 8.

    Raises:
        OSError: If the network that makes the maps of the model cannot be loaded.
        ValueError: If `batch_size` or `num_workers` is less than 1.

    Example:
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> [row] = score_pictures(scorer, ["sunset.jpg"])
        >>> row.error
        "Cannot read 'sunset.jpg': there is no such file. Check the path."
    """
    num_workers = default_threads() if num_workers is None else num_workers
    for name, value in (("batch_size", batch_size), ("num_workers", num_workers)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")
    _ = scorer.extractor  # what is wrong with it must not be told for every file
    batches = ({"image": batch} for batch in _batched(iter(pictures), batch_size))
    return (row for rows, _ in _score_in_threads(scorer, batches, num_workers) for row in rows)


def score_columns(
    batches: Iterable[Columns], scorer: AestheticScorer, num_threads: int = 0
) -> Iterator[dict[str, Any]]:
    """
    [`score_batch`] for one batch after another, with threads that read the next batch while the model runs.

    Args:
        batches (`Iterable` of columns):
            Batches of rows, as [`score_batch`] takes them.
        scorer ([`AestheticScorer`]):
            The scorer.
        num_threads (`int`, *optional*, defaults to 0):
            Number of threads that read pictures. Without any, this thread does everything, which is the fastest where
            a process has one core.
    """
    if not num_threads:
        yield from (score_batch(columns, scorer) for columns in batches)
        return
    for rows, batch in _score_in_threads(scorer, batches, num_threads):
        yield with_kept(rows, batch)


def default_threads() -> int:
    """One thread for each core that this process may use, but no more than 8: memory is for the pictures in them."""
    return min(8, num_cores())


def num_cores() -> int:
    """Cores that this process may use; containers and batch systems often give fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batched(pictures: Iterator[Any], batch_size: int) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(pictures, batch_size)):
        yield batch


def _score_in_threads(
    scorer: AestheticScorer, batches: Iterable[Columns], num_threads: int
) -> Iterator[tuple[list[PictureScore], PreparedBatch]]:
    batches = iter(batches)
    pending: deque[tuple[Columns, list[tuple[Any, str]], list[Inputs]]] = deque()
    num_pending = 0
    with ThreadPoolExecutor(num_threads, thread_name_prefix="read-picture") as pool:
        try:
            while True:
                # one batch in the model, and work for every thread
                while len(pending) < 2 or num_pending < len(pending[0][1]) + num_threads:
                    if (columns := next(batches, None)) is None:
                        break
                    named = named_pictures(columns)
                    pending.append((columns, named, [pool.submit(read_inputs, scorer, *item) for item in named]))
                    num_pending += len(named)
                if not pending:
                    return
                columns, named, inputs = pending.popleft()
                num_pending -= len(named)
                batch = gather_inputs(columns, named, [future.result() for future in inputs])
                yield score_prepared(batch, scorer), batch
        finally:
            pool.shutdown(cancel_futures=True)
