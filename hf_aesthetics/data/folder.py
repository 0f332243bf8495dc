"""A folder of one's own pictures with a table that rates them.

Knows nothing about models. What the table may look like is the matter of `rating_tables.py`, which pictures can be
used that of `picture_checks.py`.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Features, NamedSplit, Value

from .columns import DatasetFacts, RatingScale, rating_features
from .picture_checks import SkippedPicture, check_pictures, stamp_files
from .rating_tables import read_rating_table
from .splits import SPLITS, hash_split


FACTS = DatasetFacts(name="a folder of rated pictures", license="the user's own, licence not stated")

TABLE_NAMES = tuple(
    f"{stem}.{suffix}" for stem in ("ratings", "labels", "metadata") for suffix in ("csv", "jsonl", "parquet")
)
"""Names by which `load_folder` finds a table."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RatedFolder:
    """
    A folder of rated pictures, as its loader found it.

    Args:
        splits (`DatasetDict`):
            `train`, `validation` and `test`; a split without pictures is absent.
        scale (`RatingScale`):
            The scale of the ratings, given or inferred.
        skipped (`list[SkippedPicture]`):
            Pictures of the table that were left out, most often because they are missing or cannot be read.
    """

    splits: DatasetDict
    scale: RatingScale
    skipped: list[SkippedPicture]

    @property
    def skipped_by_kind(self) -> dict[str, int]:
        """How many pictures were left out for each kind of reason, the most frequent first."""
        return dict(Counter(picture.kind for picture in self.skipped).most_common())


def load_folder(
    data_dir: str | Path,
    table: str | Path | None = None,
    scale: RatingScale | None = None,
    *,
    attributes: Mapping[str, Value] | None = None,
    score_column: str | None = None,
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
        score_column (`str`, *optional*):
            Column of means that stands in place of all ratings; then `scale` is that of these means.
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
    content = read_rating_table(path, scale, attributes, score_column)
    return collect_pictures(
        path,
        content.records,
        [_locate(data_dir, record["file_name"]) for record in content.records],
        content.scale,
        content.attribute_types,
        max_skipped=max_skipped,
        shares=(validation, test, seed),
        num_proc=num_proc,
        advice=f"File names are relative to {str(data_dir)!r} or its subfolder 'images'.",
    )


def collect_pictures(
    table: Path,
    records: Sequence[dict[str, Any]],
    files: Sequence[str] | None,
    scale: RatingScale,
    attributes: Mapping[str, Any],
    *,
    max_skipped: float,
    shares: tuple[float, float, int],
    num_proc: int | None = None,
    advice: str = "Fetch the others, or pass a larger `max_skipped` and state the fingerprint of your splits.",
) -> RatedFolder:
    """
    Checks the pictures that a table rates, and puts them into their splits.

    Args:
        table (`Path`):
            What errors and warnings call the collection.
        records (`Sequence[dict]`):
            One a picture: `file_name`, `image_id`, `split` or `None`, the label columns of `columns.py`, attributes.
        files (`Sequence[str]`, *optional*):
            Their paths. Without them there is no column `image`, and no picture has to be there.
        scale (`RatingScale`):
            The scale of the ratings.
        attributes (`Mapping[str, Any]`):
            Types of the attributes.
        max_skipped (`float`):
            Largest share of the pictures that may be left out.
        shares (`tuple[float, float, int]`):
            Shares of validation and test, and the seed, for records without a split.
        num_proc (`int`, *optional*):
            Number of processes that decode the pictures.
        advice (`str`, *optional*):
            How the error about too many pictures left out ends.

    Raises:
        ValueError: If too many pictures cannot be read.
    """
    names = [record["file_name"] for record in records]
    problems = [None] * len(records) if files is None else check_pictures(files, names, num_proc)
    skipped = [problem for problem in problems if problem is not None]
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for number, (record, problem) in enumerate(zip(records, problems, strict=True)):
        if problem is None:
            row = {name: value for name, value in record.items() if name not in ("file_name", "split")}
            image = {} if files is None else {"image": files[number]}
            rows[record["split"] or hash_split(record["image_id"], *shares)].append({**image, **row})
    if skipped:
        listed = ", ".join(picture.file_name for picture in skipped[:3]) + (", ..." if len(skipped) > 3 else "")
        report = f"{table}: {len(skipped)} of {len(records)} pictures cannot be used: {listed}. {skipped[0].reason}"
        if len(skipped) > max_skipped * len(records):
            raise ValueError(f"{report} {advice}")
        logger.warning("%s They are left out; `skipped` has all reasons.", report)
    features = rating_features(scale.num_bins, attributes)
    if files is None:
        del features["image"]
    splits: dict[str | NamedSplit, Dataset] = {
        split: build_dataset(split, features, found) for split, found in rows.items() if found
    }
    return RatedFolder(DatasetDict(splits), scale, skipped)


def build_dataset(split: str, features: Features, rows: list[dict[str, Any]]) -> Dataset:
    """Rows as a data set on disk, which is made again when a file of its column `image` changes."""
    # tuples, because a list would be cut into one shard a row; a file on disk, so that `map` caches its results
    stamps = tuple(stamp_files([row["image"] for row in rows if "image" in row]))
    return Dataset.from_generator(
        _yield_rows, features=features, gen_kwargs={"rows": tuple(rows), "stamps": stamps}, split=NamedSplit(split)
    )


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


def _yield_rows(rows: tuple[dict[str, Any], ...], stamps: tuple[str | None, ...]) -> Iterator[dict[str, Any]]:
    yield from rows
