"""Training on series of pictures, in turn with rated ones, by the same Trainer as every other run.

Knows nothing about how series were found or ranked.
"""

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader, SequentialSampler
from transformers import TrainerCallback, default_data_collator
from transformers.trainer_utils import EvalLoopOutput

from ..data.loading import RatedCollection
from ..data.pairs import ComparedPictures
from ..data.training_rows import IndexedRows
from ..metrics import summarize_series
from ..models.image_processing_fgaesq import FgaesqImageProcessor
from ..models.modeling_fgaesq import FgaesqForAestheticAssessment
from ..models.series_losses import win_shares
from .arguments import AestheticTrainingArguments
from .series_rows import NUM_ROWS, AlternatingBatches, SeriesRows
from .trainer import AestheticTrainer, find_start, row_transforms, validation_metrics, with_early_stopping


SERIES_METRICS = ("pair_accuracy", "series_srcc", "top1_accuracy", "full_order_accuracy", "num_series")


def series_scores(model: FgaesqForAestheticAssessment, series: SeriesRows, numbers: range | None = None) -> list:
    """
    How often each picture wins, series by series; the patches to look at follow from the pixels.

    Args:
        model ([`FgaesqForAestheticAssessment`]):
            In any mode; it is evaluated.
        series ([`SeriesRows`]):
            The series.
        numbers (`range`, *optional*):
            Which of them; all by default.

    Returns:
        `list[np.ndarray]`: `(num_pictures,)` each, higher is better.
    """
    scores, was_training = [], model.training
    model.eval()
    for number in range(len(series)) if numbers is None else numbers:
        inputs = series.make_batch([number]).to(model.device)
        with torch.no_grad():
            tokens = {name: inputs[name] for name in (*series.processor.model_input_names, "pair_images")}
            chances = model(**tokens).pair_probabilities
        scores.append(win_shares(chances, inputs["pair_images"], len(inputs["ranks"])).cpu().double().numpy())
    model.train(was_training)
    return scores


def measure_series(scores: list[np.ndarray], series: SeriesRows) -> dict[str, Any]:
    """
    Metrics of [`series_scores`]; see [`summarize_series`].

    Args:
        scores (`list[np.ndarray]`):
            Of all series.
        series ([`SeriesRows`]):
            With their true ranks.
    """
    ranks = [rank for name in series.names for rank in series.ranks[name]]
    return summarize_series(np.concatenate(scores), ranks, np.repeat(np.arange(len(series)), series.num_pictures))


class SeriesTrainer(AestheticTrainer):
    """
    [`AestheticTrainer`] whose batches come ready made, and which also measures series.

    Args:
        validation_series ([`SeriesRows`]):
            What is measured beside the rated pictures.
        validation_rows (`IndexedRows`, *optional*):
            Rated pictures; by default series alone are measured.
    """

    def __init__(
        self, *, validation_series: SeriesRows, validation_rows: IndexedRows | None = None, **options: Any
    ) -> None:
        self.validation_series, self.validation_rows = validation_series, validation_rows
        # transformers asks for a data set before it evaluates
        super().__init__(eval_dataset=validation_rows or validation_series, **options)

    def get_train_dataloader(self) -> DataLoader:
        return self._get_dataloader(
            dataset=self.train_dataset,
            description="Training",
            batch_size=1,
            sampler_fn=SequentialSampler,
            is_training=True,
        )

    def _count_rows(self, batches: list[dict[str, Any]]) -> None:
        pass  # whoever made the batches has counted

    def evaluation_loop(
        self, dataloader: DataLoader, description: str, *arguments: Any, **options: Any
    ) -> EvalLoopOutput:
        found = self._measure_series()
        prefix = options.get("metric_key_prefix", "eval")
        of_series = {f"{prefix}_{name}": found[name] for name in SERIES_METRICS}
        if self.validation_rows is None:
            return EvalLoopOutput(None, None, of_series, len(self.validation_series))
        output = super().evaluation_loop(dataloader, description, *arguments, **options)
        return output._replace(metrics={**output.metrics, **of_series})

    def _measure_series(self) -> dict[str, Any]:
        """Each process takes every n-th series."""
        rank, world = self.args.process_index, self.args.world_size
        mine = range(rank, len(self.validation_series), world)
        scores = series_scores(self.accelerator.unwrap_model(self.model), self.validation_series, mine)
        if world > 1:
            gathered = dict(gather_object(list(zip(mine, scores, strict=True))))
            scores = [gathered[number] for number in range(len(self.validation_series))]
        return measure_series(scores, self.validation_series)


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows as a batch; one that is a batch already stays as it is."""
    return dict(rows[0]) if NUM_ROWS in rows[0] else default_data_collator(rows)


def train_on_series(
    model: FgaesqForAestheticAssessment,
    processor: FgaesqImageProcessor,
    series: ComparedPictures,
    args: AestheticTrainingArguments,
    *,
    collection: RatedCollection | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> SeriesTrainer:
    """
    Trains a model on series, in turn with rated pictures, and leaves the best checkpoint of the run in it.

    Args:
        model ([`FgaesqForAestheticAssessment`]):
            On the scale of the rated pictures.
        processor ([`FgaesqImageProcessor`]):
            Makes tokens of pictures and of pairs.
        series ([`ComparedPictures`]):
            Series with `train` and `validation`, and comparisons with or without `text_embeds`.
        args (`AestheticTrainingArguments`):
            The run; its checkpoints lie in `<output_dir>.run`. `metric_for_best_model` may also be one of series, such
            as `"pair_accuracy"`.
        collection ([`RatedCollection`], *optional*):
            Rated pictures. Without them every step is one of series, and scores mean no ratings.
        callbacks (`Sequence[TrainerCallback]`, *optional*):
            Called by the Trainer at its events.

    Returns:
        [`SeriesTrainer`] after training.
    """
    args = copy(args)  # the caller's keep the folder of the finished checkpoint
    args.output_dir = f"{args.output_dir}.run"
    pictures = {
        split: SeriesRows(series.pictures[split], processor, series.pairs.get(split), args.seed)
        for split in ("train", "validation")
    }
    train_rows = validation_rows = None
    if collection is not None:
        transforms = row_transforms(model, processor, collection.scale, args)
        train_rows, validation_rows = (
            IndexedRows(collection.splits[split], transform)
            for split, transform in zip(("train", "validation"), transforms, strict=True)
        )
    batches = AlternatingBatches(
        pictures["train"],
        args.series_batch_size,
        train_rows,
        args.train_batch_size,
        args.world_size * args.gradient_accumulation_steps,
        args.seed,
    )
    trainer = SeriesTrainer(
        model=model,
        args=args,
        train_dataset=batches,
        validation_rows=validation_rows,
        validation_series=pictures["validation"],
        data_collator=collate,
        compute_metrics=partial(validation_metrics, bin_scores=np.array(model.config.bin_scores)),
        callbacks=with_early_stopping(args, callbacks),
    )
    trainer.train(resume_from_checkpoint=find_start(args) if args.resume else None)
    return trainer
