"""
A folder of one's own pictures with a table of their series and ranks.

Knows nothing about how the ranks came about, or models.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from datasets import Value

from .pairs import (
    ComparedPictures,
    collect_pairs,
    find_pictures_of,
    find_table,
    read_pair_table,
    read_rows,
    read_split,
)
from .splits import hash_split
from .table_rows import TableRow


TABLE_NAMES = tuple(f"series.{suffix}" for suffix in ("csv", "jsonl", "parquet"))
"""Names by which [`load_series`] finds a table."""


def load_series(
    data_dir: str | Path,
    table: str | Path | None = None,
    pairs: str | Path | None = None,
    *,
    max_skipped: float = 0.0,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    num_proc: int | None = None,
) -> ComparedPictures:
    """
    Loads pictures in series, and the table that ranks them.

    The table is called `series` and ends in `.csv`, `.jsonl` or `.parquet`. A row is a picture: `file_name`,
    `series_id`, and `series_rank`, 0 for the best of its series and equal for a tie; `source` and `split` may stand
    beside. Pictures are called by their file, in `data_dir` or `data_dir/images`, with or without its ending.

    Comparisons are those of a second table, as [`load_pairs`] reads it, such as the clear ones of
    [`~hf_aesthetics.series.rank_calibration.calibrate_ranks`]; without it every two pictures of different rank. A
    series is in one split, by a hash of its name where there is no column `split`.

    Args:
        data_dir (`str` or `Path`):
            Folder of the pictures.
        table (`str` or `Path`, *optional*):
            The table of ranks, relative to `data_dir`. By default it is found by its name.
        pairs (`str` or `Path`, *optional*):
            The table of comparisons, relative to `data_dir`.
        max_skipped (`float`, *optional*, defaults to 0):
            Largest share of the pictures that may be missing or unreadable.
        validation, test (`float`, *optional*, default to 0.1):
            Expected shares of the series in these splits, where the table has no column `split`.
        seed (`int`, *optional*, defaults to 0):
            Seed of the splits, where the table has no column `split`.
        num_proc (`int`, *optional*):
            Number of processes that decode the pictures.

    Returns:
        [`ComparedPictures`]: `pictures` with the columns of [`series_features`], and `source` where the table has it.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If a row is malformed, a picture is there twice, a series is in two splits, or a comparison is not
            of two pictures of a series.

    Example:
        >>> load_series("bursts")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected one table in 'bursts', series.csv or series.jsonl or series.parquet, found none. Write one with file_name, series_id and series_rank, or pass `table`.
    """  # noqa: E501
    data_dir = Path(data_dir)
    path = find_table(data_dir, table, TABLE_NAMES, "file_name, series_id and series_rank")
    pictures = _read_pictures(read_rows(path))
    _check_splits(pictures, path.name)
    if pairs is None:
        records, pair_types = _pairs_of_ranks(pictures), {}
    else:
        records, pair_types = read_pair_table(data_dir / pairs)
        _check_pairs(records, pictures, str(pairs))
    picture_types = {"series_id": Value("string"), "series_rank": Value("int32"), "source": Value("string")}
    if not any(row["source"] for row in pictures.values()):
        del picture_types["source"]
    find = find_pictures_of(data_dir)
    return collect_pairs(
        path.name,
        records,
        {name: {key: row[key] for key in ("image_id", *picture_types)} for name, row in pictures.items()},
        {name: find(name) for name in pictures},
        {name: row["split"] or hash_split(row["series_id"], validation, test, seed) for name, row in pictures.items()},
        pair_types={**pair_types, "series_id": Value("string")},
        picture_types=picture_types,
        max_skipped=max_skipped,
        num_proc=num_proc,
    )


def _read_pictures(rows: Sequence[TableRow]) -> dict[str, dict[str, Any]]:
    pictures: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row.name("file_name")
        if name in pictures:
            raise ValueError(f"{row.place}: {name!r} is there twice. Give it one place in one series.")
        pictures[name] = {
            "image_id": name,
            "series_id": row.name("series_id"),
            "series_rank": row.whole("series_rank", 0, 2**31 - 1),
            "split": read_split(row),
            "source": row.read("source", str),
        }
    return pictures


def _check_splits(pictures: dict[str, dict[str, Any]], table: str) -> None:
    splits: dict[str, str | None] = {}
    for row in pictures.values():
        if (split := splits.setdefault(row["series_id"], row["split"])) != row["split"]:
            raise ValueError(
                f"{table}: a series must lie in one split, but {row['series_id']!r} is in {split} and {row['split']}. "
                "Correct the column `split`."
            )


def _pairs_of_ranks(pictures: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    series: dict[str, list[str]] = defaultdict(list)
    for name, row in pictures.items():
        series[row["series_id"]].append(name)
    records = []
    for members in series.values():
        for first, second in combinations(members, 2):
            a, b = pictures[first], pictures[second]
            if a["series_rank"] != b["series_rank"]:
                preference = float(a["series_rank"] < b["series_rank"])
                records.append(
                    {"image_a": first, "image_b": second, "preference": preference, "series_id": a["series_id"]}
                )
    if not records:
        raise ValueError("Expected a series with two ranks, found none. Give the best picture of each the rank 0.")
    return records


def _check_pairs(records: list[dict[str, Any]], pictures: dict[str, dict[str, Any]], table: str) -> None:
    for record in records:
        sides = record["image_a"], record["image_b"]
        series = [pictures[side]["series_id"] if side in pictures else None for side in sides]
        if None in series or series[0] != series[1]:
            raise ValueError(
                f"{table}: a comparison must be of two pictures of a series, got {sides[0]!r} of {series[0]} and "
                f"{sides[1]!r} of {series[1]}. Drop the row."
            )
        record["series_id"] = series[0]
