"""Storing scores as CSV, JSON lines or Parquet, joining tables, reading them back. Knows nothing about models."""

import csv
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..whole_files import whole_file
from .batch import Columns, PictureScore, columns_of, values_of


ROWS_PER_GROUP = 4096
_TEXTS = {"path", "error", "scorer", "preprocessing", "notice"}
_SHARE = "p_"


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
    if path.suffix.lower() not in TABLE_FORMATS:
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
        import_parquet()


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
    groups = iter(lambda: list(itertools.islice(rows, ROWS_PER_GROUP)), [])
    first = next(groups, None)
    if first is None:
        raise ValueError(f"Expected at least one row for {str(destination)!r}, got none. Were there any pictures?")
    write_table(map(columns_of, itertools.chain([first], groups)), destination)


def write_table(batches: Iterable[Columns], destination: Path) -> None:
    """Writes batches of columns, all with the same names, to a table that appears when it is complete."""
    with whole_file(destination, is_shared=True) as partial:
        TABLE_FORMATS[destination.suffix.lower()].write(iter(batches), partial)


def join_tables(parts: Sequence[Path], destination: Path) -> None:
    """Writes the rows of tables of one format, one table after the other, to one that appears when it is complete."""
    with whole_file(destination, is_shared=True) as partial:
        TABLE_FORMATS[destination.suffix.lower()].join(parts, partial)


def read_scores(table: str | os.PathLike[str]) -> Iterator[PictureScore]:
    """
    Reads what [`write_scores`] has written, row by row. Columns that are not its own are left out.

    Args:
        table (`str` or `os.PathLike`):
            A file that ends in `.csv`, `.jsonl` or `.parquet`.

    Raises:
        KeyError: If it is no table of scores.
    """
    path = Path(table)
    for row in TABLE_FORMATS[path.suffix.lower()].read(path):
        fields = _nest_shares(row)
        yield PictureScore(
            **{name: fields[name] for name in PictureScore.__slots__ if name != "notice" or name in row}
        )


def _write_csv(batches: Iterator[Columns], path: Path) -> None:
    first = next(batches)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(first)
        for columns in itertools.chain([first], batches):
            writer.writerows(zip(*map(values_of, columns.values()), strict=True))


def _join_csv(parts: Sequence[Path], path: Path) -> None:
    names: dict[str, None] = {}
    for part in parts:
        with part.open(encoding="utf-8", newline="") as rows:
            names |= dict.fromkeys(next(csv.reader(rows)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(names), lineterminator="\n")
        writer.writeheader()
        for part in parts:
            with part.open(encoding="utf-8", newline="") as rows:
                writer.writerows(csv.DictReader(rows))


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: _number(cell) if _is_number(name) else cell or None for name, cell in row.items()}


def _write_jsonl(batches: Iterator[Columns], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for columns in batches:
            for values in zip(*map(values_of, columns.values()), strict=True):
                fields = _nest_shares(dict(zip(columns, values, strict=True)))
                file.write(json.dumps(fields, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def _join_jsonl(parts: Sequence[Path], path: Path) -> None:
    with path.open("wb") as file:
        for part in parts:
            with part.open("rb") as rows:
                shutil.copyfileobj(rows, file)


def _read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _write_parquet(batches: Iterator[Columns], path: Path) -> None:
    pyarrow, parquet = import_parquet()
    first = next(batches)
    known = dict.fromkeys(_TEXTS, pyarrow.string()) | dict.fromkeys(filter(_is_number, first), pyarrow.float64())
    fields = [(name, known.get(name) or pyarrow.array(values).type) for name, values in first.items()]
    schema = pyarrow.schema(fields)
    with parquet.ParquetWriter(path, schema) as writer:
        group: list[Any] = []
        for columns in itertools.chain([first], batches):
            group.append(pyarrow.RecordBatch.from_pydict(dict(columns), schema=schema))
            if sum(batch.num_rows for batch in group) >= ROWS_PER_GROUP:
                writer.write_table(pyarrow.Table.from_batches(group))
                group = []
        if group:
            writer.write_table(pyarrow.Table.from_batches(group))


def _join_parquet(parts: Sequence[Path], path: Path) -> None:
    pyarrow, parquet = import_parquet()
    # a column that a collection leaves empty here and there has no type in the parts where it is empty
    schema = pyarrow.unify_schemas([parquet.read_schema(part) for part in parts], promote_options="permissive")
    with parquet.ParquetWriter(path, schema) as writer:
        group: list[Any] = []
        for part in parts:
            # not every table of a collection has all columns to keep
            tables = [schema.empty_table(), parquet.read_table(part)]
            whole = pyarrow.concat_tables(tables, promote_options="permissive")
            group.append(whole.select(schema.names).cast(schema))
            if sum(table.num_rows for table in group) >= 16 * ROWS_PER_GROUP:
                writer.write_table(pyarrow.concat_tables(group))
                group = []
        if group:
            writer.write_table(pyarrow.concat_tables(group))


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    _, parquet = import_parquet()
    for batch in parquet.ParquetFile(path).iter_batches(ROWS_PER_GROUP):
        yield from batch.to_pylist()


@dataclass(frozen=True)
class TableFormat:
    """How a kind of table is written, joined and read."""

    write: Callable[[Iterator[Columns], Path], None]
    join: Callable[[Sequence[Path], Path], None]
    read: Callable[[Path], Iterator[dict[str, Any]]]


TABLE_FORMATS = {
    ".csv": TableFormat(_write_csv, _join_csv, _read_csv),
    ".jsonl": TableFormat(_write_jsonl, _join_jsonl, _read_jsonl),
    ".parquet": TableFormat(_write_parquet, _join_parquet, _read_parquet),
}


def _nest_shares(fields: dict[str, Any]) -> dict[str, Any]:
    """The shares of a row together in `distribution`, where the first of them stood."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        if _is_share(name):
            nested.setdefault("distribution", {})[name.removeprefix(_SHARE)] = value
        else:
            nested[name] = value
    return nested


def _is_share(name: str) -> bool:
    return name.startswith(_SHARE) and name.removeprefix(_SHARE).replace(".", "", 1).replace("-", "", 1).isdigit()


def _is_number(name: str) -> bool:
    return name in ("score", "score_std", "percentile") or _is_share(name)


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def import_parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            'Parquet files need pyarrow, which is not installed. Run: pip install "hf_aesthetics[data]"'
        ) from error
    return pyarrow, parquet
