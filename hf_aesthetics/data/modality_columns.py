"""Columns of modality maps that are made once and kept, so that training reads them in place of the pictures.

Knows nothing about models or ratings. What a map looks like is the matter of the extractor that makes it.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
from datasets import Dataset, Features, Image, Value, concatenate_datasets

from ..extraction import ModalityExtractor, resolve_extractor
from ..images import ImageReadError, read_image
from ..models.image_processing_modality import ModalityImageProcessor
from ..models.modality_maps import MODALITIES, split_modality
from .cache_files import cache_folder, make_files, open_table, write_tables


# a join takes time with the square of the number of files, and memory with the rows that are encoded together
_MAX_FILES, _ROWS_TOGETHER = 128, 32


@dataclass(frozen=True)
class ModalityColumn:
    """
    What a column of maps is made by.

    Args:
        modality (`str`):
            A map of [`~hf_aesthetics.models.modality_maps.MODALITIES`], which also becomes the name of the column.
        checkpoint (`str`, *optional*):
            The network that makes it, where one does; that of the table where it is left out.
        revision (`str`, *optional*):
            Commit, branch or tag of the network. It is resolved, to the newest commit where it is left out; of a
            folder, to the hash of the weights.
        map_size (`int`, *optional*, defaults to 512):
            Longer side of the maps in pixels, at most; that of the processor which will read them.
        version (`int`, *optional*):
            That of the function in the table. It is raised when the function changes what comes out, so that no map is
            left from before.

    Raises:
        OSError: If there is no such checkpoint or revision.
        ValueError: If there is no such map, or it needs a checkpoint or takes none.

    Example:
        >>> ModalityColumn("gray")
        ModalityColumn(modality='gray', checkpoint=None, revision=None, map_size=512, version=1)
    """

    modality: str
    checkpoint: str | None = None
    revision: str | None = None
    map_size: int = 512
    version: int | None = None

    def __post_init__(self) -> None:
        checkpoint, revision = resolve_extractor(self.modality, self.checkpoint, self.revision)
        version = MODALITIES[self.modality].version if self.version is None else self.version
        for name, value in (("checkpoint", checkpoint), ("revision", revision), ("version", version)):
            object.__setattr__(self, name, value)

    @classmethod
    def of_processor(cls, processor: ModalityImageProcessor) -> "ModalityColumn | None":
        """The maps that a processor's model is trained on; `None` where it sees the picture alone."""
        _, map_name = split_modality(processor.modality)
        if map_name is None:
            return None
        return cls(map_name, processor.extractor_checkpoint, processor.extractor_revision, processor.map_size)

    @property
    def features(self) -> Features:
        """Types of the columns: 8-bit maps, and the ids by which they are joined."""
        return Features({"image_id": Value("string"), self.modality: Image(mode="L")})

    @property
    def key(self) -> str:
        """What the maps follow from, beside the pictures. A folder may be moved; its weights tell."""
        source = self.checkpoint if self.checkpoint and not Path(self.checkpoint).is_dir() else None
        return repr((self.modality, source, self.revision, self.map_size, self.version))

    def suggest_num_proc(self, num_rows: int) -> int:
        """How many processes suit a program: a core each for closed-form maps, where there is enough to do."""
        return 1 if self.checkpoint is not None else min(os.cpu_count() or 1, 1 + num_rows // 500)


def map_columns(modality: str, modality_column: str | None) -> list[str]:
    """
    The columns from which a model of a modality gets what it sees.

    Example:
        >>> map_columns("rgb+depth", "depth"), map_columns("depth", "depth"), map_columns("blur", None)
        (['image', 'depth'], ['depth'], ['image'])
    """
    sees_picture, _ = split_modality(modality)
    columns = ["image"] if sees_picture or modality_column is None else []
    return columns if modality_column is None else [*columns, modality_column]


def cache_modality_column(
    dataset: Dataset,
    column: ModalityColumn,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
    rows_a_file: int | None = None,
) -> Dataset:
    """
    Makes the maps of all pictures, or finds those that were made before.

    A network runs where a GPU is, if there is one. The maps lie in Arrow files that are mapped into memory: no second
    copy is made for reading or joining, and memory stays flat. What was stopped goes on where it was. Maps are made
    anew when the column, its revision, its version or the rows change.

    Args:
        dataset (`Dataset`):
            Rows with `image_id` and `image`.
        column ([`ModalityColumn`]):
            What to make.
        cache_dir (`str` or `Path`, *optional*):
            Where the files lie; by default in the cache of `datasets`.
        num_proc (`int`, *optional*):
            Number of processes. By default the calling one makes all maps.
        rows_a_file (`int`, *optional*):
            As many maps a stop may cost each process; by default a 128th of them, but at least 16.

    Returns:
        `Dataset`: `image_id` and the map, a row for each row of `dataset`, in its order.

    Raises:
        ValueError: If a picture cannot be read, or a column is missing.

    Example:
        >>> from PIL import Image
        >>> rows = Dataset.from_dict({"image_id": ["a"], "image": [Image.new("RGB", (2, 1), (200, 0, 0))]})
        >>> cache_modality_column(rows, ModalityColumn("gray"))[0]["gray"].getpixel((0, 0))
        60
    """
    if missing := sorted({"image_id", "image"} - set(dataset.column_names)):
        raise ValueError(
            f"{column.modality} maps are made of rows with `image_id` and `image`, got {dataset.column_names}. Add "
            f"{' and '.join(missing)}."
        )
    folder, files = _plan_files(dataset, column, cache_dir, rows_a_file)
    rows = dataset.with_format(None).select_columns(["image_id", "image"]).cast_column("image", Image(decode=False))
    jobs = {name: (column, rows.select(part)) for name, part in files.items()}
    make_files(folder, _write_maps, jobs, num_proc, f"making {column.modality} maps")
    return _open_column(folder, files, dataset)


def find_modality_column(
    dataset: Dataset, column: ModalityColumn, cache_dir: str | Path | None = None, rows_a_file: int | None = None
) -> Dataset | None:
    """
    The maps that [`cache_modality_column`] has made for these rows, or `None` where it has not finished.

    Example:
        >>> find_modality_column(Dataset.from_dict({"image_id": ["b"], "image": [None]}), ModalityColumn("gray"))
    """
    folder, files = _plan_files(dataset, column, cache_dir, rows_a_file)
    if not all((folder / name).is_file() for name in files):
        return None
    return _open_column(folder, files, dataset)


def add_modality_column(dataset: Dataset, maps: Dataset) -> Dataset:
    """
    Joins maps to the rows that they belong to. Nothing is copied.

    Args:
        dataset (`Dataset`):
            The rows, as they were loaded: before any shuffle, filter or select.
        maps (`Dataset`):
            `image_id` and one column of maps, in the same order.

    Raises:
        ValueError: If the ids differ, or `dataset` was shuffled, filtered or selected from.

    Example:
        >>> rows = Dataset.from_dict({"image_id": ["a", "b"], "score_mean": [3.0, 5.0]})
        >>> add_modality_column(rows, Dataset.from_dict({"image_id": ["a", "b"], "gray": [None, None]})).column_names
        ['image_id', 'score_mean', 'gray']
        >>> add_modality_column(rows, Dataset.from_dict({"image_id": ["b", "a"], "gray": [None, None]}))
        Traceback (most recent call last):
        ...
        ValueError: Expected the maps of the same pictures in the same order, got 'b' for 'a' in row 0. Make the column for these rows.
    """  # noqa: E501
    if dataset._indices is not None or maps._indices is not None:
        raise ValueError(
            "Expected rows as they were loaded, got some that were shuffled, filtered or selected, which a join would "
            "copy with all pictures. Join the column first."
        )
    if not dataset.data.column("image_id").equals(maps.data.column("image_id")):
        if len(dataset) != len(maps):
            raise ValueError(f"Expected maps of {len(dataset)} rows, got {len(maps)}. Make the column for these rows.")
        pairs = zip(dataset["image_id"], maps["image_id"], strict=True)
        row, (expected, got) = next((row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1])
        raise ValueError(
            f"Expected the maps of the same pictures in the same order, got {got!r} for {expected!r} in row {row}. "
            "Make the column for these rows."
        )
    return concatenate_datasets([dataset, maps.remove_columns("image_id")], axis=1)


def _plan_files(
    dataset: Dataset, column: ModalityColumn, cache_dir: str | Path | None, rows_a_file: int | None
) -> tuple[Path, dict[str, range]]:
    """The folder of a column, and which rows lie in which of its files."""
    size = rows_a_file or max(16, -(-len(dataset) // _MAX_FILES))
    key = hashlib.sha256(repr((column.key, dataset._fingerprint, size)).encode()).hexdigest()
    parent = cache_folder("modality_columns") if cache_dir is None else Path(cache_dir)
    parts = [range(start, min(start + size, len(dataset))) for start in range(0, len(dataset), size)]
    return parent / f"{column.modality}-{key[:32]}", {f"{part.start:09d}.arrow": part for part in parts}


def _write_maps(path: Path, job: tuple[ModalityColumn, Dataset]) -> None:
    column, rows = job
    batches = rows.iter(batch_size=_ROWS_TOGETHER)
    write_tables(path, column.features, (_make_maps(column, batch) for batch in batches))


def _make_maps(column: ModalityColumn, batch: Any) -> pa.Table:
    maps = _extractor(column).make_maps(_read_pictures(column, batch))
    encoded = [{"bytes": encode_map(map_), "path": None} for map_ in maps]
    schema = column.features.arrow_schema
    return pa.table({"image_id": batch["image_id"], column.modality: encoded}, schema=schema)


def encode_map(modality_map: PIL.Image.Image) -> bytes:
    """A map as the PNG file that lies in a column."""
    buffer = io.BytesIO()
    modality_map.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _read_pictures(column: ModalityColumn, batch: Any) -> Iterator[PIL.Image.Image]:
    for image_id, content in zip(batch["image_id"], batch["image"], strict=True):
        content = content or {"bytes": b""}
        try:
            yield read_image(content["path"] if content["bytes"] is None else content["bytes"])
        except ImageReadError as error:
            raise ValueError(f"{image_id!r} has no {column.modality} map. {error}") from error


@lru_cache(maxsize=1)  # for all files of a process
def _extractor(column: ModalityColumn) -> ModalityExtractor:
    # closed-form maps where those on the fly are made; a GPU would be shared by many processes
    device = "cpu" if column.checkpoint is None else None
    return ModalityExtractor(column.modality, column.checkpoint, column.revision, column.map_size, device)


def _open_column(folder: Path, files: Iterable[str], dataset: Dataset) -> Dataset:
    key = folder.name.rpartition("-")[2]  # their own fingerprints would depend on when they were made
    parts = [open_table(folder / name, fingerprint=f"{key}-{name}") for name in files]
    return concatenate_datasets(parts, split=dataset.split)
