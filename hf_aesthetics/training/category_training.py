"""Training of embeddings on pictures in categories, by the Trainer of transformers.

Knows nothing about ratings.
"""

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler
from transformers import EvalPrediction, Trainer, TrainingArguments

from ..metrics import recall_at_k
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.modeling_cecs import CecsModel


class CategoryRows(torch.utils.data.Dataset):
    """
    Pictures of a data set as a model reads them.

    Args:
        dataset (`Dataset`):
            With the columns `image` and `label`, whole numbers from 0.
        processor ([`ModalityImageProcessor`]):
            Prepares them.

    Raises:
        ValueError: If a column is missing.
    """

    def __init__(self, dataset: Dataset, processor: ModalityImageProcessor) -> None:
        if missing := {"image", "label"} - set(dataset.column_names):
            raise ValueError(
                f"Categories need the columns image and label, got {', '.join(dataset.column_names)}. Add "
                f"{' and '.join(sorted(missing))}."
            )
        self.images, self.processor = dataset.select_columns(["image"]), processor
        self.labels = np.asarray(dataset["label"][:])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pixel_values = self.processor([self.images[index]["image"]], return_tensors="pt").pixel_values[0]
        return {"pixel_values": pixel_values, "labels": int(self.labels[index])}


class SpreadSampler(Sampler[int]):
    """
    A random order in which every category is spread over the whole epoch, so that a batch has several.

    Args:
        labels (`np.ndarray` of shape `(num_pictures,)`):
            Categories.
        seed (`int`, *optional*, defaults to 0):
            Of the order, which is another one in each epoch.

    Example:
        >>> labels = np.array([0] * 6 + [1] * 3)
        >>> order = list(SpreadSampler(labels))
        >>> sorted(order) == list(range(9)), [len(set(labels[order[start : start + 3]])) for start in (0, 3, 6)]
        (True, [2, 2, 2])
    """

    def __init__(self, labels: np.ndarray, seed: int = 0) -> None:
        self.labels, self.seed, self.epoch = labels, seed, 0

    def __len__(self) -> int:
        return len(self.labels)

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        when = np.empty(len(self.labels))
        for label in np.unique(self.labels):
            (mine,) = np.nonzero(self.labels == label)
            # one in each of equal parts of the epoch
            when[rng.permutation(mine)] = (np.arange(len(mine)) + rng.uniform(size=len(mine))) / len(mine)
        return iter(when.argsort(kind="stable").tolist())


class CategoryTrainer(Trainer):
    """The Trainer, with batches across categories."""

    train_dataset: CategoryRows

    def _get_train_sampler(self, train_dataset: torch.utils.data.Dataset | None = None) -> Sampler:
        return SpreadSampler(self.train_dataset.labels, self.args.seed)


def train_on_categories(
    model: CecsModel,
    train: CategoryRows,
    args: TrainingArguments,
    validation: CategoryRows | None = None,
) -> CategoryTrainer:
    """
    Trains an embedding model.

    Args:
        model ([`CecsModel`]):
            With as many labels as there are categories.
        train ([`CategoryRows`]), validation ([`CategoryRows`], *optional*):
            Pictures and their categories.
        args (`TrainingArguments`):
            The run. What does not fill a batch waits for another epoch.

    Returns:
        [`CategoryTrainer`] after training.

    Raises:
        ValueError: If there are fewer than 2 categories, or a label that the model does not have.
    """
    found = np.unique(train.labels)
    if len(found) < 2 or found[0] < 0 or found[-1] >= model.config.num_labels:
        raise ValueError(
            f"Training needs pictures of at least 2 of the model's {model.config.num_labels} categories, got the "
            f"labels {found[:5].tolist()}{' and others' if len(found) > 5 else ''}."
        )
    args = copy(args)
    # the rest of an epoch can be a single picture, to which no other category lends patches
    args.dataloader_drop_last |= len(train) >= args.train_batch_size * args.world_size
    model.freeze_unused_parameters()
    trainer = CategoryTrainer(
        model=model, args=args, train_dataset=train, eval_dataset=validation, compute_metrics=_measure_prediction
    )
    trainer.train()
    return trainer


def measure_categories(model: CecsModel, rows: CategoryRows, batch_size: int = 32) -> dict[str, float]:
    """
    How well a model tells pictures apart.

    Args:
        model ([`CecsModel`]):
            In any mode; it is evaluated.
        rows ([`CategoryRows`]):
            Pictures and their categories.
        batch_size (`int`, *optional*, defaults to 32):
            Pictures at a time.

    Returns:
        `dict[str, float]`: `accuracy` of its categories, and `recall_at_1`: how often the picture that is most similar
        among the other ones is of the same category, which it need not know.
    """
    was_training = model.training
    model.eval()
    parts = []
    for batch in DataLoader(rows, batch_size=batch_size):
        with torch.inference_mode():
            outputs = model(batch["pixel_values"].to(model.device, model.dtype))
        parts.append((outputs.logits.float().cpu().numpy(), outputs.image_embeds.cpu().numpy()))
    model.train(was_training)
    logits, embeds = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _measure_prediction(EvalPrediction(predictions=(logits, embeds), label_ids=rows.labels))


def _measure_prediction(prediction: EvalPrediction) -> dict[str, float]:
    logits, embeds = prediction.predictions[:2]
    labels = np.asarray(prediction.label_ids)
    return {
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "recall_at_1": recall_at_k(embeds, labels),
    }
