"""Before and after a run: arguments into a scorer, and a trained scorer into a checkpoint that others can judge."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, IterableDataset
from tqdm.auto import tqdm
from transformers import AutoConfig, PreTrainedModel, SchedulerType
from transformers.training_args import OptimizerNames

from .. import MODEL_ROWS
from ..cards import render_model_card
from ..data.columns import RatingScale
from ..data.loading import RatedCollection, add_maps
from ..data.modality_columns import ModalityColumn, map_columns
from ..data.splits import split_fingerprint
from ..data.training_ids import TrainingIds
from ..evaluation import EvaluationReport, evaluate_scorer
from ..extraction import needs_network, split_revision
from ..hub import add_results, save_checkpoint
from ..models.backbones import BACKBONE_PRESETS
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.modality_maps import split_modality
from ..scoring import AestheticScorer
from .arguments import ModelArguments
from .trainer import AestheticTrainer


NUM_QUANTILES = 101


def build_scorer(arguments: ModelArguments, scale: RatingScale) -> tuple[PreTrainedModel, ModalityImageProcessor]:
    """
    A scorer for a rating scale, over a pretrained backbone or from an earlier checkpoint of its own type.

    Args:
        arguments ([`ModelArguments`]):
            What to train.
        scale ([`RatingScale`]):
            The scale of the ratings.

    Raises:
        ValueError: If there is no such model type, the earlier checkpoint has another scale, or an extractor is given
            for maps that come from no network.
        OSError: If there is no such checkpoint.
    """
    scorers = {config.model_type: model for config, model, *_ in MODEL_ROWS if hasattr(model, "score_is_calibrated")}
    if arguments.model_type not in scorers:
        raise ValueError(f"`model_type` must be one of {sorted(scorers)}, got {arguments.model_type!r}.")
    model_class = scorers[arguments.model_type]
    checkpoint = backbone_checkpoint(arguments.backbone)
    loss_weights = {"mean_loss_weight": arguments.mean_loss_weight, "std_loss_weight": arguments.std_loss_weight}
    size = arguments.image_size
    extractor, revision = split_revision(arguments.extractor)
    asked = {
        "modality": arguments.modality,
        "extractor_checkpoint": extractor,
        "extractor_revision": revision,
        "view": arguments.view,
        "size": None if size is None else {"height": size, "width": size},
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if _model_type_of(checkpoint) == arguments.model_type:
        processor = ModalityImageProcessor.from_pretrained(checkpoint, **asked)
        earlier = ModalityImageProcessor.from_pretrained(checkpoint)
        if extractor is None and split_modality(earlier.modality)[1] != split_modality(processor.modality)[1]:
            processor.extractor_checkpoint = processor.extractor_revision = None  # of another map
        fields = {"num_channels": _num_channels(processor), **loss_weights}
        model = model_class.from_pretrained(checkpoint, dtype=torch.float32, **fields)
        found = RatingScale(model.config.min_score, model.config.max_score, model.config.num_labels)
        if found != scale:
            raise ValueError(f"{checkpoint} was trained on the scale {found}, but the data set has {scale}.")
    else:
        processor = ModalityImageProcessor.from_backbone_pretrained(checkpoint, **asked)
        model = model_class.from_backbone_pretrained(
            checkpoint,
            min_score=scale.min_score,
            max_score=scale.max_score,
            num_labels=scale.num_bins,
            head_dropout=arguments.head_dropout,
            pooled_stages=arguments.pooled_stages,
            num_channels=_num_channels(processor),
            **loss_weights,
        )
    if extractor is not None and not needs_network(processor.modality):
        raise ValueError(f"`extractor` is for maps of a network, got {extractor!r} for {processor.modality!r}.")
    model.freeze_stages(arguments.freeze_stages)
    if arguments.freeze_batch_norm:
        model.freeze_batch_norm()  # after the stages, which would set the free ones going again
    return model, processor


def _num_channels(processor: ModalityImageProcessor) -> int:
    sees_picture, map_name = split_modality(processor.modality)
    return 4 if sees_picture and map_name is not None else 3


def map_collection(collection: RatedCollection, processor: ModalityImageProcessor) -> RatedCollection:
    """
    A collection with the maps that a processor's model is trained on: those of the network that the processor names;
    else the collection's own ones; else those that are made now, once, and found the next time.

    The processor is told which network made them. Of a stream, closed-form maps are made while it is read.

    Args:
        collection ([`RatedCollection`]):
            The collection, loaded for the modality of the processor.
        processor ([`ModalityImageProcessor`]):
            Names modality and extractor.

    Raises:
        OSError: If the network cannot be loaded.
        ValueError: If none is known, or maps of a network are missing in a stream.
    """
    _, map_name = split_modality(processor.modality)
    if map_name is None:
        return replace(collection, modality_column=None)
    if processor.extractor_checkpoint is None and collection.modality_column == map_name:
        return collection
    if collection.is_streaming and not needs_network(map_name):
        return replace(collection, modality_column=None)
    column = ModalityColumn.of_processor(processor)
    collection = add_maps(collection, column)
    processor.extractor_checkpoint, processor.extractor_revision = column.checkpoint, column.revision
    return collection


def _model_type_of(checkpoint: str) -> str:
    if checkpoint.startswith("torchvision/"):
        return "torchvision_wrapper"
    try:
        return AutoConfig.from_pretrained(checkpoint).model_type
    except OSError as error:
        raise OSError(
            f"`backbone` must be one of {', '.join(BACKBONE_PRESETS)}, a Hub repository or a folder with config.json, "
            f"got {checkpoint!r}, which cannot be read: {str(error).splitlines()[0]}"
        ) from error


def backbone_checkpoint(backbone: str) -> str:
    """The checkpoint behind `--backbone`: that of a preset, or what was given."""
    return BACKBONE_PRESETS[backbone].checkpoint if backbone in BACKBONE_PRESETS else backbone


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
