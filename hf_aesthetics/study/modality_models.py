"""Models of one modality: their maps, their freezing depth, and what they predict of pictures that they never saw.

Knows nothing about other modalities or what the predictions say.
"""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..data import synthetic
from ..data.loading import RatedCollection
from ..evaluation.cross_validation import OutOfFoldPredictions
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.modality_maps import MODALITIES, split_modality
from ..training import AestheticTrainingArguments, DataArguments, ModelArguments, build_scorer, map_collection
from ..training.cross_validation import (
    FoldArguments,
    load_for_modality,
    pool_folds,
    read_predictions,
    train_folds,
    validation_srcc,
    weights_file,
)
from ..whole_files import whole_file


DEPTH_FILE = "depth.json"


@dataclass(frozen=True)
class StudiedModality:
    """
    A modality of a collection, ready for training.

    Args:
        collection ([`RatedCollection`]):
            With the maps, where the modality is one.
        model_args ([`ModelArguments`]):
            Of its models.
        source (`str`):
            What made the maps, in words.
        degradation (`str`, *optional*):
            How the maps were made worse, where they were; a key of `DEGRADATIONS` in `degradations.py`.
    """

    collection: RatedCollection
    model_args: ModelArguments
    source: str
    degradation: str | None = None

    @property
    def name(self) -> str:
        """The modality, such as `"depth"`, and how its maps were made worse, as in `"depth_coarse"`."""
        return self._named(str(self.model_args.modality))

    @property
    def map_column(self) -> str | None:
        """Where the maps stand in the collection."""
        return split_modality(str(self.model_args.modality))[1]

    @property
    def map_name(self) -> str | None:
        """What findings call the maps: the part of `name` that is not the picture."""
        return None if self.map_column is None else self._named(self.map_column)

    def _named(self, name: str) -> str:
        return name if self.degradation is None else f"{name}_{self.degradation}"


@dataclass(frozen=True)
class DepthChoice:
    """
    How many stages the models of a modality freeze.

    Args:
        depth (`int`):
            The number that was taken, as `--freeze_stages` reads it.
        validation_srcc (`dict[int, float | None]`):
            Of the numbers that were tried; `None` where nothing varies. Empty where there was no choice.
    """

    depth: int
    validation_srcc: dict[int, float | None]


def load_modality(
    data_args: DataArguments, model_args: ModelArguments, modality: str, networks: Mapping[str, str] | None = None
) -> StudiedModality:
    """
    Loads a collection with the maps of a modality, which are made where they have not been made before.

    Args:
        data_args ([`DataArguments`]), model_args ([`ModelArguments`]):
            The collection and the models.
        modality (`str`):
            What the models see.
        networks (`Mapping[str, str]`, *optional*):
            By map, the network that makes it, as `checkpoint[@revision]`.

    Raises:
        OSError: If a network cannot be loaded.
        ValueError: If none is known for maps that need one.
    """
    _, map_name = split_modality(modality)
    model_args = replace(model_args, modality=modality, extractor=(networks or {}).get(str(map_name)))
    return map_modality(load_for_modality(data_args, model_args), model_args)


def map_modality(collection: RatedCollection, model_args: ModelArguments) -> StudiedModality:
    """
    A modality of a collection that is loaded already. See [`load_modality`].

    Args:
        collection ([`RatedCollection`]):
            The collection; maps of the modality that it has itself stand in its `modality_column`.
        model_args ([`ModelArguments`]):
            Of the models, modality and extractor included.
    """
    _, processor = build_scorer(model_args, collection.scale)
    collection = map_collection(collection, processor)
    if processor.extractor_checkpoint is not None:  # as it is now, so that later maps of other weights are refused
        extractor = f"{processor.extractor_checkpoint}@{processor.extractor_revision}"
        model_args = replace(model_args, extractor=extractor)
    return StudiedModality(collection, model_args, describe_source(processor, collection))


def describe_source(processor: ModalityImageProcessor, collection: RatedCollection) -> str:
    """
    What made the maps of a modality, in words that name no folder of this machine.

    Args:
        processor ([`ModalityImageProcessor`]):
            After [`~hf_aesthetics.training.map_collection`].
        collection ([`RatedCollection`]):
            Whose maps they are.
    """
    sees_picture, map_name = split_modality(processor.modality)
    if map_name is None:
        return "the picture itself"
    if processor.extractor_checkpoint is not None:
        checkpoint = processor.extractor_checkpoint
        name = Path(checkpoint).name if Path(checkpoint).is_dir() else checkpoint
        revision = str(processor.extractor_revision)
        source = f"{name}@{revision if revision.startswith('sha256:') else revision[:12]}"
    elif MODALITIES[map_name].function is not None:
        source = "closed form"
    else:
        is_rendered = collection.facts == synthetic.FACTS
        source = "true map of the renderer" if is_rendered else "maps of the collection"
    return f"the picture itself, and {source}" if sees_picture else source


def choose_depth(
    studied: StudiedModality,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
    depths: Sequence[int] | None = None,
    start: Path | None = None,
    keep_weights: bool = False,
) -> DepthChoice:
    """
    Takes the number of frozen stages with the highest SRCC on the inner validation part of the first fold, one seed.

    What was trained for it lies in `<output_dir>/depths` and is not trained again.

    Args:
        studied ([`StudiedModality`]):
            The modality.
        fold_args ([`FoldArguments`]), args ([`AestheticTrainingArguments`]):
            As for [`train_modality`].
        depths (`Sequence[int]`, *optional*):
            Numbers to choose from, of equals the first; by default as many as the head allows, all where it reads the
            last stage alone, and one less.
        start (`Path`, *optional*), keep_weights (`bool`, *optional*, defaults to `False`):
            See [`~hf_aesthetics.training.cross_validation.train_folds`].
    """
    if depths is None:
        deepest = _most_frozen_stages(studied)
        depths = [max(deepest - 1, 0), deepest]
    if len(depths) == 1:
        return DepthChoice(depths[0], {})
    found: dict[int, float | None] = {}
    files: dict[int, Path] = {}
    fold_args = replace(fold_args, fold_seeds=fold_args.fold_seeds[:1])
    for depth in depths:
        of_depth = copy(args)
        of_depth.output_dir = str(Path(args.output_dir, "depths", str(depth)))
        (files[depth],) = train_folds(
            studied.collection,
            replace(studied.model_args, freeze_stages=depth),
            fold_args,
            of_depth,
            start,
            keep_weights,
            only_first=True,
            label=f"{studied.name}, freezing depth {depth}, ",
        )
        srcc = validation_srcc(files[depth])
        found[depth] = None if math.isnan(srcc) else srcc
    best = max(depths, key=lambda depth: -math.inf if (srcc := found[depth]) is None else srcc)
    for file in [weights_file(files[best])] * keep_weights + [files[best]]:  # this fold is done
        if not Path(args.output_dir, file.name).is_file():
            with whole_file(Path(args.output_dir, file.name)) as partial:
                shutil.copyfile(file, partial)
    return DepthChoice(best, found)


def _most_frozen_stages(studied: StudiedModality) -> int:
    """All, which leaves the head alone; where it reads several stages, those up to the first one that it reads."""
    model: Any = build_scorer(studied.model_args, studied.collection.scale)[0]
    read = model.config.pooled_stages or [model.num_stages - 1]
    return 1 + min(stage % model.num_stages for stage in read)


def train_modality(
    studied: StudiedModality,
    fold_args: FoldArguments,
    args: AestheticTrainingArguments,
    depths: Sequence[int] | None = None,
    start: str | Path | None = None,
    keep_weights: bool = False,
) -> tuple[OutOfFoldPredictions, DepthChoice]:
    """
    Chooses the freezing depth of a modality, and cross-validates its models. What is finished is not trained again.

    Args:
        studied ([`StudiedModality`]):
            The modality.
        fold_args ([`FoldArguments`]):
            The folds.
        args ([`AestheticTrainingArguments`]):
            Of each training; the results lie in `<output_dir>/<modality>`.
        depths (`Sequence[int]`, *optional*):
            See [`choose_depth`].
        start (`str` or `Path`, *optional*), keep_weights (`bool`, *optional*, defaults to `False`):
            See [`~hf_aesthetics.training.cross_validation.train_folds`].

    Raises:
        ValueError: If the folder holds folds of another recipe.
    """
    args = copy(args)
    args.output_dir = str(Path(args.output_dir, studied.name))
    start = None if start is None else Path(start)
    choice = choose_depth(studied, fold_args, args, depths, start, keep_weights)
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    with whole_file(Path(args.output_dir, DEPTH_FILE)) as file:
        file.write_text(json.dumps(asdict(choice)) + "\n", encoding="utf-8")
    files = train_folds(
        studied.collection,
        replace(studied.model_args, freeze_stages=choice.depth),
        fold_args,
        args,
        start,
        keep_weights,
        label=f"{studied.name}, ",
    )
    return pool_folds(files), choice


def read_modality(output_dir: str | Path) -> tuple[OutOfFoldPredictions, DepthChoice]:
    """
    What [`train_modality`] left in the folder of a modality.

    Raises:
        ValueError: If its folds are not finished.
    """
    predictions = read_predictions(output_dir)
    found = json.loads(Path(output_dir, DEPTH_FILE).read_text(encoding="utf-8"))
    tried = {int(depth): srcc for depth, srcc in found["validation_srcc"].items()}
    return predictions, DepthChoice(found["depth"], tried)
