"""
Measures a scorer on a rated collection.

Knows nothing about training, cards or the Hub.
"""

import hashlib
import json
import math
import platform
import warnings
from collections.abc import Iterable
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import transformers
from datasets import Dataset, Image, IterableDataset
from huggingface_hub import hf_hub_download
from transformers import PreTrainedConfig

from .. import __version__
from ..data.columns import LABEL_COLUMNS, RatingScale, infer_rating_scale
from ..data.modality_columns import map_columns
from ..data.splits import split_fingerprint
from ..data.training_ids import TrainingIds
from ..images import ImageReadError, read_image
from ..metrics import error_by_score_band, probability_integral_transform, summarize, vote_resampling_ceiling
from ..pipelines import predicted_distribution
from ..scoring import AestheticScorer, hash_weights
from .report import EvaluationReport


def evaluate_scorer(
    scorer: AestheticScorer,
    dataset: Dataset | IterableDataset,
    *,
    dataset_name: str,
    split: str,
    dataset_revision: str | None = None,
    constant_distribution: np.ndarray | None = None,
    modality_column: str | None = None,
    batch_size: int = 32,
    num_resamples: int = 1000,
    seed: int = 0,
    command: str | None = None,
    allow_seen: bool = False,
) -> EvaluationReport:
    """
    Scores every picture of a rated collection and measures how well the scores match the raters.

    The whole frame goes through the scorer's own processor, without any randomness: the same pictures give the same
    figures, whatever the batch size. Pictures that cannot be decoded are left out, counted and named. Distribution
    metrics need votes for every picture and a scorer that predicts distributions; the others get the metrics of the
    mean.

    Args:
        scorer ([`AestheticScorer`]):
            What to measure. Load it from the saved checkpoint, so that the report names the weights on disk.
        dataset (`Dataset` or `IterableDataset`):
            Pictures and ratings in the columns of `data/columns.py`, on disk or streamed.
        dataset_name (`str`):
            Hub repository or name of the collection.
        split (`str`):
            Which part of the collection `dataset` is.
        dataset_revision (`str`, *optional*):
            Commit on the Hub; where it is left out, a hash of the pictures and ratings stands in.
        constant_distribution (`np.ndarray` of shape `(num_bins,)`, *optional*):
            Mean histogram of the *training* pictures: what a predictor that never looks would say.
        modality_column (`str`, *optional*):
            Column of modality maps to use in place of the pictures, or beside them by a model for `"rgb+<map>"`. Maps
            that are missing are made.
        batch_size (`int`, *optional*, defaults to 32):
            Pictures that go through the model together.
        num_resamples (`int`, *optional*, defaults to 1000):
            Bootstrap draws over pictures; 0 for no intervals.
        seed (`int`, *optional*, defaults to 0):
            Seed of the draws.
        command (`str`, *optional*):
            Command line that repeats the evaluation, for the report.
        allow_seen (`bool`, *optional*, defaults to `False`):
            Whether to measure on pictures that the checkpoint was trained on. Report and card say so then, as they do
            of pictures by which it was chosen, and of ones of other collections with the same ids.

    Raises:
        KeyError: If a column is missing.
        ValueError: If the data set was rated on another scale than the model's, the checkpoint was trained on some of
            its pictures, or fewer than two pictures can be read.
    """
    config = scorer.model.config
    sources = map_columns(getattr(scorer.processor, "modality", "rgb"), modality_column)
    _check_columns(dataset, sources)
    ratings = dataset.with_format(None).select_columns([*LABEL_COLUMNS])
    if isinstance(ratings, IterableDataset):  # of which only these columns are fetched
        ratings = Dataset.from_list(list(ratings), features=ratings.features)
    _check_scale(ratings, config, dataset_name)
    checkpoint = _checkpoint_folder(scorer)
    seen = _find_seen(checkpoint, dataset_name, ratings["image_id"], allow_seen)

    rows = dataset.with_format(None).select_columns([*sources, *LABEL_COLUMNS])
    for column in sources:
        rows = rows.cast_column(column, Image(decode=False))
    labels: list[dict[str, Any]] = []
    unreadable: list[str] = []
    outputs: list[dict[str, np.ndarray]] = []
    content_hash = hashlib.sha256()
    for batch in rows.iter(batch_size):
        pictures = []
        for row in _rows_of(batch):
            contents = [_read_content(row.pop(column)) for column in sources]
            content_hash.update(json.dumps(row, sort_keys=True).encode())
            for content in contents:
                content_hash.update(hashlib.sha256(content).digest())
            try:
                pictures.append([read_image(content) for content in contents])
            except ImageReadError:
                unreadable.append(row["image_id"])
            else:
                labels.append(row)
        if pictures:
            given = dict(zip(sources, map(list, zip(*pictures, strict=True)), strict=True))
            outputs.append(_predict(scorer, given, modality_column))
    if len(labels) < 2:
        raise ValueError(
            f"An evaluation needs at least 2 readable pictures, got {len(labels)} of {len(ratings)}. "
            f"Check the column {', '.join(map(repr, sources))}."
        )
    if unreadable:
        warnings.warn(
            f"{len(unreadable)} of {len(ratings)} pictures cannot be read and are left out: "
            f"{', '.join(unreadable[:5])}{', ...' if len(unreadable) > 5 else ''}",
            stacklevel=2,
        )

    predictions = _collect(labels, outputs)
    return EvaluationReport(
        dataset_name=dataset_name,
        dataset_revision=dataset_revision or f"sha256:{content_hash.hexdigest()}",
        split=split,
        num_images=len(labels),
        unreadable_ids=unreadable,
        image_ids_sha256=split_fingerprint(row["image_id"] for row in labels),
        seen_in_training=seen,
        min_score=float(config.min_score),
        max_score=float(config.max_score),
        num_bins=len(config.bin_scores),
        scorer_id=scorer.id,
        weights_sha256=None if checkpoint is None else hash_weights(checkpoint),
        preprocessing=scorer.preprocessing,
        **_measure(predictions, labels, config, constant_distribution, num_resamples, seed),
        num_resamples=num_resamples,
        seed=seed,
        versions={
            "hf_aesthetics": __version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        device=scorer.device.type,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        notice=scorer.notice,
        predictions=predictions,
    )


def _check_columns(dataset: Dataset | IterableDataset, sources: list[str]) -> None:
    columns, features = dataset.column_names or [], dataset.features or {}
    missing = [name for name in (*sources, *LABEL_COLUMNS) if name not in columns]
    if missing:
        raise KeyError(
            f"{missing[0]!r} is not a column of the dataset ({', '.join(columns)}). "
            "Make the data set with one of the loaders of hf_aesthetics.data, or rename its columns."
        )
    for column in sources:
        if not isinstance(features[column], Image):
            raise ValueError(
                f"The column {column!r} must hold pictures, got {features[column]}. "
                f"Cast it: dataset.cast_column({column!r}, datasets.Image())."
            )


def _find_seen(
    checkpoint: Path | None, dataset_name: str, image_ids: Iterable[str], allow_seen: bool
) -> dict[str, int] | None:
    known = None if checkpoint is None else TrainingIds.of_checkpoint(checkpoint)
    if known is None:
        return None
    image_ids = list(image_ids)
    seen = known.overlap(dataset_name, image_ids)
    if seen.get("train") and not allow_seen:
        raise ValueError(
            f"The model must not be measured on what it was trained on, but {seen['train']} of these {len(image_ids)} "
            f"pictures of {dataset_name} were among its training pictures. Evaluate on others, or allow_seen=True."
        )
    return seen


def _check_scale(dataset: Dataset, config: PreTrainedConfig, dataset_name: str) -> None:
    scale = infer_rating_scale(dataset)
    expected = RatingScale(config.min_score, config.max_score, len(config.bin_scores))
    if scale is None:
        means = [mean for mean in dataset["score_mean"] if mean is not None]
        if means and not (expected.min_score <= min(means) and max(means) <= expected.max_score):
            raise ValueError(
                f"The model rates on the scale {expected}, but {dataset_name} has mean scores from {min(means):g} to "
                f"{max(means):g}. Evaluate on a data set of the model's scale."
            )
    elif not np.allclose(astuple(scale), astuple(expected), atol=1e-3):
        raise ValueError(
            f"The model rates on the scale {expected}, but {dataset_name} was rated on {scale}. Evaluate on a data "
            f"set of the model's scale, or train with min_score={scale.min_score:g}, max_score={scale.max_score:g}, "
            f"num_labels={scale.num_bins}."
        )


def _rows_of(batch: dict[str, list]) -> list[dict[str, Any]]:
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]


def _read_content(cell: dict[str, Any] | None) -> bytes:
    """Bytes of an undecoded picture; none for one that is missing, which `read_image` then refuses."""
    if cell is None:
        return b""
    if cell["bytes"] is not None:
        return cell["bytes"]
    try:
        return Path(cell["path"]).read_bytes()
    except OSError:
        return b""


def _predict(scorer: AestheticScorer, given: dict[str, list], modality_column: str | None) -> dict[str, np.ndarray]:
    maps = None if modality_column is None else given[modality_column]
    outputs = scorer.predict(given.get("image", []), modality_maps=maps)
    predicted = {"score": outputs["score"].numpy()}
    if (distribution := predicted_distribution(outputs)) is not None:
        predicted |= {"distribution": distribution.numpy(), "score_std": outputs["score_std"].numpy()}
    return predicted


def _collect(labels: list[dict[str, Any]], outputs: list[dict[str, np.ndarray]]) -> pa.Table:
    """One row a picture: its id, what was predicted (null where nothing was), and what is true."""
    votes = [row["vote_counts"] for row in labels]
    shares = [None if counts is None else (np.asarray(counts) / sum(counts)).tolist() for counts in votes]
    predicted: dict[str, Any] = dict.fromkeys(("distribution", "score_std"), [None] * len(labels))
    predicted |= {name: list(np.concatenate([batch[name] for batch in outputs])) for name in outputs[0]}
    return pa.table(
        {
            "image_id": pa.array([row["image_id"] for row in labels], pa.string()),
            "distribution": pa.array(predicted["distribution"], pa.list_(pa.float32())),
            "score": pa.array(predicted["score"], pa.float32()),
            "score_std": pa.array(predicted["score_std"], pa.float32()),
            "vote_shares": pa.array(shares, pa.list_(pa.float64())),
            "true_score": pa.array([row["score_mean"] for row in labels], pa.float32()),
            "true_score_std": pa.array([row["score_std"] for row in labels], pa.float32()),
        }
    )


def _measure(
    predictions: pa.Table,
    labels: list[dict[str, Any]],
    config: PreTrainedConfig,
    constant_distribution: np.ndarray | None,
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    """All figures of the report, by the names of its fields."""
    bins = np.asarray(config.bin_scores)
    column = {name: predictions[name].to_pylist() for name in predictions.column_names}
    has_votes = None not in column["vote_shares"]
    distribution = None if None in column["distribution"] else column["distribution"]
    truth: dict[str, Any] = {"target_mean": column["true_score"]}
    if has_votes:
        truth = {"vote_counts": [row["vote_counts"] for row in labels]}
    elif None not in column["true_score_std"]:
        truth["target_std"] = column["true_score_std"]
    # one step a bin, or ten steps where the scale is nearly continuous
    bands = bins if len(bins) <= 11 else np.linspace(bins[0], bins[-1], 11)
    true_scores = np.clip(column["true_score"], bins[0], bins[-1])  # float32 may round a score off the scale
    metrics = summarize(
        distribution,
        None,
        bins,
        predicted_mean=column["score"],
        constant_distribution=constant_distribution,
        num_resamples=num_resamples,
        seed=seed,
        **truth,
    )
    del metrics["num_images"]
    intervals = metrics.pop("intervals", {})
    constant = None
    if constant_distribution is not None:
        constant = summarize(np.tile(constant_distribution, (len(labels), 1)), None, bins, **truth)
        del constant["num_images"]
    return _without_nan(
        {
            "metrics": metrics,
            "intervals": intervals,
            "constant_metrics": constant,
            "srcc_ceiling": vote_resampling_ceiling(truth["vote_counts"], bins, seed=seed) if has_votes else None,
            "score_bands": error_by_score_band(column["score"], true_scores, bands.tolist()),
            "pit": (
                probability_integral_transform(distribution, column["vote_shares"]).tolist()
                if has_votes and distribution is not None
                else None
            ),
        }
    )


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: what is undefined becomes `None`."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _checkpoint_folder(scorer: AestheticScorer) -> Path | None:
    """Where the files lie that the scorer was loaded from; `None` for a model that was made in memory."""
    if scorer.revision is None:
        return None
    folder = Path(scorer.model.name_or_path)
    if folder.is_dir():
        return folder
    repository, revision = scorer.model.name_or_path, scorer.revision
    TrainingIds.of_checkpoint(repository, revision)  # fetches them beside the weights
    return Path(hf_hub_download(repository, "config.json", revision=revision, local_files_only=True)).parent
