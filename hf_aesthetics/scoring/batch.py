"""
Columns of pictures in, columns of scores out, a row for a row: the one step that every engine calls.

Knows nothing about where pictures come from, who calls it, or how scores are stored.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from transformers import BatchFeature

from ..images import ImageReadError
from ..pipelines import AestheticRecord, aesthetic_records, rating_labels
from .scorer import AestheticScorer, ScorerSpec, load_scorer


Columns = Mapping[str, Sequence[Any]]
"""A batch of rows, column by column, all of one length: lists, or arrays of numpy or pyarrow."""

IMAGE_COLUMN = "image"


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


def score_batch(columns: Columns, scorer: AestheticScorer | ScorerSpec) -> dict[str, Sequence[Any]]:
    """
    Scores a batch of rows. Pure: the same rows give the same scores (to 1e-5) whoever calls it, in whichever batch, on
    however many machines; nothing is kept but the model, which a process loads once.

        dataset.map(score_batch, fn_kwargs={"scorer": ScorerSpec("org/nima")}, batched=True, remove_columns="image")

    Args:
        columns (`Mapping[str, Sequence]`):
            `image` holds pictures: paths, bytes, `{"bytes": ..., "path": ...}` as `datasets` stores them undecoded, or
            whatever else [`AestheticScorer.score`] takes; `None` is an error of its row. `path` says what to call them
            (optional), `error` why a picture is missing (optional). Other columns are kept.
        scorer ([`AestheticScorer`] or [`ScorerSpec`]):
            The scorer, or how to load it: one call a process loads it, the others find it there.

    Returns:
        `dict[str, Sequence]`: As many rows in the same order: `path`, `score`, `score_std`, `percentile`,
        `p_<rating>` for each rating, `error`, `scorer`, `preprocessing`, and `notice` where there is one; then the
        other columns that came. The numbers are null where there is an `error`.

    Raises:
        KeyError: If there is no column `image`.
        ValueError: If a column to keep is called like one that is added.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> scored = score_batch({"image": [Image.new("RGB", (64, 48)), b"none"], "url": ["a", "b"]}, scorer)
        >>> [score is None for score in scored["score"]], scored["url"]
        ([False, True], ['a', 'b'])
    """
    if isinstance(scorer, ScorerSpec):
        scorer = load_scorer(scorer)
    prepared = prepare_batch(columns, scorer)
    return with_kept(score_prepared(prepared, scorer), prepared)


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """
    A batch between the two halves of [`score_batch`]: read, and not yet scored.

    Args:
        names (`list[str]`):
            What the pictures are called.
        errors (`list[str | None]`):
            Why there are no inputs of a picture.
        inputs (`BatchFeature`):
            Inputs of the model for the pictures without an error.
        kept (`dict[str, Sequence]`):
            The columns that scoring does not touch.
    """

    names: list[str]
    errors: list[str | None]
    inputs: BatchFeature
    kept: dict[str, Sequence[Any]]


def prepare_batch(columns: Columns, scorer: AestheticScorer) -> PreparedBatch:
    """The first half of [`score_batch`], which needs a CPU: reads the pictures and makes the inputs of the model."""
    named = named_pictures(columns)
    return gather_inputs(columns, named, [read_inputs(scorer, *picture) for picture in named])


def named_pictures(columns: Columns) -> list[tuple[Any, str]]:
    """
    The pictures of a batch as a scorer takes them, and what to call them: `path`, or the file that `image` names.
    For a picture that is missing there is an [`ImageReadError`] that says why.

    Raises:
        KeyError: If there is no column `image`.
    """
    if IMAGE_COLUMN not in columns:
        raise KeyError(
            f"Expected a column {IMAGE_COLUMN!r} with pictures, got {', '.join(columns) or 'no column'}. Rename yours."
        )
    named = []
    paths, errors = (_column(columns, name) for name in ("path", "error"))
    for cell, path, error in zip(values_of(columns[IMAGE_COLUMN]), paths, errors, strict=True):
        if isinstance(cell, Mapping):
            path = cell.get("path") if path is None else path
            cell = path if cell.get("bytes") is None else cell["bytes"]
        if path is None:
            path = os.fspath(cell) if isinstance(cell, str | os.PathLike) else ""
        if error is not None or cell is None:
            cell = ImageReadError(error or "There is no picture in this row. Leave the row out, or look for its file.")
        named.append((cell, path))
    return named


def read_inputs(scorer: AestheticScorer, picture: Any, name: str) -> BatchFeature | str:
    """Inputs of the model for one picture, or why there are none. May be called from several threads."""
    try:
        if isinstance(picture, ImageReadError):
            raise picture
        return scorer.preprocess([picture() if callable(picture) else picture])
    except ImageReadError as error:
        return str(error)
    except Exception as error:  # one file in a million must not end the run, whatever it is
        what, reason = repr(name) if name else f"<{type(picture).__name__}>", " ".join(str(error).split())
        return f"Cannot score {what}: {type(error).__name__} ({reason})."


def gather_inputs(
    columns: Columns, named: Sequence[tuple[Any, str]], results: Sequence[BatchFeature | str]
) -> PreparedBatch:
    """What [`read_inputs`] gave for each of the named pictures of a batch, together."""
    inputs = [result for result in results if not isinstance(result, str)]
    kept = {name: values for name, values in columns.items() if name not in (IMAGE_COLUMN, "path", "error")}
    return PreparedBatch(
        names=[name for _, name in named],
        errors=[result if isinstance(result, str) else None for result in results],
        inputs=BatchFeature({key: torch.cat([item[key] for item in inputs]) for key in inputs[0]} if inputs else {}),
        kept=kept,
    )


def score_prepared(batch: PreparedBatch, scorer: AestheticScorer) -> list[PictureScore]:
    """The second half of [`score_batch`], which runs the model: one row a picture."""
    config = scorer.model.config
    provenance: dict[str, Any] = {"scorer": scorer.id, "preprocessing": scorer.preprocessing, "notice": scorer.notice}
    nothing: dict[str, Any] = {
        "score": None,
        "score_std": None,
        "percentile": None,
        "distribution": dict.fromkeys(rating_labels(config)),
    }
    records: Iterator[AestheticRecord] = iter(())
    if batch.inputs:
        records = iter(aesthetic_records(scorer.forward(batch.inputs), config))
    rows = []
    for path, error in zip(batch.names, batch.errors, strict=True):
        # what the scorer does not predict stays empty
        said = {} if error else {name: value for name, value in next(records).items() if value is not None}
        record: dict[str, Any] = {**nothing, **said}
        if not error and not math.isfinite(record["score"]):
            record, error = nothing, f"The model has no finite score for {path!r}. Choose another checkpoint."
        name = path.encode("utf-8", "backslashreplace").decode()
        rows.append(PictureScore(path=name, error=error, **record, **provenance))
    return rows


def with_kept(rows: Sequence[PictureScore], batch: PreparedBatch) -> dict[str, Sequence[Any]]:
    """Rows of a batch as columns, with the columns that were to be kept."""
    columns = columns_of(rows)
    if both := columns.keys() & batch.kept.keys():
        raise ValueError(
            f"The columns {', '.join(columns)} are added, but {', '.join(map(repr, sorted(both)))} came in. "
            "Rename or leave out yours."
        )
    return {**columns, **batch.kept}


def columns_of(rows: Sequence[PictureScore]) -> dict[str, Sequence[Any]]:
    """
    Rows of one scorer as columns, in the order of a table.

    Example:
        >>> numbers = {"score": 2.75, "score_std": 0.5, "percentile": None, "distribution": {"2": 0.25, "3": 0.75}}
        >>> list(columns_of([PictureScore(path="a.jpg", error=None, scorer="x", preprocessing="rgb", **numbers)]))
        ['path', 'score', 'score_std', 'percentile', 'p_2', 'p_3', 'error', 'scorer', 'preprocessing']
    """
    columns: dict[str, Sequence[Any]] = {}
    for field in fields(rows[0]) if rows else ():
        values = [getattr(row, field.name) for row in rows]
        if field.name == "distribution":
            columns |= {f"p_{rating}": [shares[rating] for shares in values] for rating in values[0]}
        elif field.name != "notice" or any(values):
            columns[field.name] = values
    return columns


def _column(columns: Columns, name: str) -> Sequence[Any]:
    return values_of(columns[name]) if name in columns else [None] * len(columns[IMAGE_COLUMN])


def values_of(column: Any) -> Sequence[Any]:
    """The cells of a column as Python has them."""
    return column.to_pylist() if hasattr(column, "to_pylist") else column
