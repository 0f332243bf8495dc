"""
What an evaluation leaves behind: the figures, what they were measured with and on, and every single prediction.

Knows nothing about how the figures are computed.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq


REPORT_FILE = "report.json"
PREDICTIONS_FILE = "predictions.parquet"


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """
    One evaluation: the figures, and what they were measured with and on. Undefined figures are `None`.

    Args:
        dataset_name (`str`):
            Hub repository or name of the collection.
        dataset_revision (`str`):
            Commit on the Hub, or `"sha256:..."` of the pictures and votes themselves.
        split (`str`):
            Part of the collection.
        num_images (`int`):
            Number of pictures scored.
        unreadable_ids (`list[str]`):
            Pictures that were left out because they cannot be decoded.
        image_ids_sha256 (`str`):
            SHA-256 of the sorted ids of the scored pictures, one a line.
        seen_in_training (`dict[str, int]`, *optional*):
            How many of these pictures the model has seen, as [`~hf_aesthetics.data.training_ids.TrainingIds`] counts
            them; empty for none, `None` where the checkpoint does not say.
        min_score (`float`), max_score (`float`), num_bins (`int`):
            The rating scale.
        scorer_id (`str`):
            Checkpoint, revision and preprocessing in one word.
        weights_sha256 (`str`, *optional*):
            SHA-256 of the weights file; `None` for a model that was never saved.
        preprocessing (`Any`):
            What the processor did to the pictures.
        metrics (`dict[str, float | None]`):
            By the keys of [`~hf_aesthetics.metrics.summarize`].
        intervals (`dict[str, list[float | None]]`):
            Their 95 % bootstrap intervals over pictures, `[low, high]`.
        constant_metrics (`dict[str, float | None]`, *optional*):
            The same metrics of always predicting the mean histogram of the training pictures.
        srcc_ceiling (`float`, *optional*):
            SRCC that a second vote of the same size would reach; needs the votes.
        score_bands (`list[dict]`):
            Error by true score: `low`, `high`, `num_images`, `bias`, `mae`.
        pit (`list[float]`, *optional*):
            Histogram of the votes within their predicted distributions, flat where calibrated; needs the votes,
            and a scorer that predicts distributions.
        num_resamples (`int`), seed (`int`):
            Of the bootstrap.
        versions (`dict[str, str]`):
            Of the software.
        device (`str`):
            Where the model ran, such as `"cpu"`.
        date (`str`):
            When it was done, UTC.
        command (`str`, *optional*):
            The command line that repeats it.
        notice (`str`, *optional*):
            The model's own notice, such as "demonstration, trained on rendered scenes".
        predictions (`pyarrow.Table`, *optional*):
            One row a picture: `image_id`, `distribution`, `score`, `score_std`, and the true `vote_shares`,
            `true_score`, `true_score_std`, null where unknown. Not part of the JSON file or of equality.
    """

    dataset_name: str
    dataset_revision: str
    split: str
    num_images: int
    unreadable_ids: list[str]
    image_ids_sha256: str
    seen_in_training: dict[str, int] | None
    min_score: float
    max_score: float
    num_bins: int
    scorer_id: str
    weights_sha256: str | None
    preprocessing: Any
    metrics: dict[str, float | None]
    intervals: dict[str, list[float | None]]
    constant_metrics: dict[str, float | None] | None
    srcc_ceiling: float | None
    score_bands: list[dict[str, float | None]]
    pit: list[float] | None
    num_resamples: int
    seed: int
    versions: dict[str, str]
    device: str
    date: str
    command: str | None
    notice: str | None
    predictions: pa.Table | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> str:
        """The report without its predictions, as JSON that every reader accepts (no NaN)."""
        fields = {name: value for name, value in vars(self).items() if name != "predictions"}
        return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes `report.json` and, where there are predictions, `predictions.parquet`."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / REPORT_FILE).write_text(self.to_json(), encoding="utf-8")
        if self.predictions is not None:
            pq.write_table(self.predictions, directory / PREDICTIONS_FILE)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """
        Reads what [`~EvaluationReport.save`] wrote.

        Raises:
            ValueError: If there is no report, or one with other fields than this version writes.
        """
        path = Path(directory) / REPORT_FILE
        if not path.is_file():
            raise ValueError(f"Expected a report at {path}, found none. Evaluate with evaluate_scorer(...).save(...).")
        predictions = path.with_name(PREDICTIONS_FILE)
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            return cls(**report, predictions=pq.read_table(predictions) if predictions.is_file() else None)
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a report of this version ({error}). Evaluate again.") from error
