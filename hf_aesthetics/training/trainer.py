"""Training with transformers' `Trainer`: every row counts once, a killed run goes on bit-equal, the best checkpoint.

Knows no concrete model: whatever takes `pixel_values` and `labels` and has `logits` over rating bins can be trained.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    default_data_collator,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import HubStrategy, TrainOutput

from ..data.columns import RatingScale
from ..data.loading import RatedCollection
from ..data.training_rows import IndexedRows, StreamedRows, transform_rows
from ..data.transforms import EvaluationTransform, TrainingTransform
from ..metrics import summarize
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.losses import mean_score_squared_error
from .arguments import AestheticTrainingArguments
from .linear_probe import fit_linear_probe
from .picture_statistics import fit_picture_statistics
from .run_backup import RunBackup, fetch_run
from .score_calibration import fit_score_calibration, has_calibration
from .weight_average import WeightAverage


NUM_ROWS = "num_rows"  # of a batch that count, beside its tensors
VALIDATION_METRICS = ("num_images", "srcc", "plcc", "emd", "emd_2", "mae", "mse", "accuracy", "srcc_std")


class AestheticTrainer(Trainer):
    """
    `Trainer` for runs that can be trusted.

    - Two learning rates: one for the backbone, one for what is new above it.
    - Every row of an epoch counts once and alike in the gradient, whatever the number of processes, of accumulated
      batches, and of rows in the last batch. The `Trainer` alone counts the rows that fill up the last batch, too.
    - With `ema_decay`, the average of the weights is evaluated, chosen and kept.
    - A run that was killed goes on bit-equal: the average lies in its checkpoints, what the transform draws follows
      from the epoch, loading leaves the generator of dropout alone, and an unfinished checkpoint is no checkpoint.
    """

    args: AestheticTrainingArguments

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.loss_is_scaled_for_ga = True  # see `compute_loss`
        self.label_names = ["labels"]  # not all that a model can be taught is in every batch
        self.average: WeightAverage | None = None
        if self.args.ema_decay is not None:
            if self.is_fsdp_enabled or self.is_deepspeed_enabled:
                raise ValueError("`ema_decay` needs whole weights in every process, so leave it out with FSDP.")
            self.average = WeightAverage(self.model, self.args.ema_decay)
            self.add_callback(_UpdateAverage(self.average))

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(model)
        backbone = {id(parameter) for parameter in self.model.base_model.parameters()}
        groups = []
        for group in optimizer.param_groups:
            for rate, inside in ((self.args.learning_rate, True), (self.args.head_learning_rate, False)):
                parameters = [p for p in group["params"] if (id(p) in backbone) is inside]
                if parameters:
                    groups.append({**group, "params": parameters, "lr": rate})
        optimizer.param_groups[:] = groups
        return optimizer

    # ---- every row counts once ----

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, Any]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], torch.Tensor | None]:
        """The batches of one step without the rows that only fill up, and the number of rows in all processes."""
        with _spare_generator():
            batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        self._count_rows(batches)
        total = torch.tensor(sum(batch[NUM_ROWS] for batch in batches), device=device)
        return batches, self.accelerator.gather(total).sum()

    def _count_rows(self, batches: list[dict[str, Any]]) -> None:
        """Tells each batch how many of its rows count, and takes those away that only fill up."""
        for batch in batches:
            batch[NUM_ROWS] = len(batch["labels"])
        processes = self.args.world_size
        remainder = len(self.train_dataset) % (self.args.train_batch_size * processes)
        is_padded = processes > 1 and remainder > 0 and not self.args.dataloader_drop_last
        if is_padded and self.accelerator.gradient_state.end_of_dataloader:
            num_rows = batches[-1][NUM_ROWS]
            num_rows = min(max(remainder - self.args.process_index * num_rows, 0), num_rows)
            # a process without any row takes one along, of weight zero, because all have to exchange gradients
            batches[-1] = {
                name: values[: max(num_rows, 1)] for name, values in batches[-1].items() if name != NUM_ROWS
            }
            batches[-1][NUM_ROWS] = num_rows

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        num_rows = inputs.pop(NUM_ROWS, None)
        loss, outputs = self._loss_of_batch(model, inputs)
        if num_rows is not None:  # in training
            # the mean over these rows becomes their share of the mean over the step; processes average their gradients
            loss = loss * (num_rows * self.args.world_size / num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def _loss_of_batch(self, model: torch.nn.Module, inputs: dict[str, Any]) -> tuple[torch.Tensor, Any]:
        """Mean over the rows of a batch, and what the model answers."""
        return super().compute_loss(model, inputs, return_outputs=True)

    # ---- exact resume ----

    def _run_epoch(self, *, epoch: int, **options: Any) -> None:
        if self.state.global_step >= self.state.max_steps:  # of a finished run; the Trainer would take one more step
            self.control.should_training_stop = True
            return
        if hasattr(self.train_dataset, "set_epoch"):  # accelerate tells it only in some cases
            self.train_dataset.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, **options)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.average is not None and self.args.should_save:
            self.average.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.average is not None and checkpoint is not None:
            self.average.load(checkpoint)

    # ---- backup of the run ----

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        if self.is_world_process_zero():
            self.backup = RunBackup(self.args.hub_model_id, bool(self.args.hub_private_repo), self.args.hub_token)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self.is_world_process_zero() and self.args.hub_strategy != HubStrategy.END:
            last, best = Path(checkpoint_folder), self.state.best_model_checkpoint
            self.backup.push(last, None if best is None or Path(best).name == last.name else Path(best))

    def _finish_current_push(self) -> None:
        if self.args.push_to_hub and self.is_world_process_zero():
            self.backup.wait()

    # ---- the average is what is evaluated and kept ----

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        with _spare_generator(), nullcontext() if self.average is None else self.average.in_place_of(self.model):
            return super().evaluate(*arguments, **options)

    def _load_best_model(self) -> None:
        # the run may have been moved since, or come back from the Hub
        best = Path(self.args.output_dir, f"checkpoint-{self.state.best_global_step}")
        self.state.best_model_checkpoint = str(best)
        super()._load_best_model()
        if self.average is not None:
            self.average.load(best)

    def _finalize_training(self, *arguments: Any, **options: Any) -> TrainOutput:
        output = super()._finalize_training(*arguments, **options)
        if self.average is not None:
            self.average.copy_to(self.model)
        return output


def _spare_generator() -> AbstractContextManager[None]:
    """Keeps torch's generator for dropout: data loaders draw from it when they begin, and not alike after a resume."""
    return torch.random.fork_rng(devices=[])


class _UpdateAverage(TrainerCallback):
    def __init__(self, average: WeightAverage) -> None:
        self.average = average

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: torch.nn.Module, **options: Any) -> None:
        self.average.update_parameters(model)


def find_checkpoint(run_dir: str | Path) -> Path | None:
    """
    The last whole checkpoint of a run. The state of the Trainer is written last, so one without it was never finished.

    Args:
        run_dir (`str` or `Path`):
            Folder of a run.
    """
    folders = Path(run_dir).glob("checkpoint-*")
    for folder in sorted(folders, key=lambda path: int(path.name.removeprefix("checkpoint-")), reverse=True):
        try:
            json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            continue
        return folder
    return None


def validation_metrics(prediction: EvalPrediction, bin_scores: np.ndarray) -> dict[str, float]:
    """
    Metrics on the rows that were really there: the Trainer's own loss also counts the rows that pad the last batch.

    Args:
        prediction (`EvalPrediction`):
            Logits and vote shares, both of shape `(num_pictures, num_bins)`; of a model without distributions, scores
            of shape `(num_pictures,)` in place of the logits.
        bin_scores (`np.ndarray` of shape `(num_bins,)`):
            Rating of every bin.
    """
    distribution, scores = split_predictions(prediction.predictions)
    target = np.asarray(prediction.label_ids, dtype=np.float64)
    target = target / target.sum(axis=1, keepdims=True)
    metrics = summarize(distribution, target, bin_scores, predicted_mean=scores)
    return {name: metrics[name] for name in VALIDATION_METRICS if name in metrics}


def split_predictions(predictions: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """
    What the `Trainer` gathers of a scorer, as distributions or, where it predicts none, as scores.

    Example:
        >>> split_predictions(np.zeros((1, 2)))
        (array([[0.5, 0.5]]), None)
        >>> split_predictions(np.array([4.5]))
        (None, array([4.5]))
    """
    predictions = np.asarray(predictions, dtype=np.float64)
    return (None, predictions) if predictions.ndim == 1 else (softmax(predictions, axis=1), None)


def mean_score_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None, *, bins: torch.Tensor):
    """For `Trainer(compute_loss_func=...)`: the squared error of the mean score."""
    distribution = outputs["logits"].float().softmax(dim=-1)
    return mean_score_squared_error(distribution, labels.to(distribution), bins.to(distribution))


def row_transforms(
    model: PreTrainedModel,
    processor: ModalityImageProcessor,
    scale: RatingScale,
    args: AestheticTrainingArguments,
    modality_column: str | None = None,
) -> tuple[TrainingTransform, EvaluationTransform]:
    """
    What happens to rows on their way to a model, in training and in evaluation; its attributes come along.

    Args:
        model (`PreTrainedModel`), processor ([`ModalityImageProcessor`]), args (`AestheticTrainingArguments`):
            What is trained, and how.
        scale ([`RatingScale`]):
            Of the ratings.
        modality_column (`str`, *optional*):
            Column of maps that the model sees.
    """
    of_rows = {
        "processor": processor,
        "bin_scores": scale.bin_scores.tolist(),
        "modality_column": modality_column,
        "attribute_columns": tuple(getattr(model.config, "attribute_names", None) or ()),
    }
    draws = {"crop_fraction": args.crop_fraction, "do_flip": args.random_flip, "seed": args.seed}
    return TrainingTransform(**of_rows, **draws), EvaluationTransform(**of_rows)


def make_trainer(
    model: PreTrainedModel,
    train_rows: torch.utils.data.Dataset,
    validation_rows: torch.utils.data.Dataset,
    bin_scores: np.ndarray,
    args: AestheticTrainingArguments,
    loss: str = "emd",
    callbacks: Sequence[TrainerCallback] = (),
) -> AestheticTrainer:
    """
    The Trainer of a run over rows of `pixel_values` and `labels`.

    Args:
        model (`PreTrainedModel`):
            A scorer.
        train_rows, validation_rows (`torch.utils.data.Dataset`):
            What it reads.
        bin_scores (`np.ndarray` of shape `(num_bins,)`):
            Rating of every bin.
        args (`AestheticTrainingArguments`):
            The run.
        loss (`str`, *optional*, defaults to `"emd"`), callbacks (`Sequence[TrainerCallback]`, *optional*):
            See [`train_scorer`].
    """
    return AestheticTrainer(
        model=model,
        args=args,
        train_dataset=train_rows,
        eval_dataset=validation_rows,
        data_collator=default_data_collator,
        compute_metrics=partial(validation_metrics, bin_scores=bin_scores),
        compute_loss_func=partial(mean_score_loss, bins=torch.as_tensor(bin_scores)) if loss == "mse" else None,
        callbacks=with_early_stopping(args, callbacks),
    )


def with_early_stopping(args: AestheticTrainingArguments, callbacks: Sequence[TrainerCallback]) -> list:
    """The callbacks of a run, and the one that ends it early where that was asked for."""
    patience = args.early_stopping_patience
    return [*callbacks, *([] if patience is None else [EarlyStoppingCallback(patience)])]


def train_scorer(
    model: PreTrainedModel,
    processor: ModalityImageProcessor,
    collection: RatedCollection,
    args: AestheticTrainingArguments,
    *,
    loss: str = "emd",
    callbacks: Sequence[TrainerCallback] = (),
) -> AestheticTrainer:
    """
    Trains a scorer and leaves the best checkpoint of the run in the model.

    Args:
        model (`PreTrainedModel`):
            A scorer on the scale of the collection.
        processor (`ModalityImageProcessor`):
            What turns pictures into `pixel_values`.
        collection (`RatedCollection`):
            Training and validation pictures, and maps of them, see [`map_collection`].
        args (`AestheticTrainingArguments`):
            The run; its checkpoints lie in `<output_dir>.run`.
        loss (`str`, *optional*, defaults to `"emd"`):
            `"emd"` for the model's own loss, `"mse"` for the squared error of the mean.
        callbacks (`Sequence[TrainerCallback]`, *optional*):
            Called by the Trainer at its events.

    Returns:
        `AestheticTrainer` after training.
    """
    bin_scores = collection.scale.bin_scores
    run_dir = str(args.output_dir) + ".run"
    args = copy(args)  # the caller's keep the folder of the finished checkpoint
    args.output_dir = run_dir
    train_transform, transform = row_transforms(model, processor, collection.scale, args, collection.modality_column)
    splits, counts = collection.splits, {name: len(labels) for name, labels in collection.labels.items()}
    train_rows = transform_rows(splits["train"], train_transform, counts["train"], args.shuffle_buffer)
    validation_rows = transform_rows(splits["validation"], transform, counts["validation"])
    model, start = prepare_start(model, train_rows, validation_rows, args)
    trainer = make_trainer(model, train_rows, validation_rows, bin_scores, args, loss, callbacks)
    trainer.train(resume_from_checkpoint=start)
    if has_calibration(model):
        fit_score_calibration(model, validation_rows, args.per_device_eval_batch_size)
    return trainer


def prepare_start(
    model: PreTrainedModel,
    train_rows: IndexedRows | StreamedRows,
    validation_rows: IndexedRows | StreamedRows,
    args: AestheticTrainingArguments,
) -> tuple[PreTrainedModel, Path | None]:
    """The model with what it learns of rated pictures before its first step, or the checkpoint to go on from."""
    # convolutions run about a third faster in this layout; the file that is saved has the usual one
    model = model.to(memory_format=torch.channels_last)
    start = find_start(args) if args.resume else None
    if start is None and not model.name_or_path:  # a checkpoint brings its own
        fit_picture_statistics(model.to(args.device), train_rows)
    if args.linear_probe and start is None:
        fit_linear_probe(model.to(args.device), train_rows, validation_rows, max(1, math.ceil(args.num_train_epochs)))
    return model, start


def find_start(args: AestheticTrainingArguments) -> Path | None:
    """The checkpoint from which a run goes on: its last one here, or else the one on the Hub."""
    with args.main_process_first(desc="looking for a checkpoint"):
        if find_checkpoint(args.output_dir) is None and args.hub_model_id is not None:
            fetch_run(args.hub_model_id, args.output_dir, args.hub_token)
    return find_checkpoint(args.output_dir)
