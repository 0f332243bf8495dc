"""
The files behind a path, folder, pattern or URL, in one order on every machine.

Knows nothing about what is in them.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from ..images import IMAGE_SUFFIXES, ImageReadError, walk_folder
from .locations import at_commit, content_stamp, find_remote, is_remote, look_up, open_file, reading


_KINDS = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar", ".parquet": "parquet", ".arrow": "arrow"}
_SAVED_DATASET = ("state.json", "dataset_info.json")


@dataclass(frozen=True, slots=True)
class File:
    """
    A file: what people call it, where it is read, and what changes when it does.

    Args:
        path (`str`):
            As it was given, or found below what was given.
        location (`str`):
            A path, or a URL; for the Hub with the commit.
        size (`int`):
            In bytes, -1 where nobody tells.
        stamp (`str`):
            Its time, or a digest of its content.
    """

    path: str
    location: str
    size: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A folder whose files are not known, and why, in one line."""

    path: str
    error: str


@dataclass(frozen=True, slots=True)
class Place:
    """
    What was given, and is there: a file, a folder, or a folder with a pattern of the paths below it.

    Args:
        path, location (`str`):
            As in [`File`].
        file ([`File`], *optional*):
            The file, if it is one.
        pattern (`tuple[str, ...]`, *optional*):
            Parts of the paths to be found; `"**"` is any number of folders.
    """

    path: str
    location: str
    file: File | None = None
    pattern: tuple[str, ...] | None = None


Folder = tuple[list[str], list[str], Callable[[str], File]]
"""The way to a folder from where the walk began, the names of its files, and what makes one of them a file."""


def kind_of(path: str) -> str | None:
    """
    What a file is by its name: `"picture"`, `"zip"`, `"tar"`, `"parquet"`, `"arrow"`, or nothing that is known.

    Example:
        >>> [kind_of(path) for path in ("a.JPG", "a.tar.gz", "https://host/a.png?size=big", "notes.txt")]
        ['picture', 'tar', 'picture', None]
    """
    name = path.lower()
    if is_remote(name):
        name = name.partition("?")[0]
    if name[name.rfind(".") :] in IMAGE_SUFFIXES:
        return "picture"
    return next((kind for suffix, kind in _KINDS.items() if name.endswith(suffix)), None)


def find_places(source: str) -> Iterator[Place]:
    """
    Finds what a source names: one place, or one for each member of its ranges such as `{000..099}`.

    Args:
        source (`str`):
            A path, a URL, or a pattern of one of them.

    Raises:
        ImageReadError: If there is no such file or folder, nothing that fits the pattern, or nobody to ask.
    """
    is_literal = not is_remote(source) and os.path.lexists(source)
    for path in [source] if is_literal else expand_braces(source):
        yield _find_remote(path) if is_remote(path) else _find_local(path)


def files_of(place: Place, visited: set[tuple[int, int]]) -> Iterator[File | Fault]:
    """
    The files of a place that may hold pictures, the files of each folder in alphabetical order before its subfolders.

    Args:
        place ([`Place`]):
            Where to look.
        visited (`set[tuple[int, int]]`):
            As in [`walk_folder`]. A pattern has its own, because what does not fit it is not seen.

    Returns:
        `Iterator[File | Fault]`: Files, and in their places the folders that cannot be listed.
    """
    if place.file is not None:
        yield place.file
        return
    for found in _walk_remote(place) if is_remote(place.location) else _walk_local(place, visited):
        if isinstance(found, Fault):
            yield found
            continue
        folder, names, file_of = found
        if place.pattern is None and all(name in names for name in _SAVED_DATASET):
            try:
                names = _shards_of_saved_dataset(file_of("state.json"))
            except ImageReadError as error:
                yield Fault(os.path.join(place.path, *folder), str(error))
                continue
        elif place.pattern is None:
            names = [name for name in names if kind_of(name) not in (None, "arrow")]
        else:
            names = [name for name in names if kind_of(name) and _fits((*folder, name), place.pattern)]
        yield from map(file_of, names)


def file_at(path: str) -> File:
    """A file by its path or URL, whether it is there or not: who reads it will tell."""
    if is_remote(path):
        return File(path, path, -1, "")
    try:
        details = os.stat(path)
    except (OSError, ValueError):
        return File(path, path, -1, "")
    return File(path, path, details.st_size, str(details.st_mtime_ns))


def expand_braces(pattern: str) -> Iterator[str]:
    """
    The paths of a pattern with ranges and lists in braces, in order.

    Example:
        >>> list(expand_braces("{train,test}-{08..10}.tar"))[1:4]
        ['train-09.tar', 'train-10.tar', 'test-08.tar']
    """
    braces = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if braces is None:
        yield pattern
        return
    first, last, listed = braces.groups()
    if listed is None:
        members = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    else:
        members = iter(listed.split(","))
    for member in members:
        yield from expand_braces(pattern[: braces.start()] + member + pattern[braces.end() :])


def _find_local(path: str) -> Place:
    if os.path.lexists(path):
        path = str(Path(path))
        return Place(path, path) if os.path.isdir(path) else Place(path, path, file=file_at(path))
    folder, pattern = _split_pattern(path)
    folder = str(Path(folder or ("/" if path.startswith("/") else ".")))
    with reading(path, path):
        os.lstat(folder if pattern else path)
    return _with_matches(Place(folder, folder, pattern=pattern), path)


def _find_remote(path: str) -> Place:
    # a question mark of the web begins a query, and the web has no listings
    folder, pattern = (path, ()) if path.startswith(("http://", "https://")) else _split_pattern(path)
    with reading(path, folder):
        location = at_commit(folder)
        details = look_up(location)
    if pattern:
        return _with_matches(Place(folder, location, pattern=pattern), path)
    if details.get("type") == "directory":
        return Place(folder.rstrip("/"), location.rstrip("/"))
    return Place(path, location, file=_remote_file(path, location, details))


def _with_matches(place: Place, given: str) -> Place:
    if next(files_of(place, set()), None) is None:
        raise ImageReadError(
            f"Cannot read {given!r}: no picture, archive or table fits this pattern. Folders fit none; write '**' for "
            "any number of folders."
        )
    return place


def _split_pattern(path: str) -> tuple[str, tuple[str, ...]]:
    """The folder before the first wildcard, and what comes behind it."""
    parts = path.split("/")
    first = next((index for index, part in enumerate(parts) if re.search(r"[*?[]", part)), len(parts))
    return "/".join(parts[:first]), tuple(part for part in parts[first:] if part)


def _fits(parts: Sequence[str], pattern: tuple[str, ...]) -> bool:
    """Whether a file fits a pattern."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _leads_to(parts: Sequence[str], pattern: tuple[str, ...]) -> bool:
    """Whether something in a folder may fit a pattern."""
    if not parts or not pattern or pattern[0] == "**":
        return bool(pattern)
    return fnmatchcase(parts[0], pattern[0]) and _leads_to(parts[1:], pattern[1:])


def _walk_local(place: Place, visited: set[tuple[int, int]]) -> Iterator[Folder | Fault]:
    def way_to(folder: str) -> list[str]:
        return list(Path(folder).relative_to(place.path).parts)

    def may_enter(folder: str) -> bool:
        return place.pattern is None or _leads_to(way_to(folder), place.pattern)

    def keep(folder: str, error: ImageReadError) -> None:
        faults.append(Fault(str(Path(folder)), str(error)))

    faults: list[Fault] = []
    visited = visited if place.pattern is None else set()
    for folder, names in walk_folder(place.path, visited, keep, may_enter):
        yield from faults
        faults.clear()
        yield way_to(folder), names, partial(_local_file, "" if folder == "." else str(Path(folder)))
    yield from faults


def _walk_remote(place: Place) -> Iterator[Folder | Fault]:
    max_depth = len(place.pattern) if place.pattern and "**" not in place.pattern else None
    try:
        with reading(place.path, place.location):
            folders = find_remote(place.location, max_depth)
    except ImageReadError as error:
        yield Fault(place.path, str(error))
        return
    for way, details in folders:
        yield way, sorted(details), partial(_listed_file, place, way, details)


def _local_file(folder: str, name: str) -> File:
    return file_at(os.path.join(folder, name))


def _listed_file(place: Place, way: list[str], details: dict[str, dict[str, Any]], name: str) -> File:
    below = "/".join(["", *way, name])
    return _remote_file(place.path + below, place.location + below, details[name])


def _remote_file(path: str, location: str, details: dict[str, Any]) -> File:
    size = details.get("size")
    return File(path, location, -1 if size is None else size, content_stamp(details))


def _shards_of_saved_dataset(state: File) -> list[str]:
    """The files that `datasets.save_to_disk` wrote last; others beside them are of its cache, or older."""
    with reading(state.path, state.location), open_file(state.location) as file:
        return [shard["filename"] for shard in json.load(file)["_data_files"]]
