"""One model for each fold of a collection, all from the same start, and what each predicts of what it never saw.

Knows nothing about how the folds were made or what becomes of the predictions.
"""

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, set_seed

from ..data.columns import RatingScale
from ..data.training_rows import IndexedRows
from ..data.transforms import EvaluationTransform
from ..evaluation.cross_validation import Fold
from ..metrics import distribution_mean
from ..models.image_processing_modality import ModalityImageProcessor
from .arguments import AestheticTrainingArguments
from .frozen_features import FrozenFeatureRows, has_frozen_stages, record_frozen_features, skip_frozen_stages
from .linear_probe import fit_linear_probe
from .picture_statistics import fit_picture_statistics
from .score_calibration import fit_score_calibration, has_calibration
from .trainer import make_trainer, row_transforms, split_predictions


class FoldPrediction(NamedTuple):
    """
    What the model of a fold says of the test part.

    Args:
        distribution (`np.ndarray` of shape `(len(fold.test), num_bins)`, *optional*):
            Predicted distributions.
        scores (`np.ndarray` of shape `(len(fold.test),)`):
            Predicted mean scores.
        validation_srcc (`float`):
            Of the model on the validation part.
        train_srcc (`float`):
            Of the model on the pictures that it was trained on, as it last saw them.
        model (`PreTrainedModel`):
            The trained one.
    """

    distribution: np.ndarray | None
    scores: np.ndarray
    validation_srcc: float
    train_srcc: float
    model: PreTrainedModel


def predict_folds(
    build: Callable[[], tuple[PreTrainedModel, ModalityImageProcessor]],
    pictures: Dataset,
    scale: RatingScale,
    folds: Sequence[Fold],
    args: AestheticTrainingArguments,
    loss: str = "emd",
    modality_column: str | None = None,
) -> Iterator[FoldPrediction]:
    """
    Trains a model on each fold and lets it predict the test part.

    Where the first stages are frozen, and nothing before them is trained, they run once for all folds, as many times
    as there are epochs; the training is the same as [`train_scorer`] does on the pictures.

    Args:
        build (`Callable`):
            Makes model and processor. It is called with the seed set, so that all folds start alike.
        pictures (`Dataset`):
            The whole collection.
        scale (`RatingScale`):
            Of its ratings.
        folds (`Sequence[Fold]`):
            Positions of the pictures.
        args ([`AestheticTrainingArguments`]):
            Of each training; its checkpoints lie in `<output_dir>/run` meanwhile. With 0 epochs nothing is trained:
            each model is what the linear probe makes of it.
        loss (`str`, *optional*, defaults to `"emd"`):
            See [`train_scorer`].
        modality_column (`str`, *optional*):
            Column of maps that the models see.

    Returns:
        An iterator over a [`FoldPrediction`] for each fold.
    """
    set_seed(args.seed)
    model, processor = build()
    bins = scale.bin_scores.tolist()
    training, evaluation = row_transforms(model, processor, scale, args, modality_column)
    train_rows = _FoldRows(pictures, training, [fold.train for fold in folds])
    held_out = [part for fold in folds for part in (fold.validation, fold.test)]
    other_rows = _FoldRows(pictures, evaluation, held_out)
    two_pictures = torch.stack([other_rows.select(held_out[0][:2])[index]["pixel_values"] for index in (0, 1)])
    is_frozen = has_frozen_stages(model)
    num_views = max(1, math.ceil(args.num_train_epochs))
    if is_frozen:
        train_rows.record(model, num_views)
        other_rows.record(model)

    args = copy(args)
    args.output_dir = str(Path(args.output_dir, "run"))
    for fold in folds:
        set_seed(args.seed)
        model, _ = build()
        # convolutions run about a third faster in this layout
        model = model.to(memory_format=torch.channels_last)
        with skip_frozen_stages(model, two_pictures) if is_frozen else nullcontext():
            rows = train_rows.select(fold.train), other_rows.select(fold.validation)
            fit_picture_statistics(model, rows[0])
            if args.linear_probe:
                fit_linear_probe(model, *rows, num_views)
            trainer = make_trainer(model, *rows, scale.bin_scores, args, loss)
            if args.num_train_epochs > 0:
                trainer.train()
            validation = trainer.evaluate()
            if has_calibration(model):
                fit_score_calibration(model, rows[1], args.per_device_eval_batch_size)
            train_srcc = trainer.predict(rows[0]).metrics["test_srcc"]
            distribution, scores = split_predictions(trainer.predict(other_rows.select(fold.test)).predictions)
        shutil.rmtree(args.output_dir, ignore_errors=True)
        if distribution is not None:
            scores = distribution_mean(distribution, bins)
        yield FoldPrediction(distribution, scores, validation["eval_srcc"], train_srcc, trainer.model)


class _FoldRows:
    """Rows of a collection that any fold reads in one way: the pictures, or features of the frozen stages."""

    def __init__(self, pictures: Dataset, transform: EvaluationTransform, parts: Sequence[np.ndarray]) -> None:
        self.positions = np.unique(np.concatenate(parts))
        self.pictures, self.transform = pictures, transform
        self.features: FrozenFeatureRows | None = None

    def record(self, model: PreTrainedModel, num_views: int = 1) -> None:
        rows = IndexedRows(self.pictures.select(self.positions), self.transform)
        self.features = record_frozen_features(model.to(memory_format=torch.channels_last), rows, num_views)

    def select(self, part: np.ndarray) -> IndexedRows | FrozenFeatureRows:
        if self.features is None:
            return IndexedRows(self.pictures.select(part), self.transform)
        return self.features.select(np.searchsorted(self.positions, part).tolist())
