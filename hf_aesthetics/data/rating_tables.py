"""A table of ratings in CSV, JSON lines or Parquet: votes, single ratings or means of pictures.

Knows nothing about pictures; here a file name is a word in a row.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Value

from .columns import COMMON_COLUMNS, RatingScale, vote_statistics
from .splits import SPLITS
from .table_rows import TableRow


_FILE_COLUMNS = ("file_name", "image", "file", "path", "filename")
_MEAN_COLUMNS = ("score_mean", "mean")
_STD_COLUMNS = ("score_std", "std")
_KNOWN_COLUMNS = {*COMMON_COLUMNS, *_FILE_COLUMNS, *_MEAN_COLUMNS, *_STD_COLUMNS, "split", "rating", "rater_id"}
_VOTE_COLUMN = re.compile(r"votes_(\d+)")
_SPLIT_NAMES = {**{split: split for split in SPLITS}, "val": "validation", "dev": "validation"}
_USUAL_RATINGS = [set(range(1, highest + 1)) for highest in (5, 7, 10)]
_GIVE_THE_SCALE = "Pass scale=RatingScale(min_score, max_score, num_bins) or --min_score, --max_score and --num_bins."
# leading zeros and underscores mark codes, and int64 holds no more digits
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class RatingTable:
    """
    What a table says about its pictures.

    Args:
        scale (`RatingScale`):
            The scale of the ratings, given or inferred.
        attribute_types (`dict[str, Value]`):
            Types of the columns beyond names, split and ratings.
        records (`list[dict]`):
            One a picture: `file_name`, `image_id`, `split` (or `None`), the label columns of `columns.py`, attributes.
    """

    scale: RatingScale
    attribute_types: dict[str, Value]
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class _Row(TableRow):
    """A row of the table, which belongs to a picture."""

    file_name: str


def read_rating_table(
    path: str | Path,
    scale: RatingScale | None = None,
    attributes: Mapping[str, Value] | None = None,
    score_column: str | None = None,
) -> RatingTable:
    """
    Reads a table of ratings. Its columns tell of which kind it is; [`load_folder`] lists the kinds.

    Args:
        path (`str` or `Path`):
            File that ends in `.csv`, `.jsonl` or `.parquet`.
        scale (`RatingScale`, *optional*):
            The rating scale; inferred where the table tells it.
        attributes (`Mapping[str, Value]`, *optional*):
            The further columns to keep, with their types. By default all columns of numbers or text in which a picture
            has one value, with the types of their values.
        score_column (`str`, *optional*):
            Column of means that stands in place of all ratings; `scale` is that of these means.

    Returns:
        [`RatingTable`]: Its pictures are in the order of the table.

    Raises:
        ValueError: If the table is of no known kind, a row is malformed, a picture is listed twice, or the scale is
            unknown. The message names table, row and file.

    Example:
        >>> path = getfixture("tmp_path") / "ratings.csv"
        >>> _ = path.write_text("file_name,rating\\na.jpg,2\\na.jpg,5\\nb.jpg,4\\n")
        >>> for record in read_rating_table(path, RatingScale(1, 5, 5)).records:
        ...     print(record["image_id"], record["vote_counts"], record["score_mean"])
        a.jpg [0, 1, 0, 0, 1] 3.5
        b.jpg [0, 0, 0, 1, 0] 4.0
    """
    path = Path(path)
    rows = _read_rows(path)
    columns = list(rows[0].cells)
    pictures = _group_by_picture(rows)
    if score_column is not None and score_column not in columns:
        raise ValueError(f"{path.name}: expected a column {score_column!r}, found {columns}. Correct --target.")
    if score_column is None and "rating" in columns and not _find_vote_columns(columns):
        scale, labels = _count_ratings(pictures, scale, path.name)
    else:
        scale, labels = _read_votes_or_means(pictures, scale, path.name, score_column)
    types, values = _read_attributes(list(pictures.values()), attributes, path.name)
    records = [
        {"file_name": same[0].file_name, "image_id": image_id, "split": _read_split(same), **labels[i], **values[i]}
        for i, (image_id, same) in enumerate(pictures.items())
    ]
    return RatingTable(scale, types, records)


def parse_table(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of any table and their numbers: in a text file those that an editor shows, the header being row 1."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin with a byte order mark
            reader = csv.DictReader(file)
            for cells in reader:
                if None in cells:
                    raise ValueError(
                        f"{path.name}, row {reader.line_num}: expected {len(cells) - 1} cells, got {cells[None]} "
                        "beyond them. Put text that contains a comma in double quotes."
                    )
                yield reader.line_num, cells
    elif suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    cells = json.loads(line)
                except json.JSONDecodeError:
                    cells = None
                if not isinstance(cells, dict):
                    raise ValueError(
                        f"{path.name}, row {number}: expected a JSON object, got {line!r:.80}. Correct the row."
                    )
                yield number, cells
    elif suffix == ".parquet":
        from pyarrow import parquet

        yield from enumerate(parquet.read_table(path).to_pylist(), start=1)
    else:
        raise ValueError(f"A table must end in .csv, .jsonl or .parquet, got {path.name!r}. Save it as one of these.")


def _read_rows(path: Path) -> list[_Row]:
    try:
        numbered = list(parse_table(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: expected UTF-8 text, got {error.object[:40]!r}. Save it as UTF-8.") from None
    if not numbered:
        raise ValueError(f"{path.name}: expected one row a picture or rating, found none. Add them below the header.")
    columns = list(dict.fromkeys(column for _, cells in numbered for column in cells))
    file_column = _find_column(columns, _FILE_COLUMNS)
    if file_column is None:
        raise ValueError(f"{path.name}: expected a column of file names called file_name, found {columns}. Rename it.")
    rows = []
    for number, raw in numbered:
        cells = {column: _empty_to_none(raw.get(column)) for column in columns}
        file_name = cells[file_column]
        if not isinstance(file_name, str):
            raise ValueError(
                f"{path.name}, row {number}: `{file_column}` must be a file name, got {file_name!r:.80}. Correct it."
            )
        rows.append(_Row(cells, f"{path.name}, row {number} ({file_name})", file_name))
    return rows


def _empty_to_none(value: Any) -> Any:
    return None if value == "" or value != value else value  # NaN is what differs from itself


def _group_by_picture(rows: list[_Row]) -> dict[str, list[_Row]]:
    """The rows of every picture. An id in two places would put one picture into two splits."""
    pictures: dict[str, list[_Row]] = {}
    ids: dict[str, str] = {}
    for row in rows:
        given = row.cells.get("image_id")
        image_id = row.file_name if given is None else str(given)
        first, *_ = same = pictures.setdefault(image_id, [row])
        if first.file_name != row.file_name:
            raise ValueError(f"{row.place}: image_id {image_id!r} belongs to {first.place}. Give the picture its own.")
        if (known := ids.setdefault(row.file_name, image_id)) != image_id:
            raise ValueError(
                f"{row.place}: image_id must be {known!r} as in {pictures[known][0].place}, got {image_id!r}. "
                "Give a picture one id."
            )
        if first is not row:
            same.append(row)
    return pictures


def _find_column(columns: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in columns), None)


def _find_vote_columns(columns: list[str]) -> list[str]:
    numbered = sorted((column for column in columns if _VOTE_COLUMN.fullmatch(column)), key=lambda name: int(name[6:]))
    return numbered or [column for column in columns if column == "vote_counts"]


def _count_ratings(
    pictures: dict[str, list[_Row]], scale: RatingScale | None, table: str
) -> tuple[RatingScale, list[dict[str, Any]]]:
    """Histograms of single ratings."""
    ratings = {image_id: [row.read("rating", float) for row in rows] for image_id, rows in pictures.items()}
    if scale is None:
        occurring = {rating for given in ratings.values() for rating in given} - {None}
        if occurring not in _USUAL_RATINGS:
            raise ValueError(
                f"{table}: expected each rating of 1..5, 1..7 or 1..10, and no other, to infer the scale, got "
                f"{sorted(occurring)[:10]}. {_GIVE_THE_SCALE}"
            )
        scale = RatingScale(1, len(occurring), len(occurring))
    labels = []
    for image_id, rows in pictures.items():
        votes = [0] * scale.num_bins
        place_by_rater: dict[Any, str] = {}
        for row, rating in zip(rows, ratings[image_id], strict=True):
            rater = row.cells.get("rater_id")
            if rater is not None and place_by_rater.setdefault(rater, row.place) != row.place:
                raise ValueError(
                    f"{row.place}: rater {rater!r} has rated it already, in {place_by_rater[rater]}. Keep one row."
                )
            index = None if rating is None else _find_bin(rating, scale)
            if index is None:
                raise ValueError(
                    f"{row.place}: `rating` must be on the scale {scale}, got {rating}. Correct the row, or give the "
                    "scale of the ratings; a mean belongs in a column `score_mean`."
                )
            votes[index] += 1
        labels.append(vote_statistics(votes, scale, rows[0].place))
    return scale, labels


def _find_bin(rating: float, scale: RatingScale) -> int | None:
    position = (rating - scale.min_score) / (scale.max_score - scale.min_score) * (scale.num_bins - 1)
    index = round(position)
    return index if 0 <= index < scale.num_bins and abs(position - index) < 1e-6 else None


def _read_votes_or_means(
    pictures: dict[str, list[_Row]], scale: RatingScale | None, table: str, score_column: str | None
) -> tuple[RatingScale, list[dict[str, Any]]]:
    """Histograms that the table holds; for a row without votes its mean."""
    for image_id, (first, *others) in pictures.items():
        if others:
            raise ValueError(
                f"{others[0].place}: the picture {image_id!r} is in {first.place} already. Keep one of the rows, or "
                "give single ratings in a column `rating`."
            )
    rows = [row for (row,) in pictures.values()]
    columns = list(rows[0].cells)
    vote_columns, mean_column, std_column = [], score_column, None
    if score_column is None:
        vote_columns = _find_vote_columns(columns)
        mean_column, std_column = _find_column(columns, _MEAN_COLUMNS), _find_column(columns, _STD_COLUMNS)
    if not vote_columns and mean_column is None:
        raise ValueError(
            f"{table}: expected votes_1 to votes_N, vote_counts, rating or score_mean, found {columns}. Rename one."
        )
    if vote_columns not in ([], ["vote_counts"]) and vote_columns[-1] != f"votes_{len(vote_columns)}":
        raise ValueError(
            f"{table}: expected votes_1 to votes_N without gaps, found {vote_columns}. Add the missing ones."
        )
    votes = [_read_votes(row, vote_columns) for row in rows]
    if scale is None:
        num_bins = next((len(counts) for counts in votes if counts is not None), None)
        if num_bins is None:
            raise ValueError(f"{table}: expected votes to infer the scale, got means alone. {_GIVE_THE_SCALE}")
        scale = RatingScale(1, num_bins, num_bins)
    labels = [
        _read_mean(row, scale, mean_column, std_column)
        if counts is None
        else vote_statistics(counts, scale, row.place)
        for row, counts in zip(rows, votes, strict=True)
    ]
    means = [(row.read(mean_column, float), label["score_mean"]) for row, label in zip(rows, labels, strict=True)]
    means = [(stated, counted) for stated, counted in means if stated is not None]
    if means:
        stated, counted = np.mean(means, axis=0)
        # half a bin: cleaning the votes moves a mean by less, a wrong scale by more
        if abs(stated - counted) > 0.5 * (scale.bin_scores[1] - scale.bin_scores[0]):
            raise ValueError(
                f"{table}: `{mean_column}` averages {stated:.3g}, but the votes {counted:.3g} on the scale {scale}. "
                f"{_GIVE_THE_SCALE}"
            )
    return scale, labels


def _read_votes(row: _Row, vote_columns: list[str]) -> list[Any] | None:
    if vote_columns == ["vote_counts"]:
        votes = row.cells["vote_counts"]
        if isinstance(votes, str):  # a list in a cell of a CSV file
            try:
                votes = json.loads(votes)
            except json.JSONDecodeError:
                pass
        if votes is not None and not isinstance(votes, list):
            raise ValueError(
                f"{row.place}: `vote_counts` must be a list such as [0, 2, 5], got {votes!r}. Correct it."
            )
        return votes
    votes = [row.cells[column] for column in vote_columns]
    return None if all(count is None for count in votes) else votes


def _read_mean(row: _Row, scale: RatingScale, mean_column: str | None, std_column: str | None) -> dict[str, Any]:
    mean, std = row.read(mean_column, float), row.read(std_column, float)
    if mean is None:
        raise ValueError(f"{row.place}: expected votes or a mean, found neither. Drop the row.")
    if not scale.min_score <= mean <= scale.max_score:
        raise ValueError(
            f"{row.place}: the mean must be on the scale {scale}, got {mean:g}. Correct it or give the scale."
        )
    if std is not None and std < 0:
        raise ValueError(f"{row.place}: the standard deviation must be >= 0, got {std:g}. Correct the row.")
    return {"vote_counts": None, "score_mean": mean, "score_std": std, "num_votes": row.read("num_votes", int)}


def _read_split(rows: list[_Row]) -> str | None:
    if "split" not in rows[0].cells:
        return None
    for row in rows:
        split = row.cells["split"]
        if split not in _SPLIT_NAMES or split != rows[0].cells["split"]:
            raise ValueError(
                f"{row.place}: `split` must be one of {list(_SPLIT_NAMES)}, the same in all rows of a picture, got "
                f"{split!r}. Correct the row."
            )
    return _SPLIT_NAMES[rows[0].cells["split"]]


def _read_attributes(
    pictures: list[list[_Row]], attributes: Mapping[str, Value] | None, table: str
) -> tuple[dict[str, Value], list[dict[str, Any]]]:
    columns = [c for c in pictures[0][0].cells if c not in _KNOWN_COLUMNS and not _VOTE_COLUMN.fullmatch(c)]
    if attributes is None:
        # what differs between the ratings of a picture belongs to the raters
        constant = [c for c in columns if all(row.cells[c] == rows[0].cells[c] for rows in pictures for row in rows)]
        inferred = {c: _infer_type([rows[0].cells[c] for rows in pictures]) for c in constant}
        types = {column: kind for column, kind in inferred.items() if kind is not None}
    elif missing := [column for column in attributes if column not in columns]:
        raise ValueError(f"{table}: expected the columns {list(attributes)}, found no {missing}. Add them.")
    else:
        types = dict(attributes)
    kinds = {c: str if t.dtype == "string" else int if "int" in t.dtype else float for c, t in types.items()}
    return types, [{column: rows[0].read(column, kind) for column, kind in kinds.items()} for rows in pictures]


def _infer_type(values: list[Any]) -> Value | None:
    present = [value for value in values if value is not None]
    if not present or not all(isinstance(value, (str, int, float)) for value in present):
        return None
    numbers = [_NUMBER.fullmatch(str(value)) for value in present]
    if not all(numbers):
        return Value("string")
    return Value("float64" if any(number[2] or number[3] for number in numbers if number) else "int64")
