"""After a run: a trained scorer into a checkpoint that others can judge."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, IterableDataset
from tqdm.auto import tqdm
from transformers import PreTrainedModel, SchedulerType
from transformers.training_args import OptimizerNames

from ..cards import render_model_card
from ..data.loading import RatedCollection
from ..data.modality_columns import map_columns
from ..data.splits import split_fingerprint
from ..data.training_ids import TrainingIds
from ..evaluation import EvaluationReport, evaluate_scorer
from ..hub import add_results, save_checkpoint
from ..models.image_processing_modality import ModalityImageProcessor
from ..scoring import AestheticScorer
from .score_calibration import has_calibration
from .trainer import AestheticTrainer


NUM_QUANTILES = 101


def score_quantiles(
    scorer: AestheticScorer,
    dataset: Dataset | IterableDataset,
    modality_column: str | None = None,
    batch_size: int = 64,
    max_pictures: int = 5000,
) -> list[float]:
    """
    A scorer's own scores of its training pictures at 101 quantiles, from which percentiles are read.

    Args:
        scorer ([`AestheticScorer`]):
            The trained scorer.
        dataset (`Dataset` or `IterableDataset`):
            The training pictures; of more than `max_pictures` evenly spaced ones are taken, of a stream the first ones
            of a shuffle.
        modality_column (`str`, *optional*):
            Column of maps to use, in place of the pictures or beside them.
        batch_size (`int`, *optional*, defaults to 64):
            Pictures a batch.
        max_pictures (`int`, *optional*, defaults to 5000):
            How many scores suffice.
    """
    if isinstance(dataset, IterableDataset):
        dataset = dataset.shuffle(seed=0, buffer_size=max_pictures).take(max_pictures)
    elif len(dataset) > max_pictures:
        dataset = dataset.select(np.linspace(0, len(dataset) - 1, max_pictures).astype(int))
    columns = map_columns(scorer.processor.modality, modality_column)
    batches = tqdm(dataset.select_columns(columns).iter(batch_size), desc="percentiles", leave=False)
    scores = torch.cat(
        [scorer.predict(batch.get("image", []), batch.get(str(modality_column))).score for batch in batches]
    )
    return np.quantile(scores.double().numpy(), np.linspace(0, 1, NUM_QUANTILES)).tolist()


def finish_checkpoint(
    model: PreTrainedModel,
    processor: ModalityImageProcessor,
    collection: RatedCollection,
    output_dir: str | Path,
    *,
    training: dict[str, Any],
    backbone: str | None = None,
    backbone_license: str | None = None,
    license: str | None = None,
    command: str | None = None,
    seed: int = 0,
) -> EvaluationReport:
    """
    Turns a trained model into a checkpoint that others can judge: percentiles, evaluation on the test pictures, card.

    Args:
        model (`PreTrainedModel`), processor ([`ModalityImageProcessor`]):
            The trained scorer.
        collection ([`RatedCollection`]):
            The collection it was trained on.
        output_dir (`str` or `Path`):
            Folder of the checkpoint.
        training (`dict[str, Any]`):
            How it was trained, for the card.
        backbone, backbone_license (`str`, *optional*):
            Checkpoint that it started from, and the terms of its weights.
        license (`str`, *optional*):
            Terms of the trained weights.
        command (`str`, *optional*):
            Command line that repeats it.
        seed (`int`, *optional*, defaults to 0):
            Seed of the bootstrap.

    Returns:
        [`EvaluationReport`]: On the test pictures, of the weights on disk.
    """
    seen = TrainingIds.of_splits(
        collection.name, {split: collection.labels[split]["image_id"] for split in ("train", "validation")}
    )
    if model.name_or_path:  # trained on from a checkpoint, which has seen pictures, too
        seen |= TrainingIds.of_checkpoint(model.name_or_path) or seen
    in_memory = AestheticScorer(model, processor, name=str(output_dir))
    column = collection.modality_column
    model.config.score_quantiles = score_quantiles(in_memory, collection.splits["train"], column)
    save_checkpoint(model, processor, output_dir)
    seen.save(output_dir)
    report = evaluate_scorer(
        AestheticScorer.from_pretrained(output_dir),
        collection.splits["test"],
        dataset_name=collection.name,
        split="test",
        dataset_revision=collection.revision,
        constant_distribution=collection.constant_distribution,
        modality_column=column,
        command=command,
        seed=seed,
    )
    card = render_model_card(
        output_dir,
        report,
        facts=collection.facts,
        license=license,
        backbone=backbone,
        backbone_license=backbone_license,
        training=training,
    )
    add_results(output_dir, report, card)
    return report


def describe_training(trainer: AestheticTrainer, collection: RatedCollection) -> dict[str, Any]:
    """
    What a card says of a run: data, loss, optimiser, schedule, and the figure by which the checkpoint was chosen.

    Args:
        trainer ([`AestheticTrainer`]):
            After training.
        collection ([`RatedCollection`]):
            What it was trained on.
    """
    args, state, train = trainer.args, trainer.state, collection.labels["train"]
    parameters = list(trainer.model.parameters())
    frozen = sum(not parameter.requires_grad for parameter in parameters)
    described = {
        "training_pictures": f"{len(train)}; SHA-256 of the sorted ids {split_fingerprint(train['image_id'])}",
        "validation_pictures": len(collection.labels["validation"]),
        **({"left_out": _count(collection.left_out)} if collection.left_out else {}),
        "optimizer": f"{OptimizerNames(args.optim).value}, learning rate {args.learning_rate:g}, head "
        f"{args.head_learning_rate:g}, {SchedulerType(args.lr_scheduler_type).value} schedule, weight decay "
        f"{args.weight_decay:g}",
        "batch_size": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
        **({"start": "last layer fitted in closed form, a ridge regression"} if args.linear_probe else {}),
        "epochs": f"{state.epoch or 0:g} ({state.global_step} steps)",
        "frozen": f"{frozen} of {len(parameters)} tensors",
        "augmentation": f"random part of {args.crop_fraction:g} of each side"
        + (", mirrored in half of the cases" if args.random_flip else ""),
        **({"weights": f"running average, decay {args.ema_decay:g}"} if args.ema_decay else {}),
        "precision": "bfloat16 autocast" if args.bf16 else "float32",
        **({"calibration": "to rating units, on the validation pictures"} if has_calibration(trainer.model) else {}),
        "chosen_by": "the last step"
        if state.best_metric is None
        else f"{args.metric_for_best_model} = {state.best_metric:.4f} on the validation pictures",
        "seed": args.seed,
    }
    if trainer.compute_loss_func is not None:
        described["loss"] = "squared error of the mean score"
    return described


def describe_collection(collection: RatedCollection) -> str:
    """
    What a run is about to train and to be measured on: splits, their sizes and the hashes of their ids.

    Args:
        collection ([`RatedCollection`]):
            The collection.
    """
    lines = [f"{collection.name}{f' at {collection.revision}' if collection.revision else ''}, {collection.scale}"]
    for split, labels in collection.labels.items():
        lines.append(
            f"  {split:<10} {len(labels):>7} pictures, SHA-256 of their ids {split_fingerprint(labels['image_id'])}"
        )
    if collection.left_out:
        lines.append(f"  left out   {_count(collection.left_out)}")
    return "\n".join(lines)


def _count(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())
