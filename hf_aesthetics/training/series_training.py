"""Training on series of pictures, in turn with rated ones, by the same Trainer as every other run.

Knows nothing about how series were found or ranked.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import fields, replace
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
from ..extraction import needs_network
from ..metrics import summarize_series
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.series_losses import series_losses, win_shares
from .arguments import AestheticTrainingArguments, DataArguments, ModelArguments
from .caption_embeddings import add_text_embeds
from .frozen_features import FrozenFeatureRows
from .score_calibration import fit_score_calibration, has_calibration
from .series_rows import NUM_ROWS, AlternatingBatches, SeriesRows
from .trainer import (
    AestheticTrainer,
    find_start,
    mean_score_loss,
    prepare_start,
    row_transforms,
    validation_metrics,
    with_early_stopping,
)


SERIES_METRICS = ("pair_accuracy", "series_srcc", "top1_accuracy", "full_order_accuracy", "num_series")
# options of a run that say how series are learnt
SERIES_OPTIONS = (
    *("series_dir", "series_picture_name", "text_tower", "series_batch_size", "compositional_views"),
    *("series_loss", "series_loss_weight", "similarity_loss_weight"),
)
_TRUTH = ("pair_images", "ranks", "series", "preferences")


def series_scores(model: PreTrainedModel, series: SeriesRows, numbers: range | None = None) -> list:
    """
    How good each picture is, series by series: how often it wins, of a model that compares pictures (the patches to
    look at follow from the pixels), and its score, of one that sees them one by one.

    Args:
        model (`PreTrainedModel`):
            A scorer in any mode; it is evaluated.
        series ([`SeriesRows`]):
            The series.
        numbers (`range`, *optional*):
            Which of them; all by default.

    Returns:
        `list[np.ndarray]`: `(num_pictures,)` each, higher is better.
    """
    scores, was_training = [], model.training
    names = [*series.processor.model_input_names, *(["pair_images"] if series.is_compared else [])]
    model.eval()
    for number in range(len(series)) if numbers is None else numbers:
        inputs = series.make_batch([number]).to(model.device)
        with torch.no_grad():
            outputs = model(**{name: inputs[name] for name in names})
        score = outputs.score
        if series.is_compared:
            score = win_shares(outputs.pair_probabilities, inputs["pair_images"], len(inputs["ranks"]))
        scores.append(score.cpu().double().numpy())
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
        validation_rows (`IndexedRows` or `FrozenFeatureRows`, *optional*):
            Rated pictures; by default series alone are measured.
        series_loss (`str`, *optional*, defaults to `"rank_reg"`), series_loss_weight (`float`, *optional*, \
        defaults to 1.0):
            Of models that see pictures one by one: what they learn of series, see [`series_losses`]. The configuration
            of a model that compares pictures says its own.
    """

    train_dataset: AlternatingBatches
    described_series: dict[str, str]

    def __init__(
        self,
        *,
        validation_series: SeriesRows,
        validation_rows: IndexedRows | FrozenFeatureRows | None = None,
        series_loss: str = "rank_reg",
        series_loss_weight: float = 1.0,
        **options: Any,
    ) -> None:
        self.validation_series, self.validation_rows = validation_series, validation_rows
        self.series_loss, self.series_loss_weight = series_loss, series_loss_weight
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

    def _loss_of_batch(self, model: torch.nn.Module, inputs: dict[str, Any]) -> tuple[torch.Tensor, Any]:
        if "pair_images" not in inputs:
            return super()._loss_of_batch(model, inputs)
        if self.validation_series.is_compared:
            outputs = model(**inputs)
            return outputs["loss"], outputs
        truth = {name: inputs.pop(name) for name in _TRUTH if name in inputs}
        outputs = model(**inputs)
        scores = outputs["score"][truth["pair_images"]].flatten()
        return self.series_loss_weight * series_losses(self.series_loss, scores, **truth).mean(), outputs

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
    model: PreTrainedModel,
    processor: ModalityImageProcessor,
    series: ComparedPictures,
    args: AestheticTrainingArguments,
    *,
    collection: RatedCollection | None = None,
    loss: str = "emd",
    series_loss: str = "rank_reg",
    series_loss_weight: float = 1.0,
    callbacks: Sequence[TrainerCallback] = (),
) -> SeriesTrainer:
    """
    Trains a model on series, in turn with rated pictures, and leaves the best checkpoint of the run in it.

    Args:
        model (`PreTrainedModel`):
            A scorer on the scale of the rated pictures. What it says of a series follows from its scores, be they of
            pictures beside each other or of each alone.
        processor ([`ModalityImageProcessor`]):
            Makes inputs of pictures and, of a model that compares, of pairs.
        series ([`ComparedPictures`]):
            Series with `train` and `validation`, and comparisons with or without `text_embeds`.
        args (`AestheticTrainingArguments`):
            The run; its checkpoints lie in `<output_dir>.run`. `metric_for_best_model` may also be one of series, such
            as `"pair_accuracy"`.
        collection ([`RatedCollection`], *optional*):
            Rated pictures. Without them every step is one of series, and scores mean no ratings.
        loss (`str`, *optional*, defaults to `"emd"`):
            Of rated pictures, see [`train_scorer`].
        series_loss (`str`, *optional*), series_loss_weight (`float`, *optional*):
            See [`SeriesTrainer`].
        callbacks (`Sequence[TrainerCallback]`, *optional*):
            Called by the Trainer at its events.

    Returns:
        [`SeriesTrainer`] after training.
    """
    args = copy(args)  # the caller's keep the folder of the finished checkpoint
    args.output_dir = f"{args.output_dir}.run"
    pictures = {
        split: SeriesRows(
            series.pictures[split], processor, series.pairs.get(split), args.seed, args.compositional_views
        )
        for split in ("train", "validation")
    }
    rated = None
    if collection is None:
        start = find_start(args) if args.resume else None
    else:
        transforms = row_transforms(model, processor, collection.scale, args, collection.modality_column)
        rated = (
            IndexedRows(collection.splits["train"], transforms[0]),
            IndexedRows(collection.splits["validation"], transforms[1]),
        )
        model, start = prepare_start(model, *rated, args)
    options = {"loss": loss, "series_loss": series_loss, "series_loss_weight": series_loss_weight}
    trainer = make_series_trainer(model, pictures["train"], pictures["validation"], args, rated, callbacks, **options)
    trainer.train(resume_from_checkpoint=start)
    if rated is not None and has_calibration(model):
        fit_score_calibration(model, rated[1], args.per_device_eval_batch_size)
    return trainer


def make_series_trainer(
    model: PreTrainedModel,
    train_series: SeriesRows,
    validation_series: SeriesRows,
    args: AestheticTrainingArguments,
    rated: tuple[IndexedRows | FrozenFeatureRows, IndexedRows | FrozenFeatureRows] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    *,
    loss: str = "emd",
    series_loss: str = "rank_reg",
    series_loss_weight: float = 1.0,
) -> SeriesTrainer:
    """
    The Trainer of a run over series, in turn with rated rows.

    Args:
        model (`PreTrainedModel`), args (`AestheticTrainingArguments`), callbacks (`Sequence[TrainerCallback]`), \
        loss (`str`), series_loss (`str`), series_loss_weight (`float`):
            See [`train_on_series`].
        train_series, validation_series ([`SeriesRows`]):
            The series.
        rated (`tuple`, *optional*):
            Rows of `pixel_values` and `labels` for training and validation.
    """
    train_rows, validation_rows = rated or (None, None)
    batches = AlternatingBatches(
        train_series,
        args.series_batch_size,
        train_rows,
        args.train_batch_size,
        args.world_size * args.gradient_accumulation_steps,
        args.seed,
    )
    bin_scores = np.array(model.config.bin_scores)
    return SeriesTrainer(
        model=model,
        args=args,
        train_dataset=batches,
        validation_rows=validation_rows,
        validation_series=validation_series,
        series_loss=series_loss,
        series_loss_weight=series_loss_weight,
        data_collator=collate,
        compute_metrics=partial(validation_metrics, bin_scores=bin_scores),
        compute_loss_func=partial(mean_score_loss, bins=torch.as_tensor(bin_scores)) if loss == "mse" else None,
        callbacks=with_early_stopping(args, callbacks),
    )


def refuse_series_options(*arguments: Any) -> None:
    """
    Options of series are refused where none are learnt, not ignored.

    Args:
        *arguments (dataclass):
            Those of the program.

    Raises:
        ValueError: If one of them is given.
    """
    for each in arguments:
        for option in fields(each):
            value = getattr(each, option.name)
            if option.name in SERIES_OPTIONS and value != option.default:
                raise ValueError(
                    f"`{option.name}` says how series are learnt, got {value!r} and no series. Add --series, or leave "
                    "it out."
                )


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
        ValueError: If an option does not go with series.
    """
    for name, is_given in (
        ("--streaming", collection.is_streaming),
        (f"--modality {processor.modality}", needs_network(processor.modality)),
        ("--text_tower", model_args.text_tower is not None and not hasattr(processor, "preprocess_series")),
    ):
        if is_given:
            raise ValueError(f"{name} does not go with --series of a {model.config.model_type!r}. Leave one out.")
    with args.main_process_first(desc="loading the series"):
        series = load_series_collection(
            data_args.series or "",
            data_args.series_dir,
            photographs=collection.splits,
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
    trainer = train_on_series(
        model,
        processor,
        series,
        args,
        collection=collection,
        loss=model_args.loss,
        series_loss=model_args.series_loss,
        series_loss_weight=model_args.series_loss_weight,
    )
    test = SeriesRows(series.pictures["test"], processor, series.pairs.get("test"))
    measured = measure_series(series_scores(trainer.model, test), test)
    lengths = trainer.train_dataset.series.num_pictures
    learnt = model.config if test.is_compared else trainer
    figures = ", ".join(f"{name.replace('_', ' ')} {measured[name]:.3f}" for name in SERIES_METRICS[:4])
    trainer.described_series = {
        "series": f"{len(lengths)} of {lengths.sum()} pictures, about {args.series_batch_size} a step and device, in "
        f"turn with rated ones; {learnt.series_loss} of weight {learnt.series_loss_weight:g}"
        + (f"; in {args.compositional_views:.0%} one has patches of a better one" if args.compositional_views else ""),
        "series_of_the_test": f"{figures}, in {measured['num_series']}",
    }
    if trainer.is_world_process_zero():
        print(f"series of the test: {figures}")
    return trainer
