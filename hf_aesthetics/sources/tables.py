"""
Pictures in tables: Parquet files, and the Arrow files of `datasets.save_to_disk`.

Knows nothing about where tables come from.
"""

import itertools
import json
import os
import posixpath
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..extras import require_extra
from ..images import ImageReadError
from .files import File, kind_of
from .locations import is_remote, open_file, reading
from .unit import ROW_COLUMNS, Unit, digest, load_pictures


if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

ROWS_PER_UNIT = 256
"""Fewest rows in a unit of an Arrow file; the batches it was written in are put together."""

ID_COLUMN = "image_id"


class NoPictureColumn(ValueError):
    """A table without a column that could hold pictures. The message names the columns there are."""


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """
    Which columns of a table are read.

    Args:
        image (`str`, *optional*):
            The column of pictures: a struct of `bytes` and `path` as `datasets` stores them, bytes, or paths relative
            to the folder of the file. Where it is left out, the one called `image`, or else the only one with bytes.
        keep (`tuple[str, ...]`):
            Columns to hand on. Besides, `image_id` always is, where there is one; and the path in a picture column
            `image` is called `image.path`.

    Raises:
        ValueError: If `keep` names a column that every row has.
    """

    image: str | None
    keep: tuple[str, ...]

    def __post_init__(self) -> None:
        if taken := sorted(set(self.keep) & set(ROW_COLUMNS)):
            raise ValueError(
                f"`keep_columns` must not hold {taken[0]!r}: rows have {', '.join(ROW_COLUMNS)} already. Rename yours."
            )

    def find_image(self, schema: "pa.Schema", path: str) -> str:
        """
        The column of pictures of a table.

        Raises:
            NoPictureColumn: If there is none.
            ValueError: If there are several.
        """
        there = f"{path!r} has {', '.join(schema.names)}"
        if self.image is not None:
            if self.image not in schema.names or not _kind(schema.field(self.image).type):
                raise NoPictureColumn(
                    f"Expected a column {self.image!r} of pictures, bytes or paths, but {there}. Choose one of them."
                )
            return self.image
        kinds = {field.name: kind for field in schema if (kind := _kind(field.type))}
        if "image" in kinds:
            return "image"
        typed = _image_features(schema)
        structs = [name for name, kind in kinds.items() if kind == "struct"]
        contents = [name for name, kind in kinds.items() if kind == "bytes"]
        candidates = typed or structs or contents
        if not candidates:
            raise NoPictureColumn(f"Expected a column of pictures, but {there}. Name one of paths: image_column.")
        if len(candidates) > 1:
            raise ValueError(
                f"Expected one column of pictures, but {path!r} has {', '.join(candidates)}. Choose one: image_column."
            )
        return candidates[0]

    def kept(self, schema: "pa.Schema") -> tuple[str, ...]:
        """The columns of a table that are handed on."""
        return (*self.keep, ID_COLUMN) if ID_COLUMN in schema.names and ID_COLUMN not in self.keep else self.keep

    def check(self, file: File) -> None:
        """
        Finds out whether a table has the columns.

        Raises:
            NoPictureColumn: If it has no pictures.
            ValueError: If it has several columns of pictures, or lacks one that is to be kept.
            ImageReadError: If it cannot be read.
        """
        schema, _ = _read_outline(file)
        image = self.find_image(schema, file.path)
        if missing := [name for name in self.keep if name not in (*schema.names, f"{image}.path")]:
            raise ValueError(
                f"`keep_columns` must be among the columns of {file.path!r} ({', '.join(schema.names)}), got "
                f"{missing[0]!r}."
            )


class Piece(NamedTuple):
    """Row groups of a Parquet file or batches of an Arrow file, and the rows in them."""

    first: int
    end: int
    first_row: int
    num_rows: int | None

    def __str__(self) -> str:
        last = "the last" if self.num_rows is None else self.first_row + self.num_rows - 1
        return f"rows {self.first_row} to {last}"


@dataclass(frozen=True, slots=True)
class TableRows(Unit):
    """Rows of a table that follow each other."""

    path: str
    location: str
    image_column: str
    piece: Piece

    def _rows(self, batch_size: int) -> Iterator[tuple[Any, ...]]:
        row = self.piece.first_row
        try:
            with reading(self.path, self.location, "table"):
                for batch in self._batches(batch_size):
                    yield from self._read(batch, row)
                    row += batch.num_rows
        except ImageReadError as error:
            for missing in range(row, max(row + 1, self.piece.first_row + (self.num_pictures or 0))):
                yield self._without_columns((f"{self.path}#{missing}", None, str(error)))

    def _batches(self, batch_size: int) -> "Iterator[pa.RecordBatch]":
        first, end = self.piece.first, self.piece.end
        if kind_of(self.path) == "parquet":
            with _open_parquet(self.location) as table:
                columns = self._read_columns(table.schema_arrow)
                yield from table.iter_batches(batch_size, range(first, end), columns, use_threads=False)
            return
        with _open_arrow(self.location) as table:
            columns = self._read_columns(table.schema)
            for batch in itertools.islice(table, first, end):
                for start in range(0, batch.num_rows, batch_size):
                    yield batch.slice(start, batch_size).select(columns)

    def _read(self, batch: "pa.RecordBatch", first_row: int) -> Iterator[tuple[Any, ...]]:
        cells = batch.column(self.image_column).to_pylist()
        pictures = [self._find_picture(cell, first_row + index) for index, cell in enumerate(cells)]
        kept: list[list[Any]] = []
        for name in self.keep_columns:
            if name in batch.schema.names:
                kept.append(batch.column(name).to_pylist())
            elif name == f"{self.image_column}.path":
                kept.append([cell.get("path") if isinstance(cell, dict) else None for cell in cells])
            else:
                kept.append([None] * len(cells))
        for row, *values in zip(load_pictures(pictures), *kept, strict=True):
            yield (*row, *values)

    def _find_picture(self, cell: Any, row: int) -> tuple[str, str | bytes | None]:
        """What a picture is called, and its content or where it is."""
        name = f"{self.path}#{row}"
        if isinstance(cell, dict):
            content, path = cell.get("bytes"), cell.get("path")
            return name, content if content is not None or not path else _beside(self.location, path)
        if isinstance(cell, str):
            return (_beside(self.path, cell), _beside(self.location, cell)) if cell else (name, None)
        return name, cell

    def _read_columns(self, schema: "pa.Schema") -> list[str]:
        return list(dict.fromkeys((self.image_column, *(name for name in self.keep_columns if name in schema.names))))


def table_units(file: File, choice: ColumnChoice) -> Iterator[TableRows]:
    """
    The units of a table: row groups of a Parquet file, a few batches of an Arrow file.

    Raises:
        ImageReadError: If it cannot be read.
        NoPictureColumn: If it has no pictures.
        ValueError: If it has several columns of pictures.
    """
    schema, pieces = _read_outline(file)
    image_column, keep_columns = choice.find_image(schema, file.path), choice.kept(schema)
    for piece in pieces:
        yield TableRows(
            key=digest("table", file.path, file.size, file.stamp, image_column, keep_columns, *piece),
            name=f"{file.path}, {piece}",
            num_pictures=piece.num_rows,
            keep_columns=keep_columns,
            path=file.path,
            location=file.location,
            image_column=image_column,
            piece=piece,
        )


def _read_outline(file: File) -> "tuple[pa.Schema, list[Piece]]":
    """The columns of a table and the pieces it is read in."""
    with reading(file.path, file.location, "table"):
        if kind_of(file.path) == "parquet":
            with _open_parquet(file.location) as table:
                groups = range(table.metadata.num_row_groups)
                return table.schema_arrow, _put_together([table.metadata.row_group(g).num_rows for g in groups], 1)
        with _open_arrow(file.location) as table:
            if is_remote(file.location):
                return table.schema, [Piece(0, sys.maxsize, 0, None)]  # only reading all would count them
            return table.schema, _put_together([batch.num_rows for batch in table], ROWS_PER_UNIT)


def _put_together(counts: Sequence[int], min_rows: int) -> list[Piece]:
    """Row groups or batches that follow each other, with enough rows together."""
    pieces, first, row, num_rows = [], 0, 0, 0
    for index, count in enumerate(counts, start=1):
        num_rows += count
        if num_rows >= min_rows or (num_rows and index == len(counts)):
            pieces.append(Piece(first, index, row, num_rows))
            row, num_rows, first = row + num_rows, 0, index
    return pieces


@contextmanager
def _open_parquet(location: str) -> "Generator[parquet.ParquetFile]":
    require_extra("hf_aesthetics.sources.tables", "data", "pyarrow")
    from pyarrow import parquet

    # with the default every column of a row group is fetched whole before its first row is there
    options: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 20}
    with ExitStack() as stack:
        source = stack.enter_context(open_file(location)) if is_remote(location) else location
        yield stack.enter_context(parquet.ParquetFile(source, **options))


@contextmanager
def _open_arrow(location: str) -> "Generator[pa.RecordBatchReader]":
    require_extra("hf_aesthetics.sources.tables", "data", "pyarrow")
    import pyarrow as pa

    with open_file(location) if is_remote(location) else pa.memory_map(location) as file:
        with pa.ipc.open_stream(file) as reader:
            yield reader


def _kind(type_: "pa.DataType") -> str | None:
    """How pictures could be in a column of some type: `"struct"`, `"bytes"` or `"path"`."""
    from pyarrow import types

    if types.is_dictionary(type_):
        type_ = type_.value_type
    if types.is_struct(type_):
        names = {field.name for field in type_}
        return "struct" if names & {"bytes", "path"} else None
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_binary_view(type_):
        return "bytes"
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return "path"
    return None


def _image_features(schema: "pa.Schema") -> list[str]:
    """The columns that `datasets` says are pictures: those of sounds and films have the same type."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [name for name in schema.names if features[name].get("_type") == "Image"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _beside(table: str, path: str) -> str:
    """A path in a table, which is relative to the folder of its file."""
    if is_remote(path):
        return path
    if not is_remote(table):
        return os.path.join(os.path.dirname(table), path)
    scheme, _, place = table.partition("://")
    return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(place), path))}"
