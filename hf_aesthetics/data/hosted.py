"""Rated collections on the Hub, or in a folder of the same layout: on disk or streamed, with pictures or maps.

Knows nothing about models, or about how a collection was published.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import (
    Dataset,
    DatasetDict,
    Features,
    Image,
    IterableDataset,
    IterableDatasetDict,
    concatenate_datasets,
    get_dataset_config_names,
    load_dataset,
    load_dataset_builder,
)
from fsspec.core import url_to_fs
from huggingface_hub import DatasetCard, constants, hf_hub_download, resolve_revision
from huggingface_hub.errors import RemoteEntryNotFoundError

from ..hub_faults import reading_from_hub
from ..images import find_images
from ..licensing import Permission, license_permission
from ..models.modality_maps import split_modality
from .cache_files import keep_table
from .columns import LABEL_COLUMNS, DatasetFacts, RatingScale, require_attributes
from .folder import FACTS as FOLDER_FACTS
from .modality_columns import add_modality_column, map_columns
from .picture_checks import check_pictures, stamp_files
from .splits import SPLITS, hash_split


CARD_FIELD = "hf_aesthetics"  # of the metadata of a card: facts and scale, as `hub.push_dataset` writes them

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HostedCollection:
    """
    What [`load_hosted`] found.

    Args:
        splits (`DatasetDict` or `IterableDatasetDict`):
            `train`, `validation` and `test`.
        labels (`DatasetDict`):
            The same rows without pictures and maps.
        facts (`DatasetFacts`):
            Source and licence, as its card tells them.
        scale (`RatingScale`, *optional*):
            The scale, where the card tells it.
        revision (`str`, *optional*):
            The commit on the Hub.
        modality_column (`str`, *optional*):
            Column with maps of the modality that was asked for.
        left_out (`dict[str, int]`):
            How many pictures were left out, by the kind of reason.
    """

    splits: DatasetDict | IterableDatasetDict
    labels: DatasetDict
    facts: DatasetFacts
    scale: RatingScale | None = None
    revision: str | None = None
    modality_column: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)


def load_hosted(
    name: str,
    *,
    revision: str | None = None,
    modality: str | None = None,
    streaming: bool = False,
    data_dir: str | Path | None = None,
    num_proc: int | None = None,
    attributes: Sequence[str] = (),
) -> HostedCollection:
    """
    Loads a rated collection from the Hub, or from a folder of the same layout.

    Maps of the modality are taken from the configuration of that name, or from a column of that name; the pictures are
    not needed then, except for `"rgb+<map>"`. Otherwise the pictures are those of the collection, or of `data_dir`:
    the picture of a row is the file whose path, name or name without its suffix is the `image_id`. Rows without a
    picture that can be read are left out, counted in a warning and in `left_out`.

    Splits stay as published. Where `validation` or `test` is missing, a hash of the ids cuts it off from `train`.

    Args:
        name (`str`):
            Repository, or folder.
        revision (`str`, *optional*):
            Commit, branch or tag of the repository.
        modality (`str`, *optional*):
            Modality to train on.
        streaming (`bool`, *optional*, defaults to `False`):
            Whether pictures and maps are read while they are used. Of the labels, the columns alone are fetched.
        data_dir (`str` or `Path`, *optional*):
            Folder of the pictures, where the host has none.
        num_proc (`int`, *optional*):
            Number of processes that prepare the rows and check the pictures of `data_dir`.
        attributes (`Sequence[str]`, *optional*):
            Columns of numbers that are read beside the ratings, in a stream, too.

    Raises:
        OSError: If the Hub cannot be reached or refuses, or there is no such repository or revision.
        ValueError: If there are neither maps nor pictures, columns or rows are missing, or arguments contradict.
    """
    is_folder = Path(name).is_dir()
    with nullcontext() if is_folder else reading_from_hub(name, "dataset", revision):
        commit = None if is_folder else resolve_revision(name, repo_type="dataset", revision=revision).resolved
        card = _read_card(name, commit)
        configs = get_dataset_config_names(name, revision=commit)
        sees_picture, map_name = split_modality(modality or "rgb")
        wanted = (None if sees_picture else map_name, "default", configs[0])
        config = next(known for known in wanted if known in configs)
        options: dict[str, Any] = {"path": name, "name": config, "revision": commit, "streaming": streaming}
        splits: Any = load_dataset(**options, num_proc=None if streaming else num_proc)
        if sees_picture and map_name in configs and not streaming:
            of_maps: dict[str, Any] = {**options, "name": map_name}
            maps_alone: Any = load_dataset(**of_maps, num_proc=num_proc)
            joined = {part: _join_maps(rows, maps_alone, str(part), str(map_name)) for part, rows in splits.items()}
            splits = DatasetDict(joined)
        columns = _require_columns(name, splits)
        require_attributes(splits["train"].features, attributes, name)
        maps = map_name if map_name in columns else None
        pictures = "image" if "image" in columns else None
        pictures = pictures if sees_picture else maps or pictures
        _check_sources(name, pictures, configs, modality, data_dir, streaming)
        if streaming:
            sources = map_columns(modality or "rgb", maps)
            splits = load_dataset(**options, columns=[*sources, *LABEL_COLUMNS, *attributes])
            labels = _fetch_labels(options)
    left_out: dict[str, int] = {}
    if not streaming:
        if data_dir is not None:
            splits, left_out = _join_pictures(name, splits, Path(data_dir), num_proc)
        labels = DatasetDict({part: split.select_columns([*LABEL_COLUMNS]) for part, split in splits.items()})
    told = card.get(CARD_FIELD, {})
    return HostedCollection(
        splits=_complete_splits(splits),
        labels=_complete_splits(labels),
        facts=FOLDER_FACTS if is_folder and not told else _read_facts(name, card, None if is_folder else commit),
        scale=RatingScale(**told["scale"]) if "scale" in told else None,
        revision=commit,
        modality_column=maps,
        left_out=left_out,
    )


def card_facts(facts: DatasetFacts, scale: RatingScale) -> dict[str, Any]:
    """What a card keeps of a collection under `CARD_FIELD`, for [`load_hosted`] to read."""
    return {"facts": asdict(facts), "scale": asdict(scale)}


def _read_card(name: str, commit: str | None) -> dict[str, Any]:
    path = Path(name, constants.REPOCARD_NAME)
    if commit is not None:
        try:
            path = Path(hf_hub_download(name, constants.REPOCARD_NAME, repo_type="dataset", revision=commit))
        except RemoteEntryNotFoundError:
            return {}
    return DatasetCard.load(path, ignore_metadata_errors=True).data.to_dict() if path.is_file() else {}


def _read_facts(name: str, card: dict[str, Any], commit: str | None) -> DatasetFacts:
    page = None if commit is None else f"https://huggingface.co/datasets/{name}"
    told: dict[str, Any] | None = card.get(CARD_FIELD, {}).get("facts")
    if told is not None:
        permissions = {part: Permission(**told[part]) for part in ("pictures", "ratings", "weights")}
        fields: dict[str, Any] = {**told, **permissions, "source_url": page or told["source_url"]}
        return DatasetFacts(**fields)
    license = card.get("license_name") if card.get("license") in (None, "other") else card["license"]
    permission = license_permission(license)
    permission = replace(permission, terms=f"{permission.terms}, by the card of {name}")
    return DatasetFacts(
        name=card.get("pretty_name") or name,
        license=f"{license}, by its card" if license else "not stated in its card",
        source_url=page,
        pictures=permission,
        ratings=permission,
        weights=permission,
    )


def _require_columns(name: str, splits: Any) -> list[str]:
    if "train" not in splits:
        raise ValueError(f"{name} must have a split 'train', but has {', '.join(splits)}.")
    columns = splits["train"].column_names or []
    if missing := [column for column in LABEL_COLUMNS if column not in columns]:
        raise ValueError(f"{name} must have the columns {', '.join(LABEL_COLUMNS)}, but lacks {', '.join(missing)}.")
    return columns


def _join_maps(rows: Dataset, maps: Any, part: str, map_name: str) -> Dataset:
    if map_name in rows.column_names:
        return rows
    if part not in maps:
        raise ValueError(f"The {map_name} maps must have the splits of the pictures, but lack {part!r}.")
    return add_modality_column(rows, maps[part].select_columns(["image_id", map_name]))


def _check_sources(
    name: str,
    pictures: str | None,
    configs: list[str],
    modality: str | None,
    data_dir: str | Path | None,
    streaming: bool,
) -> None:
    """There must be one source of what the network shall see."""
    if data_dir is not None and pictures == "image":
        raise ValueError(f"{name} has pictures of its own, so `data_dir` is not needed, got {str(data_dir)!r}.")
    if data_dir is not None and streaming:
        raise ValueError(f"`data_dir` is for rows on disk, got {str(data_dir)!r} and `streaming`. Leave one out.")
    if pictures is None and data_dir is None:
        maps = " or ".join(config for config in configs if config != "default")
        raise ValueError(
            f"{name} has no pictures{f' and no maps of the modality {modality!r}' if modality else ''}. Give the "
            f"folder of the pictures as data_dir{f', or choose the modality {maps}' if maps else ''}."
        )


def _fetch_labels(options: dict[str, Any]) -> DatasetDict:
    """Ids and ratings, in memory. Of files with pictures, only the ranges that hold these columns travel."""
    files = load_dataset_builder(**{key: options[key] for key in ("path", "name", "revision")}).config.data_files or {}
    labels = DatasetDict()
    for part, urls in files.items():
        tables = []
        for url in urls:
            file_system, path = url_to_fs(url)
            # no read-ahead, which would fetch 5 MB of pictures at every step from one row group to the next
            with file_system.open(path, "rb", cache_type="none") as file:
                tables.append(pq.read_table(file, columns=[*LABEL_COLUMNS], pre_buffer=True))
        labels[str(part)] = Dataset(pa.concat_tables(tables).select([*LABEL_COLUMNS]))
    return labels


def _join_pictures(
    name: str, splits: DatasetDict, data_dir: Path, num_proc: int | None
) -> tuple[DatasetDict, dict[str, int]]:
    """Adds the pictures of a folder and leaves out the rows that get none, which are counted by the kind of reason."""
    ids = {part: split["image_id"][:] for part, split in splits.items()}
    files = _find_pictures({image_id for part in ids.values() for image_id in part}, data_dir)
    joined, left_out = DatasetDict(), Counter[str]()
    for part, split in splits.items():
        paths = [files.get(image_id, "") for image_id in ids[part]]
        problems = check_pictures(paths, ids[part], num_proc)
        left_out.update(problem.kind for problem in problems if problem is not None)
        column = pa.table({"image": [{"bytes": None, "path": path} for path in paths]})
        pictures = keep_table(column, Features({"image": Image()}), str(part), repr(stamp_files(paths)))
        # before any row is left out: rows that are picked cannot be put side by side without a copy of all their maps
        whole = concatenate_datasets([pictures, split], axis=1)
        joined[part] = whole.select([row for row, problem in enumerate(problems) if problem is None])
    if left_out:
        counts = ", ".join(f"{count} {kind}" for kind, count in left_out.most_common())
        told = f"{name}: of {sum(map(len, ids.values()))} pictures in {str(data_dir)!r}, {counts}."
        if not len(joined["train"]):
            raise ValueError(f"{told} Files are found by their path, name or name without its suffix as `image_id`.")
        logger.warning("%s Their rows are left out.", told)
    return joined, dict(left_out)


def _find_pictures(ids: set[str], data_dir: Path) -> dict[str, str]:
    """The file of every id: its path relative to the folder, else its name, else its name without the suffix."""
    found: tuple[dict[str, str], ...] = ({}, {}, {})
    for path in find_images(data_dir):
        for files, key in zip(found, (path.relative_to(data_dir).as_posix(), path.name, path.stem), strict=True):
            if key in ids and files.setdefault(key, str(path)) != str(path):
                raise ValueError(
                    f"The picture {key!r} must lie in {str(data_dir)!r} once, found {files[key]} and {path}. "
                    "Give the folder of one of them."
                )
    by_path, by_name, by_stem = found
    return by_stem | by_name | by_path


def _complete_splits(splits: Any) -> Any:
    """Cuts off from `train` the splits that are missing."""
    missing = [part for part in SPLITS[1:] if part not in splits]
    if not missing:
        return splits
    validation, test = (0.1 if part in missing else 0.0 for part in SPLITS[1:])

    def part_of(image_id: str) -> str:
        return hash_split(image_id, validation, test)

    def cut(part: str) -> Dataset | IterableDataset:
        train = splits["train"]
        if isinstance(train, IterableDataset):
            undecoded = train.decode(False)  # a filter would decode what it drops, too
            return undecoded.filter(lambda image_id: part_of(image_id) == part, input_columns=["image_id"]).decode()
        return train.select([row for row, image_id in enumerate(train["image_id"]) if part_of(image_id) == part])

    return type(splits)({part: cut(part) if part in ("train", *missing) else splits[part] for part in SPLITS})
