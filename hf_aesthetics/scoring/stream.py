"""
Scoring a stream of pictures: threads read them while the model runs, and a bad one is a row, never the end.

Knows nothing about how rows are stored or shown.
"""

import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from transformers import BatchFeature

from ..images import ImageReadError
from ..pipelines import AestheticRecord, aesthetic_records, rating_labels
from .scorer import AestheticScorer


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureScore:
    """
    What a scorer says of one picture, or why it cannot: one row of a table of scores.

    Args:
        path (`str`):
            The file as it was given; empty for a picture that is none. Bytes of a name that are not UTF-8 are written
            out, as in `"caf\\udce9.jpg"`.
        score (`float`, *optional*):
            Predicted mean score in rating units; `None`, as every number, where there is an `error`.
        score_std (`float`, *optional*):
            Predicted standard deviation of the scores; `None`, too, where the scorer predicts no distribution.
        percentile (`float`, *optional*):
            Share, in percent, of the training pictures that the model scores lower; `None` where it was not stored.
        distribution (`dict[str, float | None]`):
            Predicted share of raters a rating, lowest rating first; `None` for each where the scorer predicts none.
            The ratings are there in every row, so that a table has the same columns whichever file comes first.
        error (`str`, *optional*):
            One line that says why there is no score.
        scorer (`str`):
            [`AestheticScorer.id`], to be cited with the score.
        preprocessing (`str`):
            [`AestheticScorer.preprocessing`], to be cited with the score.
        notice (`str`, *optional*):
            What has to be said wherever the score is shown.
    """

    path: str
    score: float | None
    score_std: float | None
    percentile: float | None
    distribution: dict[str, float | None]
    error: str | None
    scorer: str
    preprocessing: str
    notice: str | None = None


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
    num_workers = min(8, os.cpu_count() or 1) if num_workers is None else num_workers
    for name, value in (("batch_size", batch_size), ("num_workers", num_workers)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")
    _ = scorer.extractor  # what is wrong with it must not be told for every file
    return _stream_scores(scorer, iter(pictures), batch_size, num_workers)


def _stream_scores(
    scorer: AestheticScorer, pictures: Iterator[Any], batch_size: int, num_workers: int
) -> Iterator[PictureScore]:
    # one batch in the model, and work for every thread
    lookahead = batch_size + max(batch_size, num_workers)
    pending: deque[tuple[str, Future[BatchFeature | str]]] = deque()
    with ThreadPoolExecutor(num_workers, thread_name_prefix="read-picture") as pool:
        try:
            while True:
                for picture in itertools.islice(pictures, lookahead - len(pending)):
                    path = os.fspath(picture) if isinstance(picture, str | os.PathLike) else ""
                    pending.append((path, pool.submit(_read_inputs, scorer, picture, path)))
                if not pending:
                    return
                batch = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
                yield from _score_batch(scorer, [(path, inputs.result()) for path, inputs in batch])
        finally:
            pool.shutdown(cancel_futures=True)


def _read_inputs(scorer: AestheticScorer, picture: Any, path: str) -> BatchFeature | str:
    """Inputs of the model for one picture, or why there are none."""
    try:
        return scorer.preprocess([picture() if callable(picture) else picture])
    except ImageReadError as error:
        return str(error)
    except Exception as error:  # one file in a million must not end the run, whatever it is
        name, reason = repr(path) if path else f"<{type(picture).__name__}>", " ".join(str(error).split())
        return f"Cannot score {name}: {type(error).__name__} ({reason})."


def _score_batch(scorer: AestheticScorer, batch: list[tuple[str, BatchFeature | str]]) -> list[PictureScore]:
    """The pure step: pictures with their inputs, or with the reason why there are none, to one row each."""
    config = scorer.model.config
    provenance: dict[str, Any] = {"scorer": scorer.id, "preprocessing": scorer.preprocessing, "notice": scorer.notice}
    nothing: dict[str, Any] = {
        "score": None,
        "score_std": None,
        "percentile": None,
        "distribution": dict.fromkeys(rating_labels(config)),
    }
    inputs = [item for _, item in batch if not isinstance(item, str)]
    records: Iterator[AestheticRecord] = iter(())
    if inputs:
        merged = BatchFeature({key: torch.cat([item[key] for item in inputs]) for key in inputs[0]})
        records = iter(aesthetic_records(scorer.forward(merged), config))
    rows = []
    for path, item in batch:
        error = item if isinstance(item, str) else None
        # what the scorer does not predict stays empty
        said = {} if error else {name: value for name, value in next(records).items() if value is not None}
        record: dict[str, Any] = {**nothing, **said}
        if not error and not math.isfinite(record["score"]):
            record, error = nothing, f"The model has no finite score for {path!r}. Choose another checkpoint."
        name = path.encode("utf-8", "backslashreplace").decode()
        rows.append(PictureScore(path=name, error=error, **record, **provenance))
    return rows
