"""Any rated collection by name: a published data set, a folder of one's own, rendered scenes, a Hub repository.

Knows nothing about models.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from datasets import Dataset, DatasetDict, Image, IterableDatasetDict

from ..models.modality_maps import split_modality
from . import aadb, ava, cadb, eva, folder, oasis, para, synthetic
from .columns import (
    LABEL_COLUMNS,
    DatasetFacts,
    RatingScale,
    infer_rating_scale,
    known_votes,
    require_attributes,
)
from .hosted import load_hosted
from .modality_columns import ModalityColumn, add_modality_column, cache_modality_column
from .splits import SPLITS
from .targets import with_target


# the collections that this package reads from their published layout; those with attributes are all loaded alike
_WITH_ATTRIBUTES = {
    "aadb": (aadb.load_aadb, aadb.FACTS),
    "cadb": (cadb.load_cadb, cadb.FACTS),
    "eva": (eva.load_eva, eva.FACTS),
    "para": (para.load_para, para.FACTS),
}
LOCAL_COLLECTIONS = tuple(sorted(("ava", "folder", "oasis", "synthetic", *_WITH_ATTRIBUTES)))


@dataclass(frozen=True)
class RatedCollection:
    """
    A rated collection, ready for training.

    Args:
        name (`str`):
            What reports and cards call it.
        splits (`DatasetDict` or `IterableDatasetDict`):
            `train`, `validation` and `test`, with the columns of `columns.py`.
        scale (`RatingScale`):
            The scale of the ratings.
        facts (`DatasetFacts`):
            Source and licence.
        revision (`str`, *optional*):
            Commit on the Hub, where it comes from there.
        modality_column (`str`, *optional*):
            Column of maps to train on, in place of the pictures, which need not be there then, or beside them.
        left_out (`dict[str, int]`, *optional*):
            How many pictures were left out, by the kind of reason.
        streamed_labels (`DatasetDict`, *optional*):
            The labels of splits that are streamed.
    """

    name: str
    splits: DatasetDict | IterableDatasetDict
    scale: RatingScale
    facts: DatasetFacts
    revision: str | None = None
    modality_column: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    streamed_labels: DatasetDict | None = None

    @property
    def is_streaming(self) -> bool:
        """Whether pictures and maps are read from a host while they are used."""
        return isinstance(self.splits, IterableDatasetDict)

    @property
    def labels(self) -> DatasetDict:
        """Ids and ratings of all splits, without pictures and maps, on disk or in memory."""
        if self.streamed_labels is not None:
            return self.streamed_labels
        splits: Any = self.splits
        return DatasetDict({part: split.select_columns([*LABEL_COLUMNS]) for part, split in splits.items()})

    @property
    def constant_distribution(self) -> np.ndarray | None:
        """Mean histogram of the training pictures, `(num_bins,)`; `None` where they have means only."""
        votes, _ = known_votes(self.labels["train"])
        return (votes / votes.sum(axis=1, keepdims=True)).mean(axis=0) if len(votes) else None


def load_collection(
    name: str,
    data_dir: str | Path | None = None,
    scale: RatingScale | None = None,
    revision: str | None = None,
    num_pictures: int = 1500,
    seed: int = 0,
    modality: str | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    exclude_ids: str | Path | None = None,
    attributes: Sequence[str] = (),
    target: str | None = None,
) -> RatedCollection:
    """
    Loads a rated collection by name.

    Args:
        name (`str`):
            `"aadb"`, `"ava"`, `"cadb"`, `"eva"`, `"oasis"`, `"para"` or `"folder"` (with `data_dir`), `"synthetic"`,
            or a Hub repository like `"org/name"`.
        data_dir (`str` or `Path`, *optional*):
            Where the pictures and their table lie; of a Hub repository without pictures, the pictures alone.
        scale (`RatingScale`, *optional*):
            The scale, for collections that do not tell it. One that contradicts the votes is refused.
        revision (`str`, *optional*):
            Commit, branch or tag of a Hub repository.
        num_pictures (`int`, *optional*, defaults to 1500):
            How many scenes to render for `"synthetic"`; a tenth each for validation and test.
        seed (`int`, *optional*, defaults to 0):
            Seed of the rendered scenes.
        modality (`str`, *optional*):
            What to train on: where the collection has maps of it, they stand in `modality_column`. Of rendered scenes
            that is `"depth"`, by the renderer. Others are made by [`add_maps`].
        streaming (`bool`, *optional*, defaults to `False`):
            Whether the pictures or maps of a Hub repository are read while they are used.
        num_proc (`int`, *optional*):
            Number of processes that check or prepare the pictures.
        exclude_ids (`str` or `Path`, *optional*):
            File of ids that `"ava"` keeps out of training and validation; see [`~hf_aesthetics.data.ava.load_ava`].
        attributes (`Sequence[str]`, *optional*):
            Columns of numbers that have to be there beside the ratings.
        target (`str`, *optional*):
            Column of numbers that stands in place of the ratings; `scale` is then that of these numbers. See
            [`with_target`].

    Raises:
        OSError: If the Hub cannot be reached or refuses, or there is no such repository.
        ValueError: If the scale is unknown or contradicts the votes, an attribute is missing, or arguments are missing
            or contradict.

    Example:
        >>> load_collection("oasis")
        Traceback (most recent call last):
        ...
        ValueError: The data set 'oasis' needs the folder of its pictures. Pass --data_dir PATH.
    """
    if exclude_ids is not None and name != "ava":
        raise ValueError(f"`exclude_ids` is for the data set 'ava', got {name!r}. Leave it out.")
    own_scale = scale if target is None else None
    if name in LOCAL_COLLECTIONS:
        if streaming:
            raise ValueError(f"Only a Hub repository can be streamed, got {name!r}. Leave `streaming` out.")
        score_column = None
        if name == "folder":  # whose table may hold no other ratings
            own_scale, score_column = scale, target
        collection = _load_local(
            name, data_dir, own_scale, num_pictures, seed, modality, num_proc, exclude_ids, score_column
        )
        require_attributes(collection.splits["train"].features, attributes, collection.name)
    elif "/" not in name and not Path(name).is_dir():
        raise ValueError(
            f"`dataset` must be one of {', '.join(LOCAL_COLLECTIONS)} or a Hub repository 'organisation/name', "
            f"got {name!r}."
        )
    else:
        collection = _load_hosted(name, data_dir, own_scale, revision, modality, streaming, num_proc, attributes)
    return collection if target is None else with_target(collection, target, scale)


def _load_hosted(
    name: str,
    data_dir: str | Path | None,
    scale: RatingScale | None,
    revision: str | None,
    modality: str | None,
    streaming: bool,
    num_proc: int | None,
    attributes: Sequence[str],
) -> RatedCollection:
    found = load_hosted(
        name,
        revision=revision,
        modality=modality,
        streaming=streaming,
        data_dir=data_dir,
        num_proc=num_proc,
        attributes=attributes,
    )
    if found.revision is None:
        name = Path(name).resolve().name
    return RatedCollection(
        name,
        found.splits,
        _agreed_scale(name, found.labels["train"], scale or found.scale),
        found.facts,
        found.revision,
        found.modality_column,
        found.left_out,
        found.labels if streaming else None,
    )


def _load_local(
    name: str,
    data_dir: str | Path | None,
    scale: RatingScale | None,
    num_pictures: int,
    seed: int,
    modality: str | None,
    num_proc: int | None,
    exclude_ids: str | Path | None,
    score_column: str | None,
) -> RatedCollection:
    _, map_name = split_modality(modality or "rgb")
    left_out: dict[str, int] = {}
    if name == "synthetic":
        held_out = max(2, num_pictures // 10)
        splits = synthetic.load_synthetic(
            num_pictures - 2 * held_out,
            held_out,
            held_out,
            seed=seed,
            num_proc=num_proc or os.cpu_count(),
            with_maps=map_name == "depth",
        )
        if map_name == "depth":
            splits = splits.rename_column("true_depth", "depth")
        facts = synthetic.FACTS
    elif data_dir is None:
        raise ValueError(f"The data set {name!r} needs the folder of its pictures. Pass --data_dir PATH.")
    elif name == "oasis":
        splits, facts = oasis.load_oasis(data_dir, num_proc), oasis.FACTS
    elif name == "ava":
        found = ava.load_ava(data_dir, exclude_ids=exclude_ids, num_proc=num_proc or os.cpu_count())
        splits, facts, left_out = found.splits, ava.FACTS, found.skipped_by_kind
    elif name in _WITH_ATTRIBUTES:
        load, facts = _WITH_ATTRIBUTES[name]
        found = load(data_dir, num_proc=num_proc)
        splits, scale, left_out = found.splits, scale or found.scale, found.skipped_by_kind
    else:
        loaded = folder.load_folder(data_dir, scale=scale, score_column=score_column, num_proc=num_proc)
        name, splits, facts = Path(data_dir).resolve().name, loaded.splits, folder.FACTS
        scale, left_out = loaded.scale, loaded.skipped_by_kind
    for part in SPLITS:
        if part not in splits:
            raise ValueError(
                f"{data_dir} must have pictures for {', '.join(SPLITS)}, but has none for {part!r}. "
                "Add pictures, or say in a column `split` which picture is for what."
            )
    train = splits["train"]
    scale = _agreed_scale(name, train, scale)
    has_maps = map_name is not None and isinstance(train.features.get(map_name), Image)
    return RatedCollection(name, splits, scale, facts, None, map_name if has_maps else None, left_out)


def add_maps(collection: RatedCollection, column: ModalityColumn, num_proc: int | None = None) -> RatedCollection:
    """
    A collection with a column of maps, which are made where [`cache_modality_column`] has not made them before.

    Args:
        collection ([`RatedCollection`]):
            With its pictures on disk, as it was loaded: maps are found again for the very same rows.
        column ([`ModalityColumn`]):
            The maps. A column of this name that the collection has already gives way.
        num_proc (`int`, *optional*):
            Number of processes, see [`cache_modality_column`]; by default what [`ModalityColumn`] suggests, so a
            script needs the usual `if __name__ == "__main__":`.

    Raises:
        ValueError: If the collection is streamed or has no pictures, or one of them cannot be read.
    """
    if collection.is_streaming:
        raise ValueError(
            f"Maps can be made of rows on disk, but those of {collection.name} are streamed. Load them without."
        )
    splits, loaded = DatasetDict(), cast(DatasetDict, collection.splits)
    for name, rows in loaded.items():
        if "image" not in rows.column_names:
            raise ValueError(
                f"{column.modality} maps are made of pictures, but {collection.name} has none. Give its data_dir."
            )
        rows = rows.remove_columns([column.modality]) if column.modality in rows.column_names else rows
        maps = cache_modality_column(rows, column, num_proc=num_proc or column.suggest_num_proc(len(rows)))
        # rows that were picked of others cannot be put beside the maps without a copy of their pictures
        splits[name] = add_modality_column(rows if rows._indices is None else rows.flatten_indices(), maps)
    return replace(collection, splits=splits, modality_column=column.modality)


def _agreed_scale(name: str, train: Dataset, given: RatingScale | None) -> RatingScale:
    found = infer_rating_scale(train)
    if found is None:
        if given is None:
            raise ValueError(
                f"{name} holds mean scores without votes, or votes of one mean, so its scale is unknown. "
                "Pass --min_score, --max_score and --num_bins."
            )
        votes, means = known_votes(train)
        if len(votes) and (
            votes.shape[1] != given.num_bins
            or not np.allclose(votes @ given.bin_scores / votes.sum(axis=1), means, atol=1e-3)
        ):
            raise ValueError(
                f"{name} was rated in {votes.shape[1]} bins with the mean {means[0]:g}, which the votes do not have "
                f"on the scale {given} that was given. Correct --min_score, --max_score and --num_bins."
            )
        return given
    if given is not None and found != given:
        raise ValueError(f"{name} was rated on the scale {found}, but the scale {given} was given. Leave it out.")
    return found
