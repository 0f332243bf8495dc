"""Training with transformers' `Trainer`: two learning rates, metrics on real rows only, the best checkpoint.

Knows no concrete model: whatever takes `pixel_values` and `labels` and has `logits` over rating bins can be trained.
"""

from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy.special import softmax
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    default_data_collator,
)
from transformers.trainer_utils import get_last_checkpoint

from ..data.loading import RatedCollection
from ..data.transforms import EvaluationTransform, TrainingTransform
from ..metrics import summarize
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.losses import mean_score_squared_error
from .arguments import AestheticTrainingArguments


VALIDATION_METRICS = ("num_images", "srcc", "plcc", "emd", "emd_2", "mae", "mse", "accuracy", "srcc_std")


class AestheticTrainer(Trainer):
    """`Trainer` with one learning rate for the backbone and one for what is new above it."""

    args: AestheticTrainingArguments

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


def validation_metrics(prediction: EvalPrediction, bin_scores: np.ndarray) -> dict[str, float]:
    """
    Metrics on the rows that were really there: the Trainer's own loss also counts the rows that pad the last batch.

    Args:
        prediction (`EvalPrediction`):
            Logits and vote shares, both of shape `(num_pictures, num_bins)`.
        bin_scores (`np.ndarray` of shape `(num_bins,)`):
            Rating of every bin.
    """
    distribution = softmax(np.asarray(prediction.predictions, dtype=np.float64), axis=1)
    target = np.asarray(prediction.label_ids, dtype=np.float64)
    metrics = summarize(distribution, target / target.sum(axis=1, keepdims=True), bin_scores)
    return {name: metrics[name] for name in VALIDATION_METRICS}


def mean_score_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None, *, bins: torch.Tensor):
    """For `Trainer(compute_loss_func=...)`: the squared error of the mean score."""
    distribution = outputs["logits"].float().softmax(dim=-1)
    return mean_score_squared_error(distribution, labels.to(distribution), bins.to(distribution))


def train_scorer(
    model: PreTrainedModel,
    processor: ModalityImageProcessor,
    collection: RatedCollection,
    args: AestheticTrainingArguments,
    *,
    loss: str = "emd",
    modality_column: str | None = None,
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
            Training and validation pictures.
        args (`AestheticTrainingArguments`):
            The run; its checkpoints lie in `<output_dir>.run`.
        loss (`str`, *optional*, defaults to `"emd"`):
            `"emd"` for the model's own loss, `"mse"` for the squared error of the mean.
        modality_column (`str`, *optional*):
            Column of cached maps; made on the fly where it is left out.
        callbacks (`Sequence[TrainerCallback]`, *optional*):
            Called by the Trainer at its events.

    Returns:
        `AestheticTrainer` after training.
    """
    bin_scores = collection.scale.bin_scores
    run_dir = str(args.output_dir) + ".run"
    if args.early_stopping_patience is not None:
        callbacks = [*callbacks, EarlyStoppingCallback(args.early_stopping_patience)]
    args = copy(args)  # the caller's keep the folder of the finished checkpoint
    args.output_dir = run_dir
    train_transform = TrainingTransform(processor, bin_scores.tolist(), modality_column=modality_column)
    eval_transform = EvaluationTransform(processor, bin_scores.tolist(), modality_column=modality_column)
    # convolutions run about a third faster in this layout; the file that is saved has the usual one
    model = model.to(memory_format=torch.channels_last)
    trainer = AestheticTrainer(
        model=model,
        args=args,
        train_dataset=_with_transform(collection.splits["train"], train_transform),
        eval_dataset=_with_transform(collection.splits["validation"], eval_transform),
        data_collator=default_data_collator,
        compute_metrics=partial(validation_metrics, bin_scores=bin_scores),
        compute_loss_func=partial(mean_score_loss, bins=torch.as_tensor(bin_scores)) if loss == "mse" else None,
        callbacks=list(callbacks),
    )
    last = get_last_checkpoint(run_dir) if args.resume and Path(run_dir).is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    return trainer


def _with_transform(dataset: Dataset, transform: EvaluationTransform) -> Dataset:
    # other columns, such as further modality maps, would be decoded only to be thrown away
    return dataset.with_transform(transform, columns=transform.columns)
