"""Any rated collection by name: a published data set, a folder of one's own, rendered scenes, a Hub repository.

Knows nothing about models.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict, load_dataset

from . import folder, oasis, synthetic
from .columns import COMMON_COLUMNS, DatasetFacts, RatingScale, infer_rating_scale
from .splits import hash_split


# the collections that this package reads from their published layout
LOCAL_COLLECTIONS = ("folder", "oasis", "synthetic")


@dataclass(frozen=True)
class RatedCollection:
    """
    A rated collection, ready for training.

    Args:
        name (`str`):
            What reports and cards call it.
        splits (`DatasetDict`):
            `train`, `validation` and `test`, with the columns of `columns.py`.
        scale (`RatingScale`):
            The scale of the ratings.
        facts (`DatasetFacts`):
            Source and licence.
        revision (`str`, *optional*):
            Commit on the Hub, where it comes from there.
    """

    name: str
    splits: DatasetDict
    scale: RatingScale
    facts: DatasetFacts
    revision: str | None = None

    @property
    def constant_distribution(self) -> np.ndarray | None:
        """Mean histogram of the training pictures, `(num_bins,)`; `None` where they have means only."""
        votes = [counts for counts in self.splits["train"]["vote_counts"] if counts is not None]
        if not votes:
            return None
        shares = np.asarray(votes, dtype=np.float64)
        return (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)


def load_collection(
    name: str,
    data_dir: str | Path | None = None,
    scale: RatingScale | None = None,
    revision: str | None = None,
    num_pictures: int = 1500,
    seed: int = 0,
) -> RatedCollection:
    """
    Loads a rated collection by name.

    Args:
        name (`str`):
            `"oasis"` or `"folder"` (both with `data_dir`), `"synthetic"`, or a Hub repository such as `"org/name"`.
        data_dir (`str` or `Path`, *optional*):
            Where the pictures and their table lie.
        scale (`RatingScale`, *optional*):
            The scale, for collections that do not tell it. One that contradicts the votes is refused.
        revision (`str`, *optional*):
            Commit, branch or tag of a Hub repository.
        num_pictures (`int`, *optional*, defaults to 1500):
            How many scenes to render for `"synthetic"`; a tenth each for validation and test.
        seed (`int`, *optional*, defaults to 0):
            Seed of the rendered scenes.

    Raises:
        ValueError: If the scale is unknown or contradicts the votes, or a needed argument is missing.

    Example:
        >>> load_collection("oasis")
        Traceback (most recent call last):
        ...
        ValueError: The data set 'oasis' needs the folder of its pictures. Pass --data_dir PATH.
    """
    resolved = None
    if name in ("folder", "oasis") and data_dir is None:
        raise ValueError(f"The data set {name!r} needs the folder of its pictures. Pass --data_dir PATH.")
    if name == "oasis" and data_dir is not None:
        splits, facts = oasis.load_oasis(data_dir), oasis.FACTS
    elif name == "folder" and data_dir is not None:
        loaded = folder.load_folder(data_dir, scale=scale)
        _check_splits(str(data_dir), loaded.splits)
        return RatedCollection(Path(data_dir).resolve().name, loaded.splits, loaded.scale, folder.FACTS)
    elif name == "synthetic":
        held_out = max(2, num_pictures // 10)
        splits = synthetic.load_synthetic(
            num_pictures - 2 * held_out, held_out, held_out, seed=seed, num_proc=os.cpu_count(), with_maps=False
        )
        facts = synthetic.FACTS
    elif "/" in name or Path(name).is_dir():
        splits, resolved = _load_hosted(name, revision)
        if resolved is None:
            name, facts = Path(name).resolve().name, folder.FACTS
        else:
            url = f"https://huggingface.co/datasets/{name}"
            facts = DatasetFacts(name=name, license="see the data set's card", source_url=url)
    else:
        raise ValueError(
            f"`dataset` must be one of {', '.join(LOCAL_COLLECTIONS)} or a Hub repository 'organisation/name', "
            f"got {name!r}."
        )
    return RatedCollection(name, splits, _agreed_scale(name, splits["train"], scale), facts, resolved)


def _load_hosted(name: str, revision: str | None) -> tuple[DatasetDict, str | None]:
    resolved = None
    if not Path(name).is_dir():
        from huggingface_hub import HfApi

        resolved = HfApi().dataset_info(name, revision=revision).sha
    splits = load_dataset(name, revision=resolved)
    _check_splits(name, splits, ("train",))
    train = splits["train"]
    missing = [column for column in COMMON_COLUMNS if column not in train.column_names]
    if missing:
        raise ValueError(f"{name} must have the columns {', '.join(COMMON_COLUMNS)}, but lacks {', '.join(missing)}.")
    if "validation" not in splits or "test" not in splits:
        validation, test = (0.0 if part in splits else 0.1 for part in ("validation", "test"))
        assigned = np.array([hash_split(image_id, validation, test) for image_id in train["image_id"]])
        cut = {part: train.select(np.flatnonzero(assigned == part)) for part in ("train", "validation", "test")}
        splits = DatasetDict(
            {part: cut[part] if part == "train" or part not in splits else splits[part] for part in cut}
        )
    return splits, resolved


def _check_splits(name: str, splits: DatasetDict, wanted: tuple[str, ...] = ("train", "validation", "test")) -> None:
    for part in wanted:
        if part not in splits or len(splits[part]) == 0:
            raise ValueError(
                f"{name} must have pictures for {', '.join(wanted)}, but has none for {part!r}. "
                "Add pictures, or say in a column `split` which picture is for what."
            )


def _agreed_scale(name: str, train: Dataset, given: RatingScale | None) -> RatingScale:
    found = infer_rating_scale(train)
    if found is None:
        if given is None:
            raise ValueError(
                f"{name} holds mean scores without votes, so its scale is unknown. "
                "Pass --min_score, --max_score and --num_bins."
            )
        return given
    if given is not None and found != given:
        raise ValueError(f"{name} was rated on the scale {found}, but the scale {given} was given. Leave it out.")
    return found
