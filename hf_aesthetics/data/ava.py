"""AVA: a quarter of a million photographs of an online contest, with the votes that each of them got.

Knows nothing about models. Which pictures can be used is the matter of `picture_checks.py`.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import DatasetDict, Features, List, Value

from ..licensing import Permission
from .cache_files import keep_table
from .columns import DatasetFacts, RatingScale, rating_features
from .folder import RatedFolder
from .picture_checks import SkippedPicture, check_pictures, stamp_files
from .splits import SPLITS, hash_split
from .table_rows import find_pictures


AVA_SCALE = RatingScale(1, 10, 10)

FACTS = DatasetFacts(
    name="AVA",
    license="research only; the photographs belong to their photographers, who ask not to pass on pictures or data",
    description=(
        "Photographs of the contests of dpchallenge.com (Aesthetic Visual Analysis, AVA), each rated from 1 to 10 by "
        "78 to 549 people."
    ),
    source_url="https://github.com/imfing/ava_downloader",
    citation=(
        "Murray, N., Marchesotti, L., & Perronnin, F. (2012). AVA: A large-scale database for aesthetic visual "
        "analysis. IEEE Conference on Computer Vision and Pattern Recognition, 2408-2415. "
        "doi:10.1109/CVPR.2012.6247954."
    ),
    pictures=Permission(False, "all rights to AVA's photographs are with the photographers"),
    ratings=Permission(False, "the authors of AVA ask not to redistribute its data"),
    weights=Permission(True, "by our reading AVA sets no terms for what is learnt from it, and weights hold no votes"),
)

# as users of the published archive list them (github.com/lizhaoliu-Lec/ImageAestheticAssessmentPyTorch)
UNREADABLE_IDS = frozenset(
    "512522 627334 523555 593733 230701 564093 501015 371434 440774 501064 453704 2129 179118 1617 476416 570175 "
    "547917 502377 499068 564307 729377 639811 532055 501095 277832 556798".split()
)
"""Ids of the pictures that are known to be damaged in the published archive."""

_ATTRIBUTES = {
    "semantic_tags": List(Value("string")),
    "challenge": Value("string"),
    "styles": List(Value("string")),
}
_TABLE, _TAGS, _CHALLENGES = "AVA.txt", "tags.txt", "challenges.txt"
_TEST_LIST = "aesthetics_image_lists/generic_test.jpgl"
_STYLE_LISTS = tuple(
    f"style_image_lists/{name}" for name in ("styles.txt", "train.jpgl", "train.lab", "test.jpgl", "test.multilab")
)
_PICTURE_FOLDERS = ("images", "image", "images/images", "images/image", "image/image")
# columns of AVA.txt: running number, id, votes for 1 to 10, two tags, challenge
_NUM_COLUMNS, _ID, _VOTES, _TAG_IDS, _CHALLENGE = 15, 1, slice(2, 12), slice(12, 14), 14

logger = logging.getLogger(__name__)


def load_ava(
    data_dir: str | Path,
    *,
    validation: float = 0.05,
    exclude_ids: Iterable[str | int] | str | Path | None = None,
    with_pictures: bool = True,
    max_skipped: float = 0.01,
    num_proc: int | None = None,
) -> RatedFolder:
    """
    Loads AVA (Murray, Marchesotti & Perronnin 2012) from its published layout, in `data_dir` or `data_dir/AVA_dataset`:
    `AVA.txt`, `tags.txt`, `challenges.txt`, `aesthetics_image_lists/generic_test.jpgl` and `style_image_lists/`. The
    pictures are `<id>.jpg` in a folder `images` or `image`.

    The test split is the official list, as far as the table knows its ids: 19,930 of 20,000. Everything else is for
    training, and of it a share for validation, by a hash of the id. Of the 255,530 rows of the table the 26 that are
    known to be damaged are always left out, so that everybody has the same splits: 19,926 pictures for test and
    235,578 for training and validation.

    What a result has to be compared with: always predicting the mean histogram has an earth mover's distance of 0.0636
    (order 1) or 0.0893 (order 2), and calling every picture good (a mean above 5) is right for 70.3 % (measured on
    25,551 pictures). A model that is not better has learnt nothing.

    Every picture is decoded once, by several processes where asked, and the verdicts are kept until the files change: a
    build that was stopped goes on where it was.

    Args:
        data_dir (`str` or `Path`):
            The folder.
        validation (`float`, *optional*, defaults to 0.05):
            Expected share of the validation split in what is not for test.
        exclude_ids (`Iterable[str | int]`, `str` or `Path`, *optional*):
            Ids to keep out of training and validation, or a file with them in its first column or one called
            `image_id`. All pictures of EVA (Kang, Valenzise & Dufaux 2020) are pictures of AVA, so that a model which
            is to be probed on EVA must not be trained on them: give `image_content_category.csv` of EVA.
        with_pictures (`bool`, *optional*, defaults to `True`):
            Without them there is no column `image`, and no picture has to be there: for labels alone, or with maps of
            a modality from elsewhere. The splits are the same if all files can be read.
        max_skipped (`float`, *optional*, defaults to 0.01):
            Largest share of the pictures that may be missing or unreadable, beyond the known ones.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures, the first time.

    Returns:
        [`RatedFolder`]: The splits `train`, `validation` and `test`, and the rows that were left out, of the kinds
        `"known to be damaged"`, `"excluded"`, `"missing"` and `"unreadable"`. Beyond the common columns:
        `semantic_tags` (up to two names), `challenge` (its name; null where `challenges.txt` has none) and `styles`
        (names; null for pictures that nobody looked at for styles, which are most).

    Raises:
        FileNotFoundError: If one of the tables or lists is missing, or the folder of the pictures.
        ValueError: If a line of a table is malformed, or too many pictures cannot be used.

    Example:
        >>> load_ava("ava")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected AVA.txt in 'ava' or 'ava/AVA_dataset', found none. Fetch it from https://github.com/imfing/ava_downloader.
    """  # noqa: E501
    data_dir = Path(data_dir)
    tables = _find_tables(data_dir)
    table = _read_table(tables / _TABLE)
    ids = table[:, _ID].astype(str).tolist()
    listed, excluded = set(_read_column(tables / _TEST_LIST)), _read_ids(exclude_ids)
    splits = ["test" if image_id in listed else hash_split(image_id, validation, 0.0) for image_id in ids]

    names = [f"{image_id}.jpg" for image_id in ids]
    files: list[str] = []
    problems: list[SkippedPicture | None] = [None] * len(ids)
    if with_pictures:
        folders = [f"{part}{name}" for part in ("", "AVA_dataset/") for name in _PICTURE_FOLDERS]
        pictures = find_pictures(data_dir, folders)
        files = [f"{pictures}/{name}" for name in names]
        problems = check_pictures(files, names, num_proc)
    for row, (image_id, split) in enumerate(zip(ids, splits, strict=True)):
        if image_id in UNREADABLE_IDS:
            reason = "It is on the list of the pictures that are damaged in the published archive."
            problems[row] = SkippedPicture(names[row], reason, "known to be damaged")
        elif image_id in excluded and split != "test":
            problems[row] = SkippedPicture(names[row], "Its id is among `exclude_ids`.", "excluded")
    found = RatedFolder(DatasetDict(), AVA_SCALE, [problem for problem in problems if problem is not None])
    _report_skipped(found, tables / _TABLE, len(ids), max_skipped)

    features = rating_features(AVA_SCALE.num_bins, _ATTRIBUTES)
    if not with_pictures:
        del features["image"]
    columns = _make_columns(table, ids, files, tables, features)
    for name in SPLITS:
        rows = [row for row, split in enumerate(splits) if split == name and problems[row] is None]
        if rows:
            stamp = repr(stamp_files(files[row] for row in rows)) if with_pictures else ""
            found.splits[name] = keep_table(columns.take(pa.array(rows)), features, name, stamp)
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in found.splits.items())
    logger.info("%s: %s; %d ids of the test list are not in the table.", tables, sizes, len(listed - set(ids)))
    return found


def _find_tables(data_dir: Path) -> Path:
    folders = (data_dir, data_dir / "AVA_dataset")
    fetch = f"Fetch it from {FACTS.source_url}."
    for folder in folders:
        if (folder / _TABLE).is_file():
            for name in (_TAGS, _CHALLENGES, _TEST_LIST, *_STYLE_LISTS):
                if not (folder / name).is_file():
                    raise FileNotFoundError(f"Expected {name} beside {_TABLE} in {str(folder)!r}, found none. {fetch}")
            return folder
    raise FileNotFoundError(f"Expected {_TABLE} in {str(folders[0])!r} or {str(folders[1])!r}, found none. {fetch}")


def _read_table(path: Path) -> np.ndarray:
    """The rows of AVA.txt, int64 of shape `(num_pictures, 15)`, each of them possible."""
    try:
        table = np.loadtxt(path, dtype=np.int64, comments=None, ndmin=2, encoding="latin-1")
    except ValueError:
        table = None
    if table is None or table.shape[1] != _NUM_COLUMNS or len(table) == 0:
        raise ValueError(_describe_malformed(path))
    votes, ids = table[:, _VOTES], table[:, _ID]
    is_repeated = np.ones(len(ids), dtype=bool)
    is_repeated[np.unique(ids, return_index=True)[1]] = False
    for is_wrong, expected in (
        ((table < 0).any(axis=1), "no negative number"),
        (votes.sum(axis=1) == 0, "at least one vote"),
        (is_repeated, "an image id that no line before has"),
    ):
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            line = _numbered_lines(path)[row][0]
            raise ValueError(
                f"{path}, line {line}: expected {expected}, got {' '.join(map(str, table[row]))!r}. Correct the line."
            )
    return table


def _numbered_lines(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(encoding="latin-1").splitlines()
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _describe_malformed(path: Path) -> str:
    expected = f"expected {_NUM_COLUMNS} whole numbers (number, image id, 10 counts of votes, 2 tags, challenge)"
    for number, line in _numbered_lines(path):
        cells = line.split()
        if len(cells) != _NUM_COLUMNS or not all(re.fullmatch(r"-?\d{1,18}", cell) for cell in cells):
            return f"{path}, line {number}: {expected}, got {line!r}. Fetch the file again, or correct the line."
    return f"{path}: {expected} a line, found no line. Fetch the file again."


def _read_column(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig").split()


def _read_names(path: Path) -> dict[int, str]:
    """A list of `id name` a line, where names may hold spaces."""
    names = {}
    for number, line in _numbered_lines(path):
        key, _, name = line.strip().partition(" ")
        if not key.isdigit() or not name.strip():
            raise ValueError(f"{path}, line {number}: expected an id and a name, got {line!r}. Correct the line.")
        names[int(key)] = name.strip()
    return names


def _read_ids(source: Iterable[str | int] | str | Path | None) -> set[str]:
    if source is None:
        return set()
    if not isinstance(source, str | Path):
        return {str(image_id) for image_id in source}
    # EVA writes commas, quotes and a byte order mark in one table, and = between the cells of the others
    lines = [re.split(r"[,;=\s]", line) for line in Path(source).read_text(encoding="utf-8-sig").splitlines()]
    rows = [[cell.strip("\"'") for cell in line] for line in lines if any(line)]
    header = rows[0] if rows and not rows[0][0].isdigit() else []
    place = header.index("image_id") if "image_id" in header else 0
    ids = [row[place] if place < len(row) else "" for row in rows[1 if header else 0 :]]
    if wrong := [image_id for image_id in ids if not image_id.isdigit()]:
        raise ValueError(f"{source}: expected image ids as whole numbers, got {wrong[0]!r}. Correct the file.")
    return set(ids)


def _report_skipped(found: RatedFolder, path: Path, num_rows: int, max_skipped: float) -> None:
    if not found.skipped:
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.skipped_by_kind.items())
    report = f"{path}: {len(found.skipped)} of {num_rows} pictures are left out ({kinds})."
    failed = [picture for picture in found.skipped if picture.kind in ("missing", "unreadable")]
    if len(failed) > max_skipped * num_rows:
        raise ValueError(
            f"{report} Expected at most {max_skipped:.1%} to be missing or unreadable, such as: {failed[0].reason} "
            "Fetch the others, or pass a larger `max_skipped` and state the fingerprint of your splits with results."
        )
    logger.warning("%s `skipped` has all reasons.%s", report, f" {failed[0].reason}" if failed else "")


def _make_columns(
    table: np.ndarray, ids: Sequence[str], files: Sequence[str], tables: Path, features: Features
) -> pa.Table:
    votes = table[:, _VOTES]
    total, bins = votes.sum(axis=1), AVA_SCALE.bin_scores
    mean = votes @ bins / total
    variance = np.maximum((votes * (bins - mean[:, None]) ** 2).sum(axis=1) / total, 0)
    columns = {
        "image_id": pa.array(ids),
        "vote_counts": pa.FixedSizeListArray.from_arrays(pa.array(votes.astype(np.int32).ravel()), AVA_SCALE.num_bins),
        "score_mean": pa.array(mean.astype(np.float32)),
        "score_std": pa.array(np.sqrt(variance).astype(np.float32)),
        "num_votes": pa.array(total.astype(np.int32)),
        "semantic_tags": _make_tags(table[:, _TAG_IDS], _read_names(tables / _TAGS), tables / _TABLE),
        "challenge": _take_names(_read_names(tables / _CHALLENGES), table[:, _CHALLENGE]),
        "styles": read_styles(ids, tables),
    }
    if files:
        content = pa.nulls(len(files), pa.binary())  # a row names its file, and `datasets` reads it
        columns["image"] = pa.StructArray.from_arrays([content, pa.array(files)], names=["bytes", "path"])
    return pa.table({name: columns[name] for name in features})


def _take_names(names: dict[int, str], keys: np.ndarray) -> pa.Array:
    """The name of each key, null where it has none."""
    size = max([*names, *keys.tolist()], default=0) + 1
    by_key = pa.array([names.get(key) for key in range(size)], pa.string())
    return by_key.take(pa.array(keys))


def _make_tags(tag_ids: np.ndarray, names: dict[int, str], path: Path) -> pa.Array:
    is_tag = tag_ids != 0
    if unknown := set(tag_ids[is_tag].tolist()) - set(names):
        raise ValueError(f"{path}: expected tags of {_TAGS}, got {sorted(unknown)[:5]}. Fetch both files again.")
    return _make_lists(_take_names(names, tag_ids[is_tag]), is_tag.sum(axis=1))


def read_styles(ids: Sequence[str], tables: Path) -> pa.Array:
    """
    Names of the styles of pictures, from `style_image_lists/` in a folder: one for a picture of the training list, of
    which the others are unknown; any number for one of the test list; null for all others.
    """
    style_names, *lists = (tables / name for name in _STYLE_LISTS)
    names = _read_names(style_names)
    train_ids, train_styles, test_ids, test_rows = (_read_column(path) for path in lists)
    if len(train_ids) != len(train_styles) or len(test_ids) * len(names) != len(test_rows):
        raise ValueError(
            f"{style_names.parent}: expected a label for each of {len(train_ids)} training ids, and {len(names)} for "
            f"each of {len(test_ids)} test ids, got {len(train_styles)} and {len(test_rows)}. Fetch the folder again."
        )
    styles = {image_id: [int(style)] for image_id, style in zip(train_ids, train_styles, strict=True)}
    is_present = np.array(test_rows).reshape(len(test_ids), len(names)) == "1"
    keys = np.array(sorted(names))
    styles |= {image_id: keys[row].tolist() for image_id, row in zip(test_ids, is_present, strict=True)}
    given = [styles.get(image_id) for image_id in ids]
    flat = np.array([style for row in given if row for style in row], dtype=np.int64)
    return _make_lists(
        _take_names(names, flat), np.array([len(row or ()) for row in given]), np.array([row is None for row in given])
    )


def _make_lists(values: pa.Array, lengths: np.ndarray, is_null: np.ndarray | None = None) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=None if is_null is None else pa.array(is_null))
