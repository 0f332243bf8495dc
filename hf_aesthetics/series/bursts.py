"""
Which pictures of a folder are a series: shots of one thing, taken within seconds, or versions of one picture.

Knows nothing about which of them is the best.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..data.near_duplicates import (
    compare_thumbnails,
    describe_coarsely,
    join_groups,
    read_thumbnail,
    similarity,
)
from ..images import ImageReadError


MIN_SHOT_SIMILARITY = 0.4
"""
Default of [`find_series`] for shots within seconds. Of photographs that were moved by 4 % of a side, turned by 2
degrees and zoomed by 3 % (standard deviations), 99 % reach it, of those moved by 6 % and zoomed by 5 % 88 %, by 10 %
half. Of 7,140 pairs of different photographs 1 in 1,000 reaches 0.34, and the most similar one 0.41.
"""

_NUM_RECENT = 3
_NUM_COMPARED = 12  # of the recent shots of several series, those that look most alike from afar
_EXIF_FOLDER, _TAKEN, _FRACTION, _OFFSET = 0x8769, 0x9003, 0x9291, 0x9011


@dataclass(frozen=True)
class FoundSeries:
    """
    What [`find_series`] finds. Every picture is in one of the four.

    Args:
        series (`list[list[Path]]`):
            Pictures that belong together, two or more, in the order in which they were taken; the first series first.
        singles (`list[Path]`):
            Pictures that resemble no other one.
        copies (`dict[Path, Path]`):
            Files that are equal to another one to the byte, and which that is.
        unreadable (`dict[Path, str]`):
            Files that cannot be read, and why.
    """

    series: list[list[Path]]
    singles: list[Path]
    copies: dict[Path, Path]
    unreadable: dict[Path, str]


def find_series(
    paths: Iterable[str | os.PathLike[str]],
    *,
    max_gap: float = 10.0,
    min_similarity: float = MIN_SHOT_SIMILARITY,
    num_threads: int | None = None,
) -> FoundSeries:
    """
    Finds the series among pictures.

    A shot belongs to a series if it was taken within `max_gap` seconds of its latest shot and resembles one of its
    latest three, so that neither one blurred frame nor another camera in between ends a series. Times are those of
    EXIF, with fractions of seconds where the camera writes them; what an editor wrote is not looked at. Pictures
    without a time, such as generated ones, belong together where they are near-duplicates, for which
    [`find_near_duplicates`] asks for more. (All this is our choice.)

    Args:
        paths (`Iterable` of `str` or `os.PathLike`):
            Files, such as [`find_images`] gives them.
        max_gap (`float`, *optional*, defaults to 10):
            Longest time between two shots of a series, in seconds.
        min_similarity (`float`, *optional*, defaults to `MIN_SHOT_SIMILARITY`):
            How similar two shots have to be; see [`similarity`].
        num_threads (`int`, *optional*):
            That read pictures; by default as many as there are cores.

    Returns:
        [`FoundSeries`].

    Raises:
        ValueError: If `max_gap` is negative, or `min_similarity` is not in (0, 1].

    Example:
        >>> found = find_series(["gone.jpg"])
        >>> found.series, found.unreadable[Path("gone.jpg")]
        ([], "Cannot read 'gone.jpg': there is no such file. Check the path.")
    """
    if not max_gap >= 0:
        raise ValueError(f"`max_gap` must be at least 0 seconds, got {max_gap}.")
    if not 0 < min_similarity <= 1:
        raise ValueError(f"`min_similarity` must be in (0, 1], got {min_similarity}. Pass {MIN_SHOT_SIMILARITY}.")
    files = list(dict.fromkeys(map(Path, paths)))
    copies = find_copies(files)
    files = [file for file in files if file not in copies]
    with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
        look = tqdm(threads.map(_look, files), total=len(files), desc="reading pictures", disable=len(files) < 1000)
        seen = dict(zip(files, look, strict=True))
    unreadable = {file: shot for file, shot in seen.items() if isinstance(shot, str)}
    shots = {file: shot for file, shot in seen.items() if not isinstance(shot, str)}
    thumbnails = {file: thumbnail for file, (_, thumbnail) in shots.items()}
    times = {file: time for file, (time, _) in shots.items() if time is not None}
    groups = _chain_shots(times, thumbnails, max_gap, min_similarity)
    groups += _join_versions([file for file in shots if file not in times], thumbnails)
    place = {file: number for number, file in enumerate(files)}
    groups = sorted(groups, key=lambda group: min(place[file] for file in group))
    singles = [group[0] for group in groups if len(group) == 1]
    return FoundSeries([group for group in groups if len(group) > 1], singles, copies, unreadable)


def find_copies(files: Sequence[Path]) -> dict[Path, Path]:
    """
    Files with the same content, to the byte, as an earlier one, and which that is. What cannot be read has none.

    Args:
        files (`Sequence[Path]`):
            The files.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> files = [folder / name for name in "abc"]
        >>> _ = [file.write_text(text) for file, text in zip(files, ["sea", "sky", "sea"])]
        >>> {copy.name: original.name for copy, original in find_copies(files).items()}
        {'c': 'a'}
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        try:
            by_size[file.stat().st_size].append(file)
        except OSError:  # is told when the picture is read
            continue
    copies: dict[Path, Path] = {}
    for same_size in by_size.values():
        first: dict[str, Path] = {}
        for file in same_size if len(same_size) > 1 else ():
            try:
                with file.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError:
                continue
            if (original := first.setdefault(digest, file)) is not file:
                copies[file] = original
    return copies


def read_capture_time(path: str | os.PathLike[str]) -> float | None:
    """
    When a photograph was taken, by EXIF, in seconds since 1970; `None` where it does not say so.

    Cameras write the time of the place, most of them without saying which. So it is read as if it were that of
    Greenwich, unless the offset is there: differences within a series are right either way.

    Args:
        path (`str` or `os.PathLike`):
            The file.
    """
    try:
        exif = _read_exif(path)
        text = str(exif[_TAKEN]).strip().rstrip("\0")
        offset = str(exif.get(_OFFSET, "")).strip().rstrip("\0") or "+00:00"
        fraction = "".join(filter(str.isdigit, str(exif.get(_FRACTION, ""))))
        taken = datetime.strptime(f"{text} {offset}", "%Y:%m:%d %H:%M:%S %z")
    except Exception:  # whatever a camera or an editor has left there, it is no time
        return None
    return taken.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _read_exif(path: str | os.PathLike[str]) -> dict[int, Any]:
    try:
        with Image.open(path) as image:
            return dict(image.getexif().get_ifd(_EXIF_FOLDER))
    except Image.UnidentifiedImageError:
        import pillow_heif  # the pictures of phones

        exif = Image.Exif()
        exif.load(pillow_heif.open_heif(path).info["exif"])
        return dict(exif.get_ifd(_EXIF_FOLDER))


def _look(path: Path) -> tuple[float | None, np.ndarray] | str:
    """When a picture was taken, and what it looks like; or why it cannot be read."""
    try:
        return read_capture_time(path), read_thumbnail(path)
    except ImageReadError as error:
        return str(error)


def _chain_shots(
    times: dict[Path, float], thumbnails: dict[Path, np.ndarray], max_gap: float, min_similarity: float
) -> list[list[Path]]:
    groups: list[list[Path]] = []
    open_groups: list[list[Path]] = []
    files = sorted(times, key=lambda file: (times[file], str(file)))
    row = {file: number for number, file in enumerate(files)}
    coarse = describe_coarsely(np.stack([thumbnails[file] for file in files])) if files else np.zeros((0, 64))
    for file in tqdm(files, desc="finding series", disable=len(files) < 1000):
        open_groups = [group for group in open_groups if times[file] - times[group[-1]] <= max_gap]
        recent = [(group, other) for group in open_groups for other in group[-_NUM_RECENT:]]
        alike = np.zeros(0)
        if len(recent) > _NUM_COMPARED:  # as of scans that all have one time
            from_afar = coarse[[row[other] for _, other in recent]] @ coarse[row[file]]
            recent = [recent[place] for place in np.argsort(-from_afar, kind="stable")[:_NUM_COMPARED]]
        if recent:
            others = np.stack([thumbnails[other] for _, other in recent])
            alike = similarity(np.broadcast_to(thumbnails[file], others.shape), others)
        if recent and alike.max() >= min_similarity:
            recent[int(alike.argmax())][0].append(file)
        else:
            open_groups.append([file])
            groups.append(open_groups[-1])
    return groups


def _join_versions(files: Sequence[Path], thumbnails: dict[Path, np.ndarray]) -> list[list[Path]]:
    if not files:
        return []
    pairs = compare_thumbnails(np.stack([thumbnails[file] for file in files]))
    labels = join_groups(range(len(files)), [pair for pair in pairs if not pair.is_mirrored])
    groups: dict[int, list[Path]] = defaultdict(list)
    for file, label in zip(files, labels.tolist(), strict=True):
        groups[label].append(file)
    return list(groups.values())
