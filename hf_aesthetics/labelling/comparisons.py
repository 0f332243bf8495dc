"""
What people are to compare: a table of pairs, and the folder of their pictures.

Knows nothing about who is asked, in which order, or what they answer.
"""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from ..data.pairs import find_pictures_of, find_table, read_rows
from ..data.picture_checks import check_pictures


TABLE_NAMES = tuple(f"comparisons.{suffix}" for suffix in ("csv", "jsonl", "parquet"))
"""Names by which [`open_task`] finds a table."""


@dataclass(frozen=True)
class Comparison:
    """
    Two pictures that are to be compared.

    Args:
        id (`str`):
            What answers call it.
        image_a (`str`), image_b (`str`):
            The pictures, as the table calls them.
        series_id (`str`, *optional*):
            The series that both are of.
    """

    id: str
    image_a: str
    image_b: str
    series_id: str | None = None


@dataclass(frozen=True)
class LabellingTask:
    """
    What [`open_task`] opens.

    Args:
        comparisons (`list[Comparison]`):
            What to ask.
        pictures (`dict[str, Path]`):
            The file of each picture by its name in the table.
    """

    comparisons: list[Comparison]
    pictures: dict[str, Path]


def open_task(folder: str | os.PathLike[str], pictures: str | os.PathLike[str] | None = None) -> LabellingTask:
    """
    Opens a folder with a table of comparisons, called `comparisons` and ending in `.csv`, `.jsonl` or `.parquet`.

    Pictures are called by their path from the folder of pictures, or from its subfolder `images`, with or without
    ending; or by their path from where the program runs, as `hf-aesthetics score` wrote it. All lie in that folder, and
    can be read, so that nobody is asked about what cannot be shown.

    Args:
        folder (`str` or `os.PathLike`):
            The folder of the table.
        pictures (`str` or `os.PathLike`, *optional*):
            The folder of the pictures, where it is another one.

    Returns:
        [`LabellingTask`].

    Raises:
        FileNotFoundError: If there is no table, or a picture is missing, or lies elsewhere.
        ValueError: If the table is malformed, or a picture cannot be read.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> _ = (folder / "comparisons.csv").write_text("image_a,image_b\\nsea.jpg,/etc/passwd\\n")
        >>> _ = (folder / "sea.jpg").write_bytes(b"")
        >>> open_task(folder)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        FileNotFoundError: comparisons.csv: expected the picture '/etc/passwd' in ... Name the folder that has all pictures, or drop the rows.
    """  # noqa: E501
    table = find_table(Path(folder), None, TABLE_NAMES, "image_a and image_b")
    comparisons = read_comparisons(table)
    place = Path(os.path.abspath(folder if pictures is None else pictures))
    find = find_pictures_of(place)
    files = {}
    for name in dict.fromkeys(name for each in comparisons for name in (each.image_a, each.image_b)):
        # without a look at links: who may put one into the folder may put anything there, a table may not
        tried = [Path(os.path.abspath(path)) for path in (find(name), name)]
        path = next((path for path in tried if path.is_relative_to(place) and path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"{table.name}: expected the picture {name!r} in {str(place)!r}, found none. Name the folder that has "
                "all pictures, or drop the rows."
            )
        files[name] = path
    for problem in check_pictures([str(path) for path in files.values()], list(files)):
        if problem is not None:
            raise ValueError(f"{table.name}: {problem.reason} Or drop the rows of {problem.file_name!r}.")
    return LabellingTask(comparisons, files)


def read_comparisons(table: Path) -> list[Comparison]:
    """
    Reads `image_a` and `image_b`, `series_id` where the table has it, and the id from `comparison`, by default the
    number of the row from 0 on.

    Args:
        table (`Path`):
            In CSV, JSON lines or Parquet.

    Raises:
        ValueError: If a name is missing, a picture is compared with itself, or an id comes twice.
    """
    found: dict[str, Comparison] = {}
    for number, row in enumerate(read_rows(table)):
        given = row.read("comparison", str) if "comparison" in row.cells else str(number)
        both = [row.read(side, str) for side in ("image_a", "image_b")]
        if not given or not all(both) or both[0] == both[1]:
            raise ValueError(
                f"{row.place}: expected two pictures, `image_a` and `image_b`, and, if there is that column, a "
                f"`comparison`, got {row.cells}. Correct the row."
            )
        if given in found:
            raise ValueError(f"{row.place}: `comparison` {given!r} comes twice. Number the rows anew.")
        found[given] = Comparison(given, *both, row.read("series_id", str))
    return list(found.values())


def pair_series(series: Mapping[str, Sequence[str]]) -> list[Comparison]:
    """
    All pairs of each series.

    Args:
        series (`Mapping[str, Sequence[str]]`):
            Pictures by series.

    Example:
        >>> [(pair.id, pair.image_a, pair.image_b) for pair in pair_series({"sea": ["1.jpg", "2.jpg", "3.jpg"]})]
        [('0', '1.jpg', '2.jpg'), ('1', '1.jpg', '3.jpg'), ('2', '2.jpg', '3.jpg')]
    """
    pairs = [(*pair, name) for name, pictures in series.items() for pair in combinations(pictures, 2)]
    return [Comparison(str(number), *pair) for number, pair in enumerate(pairs)]


def write_comparisons(comparisons: Iterable[Comparison], table: Path) -> None:
    """Writes comparisons as [`read_comparisons`] reads them, into a CSV file."""
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["comparison", "image_a", "image_b", "series_id"])
        writer.writerows([pair.id, pair.image_a, pair.image_b, pair.series_id] for pair in comparisons)
