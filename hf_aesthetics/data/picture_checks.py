"""Which pictures of a collection can be used: each is decoded once, and the verdict kept until its file changes.

Knows nothing about ratings. What can be read as a picture is the matter of `hf_aesthetics.images`.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..images import ImageReadError, read_image
from .cache_files import cache_folder, make_files


# the verdicts are cached, and the cache does not see when the code changes
_CHECK_VERSION = 2


@dataclass(frozen=True)
class SkippedPicture:
    """A picture that was left out: its `file_name`, the `reason` in one line, and the `kind` under which it counts."""

    file_name: str
    reason: str
    kind: str


def check_pictures(
    files: Sequence[str], names: Sequence[str], num_proc: int | None = None, pictures_a_file: int = 256
) -> list[SkippedPicture | None]:
    """
    Decodes every picture of a collection, and says which cannot be used.

    Verdicts lie in the cache of `datasets`, one file for some hundred pictures. A check that was stopped goes on where
    it was; pictures whose file changed in size or time are checked again.

    Args:
        files (`Sequence[str]`):
            Paths of the pictures, in an order that stays.
        names (`Sequence[str]`):
            What the collection calls them.
        num_proc (`int`, *optional*):
            Number of processes. By default the calling one decodes.
        pictures_a_file (`int`, *optional*, defaults to 256):
            How many verdicts lie in one file: as many pictures a stop may cost each process.

    Returns:
        `list[SkippedPicture | None]`: For each picture what is wrong with it, of the kind `"missing"` or
        `"unreadable"`; `None` where nothing is.

    Example:
        >>> check_pictures(["holiday/1.jpg"], ["1.jpg"])[0].reason
        "Cannot read 'holiday/1.jpg': there is no such file. Check the path."
    """
    stamps = stamp_files(files)
    jobs = {}
    for start in range(0, len(files), pictures_a_file):
        part = slice(start, start + pictures_a_file)
        state = repr((_CHECK_VERSION, list(zip(files[part], stamps[part], strict=True))))
        jobs[f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.json"] = list(files[part])
    # a folder a collection, so that the check of one does not wait for that of another
    folder = cache_folder("picture_checks") / hashlib.sha256("\n".join(files).encode()).hexdigest()[:32]
    make_files(folder, _write_verdicts, jobs, num_proc, "checking pictures")
    problems = [problem for verdicts in jobs for problem in json.loads((folder / verdicts).read_text())]
    return [
        problem and SkippedPicture(name, problem, "unreadable" if stamp else "missing")
        for name, problem, stamp in zip(names, problems, stamps, strict=True)
    ]


def stamp_files(files: Iterable[str]) -> list[str | None]:
    """Size and time of every file, so that what is cached of a picture is made again when its file changes."""
    return [_stamp(file) for file in files]


def _stamp(file: str) -> str | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return f"{status.st_size} bytes at {status.st_mtime_ns}" if stat.S_ISREG(status.st_mode) else None


def _write_verdicts(path: Path, files: list[str]) -> None:
    path.write_text(json.dumps([_find_problem(file) for file in files]))


def _find_problem(file: str) -> str | None:
    try:
        read_image(file)
    except ImageReadError as error:
        return str(error)
    try:
        with Image.open(file) as image:  # as the rows of a data set are opened; what follows is the same decoder
            image.getexif()
    except Exception as error:  # decoders raise a dozen types, and each would end an epoch
        return f"Cannot read {file!r} by PIL alone ({error}). Save it as JPEG or PNG."
    return None
