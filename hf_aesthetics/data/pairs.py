"""Pictures compared two by two: any table of preferences, with splits that share no picture.

Knows nothing about scores, or how preferences become ranks.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Image, NamedSplit, Value

from ..images import IMAGE_SUFFIXES
from .columns import PAIR_COLUMNS, pair_features
from .folder import build_dataset
from .picture_checks import SkippedPicture, check_pictures
from .rating_tables import parse_table
from .splits import SPLITS, hash_split
from .table_rows import TableRow


TABLE_NAMES = tuple(f"pairs.{suffix}" for suffix in ("csv", "jsonl", "parquet"))
"""Names by which [`load_pairs`] finds a table."""

_WINS = ("wins_a", "wins_b")
_OPTIONAL = {
    "wins_a": Value("int32"),
    "wins_b": Value("int32"),
    "series_id": Value("string"),
    "source": Value("string"),
    "caption": Value("string"),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparedPictures:
    """
    Pictures that were compared two by two, as a loader found them.

    Args:
        pictures (`DatasetDict`):
            `image` and `image_id` by split, and what the loader knows beyond. No picture is in two splits.
        pairs (`DatasetDict`):
            The comparisons inside of each split, with the columns of [`pair_features`] and those the loader adds.
        num_across (`int`):
            Comparisons of pictures of two splits, which were dropped.
        num_without_picture (`int`):
            Comparisons that were dropped because a picture is missing or cannot be read.
        skipped (`list[SkippedPicture]`):
            These pictures.
    """

    pictures: DatasetDict
    pairs: DatasetDict
    num_across: int = 0
    num_without_picture: int = 0
    skipped: list[SkippedPicture] = field(default_factory=list)


def load_pairs(
    data_dir: str | Path,
    table: str | Path | None = None,
    *,
    max_skipped: float = 0.0,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    num_proc: int | None = None,
) -> ComparedPictures:
    """
    Loads pictures and the table that compares them.

    The table is called `pairs` and ends in `.csv`, `.jsonl` or `.parquet`. A row is a comparison: `image_a` and
    `image_b`, with either

    - `wins_a` and `wins_b`, how many people chose which; or
    - `preference`, the share of people who prefer `image_a`, 0.5 for a tie.

    Pictures are called by their file, in `data_dir` or `data_dir/images`, with or without its ending. `series_id`,
    `source` and `caption` may stand beside.

    Splits part pictures, not comparisons: were one picture in two splits, a model could learn it by heart. A picture's
    split follows from a hash of its id, or of its series where there is a column `series_id`; or a column `split` says
    it for both pictures of each row. Comparisons across splits are dropped and counted: with the default shares about
    a third of all pairs of many pictures.

    Args:
        data_dir (`str` or `Path`):
            Folder of the pictures.
        table (`str` or `Path`, *optional*):
            The table, relative to `data_dir`. By default it is found by its name.
        max_skipped (`float`, *optional*, defaults to 0):
            Largest share of the pictures that may be missing or unreadable.
        validation, test (`float`, *optional*, default to 0.1):
            Expected shares of the pictures in these splits, where the table has no column `split`.
        seed (`int`, *optional*, defaults to 0):
            Seed of the splits, where the table has no column `split`.
        num_proc (`int`, *optional*):
            Number of processes that decode the pictures.

    Returns:
        [`ComparedPictures`]: `pairs` has `wins_a`, `wins_b`, `series_id`, `source` and `caption` where the table has.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If a row is malformed, a picture is in two splits or series, or too many cannot be used.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> _ = (folder / "pairs.csv").write_text("image_a,image_b,wins_a,wins_b\\nsea,sea,1,0\\n")
        >>> load_pairs(folder)
        Traceback (most recent call last):
        ...
        ValueError: pairs.csv, row 2: `image_a` and `image_b` must be two pictures, got 'sea' twice. Drop the row.
    """
    data_dir = Path(data_dir)
    path = find_table(data_dir, table, TABLE_NAMES, "image_a, image_b and preference")
    records, types = read_pair_table(path)
    splits = _assign_splits(path.name, records, lambda key: hash_split(key, validation, test, seed))
    find = find_pictures_of(data_dir)
    return collect_pairs(
        path.name,
        records,
        {name: {"image_id": name} for name in splits},
        {name: find(name) for name in splits},
        splits,
        pair_types=types,
        max_skipped=max_skipped,
        num_proc=num_proc,
    )


def collect_pairs(
    name: str,
    records: Sequence[dict[str, Any]],
    pictures: Mapping[str, dict[str, Any]],
    files: Mapping[str, str] | None,
    splits: Mapping[str, str],
    *,
    pair_types: Mapping[str, Any],
    picture_types: Mapping[str, Any] | None = None,
    max_skipped: float = 0.0,
    num_proc: int | None = None,
) -> ComparedPictures:
    """
    Checks the pictures that were compared, and puts them and their comparisons into splits.

    Args:
        name (`str`):
            What errors and warnings call the collection.
        records (`Sequence[dict]`):
            One a comparison: `image_a`, `image_b`, `preference` and the columns of `pair_types`.
        pictures (`Mapping[str, dict]`):
            A row for each picture by its id.
        files (`Mapping[str, str]`, *optional*):
            Paths by id. Without them there is no column `image`, and no picture has to be there.
        splits (`Mapping[str, str]`):
            Split of each picture by its id.
        pair_types, picture_types (`Mapping[str, Any]`):
            Types of the columns that comparisons and pictures have beyond the common ones.
        max_skipped (`float`, *optional*, defaults to 0):
            Largest share of the pictures that may be left out.
        num_proc (`int`, *optional*):
            Number of processes that decode the pictures.

    Raises:
        ValueError: If too many pictures cannot be used.
    """
    ids = list(pictures)
    problems = [None] * len(ids) if files is None else check_pictures([files[i] for i in ids], ids, num_proc)
    skipped = [problem for problem in problems if problem is not None]
    if skipped:
        report = f"{name}: {len(skipped)} of {len(ids)} pictures cannot be used, such as {skipped[0].file_name}."
        report = f"{report} {skipped[0].reason}"
        if len(skipped) > max_skipped * len(ids):
            raise ValueError(f"{report} Fetch them, or pass a larger `max_skipped`.")
        logger.warning("%s They are left out with their comparisons; `skipped` has all reasons.", report)
    gone = {picture.file_name for picture in skipped}
    rows: dict[str, tuple[list, list]] = {split: ([], []) for split in SPLITS}
    for image_id, row in pictures.items():
        if image_id not in gone:
            rows[splits[image_id]][0].append(row if files is None else {"image": files[image_id], **row})
    num_across = num_gone = 0
    columns = [*PAIR_COLUMNS, *pair_types]
    for record in records:
        first, second = record["image_a"], record["image_b"]
        if first in gone or second in gone:
            num_gone += 1
        elif splits[first] != splits[second]:
            num_across += 1
        else:
            rows[splits[first]][1].append({column: record.get(column) for column in columns})
    if num_across:
        logger.warning("%s: %d of %d comparisons are across splits and dropped.", name, num_across, len(records))
    types = {**({} if files is None else {"image": Image()}), "image_id": Value("string"), **(picture_types or {})}
    features = pair_features(pair_types)
    shown, compared = DatasetDict(), DatasetDict()
    for split, (of_pictures, of_pairs) in rows.items():
        if of_pictures:
            shown[split] = build_dataset(split, type(features)(types), of_pictures)
            compared[split] = Dataset.from_list(of_pairs, features=features, split=NamedSplit(split))
    return ComparedPictures(shown, compared, num_across, num_gone, skipped)


def find_table(data_dir: Path, table: str | Path | None, names: Sequence[str], columns: str) -> Path:
    """The table of that name, or the only one of several; `columns` tells what to write where there is none."""
    names = names if table is None else (str(table),)
    found = [name for name in names if (data_dir / name).is_file()]
    if len(found) != 1:
        raise FileNotFoundError(
            f"Expected one table in {str(data_dir)!r}, {' or '.join(names)}, found {', '.join(found) or 'none'}. "
            f"Write one with {columns}, or pass `table`."
        )
    return data_dir / found[0]


def read_rows(path: Path) -> list[TableRow]:
    """The rows of a table in CSV, JSON lines or Parquet, at least one."""
    rows = [
        TableRow({name: None if cell == "" else cell for name, cell in cells.items()}, f"{path.name}, row {number}")
        for number, cells in parse_table(path)
    ]
    if not rows:
        raise ValueError(f"{path.name}: expected rows below the header, found none. Add them.")
    return rows


def read_pair_table(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """
    The comparisons of a table, and the types of their columns beyond `PAIR_COLUMNS`.

    Args:
        path (`Path`):
            The table; [`load_pairs`] says what it may look like.

    Raises:
        ValueError: If a column is missing or a row malformed.
    """
    rows = read_rows(path)
    columns = rows[0].cells
    has_wins = all(column in columns for column in _WINS)
    missing = [column for column in PAIR_COLUMNS[:2] if column not in columns]
    if missing or has_wins == ("preference" in columns):
        raise ValueError(
            f"{path.name}: expected columns image_a and image_b, with either wins_a and wins_b or preference, found "
            f"{list(columns)}. Rename or drop columns."
        )
    types = {name: kind for name, kind in _OPTIONAL.items() if name in columns}
    return [_read_record(row, has_wins) for row in rows], types


def _read_record(row: TableRow, has_wins: bool) -> dict[str, Any]:
    record: dict[str, Any] = {side: _read_name(row, side) for side in PAIR_COLUMNS[:2]}
    if record["image_a"] == record["image_b"]:
        raise ValueError(
            f"{row.place}: `image_a` and `image_b` must be two pictures, got {record['image_a']!r} twice. "
            "Drop the row."
        )
    if has_wins:
        record |= {column: row.whole(column, 0, 2**31 - 1) for column in _WINS}
        total = record["wins_a"] + record["wins_b"]
        if total == 0:
            raise ValueError(f"{row.place}: `wins_a` and `wins_b` are both 0, so nothing was chosen. Drop the row.")
        record["preference"] = record["wins_a"] / total
    else:
        record["preference"] = row.number("preference", 0, 1)
    record |= {column: row.read(column, str) for column in ("series_id", "source", "caption") if column in row.cells}
    return {**record, "split": read_split(row)}


def read_split(row: TableRow) -> str | None:
    """The split that a row names, `None` where it names none."""
    split = row.read("split", str)
    known = {**dict(zip(SPLITS, SPLITS, strict=True)), "val": "validation", "dev": "validation", None: None}
    if split not in known:
        raise ValueError(f"{row.place}: `split` must be one of {', '.join(SPLITS)}, got {split!r}. Correct the row.")
    return known[split]


def _read_name(row: TableRow, column: str) -> str:
    # of JSON and Parquet, where names that are numbers may have stayed numbers
    name = row.read(column, str)
    if not name:
        raise ValueError(f"{row.place}: `{column}` must name a picture, got {name!r}. Correct the row.")
    return name


def find_pictures_of(data_dir: Path) -> Callable[[str], str]:
    """A function that finds the file of a picture: as it is called, or the only one called so with an ending."""
    by_stem: dict[str, list[Path]] = {}
    for folder in (data_dir, data_dir / "images"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in IMAGE_SUFFIXES:
                by_stem.setdefault(path.stem, []).append(path)

    def find(name: str) -> str:
        for path in (data_dir / name, data_dir / "images" / name):
            if path.is_file():
                return str(path.absolute())
        found = by_stem.get(name, [])
        if len(found) > 1:
            raise ValueError(
                f"Expected one file for the picture {name!r}, found {', '.join(str(path) for path in found)}. "
                "Name files with their endings in the table."
            )
        return str((found[0] if found else data_dir / "images" / name).absolute())

    return find


def _assign_splits(name: str, records: Iterable[dict[str, Any]], split_of: Callable[[str], str]) -> dict[str, str]:
    splits: dict[str, str] = {}
    series: dict[str, str] = {}
    for record in records:
        for side in PAIR_COLUMNS[:2]:
            image_id, of_series = record[side], record.get("series_id")
            if of_series is not None and (known := series.setdefault(image_id, of_series)) != of_series:
                raise ValueError(
                    f"{name}: a picture must lie in one series, but {image_id!r} is in {known!r} and {of_series!r}. "
                    "Give it an id in each."
                )
            split = record["split"] or split_of(image_id if of_series is None else of_series)
            if (known := splits.setdefault(image_id, split)) != split:
                raise ValueError(
                    f"{name}: a picture must lie in one split, but {image_id!r} is in {known} and {split}. "
                    "Drop the comparisons that link the splits, or the column `split`."
                )
    return splits
