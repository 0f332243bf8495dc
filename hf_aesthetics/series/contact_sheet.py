"""
A contact sheet of culled series: one HTML file with everything in it, to look at before anything is decided.

Knows nothing about scores or sidecars beyond what it shows.
"""

import base64
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from tqdm.auto import tqdm

from ..data.near_duplicates import read_small
from ..images import ImageReadError
from ..whole_files import whole_file
from .culling import CulledShot, Culling


_MARK = '<meta name="generator" content="hf-aesthetics cull">'
_SIDE, _SMALL_SIDE = 400, 200
_NUM_LARGE = 1500  # shots; of more, pictures of full size would be more than a browser bears


def check_sheet(destination: str | os.PathLike[str]) -> None:
    """
    Finds out, before pictures are scored, whether a contact sheet may be written to a path.

    Args:
        destination (`str` or `os.PathLike`):
            The file to write.

    Raises:
        OSError: If its folder does not exist or cannot be written, or there is a file that is no contact sheet.
        ValueError: If its name does not end in `.html`.

    Example:
        >>> check_sheet("sheet.pdf")
        Traceback (most recent call last):
        ...
        ValueError: Expected a file name that ends in .html, got 'sheet.pdf'. Rename the contact sheet.
    """
    path = Path(destination)
    if path.suffix.lower() != ".html":
        raise ValueError(f"Expected a file name that ends in .html, got {str(path)!r}. Rename the contact sheet.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"Expected a folder that exists, got {str(path.parent)!r}. Create it.")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            f"Expected a folder that can be written, got {str(path.parent)!r}. Choose another place for the contact "
            "sheet."
        )
    if path.exists():
        with path.open("rb") as file:
            if _MARK.encode() not in file.read(1000):
                raise FileExistsError(f"{str(path)!r} is there and no contact sheet. Choose another name.")


def write_contact_sheet(culling: Culling, destination: str | os.PathLike[str], title: str) -> None:
    """
    Writes the contact sheet of a culling. An earlier one is replaced in one go.

    Args:
        culling ([`Culling`]):
            What [`cull`] proposes.
        destination (`str` or `os.PathLike`):
            The file to write.
        title (`str`):
            What was culled, such as the name of the folder.

    Raises:
        OSError: If the file cannot be written, or is there and no contact sheet.
        ValueError: If its name does not end in `.html`.
    """
    check_sheet(destination)
    path = Path(destination)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = culling.found
    stream = environment.get_template("contact_sheet.html").stream(
        title=title,
        culling=culling,
        num_shots=sum(map(len, culling.series)),
        num_alone=len(found.singles),
        num_copies=len(found.copies),
        num_unreadable=len(found.unreadable),
        series=_show(culling),
    )
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(stream)


def _show(culling: Culling) -> Iterator[list[dict[str, Any]]]:
    """Series by series, so that no more than one has its pictures in memory."""
    num_shots = sum(map(len, culling.series))
    side = _SIDE if num_shots <= _NUM_LARGE else _SMALL_SIDE
    with tqdm(total=num_shots, desc="drawing", disable=num_shots < 1000) as bar:
        for shots in culling.series:
            yield [
                {"shot": shot, "picture": _embed(shot.path, side), "verdict": describe_shot(shot)} for shot in shots
            ]
            bar.update(len(shots))


def describe_shot(shot: CulledShot) -> str:
    """
    What is proposed for a shot, in a few words.

    Args:
        shot ([`CulledShot`]):
            The shot.

    Example:
        >>> describe_shot(CulledShot(path=Path("a.jpg"), score=5.0, rating=3, is_kept=False, chance=0.6))
        'hardly worse: 60 %'
    """
    if shot.error is not None:
        return shot.error
    if shot.chance is None:
        return "keep"
    # as sure as a probability of 1 sounds, no model is
    sure = f"{min(round(100 * shot.chance), 99)} %"
    return {3: "hardly worse", 2: "probably worse"}.get(shot.rating or 0, "worse") + f": {sure}"


def _embed(path: Path, side: int) -> str | None:
    try:
        image = read_small(path, side)
    except ImageReadError:  # the words say why
        return None
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
