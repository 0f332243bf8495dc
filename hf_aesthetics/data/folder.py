"""A folder of one's own pictures with a table that rates them.

Knows nothing about models. What the table may look like is the matter of `rating_tables.py`, what can be read as a
picture that of `hf_aesthetics.images`.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Features, Image, NamedSplit, Value

from ..images import ImageReadError, read_image
from .columns import DatasetFacts, RatingScale, rating_features
from .rating_tables import read_rating_table
from .splits import SPLITS, hash_split


FACTS = DatasetFacts(name="a folder of rated pictures", license="the user's own, licence not stated")

TABLE_NAMES = tuple(
    f"{stem}.{suffix}" for stem in ("ratings", "labels", "metadata") for suffix in ("csv", "jsonl", "parquet")
)
"""Names by which `load_folder` finds a table."""

logger = logging.getLogger(__name__)

# the verdicts on pictures are cached, and the cache does not see when the code changes
_CHECK_VERSION = 1


@dataclass(frozen=True)
class SkippedPicture:
    """A picture of the table that was left out: its `file_name`, and the `reason` in one line."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class RatedFolder:
    """
    What `load_folder` found.

    Args:
        splits (`DatasetDict`):
            `train`, `validation` and `test`; a split without pictures is absent.
        scale (`RatingScale`):
            The scale of the ratings, given or inferred.
        skipped (`list[SkippedPicture]`):
            Pictures that are missing or cannot be read.
    """

    splits: DatasetDict
    scale: RatingScale
    skipped: list[SkippedPicture]


def load_folder(
    data_dir: str | Path,
    table: str | Path | None = None,
    scale: RatingScale | None = None,
    *,
    attributes: Mapping[str, Value] | None = None,
    max_skipped: float = 0.5,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    num_proc: int | None = None,
) -> RatedFolder:
    """
    Loads pictures and the table that rates them.

    The table is called `ratings`, `labels` or `metadata` and ends in `.csv` (UTF-8, commas), `.jsonl` or `.parquet`.
    Its columns tell which of three kinds it is; `file_name` may also be called `image`, `file`, `path` or `filename`:

    - votes, one row a picture: `file_name` and `votes_1` to `votes_N`, or a list of N numbers in `vote_counts`.
      Without a `scale` the bins are rated 1 to N;
    - single ratings: `file_name`, `rating` and, if known, `rater_id`. Without a `scale` it is 1..5, 1..7 or 1..10,
      provided that each of these ratings occurs, and no other;
    - means, one row a picture: `file_name`, `score_mean` (or `mean`) and, if known, `score_std` (or `std`) and
      `num_votes`. The `scale` has to be given, and `vote_counts` is null.

    Files are looked for in `data_dir`, then in `data_dir/images`. `image_id` is the column of that name, or else the
    file name as the table writes it. A column `split` says `train`, `validation` (also `val` or `dev`) or `test`;
    without it [`hash_split`] of the id does. That parts pictures which resemble each other, so that bursts and series
    need a column `split`. Other columns of numbers or text, in which a picture has one value, stay as attributes.

    Every picture is decoded once, and the verdict is kept until its file changes. Pictures that are missing or cannot
    be read are left out, counted in a warning, and listed in `skipped`.

    Args:
        data_dir (`str` or `Path`):
            Folder of the pictures.
        table (`str` or `Path`, *optional*):
            The table, relative to `data_dir`. By default it is found by its name.
        scale (`RatingScale`, *optional*):
            The rating scale.
        attributes (`Mapping[str, Value]`, *optional*):
            The attributes to keep, with their types. By default all, with the types of their values.
        max_skipped (`float`, *optional*, defaults to 0.5):
            Largest share of the pictures that may be left out; 0 for a benchmark, which must be complete.
        validation, test (`float`, *optional*, default to 0.1):
            Expected shares of these splits, where the table has no column `split`.
        seed (`int`, *optional*, defaults to 0):
            Seed of the splits, where the table has no column `split`.
        num_proc (`int`, *optional*):
            Number of processes that decode the pictures.

    Returns:
        [`RatedFolder`]: The splits, the scale, and the pictures left out.

    Raises:
        FileNotFoundError: If there is no such folder or table.
        ValueError: If several tables could be meant, the table is refused by [`read_rating_table`], or too many
            pictures cannot be read.

    Example:
        >>> load_folder("holiday")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected the folder of the pictures, found no folder 'holiday'. Check `data_dir`.
    """
    data_dir = Path(data_dir)
    path = _find_table(data_dir, table)
    content = read_rating_table(path, scale, attributes)
    files = [_locate(data_dir, record["file_name"]) for record in content.records]
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    skipped = []
    for record, file, problem in zip(content.records, files, _find_problems(files, num_proc), strict=True):
        file_name, split = record.pop("file_name"), record.pop("split")
        if problem is not None:
            skipped.append(SkippedPicture(file_name, problem))
            continue
        rows[split or hash_split(record["image_id"], validation, test, seed)].append({"image": file, **record})
    if skipped:
        names = ", ".join(picture.file_name for picture in skipped[:3]) + (", ..." if len(skipped) > 3 else "")
        report = f"{path}: {len(skipped)} of {len(files)} pictures cannot be used: {names}. {skipped[0].reason}"
        if len(skipped) > max_skipped * len(files):
            raise ValueError(f"{report} File names are relative to {str(data_dir)!r} or its subfolder 'images'.")
        logger.warning("%s They are left out; `skipped` has all reasons.", report)
    features = rating_features(content.scale.num_bins, content.attribute_types)
    splits: dict[str | NamedSplit, Dataset] = {
        split: _build_dataset(split, features, found) for split, found in rows.items() if found
    }
    return RatedFolder(DatasetDict(splits), content.scale, skipped)


def _find_table(data_dir: Path, table: str | Path | None) -> Path:
    if not data_dir.is_dir():
        raise FileNotFoundError(
            f"Expected the folder of the pictures, found no folder {str(data_dir)!r}. Check `data_dir`."
        )
    names = TABLE_NAMES if table is None else (str(table),)
    found = [name for name in names if (data_dir / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"Expected a table in the folder {str(data_dir)!r}, found none of {', '.join(names)}. "
            "Write one with the columns file_name and rating, or check `table`."
        )
    if len(found) > 1:
        raise ValueError(f"Expected one table in the folder {str(data_dir)!r}, found {found}. Pass `table`.")
    return data_dir / found[0]


def _locate(data_dir: Path, file_name: str) -> str:
    path = data_dir / file_name
    in_images = data_dir / "images" / file_name
    return str((in_images if in_images.is_file() and not path.is_file() else path).absolute())


def _find_problems(files: list[str], num_proc: int | None) -> Sequence[str | None]:
    """What is wrong with each picture; `None` where nothing is. Decoding takes long, so the verdicts are cached."""
    verdicts = Dataset.from_generator(
        _check_pictures,
        features=Features({"problem": Value("string")}),
        gen_kwargs={"files": files, "stamps": _stamp_files(files), "version": _CHECK_VERSION},
        num_proc=num_proc,
        split=NamedSplit("verdicts"),
    )
    return verdicts["problem"][:]


def _stamp_files(files: list[str]) -> list[str | None]:
    """Size and time of every file, so that what is cached of a picture is made again when its file changes."""
    stats = [Path(file).stat() if Path(file).is_file() else None for file in files]
    return [stat and f"{stat.st_size} bytes at {stat.st_mtime_ns}" for stat in stats]


def _check_pictures(files: list[str], stamps: list[str | None], version: int) -> Iterator[dict[str, str | None]]:
    for file in files:
        yield {"problem": _find_problem(file)}


def _find_problem(file: str) -> str | None:
    try:
        read_image(file)
    except ImageReadError as error:
        return str(error)
    try:
        Image().decode_example({"path": file, "bytes": None})  # as the rows of the data set will be decoded
    except Exception as error:  # decoders raise a dozen types, and each would end an epoch
        return f"Cannot read {file!r} by PIL alone ({error}). Save it as JPEG or PNG."
    return None


def _build_dataset(split: str, features: Features, rows: list[dict[str, Any]]) -> Dataset:
    # tuples, because a list would be cut into one shard a row; a file on disk, so that `map` caches its results
    stamps = tuple(_stamp_files([row["image"] for row in rows]))
    return Dataset.from_generator(
        _yield_rows, features=features, gen_kwargs={"rows": tuple(rows), "stamps": stamps}, split=NamedSplit(split)
    )


def _yield_rows(rows: tuple[dict[str, Any], ...], stamps: tuple[str | None, ...]) -> Iterator[dict[str, Any]]:
    yield from rows
