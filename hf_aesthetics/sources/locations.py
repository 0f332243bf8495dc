"""
Where bytes are read: a path of this machine, the Hub, or any URL that `fsspec` knows; and why they cannot be.

Knows nothing about what the bytes are.
"""

import io
import posixpath
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.errors import HfUriError
from huggingface_hub.utils import parse_hf_uri

from ..hub_faults import one_line, reading_from_hub
from ..images import ImageReadError


def is_remote(location: str) -> bool:
    """
    Whether a location is a URL.

    Example:
        >>> is_remote("hf://datasets/org/parks/a.jpg"), is_remote("parks/a.jpg")
        (True, False)
    """
    return "://" in location


def open_file(location: str) -> io.BufferedReader:
    """Opens a file for reading in any order."""
    if not is_remote(location):
        return open(location, "rb")
    file_system, path = _file_system(location)
    return io.BufferedReader(file_system.open(path, "rb"))


def fetch(location: str) -> bytes:
    """The whole content of a file on another machine."""
    file_system, path = _file_system(location)
    return file_system.cat_file(path)


def find_remote(location: str, max_depth: int | None = None) -> list[tuple[list[str], dict[str, dict[str, Any]]]]:
    """
    The folders below a URL as in [`walk_folder`]: the way to each, and what is told of its files by their names.

    Not in constant memory, because the listings of `fsspec` are not.
    """
    file_system, root = _file_system(location)
    folders: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for path, details in file_system.find(root, maxdepth=max_depth, detail=True).items():
        *folder, name = path[len(root) :].strip("/").split("/")
        if not any(part.startswith(".") for part in (*folder, name)):
            folders.setdefault(tuple(folder), {})[name] = details
    return [(list(folder), folders[folder]) for folder in sorted(folders)]


def look_up(location: str) -> dict[str, Any]:
    """What is told of a file or folder at a URL."""
    file_system, path = _file_system(location)
    return file_system.info(path)


def content_stamp(details: dict[str, Any]) -> str:
    """What changes with the content of a remote file: a digest where one is told, else a time."""
    names = ("blob_id", "xet_hash", "md5Hash", "etag", "ETag", "mtime", "last_modified", "LastModified", "created")
    return next((str(details[name]) for name in names if details.get(name) is not None), "")


def at_commit(location: str) -> str:
    """
    A URL of the Hub with the commit that its branch or tag is at, so that all that is read is of one state; any other
    location as it is.
    """
    if not location.startswith("hf://"):
        return location
    uri = parse_hf_uri(location)
    if uri.is_bucket:
        return location
    commit = HfApi().repo_info(uri.id, repo_type=uri.type, revision=uri.revision).sha
    folder = "" if uri.type == "model" else f"{uri.type}s/"
    return posixpath.join(f"hf://{folder}{uri.id}@{commit}", uri.path_in_repo).rstrip("/")


@contextmanager
def reading(path: str, location: str, what: str = "file") -> Generator[None]:
    """
    Turns whatever goes wrong while something is read into an [`ImageReadError`] of one line.

    Args:
        path (`str`):
            What people call it.
        location (`str`):
            Where it is read.
        what (`str`, *optional*, defaults to `"file"`):
            What it is.

    Example:
        >>> with reading("a.zip", "a.zip", "archive"), open_file("a.zip") as file:
        ...     file.read()
        Traceback (most recent call last):
            ...
        hf_aesthetics.images.ImageReadError: Cannot read 'a.zip': there is no such file or folder. Check the path.
    """
    original: Exception | None = None
    try:
        with _telling_hub_faults(location):
            try:
                yield
            except Exception as error:
                original = error
                raise
    except (ImageReadError, MemoryError):
        raise
    except Exception as error:  # decoders and file systems raise a dozen types, and all of them mean the same here
        # what comes out is another error than what went in where the Hub's faults are known
        raise ImageReadError(str(error) if error is not original else _explain(error, path, location, what)) from error


def _telling_hub_faults(location: str) -> AbstractContextManager[None]:
    if not location.startswith("hf://"):
        return nullcontext()
    try:
        uri = parse_hf_uri(location)
    except HfUriError:
        return nullcontext()  # what is read then will say so, too
    return reading_from_hub(uri.id, uri.type, uri.revision)


def _explain(error: Exception, path: str, location: str, what: str) -> str:
    told = f"Cannot read {path!r}:"
    if isinstance(error, FileNotFoundError):
        return f"{told} there is no such file or folder. Check the path."
    if isinstance(error, (HfUriError, ImportError)):
        return f"{told} {one_line(error)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{told} it cannot be read ({error.strerror}). Check the path and the permissions."
    if is_remote(location):
        return f"{told} the {what} is damaged, or the connection broke ({one_line(error)}). Try again."
    return f"{told} the {what} is damaged or cut short ({one_line(error)}). Copy or download it again."


def _file_system(location: str) -> tuple[Any, str]:
    if location.startswith("hf://"):
        return _hub(), location.removeprefix("hf://")
    from fsspec.core import url_to_fs

    return url_to_fs(location)


@lru_cache
def _hub() -> HfFileSystem:
    """One for all threads: left to itself, each thread would begin with a copy of all listings."""
    return HfFileSystem(skip_instance_cache=True)
