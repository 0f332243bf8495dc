"""Before a run: arguments into a scorer, and a collection with the maps that it sees."""

from dataclasses import fields, replace
from pathlib import Path

import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from .. import MODEL_ROWS
from ..data.columns import RatingScale
from ..data.loading import RatedCollection, add_maps
from ..data.modality_columns import ModalityColumn
from ..extraction import needs_network, split_revision
from ..models.backbones import BACKBONE_PRESETS
from ..models.configuration_backbone_scorer import BackboneScorerConfig
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.modality_maps import split_modality
from .arguments import ModelArguments


DEFAULT_BACKBONE = "mobilenet_v2"
SIZE = {"height": 256, "width": 256}  # of pictures for models without a backbone
BACKBONE_ARGUMENTS = ("pooled_stages", "head_dropout", "freeze_stages", "freeze_batch_norm")
# arguments that are fields of some models' configurations
LOSS_ARGUMENTS = (
    *("distribution_loss", "mean_loss_weight", "std_loss_weight"),
    *("objective", "class_vote", "regression_loss", "ranking_loss", "encoding"),
    *("attribute_loss_weight", "ranking_loss_weight"),
    *("series_loss", "series_loss_weight", "align_loss_weight", "similarity_loss_weight"),
)
TRAINER_ARGUMENTS = ("series_loss", "series_loss_weight")  # which of other models the Trainer knows
# those that are fields of some models' processors
TOKEN_ARGUMENTS = ("sequence_length", "num_refined", "candidate_share")
# those that decide which weights there are, by the names of the fields
STRUCTURE_ARGUMENTS = {"attributes": "attribute_names", "num_content_clusters": "num_content_clusters"}


def build_scorer(arguments: ModelArguments, scale: RatingScale) -> tuple[PreTrainedModel, ModalityImageProcessor]:
    """
    A scorer for a rating scale: from an earlier checkpoint of its own type, or over a pretrained backbone, or, of a
    type without one, from nothing.

    Args:
        arguments ([`ModelArguments`]):
            What to train.
        scale ([`RatingScale`]):
            The scale of the ratings.

    Raises:
        ValueError: If there is no such model type, the checkpoint is of another type or scale, an argument is no
            option of the type, or an extractor is given for maps that come from no network.
        OSError: If there is no such checkpoint.
    """
    rows = {
        config.model_type: (model, processor)
        for config, model, _, processor in MODEL_ROWS
        if hasattr(model, "score_is_calibrated")
    }
    if arguments.model_type not in rows:
        raise ValueError(f"`model_type` must be one of {sorted(rows)}, got {arguments.model_type!r}.")
    model_class, processor_class = rows[arguments.model_type]
    _refuse_other_options(arguments, model_class.config_class, processor_class)
    declared = {each.name for each in fields(model_class.config_class)}
    options = {name: getattr(arguments, name) for name in LOSS_ARGUMENTS if name in declared}
    structure = {name: getattr(arguments, flag) for flag, name in STRUCTURE_ARGUMENTS.items() if name in declared}
    options |= {name: value for name, value in structure.items() if value is not None}
    size = arguments.image_size
    extractor, revision = split_revision(arguments.extractor)
    asked = {
        "modality": arguments.modality,
        "extractor_checkpoint": extractor,
        "extractor_revision": revision,
        "view": arguments.view,
        "size": None if size is None else {"height": size, "width": size},
        **{name: getattr(arguments, name) for name in TOKEN_ARGUMENTS},
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    has_backbone = issubclass(model_class.config_class, BackboneScorerConfig)
    towers = getattr(model_class, "towers", None)  # of models that take no other backbone
    checkpoint = backbone_checkpoint(arguments.backbone) if has_backbone else arguments.backbone
    if towers is not None:
        checkpoint = checkpoint or model_class.default_tower
    elif not has_backbone and checkpoint is not None:
        if checkpoint in BACKBONE_PRESETS or _model_type_of(checkpoint) != arguments.model_type:
            raise ValueError(
                f"A {arguments.model_type!r} model has no backbone, so `backbone` must be an earlier checkpoint of "
                f"this type, got {checkpoint!r}. Leave it out."
            )
    of_scale = {"min_score": scale.min_score, "max_score": scale.max_score, "num_labels": scale.num_bins}
    if checkpoint is None:
        # features are measured of sRGB as it is
        processor = processor_class(**{"size": SIZE, "image_mean": [0.0] * 3, "image_std": [1.0] * 3, **asked})
        model = model_class(model_class.config_class(**of_scale, **options))
    elif towers is not None and checkpoint in towers:
        processor = processor_class(**asked)
        model = model_class(model_class.config_class(backbone_config=towers[checkpoint], **of_scale, **options))
    elif (found_type := _model_type_of(checkpoint)) == arguments.model_type:
        processor = processor_class.from_pretrained(checkpoint, **asked)
        earlier = processor_class.from_pretrained(checkpoint)
        if extractor is None and split_modality(earlier.modality)[1] != split_modality(processor.modality)[1]:
            processor.extractor_checkpoint = processor.extractor_revision = None  # of another map
        if has_backbone:
            options["num_channels"] = _num_channels(processor)
        before = model_class.config_class.from_pretrained(checkpoint)
        for name in structure.keys() & options.keys():
            if options[name] != getattr(before, name):
                raise ValueError(
                    f"{checkpoint} was trained with {name}={getattr(before, name)}, got {options[name]}. Leave it out."
                )
        model = model_class.from_pretrained(checkpoint, dtype=torch.float32, **options)
        found = RatingScale(model.config.min_score, model.config.max_score, model.config.num_labels)
        if found != scale:
            raise ValueError(f"{checkpoint} was trained on the scale {found}, but the data set has {scale}.")
    elif towers is not None:
        if found_type not in ("clip", "clip_vision_model"):
            raise ValueError(
                f"`backbone` of a {arguments.model_type!r} must be a CLIP, an earlier checkpoint of this type, or "
                f"{' or '.join(map(repr, towers))} from nothing, got {checkpoint!r}, which is a {found_type!r}."
            )
        processor = processor_class.from_backbone_pretrained(checkpoint, **asked)
        model = model_class.from_backbone_pretrained(checkpoint, **of_scale, **options)
    else:
        if structure and not any(structure.values()) and not arguments.ranking_loss_weight:
            raise ValueError(
                f"An {arguments.model_type!r} without attributes, content clusters or a loss on pairs is 'nima', got "
                "none of them. Name columns of numbers with --attributes, or train --model_type nima."
            )
        processor = processor_class.from_backbone_pretrained(checkpoint, **asked)
        model = model_class.from_backbone_pretrained(
            checkpoint,
            head_dropout=arguments.head_dropout,
            pooled_stages=arguments.pooled_stages,
            num_channels=_num_channels(processor),
            **of_scale,
            **options,
        )
    if extractor is not None and not needs_network(processor.modality):
        raise ValueError(f"`extractor` is for maps of a network, got {extractor!r} for {processor.modality!r}.")
    if has_backbone:
        model.freeze_stages(arguments.freeze_stages)
        if arguments.freeze_batch_norm:
            model.freeze_batch_norm()  # after the stages, which would set the free ones going again
    return model, processor


def _refuse_other_options(
    arguments: ModelArguments, config_class: type[PreTrainedConfig], processor_class: type[ModalityImageProcessor]
) -> None:
    """Options of other model types are refused, not ignored."""
    declared, defaults = {each.name for each in fields(config_class)}, ModelArguments()
    known = {name: name in declared for name in LOSS_ARGUMENTS if name not in TRAINER_ARGUMENTS}
    known["loss"] = "distribution_loss" in declared and "attribute_names" not in declared  # which need the model's own
    known |= {flag: name in declared for flag, name in STRUCTURE_ARGUMENTS.items()}
    known |= dict.fromkeys(BACKBONE_ARGUMENTS, issubclass(config_class, BackboneScorerConfig))
    known |= {name: hasattr(processor_class, name) for name in TOKEN_ARGUMENTS}
    for name, is_known in known.items():
        if not is_known and getattr(arguments, name) != getattr(defaults, name):
            raise ValueError(
                f"`{name}` is no option of {arguments.model_type!r}, got {getattr(arguments, name)!r}. Leave it out."
            )


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


def backbone_checkpoint(backbone: str | None) -> str:
    """The checkpoint behind `--backbone`: that of a preset, or what was given."""
    backbone = backbone or DEFAULT_BACKBONE
    return BACKBONE_PRESETS[backbone].checkpoint if backbone in BACKBONE_PRESETS else backbone


def name_backbone(arguments: ModelArguments) -> tuple[str | None, str | None]:
    """
    What a card calls the backbone, and the terms of its pretrained weights, where they are known; `None` where there
    are none.

    Example:
        >>> name_backbone(ModelArguments(backbone="vgg16"))
        ('timm/vgg16.tv_in1k', 'bsd-3-clause')
    """
    models = {config.model_type: model for config, model, *_ in MODEL_ROWS}
    model_class = models[arguments.model_type]
    checkpoint = backbone_checkpoint(arguments.backbone or getattr(model_class, "default_tower", None))
    if checkpoint in getattr(model_class, "towers", ()):
        return None, None  # from nothing
    preset = (
        BACKBONE_PRESETS.get(arguments.backbone or DEFAULT_BACKBONE) if not hasattr(model_class, "towers") else None
    )
    # a folder means nothing to others, and could be mistaken for a repository
    name = Path(checkpoint).resolve().name if Path(checkpoint).is_dir() else checkpoint
    return name, arguments.backbone_license or (preset.license if preset else None)
