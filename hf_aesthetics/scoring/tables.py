"""Storing rows of scores as CSV, JSON lines or Parquet. Knows nothing about models."""

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .stream import PictureScore


def check_destination(destination: str | os.PathLike[str]) -> None:
    """
    Finds out, before hours of scoring, whether [`write_scores`] can write to a path.

    Args:
        destination (`str` or `os.PathLike`):
            The file to write.

    Raises:
        ValueError: If the suffix is none of `.csv`, `.jsonl` and `.parquet`.
        OSError: If its folder does not exist, or it is a folder itself.
        ImportError: If it is a Parquet file and pyarrow is not installed.

    Example:
        >>> check_destination("scores.xlsx")
        Traceback (most recent call last):
            ...
        ValueError: Expected a file name that ends in .csv, .jsonl or .parquet, got 'scores.xlsx'. Rename the output.
    """
    path = Path(destination)
    if path.suffix.lower() not in _WRITERS:
        raise ValueError(
            f"Expected a file name that ends in .csv, .jsonl or .parquet, got {str(path)!r}. Rename the output."
        )
    if path.is_dir():
        raise IsADirectoryError(f"Expected the name of a file, got the folder {str(path)!r}. Rename the output.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Expected a file in a folder that exists, got {str(path)!r}. Create the folder {str(path.parent)!r}."
        )
    if path.suffix.lower() == ".parquet":
        _import_parquet()


def write_scores(rows: Iterable[PictureScore], destination: str | os.PathLike[str]) -> None:
    """
    Writes rows as they come to a table, whose format follows from the suffix: `.csv`, `.jsonl` or `.parquet`.

    The table grows beside `destination` under a temporary name and is renamed when it is complete. A run that is
    stopped leaves no half table, and the table of an earlier run as it was. CSV and Parquet have the columns

    | column                    | content                                                        |
    |---------------------------|----------------------------------------------------------------|
    | `path`                    | the file                                                       |
    | `score`, `score_std`      | mean and standard deviation of the scores, in rating units     |
    | `percentile`              | place among the training pictures, 0 to 100                    |
    | `p_1` to `p_10`           | share of raters; one column a rating of the scorer's own scale |
    | `error`                   | why there is no score; empty where there is one                |
    | `scorer`, `preprocessing` | what gave the score, to be cited with it                       |
    | `notice`                  | what has to be said with the score; only if there is something |

    JSON lines hold the same fields, but the shares together in `distribution`. Numbers are written in full: the three
    formats read back equal.

    Args:
        rows (`Iterable[PictureScore]`):
            What [`score_pictures`] gives; at least one.
        destination (`str` or `os.PathLike`):
            The file to write. It is replaced if it exists.

    Raises:
        ValueError: If the suffix is none of the three, or there is no row.
        OSError: If the file cannot be written.
        ImportError: If it is a Parquet file and pyarrow is not installed.

    Example:
        >>> import tempfile
        >>> provenance = {"scorer": "org/nima@5f2c", "preprocessing": "rgb, squash 224x224, 5d1c0a94be27"}
        >>> numbers = {"score": 2.75, "score_std": 0.5, "percentile": None, "distribution": {"2": 0.25, "3": 0.75}}
        >>> row = PictureScore(path="a.jpg", error=None, **numbers, **provenance)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_scores([row], Path(folder, "scores.csv"))
        ...     print(Path(folder, "scores.csv").read_text(), end="")
        path,score,score_std,percentile,p_2,p_3,error,scorer,preprocessing
        a.jpg,2.75,0.5,,0.25,0.75,,org/nima@5f2c,"rgb, squash 224x224, 5d1c0a94be27"
    """
    destination = Path(destination)
    check_destination(destination)
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"Expected at least one row for {str(destination)!r}, got none. Were there any pictures?")
    # beside the destination, because only within one file system a rename is all or nothing
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}.tmp")
    try:
        _WRITERS[destination.suffix.lower()](itertools.chain([first], rows), temporary)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(rows: Iterator[PictureScore], path: Path) -> None:
    table = map(_columns, rows)
    first = next(table)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first), lineterminator="\n")
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(table)


def _write_jsonl(rows: Iterator[PictureScore], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(_fields(row), ensure_ascii=False, allow_nan=False) + "\n")


def _write_parquet(rows: Iterator[PictureScore], path: Path, rows_per_group: int = 4096) -> None:
    pyarrow, parquet = _import_parquet()
    table = map(_columns, rows)
    group = list(itertools.islice(table, rows_per_group))
    texts = {"path", "error", "scorer", "preprocessing", "notice"}
    schema = pyarrow.schema([(name, pyarrow.string() if name in texts else pyarrow.float64()) for name in group[0]])
    with parquet.ParquetWriter(path, schema) as writer:
        while group:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            group = list(itertools.islice(table, rows_per_group))


def _fields(row: PictureScore) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "notice" or value is not None}


def _columns(row: PictureScore) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in _fields(row).items():
        columns |= (
            {f"p_{rating}": share for rating, share in value.items()} if name == "distribution" else {name: value}
        )
    return columns


_WRITERS: dict[str, Callable[[Iterator[PictureScore], Path], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def _import_parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            'Parquet files need pyarrow, which is not installed. Run: pip install "hf_aesthetics[data]"'
        ) from error
    return pyarrow, parquet
