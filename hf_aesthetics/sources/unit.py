"""
A unit of work: a few hundred pictures with a key that says which, read in batches of rows.

Knows nothing about archives and tables, nor how units are found.
"""

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..images import ImageReadError
from .files import File
from .locations import fetch, is_remote, reading


ROW_COLUMNS = ("path", "image", "error")
"""What every row has: what people call the picture; its file or content; why there is none, in one line."""

MAX_PICTURES = 1024
"""Most files in a unit; on average there are a quarter as many."""

NUM_DOWNLOADS = 8
"""Pictures that are fetched at the same time where each is a file on another machine."""

PictureRow = tuple[str, str | bytes | None, str | None]


@dataclass(frozen=True, slots=True)
class Unit(ABC):
    """
    Pictures that are scored together, by one process. Small, and may be sent to another process.

    Args:
        key (`str`):
            16 hexadecimal digits of a digest of what is to be read. The same content has the same key on every machine
            and in every run; a file whose size or time has changed gives its unit another one.
        name (`str`):
            What people call it.
        num_pictures (`int`, *optional*):
            Number of rows; `None` where only reading tells.
        keep_columns (`tuple[str, ...]`):
            Columns of a table that are handed on.
    """

    key: str
    name: str
    num_pictures: int | None
    keep_columns: tuple[str, ...]

    def read(self, batch_size: int) -> Iterator[dict[str, list[Any]]]:
        """
        The rows, at most `batch_size` at a time. What cannot be read is a row with an `error`, never an exception.

        Args:
            batch_size (`int`):
                Most rows of a batch.

        Returns:
            `Iterator[dict[str, list]]`: The columns `path`; `image`, a path for [`read_image`] or the content of a
            file, `None` where there is an `error`; `error`; then `keep_columns`.

        Raises:
            ValueError: If `batch_size` is less than 1.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
        rows = self._rows(batch_size)
        while batch := list(itertools.islice(rows, batch_size)):
            names = (*ROW_COLUMNS, *self.keep_columns)
            yield dict(zip(names, map(list, zip(*batch, strict=True)), strict=True))

    @abstractmethod
    def _rows(self, batch_size: int) -> Iterator[tuple[Any, ...]]:
        """`path`, `image`, `error` and the kept columns of each picture."""

    def _without_columns(self, row: PictureRow) -> tuple[Any, ...]:
        return (*row, *(None for _ in self.keep_columns))


@dataclass(frozen=True, slots=True)
class PictureFiles(Unit):
    """Files with one picture each: what to call it, and where it is read."""

    files: tuple[tuple[str, str], ...]

    def _rows(self, batch_size: int) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(self.files), batch_size):
            yield from map(self._without_columns, load_pictures(self.files[start : start + batch_size]))


@dataclass(frozen=True, slots=True)
class Unreadable(Unit):
    """A folder or a shard that could not even be looked into."""

    path: str
    error: str

    def _rows(self, batch_size: int) -> Iterator[tuple[Any, ...]]:
        yield self._without_columns((self.path, None, self.error))


def digest(*parts: object) -> str:
    """
    16 hexadecimal digits that follow from the texts of some values and from nothing else.

    Example:
        >>> digest("holiday/a.jpg", 48_312), digest("a", "bc") == digest("ab", "c")
        ('ffb59125173437ff', False)
    """
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        content = str(part).encode("utf-8", "backslashreplace")  # names of files need not be UTF-8
        state.update(len(content).to_bytes(8, "little") + content)
    return state.hexdigest()


def ends_unit(path: str) -> bool:
    """
    Whether a unit of files ends behind this one: one name in 256 does, whatever stands beside it, so that a file more
    or less changes one unit and leaves all behind it as they were.
    """
    return hashlib.blake2b(path.encode("utf-8", "backslashreplace"), digest_size=1).digest() == b"\0"


def picture_files(files: Sequence[File], keep_columns: tuple[str, ...]) -> PictureFiles:
    """The unit of some files, at least one."""
    stamps = (part for file in files for part in (file.path, file.size, file.stamp))
    return PictureFiles(
        key=digest("files", keep_columns, *stamps),
        name=files[0].path + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
        num_pictures=len(files),
        keep_columns=keep_columns,
        files=tuple((file.path, file.location) for file in files),
    )


def unreadable(path: str, error: str, keep_columns: tuple[str, ...], *stamp: object) -> Unreadable:
    """The unit of a folder or shard that gives one row, with the reason."""
    key = digest("unreadable", path, error, keep_columns, *stamp)
    return Unreadable(key=key, name=path, num_pictures=1, keep_columns=keep_columns, path=path, error=error)


def load_pictures(pictures: Sequence[tuple[str, str | bytes | None]]) -> Iterator[PictureRow]:
    """Names and contents, or where they are, as rows: what is on another machine is fetched, several at a time."""
    if not any(isinstance(source, str) and is_remote(source) for _, source in pictures):
        yield from map(_load_picture, pictures)
        return
    with ThreadPoolExecutor(NUM_DOWNLOADS, thread_name_prefix="fetch-picture") as pool:
        yield from pool.map(_load_picture, pictures)


def _load_picture(picture: tuple[str, str | bytes | None]) -> PictureRow:
    path, source = picture
    if source is None:
        return path, None, f"Cannot read {path!r}: the row has no picture. Leave it out, or put one in."
    if isinstance(source, bytes) or not is_remote(source):
        return path, source, None
    try:
        with reading(path, source):
            return path, fetch(source), None
    except ImageReadError as error:
        return path, None, str(error)
