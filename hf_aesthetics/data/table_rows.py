"""Published tables: where their files lie, and rows whose cells are checked as they are read.

Knows nothing about what the columns mean.
"""

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TableRow:
    """
    A row of a table; errors call it by its `place`.

    Args:
        cells (`dict[str, Any]`):
            Every column, with `None` for an empty cell.
        place (`str`):
            Such as `"votes.csv, row 12"`.

    Example:
        >>> TableRow({"score": "11"}, "votes.csv, row 12").number("score", 0, 10)
        Traceback (most recent call last):
        ...
        ValueError: votes.csv, row 12: `score` must be a number from 0 to 10, got '11'. Correct the row.
    """

    cells: dict[str, Any]
    place: str

    def read(self, column: str | None, kind: type) -> Any:
        """A cell as `kind`, or `None` where it is empty."""
        value = None if column is None else self.cells.get(column)
        if value is None:
            return None
        try:
            converted = kind(value)
            if kind is str or (math.isfinite(converted) and not (kind is int and converted != float(value))):
                return converted
        except (TypeError, ValueError, OverflowError):
            pass
        raise ValueError(f"{self.place}: `{column}` must be of type {kind.__name__}, got {value!r}. Correct the row.")

    def number(self, column: str, low: float, high: float) -> float:
        """A cell that has to hold a number between two bounds."""
        value = self.cells.get(column)
        try:
            number = float(value)  # ty: ignore[invalid-argument-type]
        except (TypeError, ValueError):
            number = math.nan
        if not low <= number <= high:
            expected = f"`{column}` must be a number from {low:g} to {high:g}"
            raise ValueError(f"{self.place}: {expected}, got {value!r}. Correct the row.")
        return number

    def whole(self, column: str, low: int, high: int) -> int:
        """A cell that has to hold a whole number between two bounds, as `6` or `6.0`."""
        number = self.number(column, low, high)
        if number != int(number):
            raise ValueError(f"{self.place}: `{column}` must be a whole number, got {number:g}. Correct the row.")
        return int(number)

    def name(self, column: str) -> str:
        """A cell that has to hold a name."""
        value = self.cells.get(column)
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{self.place}: `{column}` must be a name, got {value!r}. Correct the row.")
        return value.strip()


def find_file(data_dir: str | Path, names: Sequence[str], source_url: str | None) -> Path:
    """The first of several places where a published file may lie, relative to the folder."""
    for name in names:
        if (path := Path(data_dir) / name).is_file():
            return path
    places = " or ".join(names)
    raise FileNotFoundError(f"Expected {places} in {str(data_dir)!r}, found none. Fetch it from {source_url}.")


def find_pictures(data_dir: str | Path, folders: Sequence[str], called: str = "<id>.jpg") -> Path:
    """The first of several folders, relative to `data_dir`, with a file `called` like that."""
    candidates = [Path(data_dir) / folder for folder in folders]
    for folder in candidates:
        if folder.is_dir() and next(folder.glob(re.sub("<.*?>", "*", called)), None):
            return folder.absolute()
    others = f", nor in {', '.join(folders[1:])}" if folders[1:] else ""
    raise FileNotFoundError(
        f"Expected the pictures as {called} in {str(candidates[0])!r}, found none there{others}. "
        "Unpack them there, or pass with_pictures=False."
    )


def read_delimited(
    path: Path, columns: Sequence[str], delimiter: str = ",", free_text: str | None = None
) -> list[TableRow]:
    """
    Reads a table with a header, in UTF-8 with or without byte order mark.

    Args:
        path (`Path`):
            The file.
        columns (`Sequence[str]`):
            Columns that must be there; others may be.
        delimiter (`str`, *optional*, defaults to `","`):
            What stands between cells. Quotes have a meaning in tables with commas only.
        free_text (`str`, *optional*):
            A column whose cells may hold the delimiter, unquoted.

    Raises:
        ValueError: If a column is missing, or a row has too few or too many cells.

    Example:
        >>> path = getfixture("tmp_path") / "votes.csv"
        >>> _ = path.write_text("image_id=device=time\\n7=a=b=c=12\\n")
        >>> read_delimited(path, ["image_id"], "=", free_text="device")[0].cells
        {'image_id': '7', 'device': 'a=b=c', 'time': '12'}
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, got {error.object[:40]!r}. Fetch the file again.") from None
    reader = csv.reader(
        text.splitlines(), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    )
    header = [name.strip() for name in next(reader, [])]
    if missing := [column for column in columns if column not in header]:
        raise ValueError(f"{path}: expected columns {', '.join(missing)}, found {header}. Fetch the file again.")
    rows = []
    for cells in reader:
        if not any(cells):
            continue
        extra = len(cells) - len(header)
        if free_text in header and extra > 0:
            start = header.index(free_text)
            cells[start : start + extra + 1] = [delimiter.join(cells[start : start + extra + 1])]
        if len(cells) != len(header):
            raise ValueError(
                f"{path}, row {reader.line_num}: expected {len(header)} cells, got {len(cells)}. Correct the row."
            )
        values = {name: cell.strip() or None for name, cell in zip(header, cells, strict=True)}
        rows.append(TableRow(values, f"{path}, row {reader.line_num}"))
    if not rows:
        raise ValueError(f"{path}: expected rows below the header, found none. Fetch the file again.")
    return rows


def read_json_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file that must hold an object, such as one entry a picture."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON ({error}). Fetch the file again.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(content).__name__}. Fetch the file again.")
    return content
