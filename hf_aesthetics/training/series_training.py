"""Training on series of pictures, in turn with rated ones, by the same Trainer as every other run.

Knows nothing about how series were found or ranked.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import DatasetDict
from torch.utils.data import DataLoader, SequentialSampler
from transformers import PreTrainedModel, TrainerCallback, default_data_collator
from transformers.trainer_utils import EvalLoopOutput

from ..data.loading import RatedCollection
from ..data.pairs import ComparedPictures
from ..data.series_collections import load_series_collection
from ..data.training_rows import IndexedRows
from ..metrics import summarize_series
from ..models.image_processing_fgaesq import FgaesqImageProcessor
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.modeling_fgaesq import FgaesqForAestheticAssessment
from ..models.series_losses import win_shares
from .arguments import AestheticTrainingArguments, DataArguments, ModelArguments
from .caption_embeddings import add_text_embeds
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

    train_dataset: AlternatingBatches
    described_series: dict[str, str]

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


def learn_series(
    model: PreTrainedModel,
    processor: ModalityImageProcessor,
    collection: RatedCollection,
    data_args: DataArguments,
    model_args: ModelArguments,
    args: AestheticTrainingArguments,
) -> SeriesTrainer:
    """
    Trains as the program was asked to, and measures the series of the test, for the card.

    Args:
        model (`PreTrainedModel`), processor ([`ModalityImageProcessor`]), collection ([`RatedCollection`]):
            What is trained, and the ratings.
        data_args ([`DataArguments`]), model_args ([`ModelArguments`]), args (`AestheticTrainingArguments`):
            Those of the program.

    Raises:
        ValueError: If the model compares no pictures, or an option does not go with series.
    """
    if not isinstance(model, FgaesqForAestheticAssessment) or not isinstance(processor, FgaesqImageProcessor):
        raise ValueError(f"--series is for models that compare pictures, 'fgaesq', got {model.config.model_type!r}.")
    for name, is_given in (
        ("--linear_probe", args.linear_probe),
        ("--streaming", collection.is_streaming),
        ("--loss mse", model_args.loss != "emd"),
    ):
        if is_given:
            raise ValueError(f"{name} does not go with --series. Leave one of them out.")
    with args.main_process_first(desc="loading the series"):
        series = load_series_collection(
            data_args.series or "",
            data_args.series_dir,
            picture_name=data_args.series_picture_name,
            seed=args.seed,
        )
        if model_args.text_tower is not None:
            size = model.config.backbone_config.projection_dim
            pairs = add_text_embeds(series.pairs["train"], model_args.text_tower, size=size, device=args.device)
            series = replace(series, pairs=DatasetDict({**series.pairs, "train": pairs}))
    if args.metric_for_best_model == "srcc":
        args = copy(args)
        args.metric_for_best_model = "pair_accuracy"
    trainer = train_on_series(model, processor, series, args, collection=collection)
    test = SeriesRows(series.pictures["test"], processor, series.pairs.get("test"))
    measured = measure_series(series_scores(trainer.model, test), test)
    lengths = trainer.train_dataset.series.num_pictures
    figures = ", ".join(f"{name.replace('_', ' ')} {measured[name]:.3f}" for name in SERIES_METRICS[:4])
    trainer.described_series = {
        "series": f"{len(lengths)} of {lengths.sum()} pictures, about {args.series_batch_size} a step and device, in "
        "turn with rated ones",
        "series_of_the_test": f"{figures}, in {measured['num_series']}",
    }
    if trainer.is_world_process_zero():
        print(f"series of the test: {figures}")
    return trainer
