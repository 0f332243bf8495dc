"""
Units of whatever is given, in the same order and with the same keys on every machine.

Knows nothing about how pictures are scored.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence

from ..images import ImageReadError
from .archives import tar_unit, zip_units
from .files import Fault, File, Place, file_at, files_of, find_places, kind_of
from .locations import is_remote
from .tables import ColumnChoice, NoPictureColumn, table_units
from .unit import MAX_PICTURES, Unit, ends_unit, picture_files, unreadable


class PathList:
    """
    Paths and URLs, one a line, that are read from a stream once and may be walked over several times.

    A path is that of a file or folder, and nothing in it is a pattern. One that does not exist is a row with an error
    and not the end: who makes a list of a million files does not mistype one.

    Args:
        stream (`Iterable[bytes]`):
            The lines, such as `sys.stdin.buffer`; names of files need not be UTF-8.

    Example:
        >>> import io
        >>> paths = PathList(io.BytesIO(b"beach.jpg\\nholiday/a.jpg\\n"))
        >>> list(paths), len(list(paths))
        (['beach.jpg', 'holiday/a.jpg'], 2)
    """

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="paths_")
        self._file.writelines(stream)
        self._file.flush()

    def __iter__(self) -> Iterator[str]:
        with open(self._file.name, "rb") as lines:
            for line in lines:
                if path := line.rstrip(b"\r\n"):
                    yield os.fsdecode(path)


def units(
    sources: str | os.PathLike[str] | PathList | Iterable[str | os.PathLike[str] | PathList],
    *,
    image_column: str | None = None,
    keep_columns: Sequence[str] = (),
) -> Iterator[Unit]:
    """
    Cuts what is given into units.

    A source is a file, a folder, a pattern such as `"photos/**/*.jpg"` or `"shard-{000..099}.tar"`, a URL of one of
    them (`hf://datasets/ORG/NAME@REVISION/PATH`, or any other that `fsspec` knows), or a [`PathList`]. Files are
    pictures, `.zip`, `.tar`, `.tar.gz` and `.tgz` archives, `.parquet` tables, and folders that
    `datasets.save_to_disk` wrote. Folders are searched in depth; hidden files are left out, and links are followed.

    Nothing but a folder's own names is held in memory at a time. A folder, archive or table that several sources or
    links lead to is given once; a picture that is named by itself or found by a pattern comes as often as it is named.

    Args:
        sources (`str`, `os.PathLike`, [`PathList`] or an iterable of them):
            What to read, in the order wanted.
        image_column (`str`, *optional*):
            The column of tables that holds the pictures: what `datasets` stores, bytes, or paths relative to the
            folder of the table. Where it is left out, the one called `image`, or else the only one with bytes.
        keep_columns (`Sequence[str]`, *optional*):
            Columns of tables to hand on, null for all other pictures; `image_id` always is, where there is one.

    Returns:
        `Iterator[Unit]`: The units, found while iterating. Pictures in files are put together by a few hundred, so
        that a file more or less changes one unit and leaves all others as they were.

    Raises:
        ImageReadError: Before the first unit, if a source does not exist, or the Hub cannot be asked.
        ValueError: Before the first unit, if a table lacks the columns.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("b.jpg", "a.jpg"):
        ...     _ = (folder / name).write_bytes(b"")
        >>> [unit] = units(folder)
        >>> unit.num_pictures
        2
        >>> [[pathlib.Path(path).name for path in batch["path"]] for batch in unit.read(batch_size=1)]
        [['a.jpg'], ['b.jpg']]
    """
    choice = ColumnChoice(image_column, tuple(keep_columns))
    given = [sources] if isinstance(sources, str | os.PathLike | PathList) else list(sources)
    places: list[Place | PathList] = []
    for source in given:
        places += [source] if isinstance(source, PathList) else find_places(os.fspath(source))
    for place in places:
        if isinstance(place, Place):
            _check_columns(place, choice)
    return _cut(places, choice)


def _check_columns(place: Place, choice: ColumnChoice) -> None:
    """Whether a table that was given, or else the first one with pictures, has the columns that are asked for."""
    if place.file is None and choice == ColumnChoice(None, ()):
        return
    for file in files_of(place, set()):
        if isinstance(file, File) and kind_of(file.path) in ("parquet", "arrow"):
            try:
                choice.check(file)
                return
            except ImageReadError:
                pass  # will be a row
            except NoPictureColumn:
                if place.file is not None:
                    raise


def _cut(places: Sequence[Place | PathList], choice: ColumnChoice) -> Iterator[Unit]:
    is_empty, passed_over = True, None
    for unit in _find_units(places, choice):
        if isinstance(unit, NoPictureColumn):
            passed_over = passed_over or unit
        else:
            is_empty = False
            yield unit
    if is_empty and passed_over is not None:
        raise passed_over


def _find_units(places: Sequence[Place | PathList], choice: ColumnChoice) -> Iterator[Unit | NoPictureColumn]:
    pictures: list[File] = []
    shards: set[str] = set()
    for found, is_named in _find_files(places):
        if isinstance(found, Fault):
            yield unreadable(found.path, found.error, choice.keep)
        elif kind_of(found.path) in (None, "picture"):
            pictures.append(found)
            if len(pictures) == MAX_PICTURES or ends_unit(found.path):
                yield picture_files(pictures, choice.keep)
                pictures = []
        elif found.location not in shards:
            shards.add(found.location)
            try:
                yield from _shard_units(found, choice)
            except ValueError as error:  # an ImageReadError is one
                if isinstance(error, NoPictureColumn) and not is_named:
                    yield error  # a table of something else, such as scores
                else:
                    yield unreadable(found.path, str(error), choice.keep, found.size, found.stamp)
    if pictures:
        yield picture_files(pictures, choice.keep)


def _shard_units(file: File, choice: ColumnChoice) -> Iterator[Unit]:
    match kind_of(file.path):
        case "zip":
            return zip_units(file, choice.keep)
        case "tar":
            return iter([tar_unit(file, choice.keep)])
        case _:
            return table_units(file, choice)


def _find_files(places: Sequence[Place | PathList]) -> Iterator[tuple[File | Fault, bool]]:
    """The files of all places, and whether each was named by itself."""
    visited: set[tuple[int, int]] = set()
    for place in places:
        if isinstance(place, Place):
            yield from ((found, place.file is not None) for found in files_of(place, visited))
            continue
        for path in place:
            if not is_remote(path) and os.path.isdir(path):
                yield from ((found, False) for found in files_of(Place(path, path), visited))
            else:
                yield file_at(path), True
