"""
Rated collections on the Hub: labels and ids, pictures only where their terms allow it, maps of modalities; one commit.

Knows nothing about how a collection is read again: that is `data/hosted.py`.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Image
from datasets.table import embed_table_storage
from huggingface_hub import CommitInfo, constants

from ..data.columns import LABEL_COLUMNS, DatasetFacts
from ..data.loading import RatedCollection
from ..licensing import license_permission
from .commits import commit_files
from .dataset_cards import config_folder, render_dataset_card
from .verdicts import judge_dataset


SHARD_SIZE = 100 * 1024**2
ROW_GROUP_SIZE = 25 * 1024**2  # what a reader of a stream holds at once; who reads labels alone asks once for each


def push_dataset(
    collection: RatedCollection,
    repo_id: str,
    *,
    ratings: bool = True,
    pictures: bool = False,
    modalities: Mapping[str, Mapping[str, Dataset]] | None = None,
    license: str | None = None,
    private: bool = False,
    commit_message: str | None = None,
    parent_commit: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """
    Publishes a rated collection in one commit: all of it arrives, or nothing changes.

    The configuration `default` holds ids, ratings and attributes, and `image` where pictures are asked for; every
    modality has a configuration of its own name with ids, ratings and its maps, which so trains alone, on disk or
    streamed. All have the same rows in the same order. Files are Parquet with types that survive exactly, and pictures
    embedded as the bytes that they are. They are written and uploaded one after another, so that memory does not grow
    with the collection; of a push that broke off, what has arrived is not uploaded again. Afterwards the Parquet files
    of the repository are these and no older ones.

    What others may have a copy of is the matter of `collection.facts`. A private repository is a copy for oneself and
    may hold all.

    Args:
        collection ([`RatedCollection`]):
            With its rows on disk.
        repo_id (`str`):
            Repository, such as `"org/oasis-beauty"`; created where it does not exist.
        ratings (`bool`, *optional*, defaults to `True`):
            Whether to publish the ratings. Ids and splits alone tell others what a figure was measured on.
        pictures (`bool`, *optional*, defaults to `False`):
            Whether to publish the pictures.
        modalities (`Mapping[str, Mapping[str, Dataset]]`, *optional*):
            Maps by modality and split: data sets with the columns `image_id` and `<modality>`, in the order of the
            collection. Maps need the permission that the pictures need.
        license (`str`, *optional*):
            Terms under which you publish what you own, as an identifier of the Hub such as `"cc-by-4.0"`. It answers
            where the facts are silent; it cannot overrule them.
        private (`bool`, *optional*, defaults to `False`):
            Whether the repository must be private.
        commit_message (`str`, *optional*):
            First line of the commit.
        parent_commit (`str`, *optional*):
            The commit that is being replaced; refused if the repository has moved on since.
        token (`str`, *optional*):
            With write access; the one of `hf auth login` where it is left out.

    Returns:
        `CommitInfo`: With `oid` and `commit_url`.

    Raises:
        ValueError: If the terms do not allow it, rows are streamed, or maps do not belong to the rows.
        HubPublishError: If the Hub cannot be reached or refuses.
    """
    if collection.is_streaming:
        raise ValueError(f"Rows on disk are needed, but those of {collection.name} are streamed. Load them without.")
    modalities = modalities or {}
    facts = _answer_silence(collection.facts, license)
    verdict = judge_dataset(facts, ratings=ratings, pictures=pictures or bool(modalities))
    if not verdict.is_allowed and not private:
        raise ValueError(
            f"{facts.name} cannot be published so ({verdict.reason}). Leave that out, keep a copy for yourself with "
            "private=True, or say under which license you publish what is yours."
        )
    _check_maps(collection, modalities)
    tables = _arrange_tables(collection, ratings, pictures, modalities)
    configs = {
        name: [column for table in splits["train"] for column in table.column_names] for name, splits in tables.items()
    }
    card = render_dataset_card(collection, repo_id, configs, facts=facts, is_own_copy=not verdict.is_allowed)

    def files() -> Iterator[tuple[str, bytes]]:
        for config, splits in tables.items():
            for split, side_by_side in splits.items():
                for number, shard in enumerate(write_shards(side_by_side)):
                    yield f"{config_folder(config)}/{split}-{number:05d}.parquet", shard
        yield constants.REPOCARD_NAME, str(card).encode()

    return commit_files(
        files(),
        repo_id,
        message=commit_message or f"Publish {collection.name}",
        replaces=lambda name: name.endswith(".parquet"),
        repo_type="dataset",
        private=private,
        parent_commit=parent_commit,
        token=token,
    )


def write_shards(tables: Sequence[Dataset], shard_size: int = SHARD_SIZE) -> Iterator[bytes]:
    """
    Data sets side by side as Parquet files of about `shard_size` bytes, their pictures embedded.

    Args:
        tables (`Sequence[Dataset]`):
            Data sets of one length with columns of different names.
        shard_size (`int`, *optional*, defaults to 100 MiB):
            A file is closed when it has reached this size.

    Example:
        >>> [shard] = write_shards([Dataset.from_dict({"image_id": ["a", "b"]}), Dataset.from_dict({"score": [1, 2]})])
        >>> pq.read_table(io.BytesIO(shard)).to_pylist()
        [{'image_id': 'a', 'score': 1}, {'image_id': 'b', 'score': 2}]
    """
    features = Features({name: feature for table in tables for name, feature in table.features.items()})
    rows = _rows_a_group(tables)
    groups = zip(*(table.with_format("arrow").iter(rows) for table in tables), strict=True)
    buffer, writer = io.BytesIO(), None
    for group in groups:
        columns = [column for part in group for column in part.columns]
        if writer is None:
            buffer = io.BytesIO()
            # as `datasets` writes: what has not changed is found again by the Hub's storage, inside of files, too
            writer = pq.ParquetWriter(
                buffer, features.arrow_schema, use_content_defined_chunking=True, write_page_index=True
            )
        writer.write_table(embed_table_storage(pa.Table.from_arrays(columns, schema=features.arrow_schema)))
        if buffer.tell() >= shard_size:
            writer.close()
            writer = None
            yield buffer.getvalue()
    if writer is not None:
        writer.close()
        yield buffer.getvalue()


def _rows_a_group(tables: Sequence[Dataset], num_sampled: int = 32) -> int:
    rows = np.unique(np.linspace(0, len(tables[0]) - 1, num_sampled).astype(int))
    size = sum(embed_table_storage(table.with_format("arrow")[rows]).nbytes for table in tables)
    return max(1, ROW_GROUP_SIZE * len(rows) // max(1, size))


def _answer_silence(facts: DatasetFacts, license: str | None) -> DatasetFacts:
    """Puts the publisher's own terms where the facts say nothing."""
    if license is None:
        return facts
    own = license_permission(license)
    silent = {name for name in ("pictures", "ratings", "weights") if getattr(facts, name).is_given is None}
    answers = {name: own for name in silent}
    return replace(facts, **answers, license=license if len(silent) == 3 else facts.license)


def _check_maps(collection: RatedCollection, modalities: Mapping[str, Mapping[str, Dataset]]) -> None:
    for modality, splits in modalities.items():
        for part, labels in collection.labels.items():
            maps = splits.get(part)
            if maps is None or not {"image_id", modality} <= set(maps.column_names):
                has = "nothing" if maps is None else f"the columns {', '.join(maps.column_names)}"
                raise ValueError(f"The maps of {part!r} need the columns image_id and {modality}, got {has}.")
            if labels["image_id"][:] != maps["image_id"][:]:
                raise ValueError(
                    f"The {modality} maps of {part!r} must have the ids of its {len(labels)} rows in their order, got "
                    f"{len(maps)} others. Make them of this collection, before rows are picked or shuffled."
                )


def _arrange_tables(
    collection: RatedCollection, ratings: bool, pictures: bool, modalities: Mapping[str, Mapping[str, Dataset]]
) -> dict[str, dict[str, list[Dataset]]]:
    """What is put side by side in every split of every configuration."""
    splits: dict[str, Any] = {str(part): rows for part, rows in collection.splits.items()}
    shared = LABEL_COLUMNS if ratings else LABEL_COLUMNS[:1]
    images = [name for name, feature in splits["train"].features.items() if isinstance(feature, Image)]
    attributes = [name for name in splits["train"].column_names if name not in (*images, *LABEL_COLUMNS)]
    columns = [*["image"] * pictures, *shared, *(attributes if ratings else [])]
    arranged = {"default": {part: [rows.select_columns(columns)] for part, rows in splits.items()}}
    for modality, maps in modalities.items():
        arranged[modality] = {
            part: [rows.select_columns([*shared]), maps[part].select_columns([modality])]
            for part, rows in splits.items()
        }
    return arranged
