"""FGAesthetics: series of nearly alike pictures, bursts, generations and crops, compared two by two.

Knows nothing about models. The labels are published without a word on what their columns mean; what they are taken for
here is a reading, checked as far as it can be.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Value

from ..licensing import Permission
from .columns import DatasetFacts
from .pairs import ComparedPictures, collect_pairs
from .table_rows import TableRow


FACTS = DatasetFacts(
    name="FGAesthetics",
    license="labels: licence not stated; pictures: from several collections, under the terms of each",
    description=(
        "32,217 pictures in 10,028 series of 2 to 10 that resemble each other: bursts and frames of videos, "
        "generations of one prompt, crops of one photograph. Ten trained people compared all pairs of a series."
    ),
    source_url="https://huggingface.co/datasets/yzc002/FGAesthetics",
    citation=(
        "Yang, Z., Wang, J., Zhang, Z., Xie, P., Sheng, X., Chen, P., & Li, L. (2026). Fine-grained image aesthetic "
        "assessment: Learning discriminative scores from relative ranks. arXiv:2603.03907."
    ),
    pictures=Permission(False, "FGAesthetics takes its pictures from other collections, whose terms hold"),
    ratings=Permission(None, "the authors of FGAesthetics have not said under which terms its labels are"),
    weights=Permission(None, "the authors of FGAesthetics have not said under which terms its labels are"),
)

COLUMNS = ("series", "image_a", "image_b", "preference", "column_5", "column_6")
"""What the six columns are taken for, in their order, unless `columns` says otherwise."""

_SOURCES = {"natural": "natural", "aigc": "aigc", "crop": "cropping"}  # as part of a file's name
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_NUM_ROWS = {
    "train": {"natural": 11196, "aigc": 4592, "cropping": 22258},
    "validation": {"natural": 538, "aigc": 585, "cropping": 1297},
    "test": {"natural": 824, "aigc": 847, "cropping": 2088},
}
_SERIES_LENGTHS = range(2, 11)

logger = logging.getLogger(__name__)


def load_fgaesthetics(
    data_dir: str | Path,
    *,
    columns: Sequence[str] = COLUMNS,
    picture_name: str | None = None,
    max_skipped: float = 0.01,
    num_proc: int | None = None,
) -> ComparedPictures:
    """
    Loads FGAesthetics ([Yang et al. 2026](https://huggingface.co/papers/2603.03907)) from its nine text files, one for
    each split and source, such as `train_natural.txt`, anywhere below `data_dir`.

    A row is six numbers, apart by spaces or commas, a comparison of two pictures of a series. Nothing published says
    which number is which. By default they are taken for `COLUMNS`: the number of the series, those of its two pictures,
    the preference (1 the first is better, 0 the second, 0.5 neither), and two more that are kept as they are. A reading
    is refused, with what each column looks like, unless

    - series and pictures are whole numbers, no picture is compared with itself, and preferences are 0, 0.5 or 1;
    - each series has 2 to 10 pictures, as the paper says, and is in one split;
    - the preferences of a series do not run in a circle, because they are said to come from one rank.

    What no check can tell is whether 1 stands for the first or for the second picture: look at some pairs. Columns
    that are read wrongly, but pass, would show as a scorer that is right in half of the pairs.

    Args:
        data_dir (`str` or `Path`):
            The folder.
        columns (`Sequence[str]`, *optional*):
            Names of the six columns in their order. `series`, `image_a`, `image_b` and `preference` must be there.
        picture_name (`str`, *optional*):
            Where a picture lies below `data_dir`, such as `"images/{source}/{series}/{image}.jpg"`. Without it there is
            no column `image`, and no picture has to be there.
        max_skipped (`float`, *optional*, defaults to 0.01):
            Largest share of the pictures that may be missing or unreadable.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures, the first time.

    Returns:
        [`ComparedPictures`]: `pictures` has `series_id`, `series_rank` and `source`; `pairs` has `series_id`, `source`
        and the two columns of unknown meaning. The rank is the number of pictures that have to come before: the length
        of the longest chain of better ones. The published splits part no series.

    Raises:
        FileNotFoundError: If one of the nine files is missing.
        ValueError: If the files cannot be read like that, or too many pictures cannot be used.

    Example:
        >>> load_fgaesthetics("fgaesthetics")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected a text file for train and natural below 'fgaesthetics', such as train_natural.txt, found none. Fetch it from https://huggingface.co/datasets/yzc002/FGAesthetics.
    """  # noqa: E501
    data_dir = Path(data_dir)
    needed = ("series", "image_a", "image_b", "preference")
    if len(columns) != 6 or len(set(columns)) != 6 or not set(needed) <= set(columns):
        raise ValueError(f"`columns` must be six names, among them {', '.join(needed)}, got {list(columns)}.")
    unknown = [column for column in columns if column not in needed]
    records: list[dict[str, Any]] = []
    for split, counts in _NUM_ROWS.items():
        for source, expected in counts.items():
            rows = _read_rows(_find_file(data_dir, split, source), columns)
            if len(rows) != expected:
                logger.warning(
                    "FGAesthetics, %s of %s: %d rows, while the release of 2026 has %d.",
                    split,
                    source,
                    len(rows),
                    expected,
                )
            records += [_read_record(row, split, source, unknown) for row in rows]
    ranks = _rank_series(records)
    pictures = {
        image: {"image_id": image, "series_id": series, "series_rank": rank, "source": image.partition("/")[0]}
        for series, members in ranks.items()
        for image, rank in members.items()
    }
    files = None
    if picture_name is not None:
        files = {image: str((data_dir / _fill(picture_name, image)).absolute()) for image in pictures}
    return collect_pairs(
        "FGAesthetics",
        records,
        pictures,
        files,
        {record[side]: record["split"] for record in records for side in ("image_a", "image_b")},
        pair_types={
            "series_id": Value("string"),
            "source": Value("string"),
            **dict.fromkeys(unknown, Value("float32")),
        },
        picture_types={"series_id": Value("string"), "series_rank": Value("int32"), "source": Value("string")},
        max_skipped=max_skipped,
        num_proc=num_proc,
    )


def _find_file(data_dir: Path, split: str, source: str) -> Path:
    found = [
        path
        for path in sorted(data_dir.rglob("*.txt"))
        if _word(_SPLITS, path, data_dir) == split and _word(_SOURCES, path, data_dir) == source
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(path) for path in found) or "none"
    raise FileNotFoundError(
        f"Expected a text file for {split} and {source} below {str(data_dir)!r}, such as {split}_{source}.txt, found "
        f"{names}. Fetch it from {FACTS.source_url}."
    )


def _word(words: dict[str, str], path: Path, data_dir: Path) -> str | None:
    """What a file's name, with its folders, says; `None` unless it says exactly one thing."""
    name = str(path.relative_to(data_dir)).lower()
    found = {meaning for word, meaning in words.items() if word in name}
    return found.pop() if len(found) == 1 else None


def _read_rows(path: Path, columns: Sequence[str]) -> list[TableRow]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        cells = line.replace(",", " ").split()
        if not cells:
            continue
        if len(cells) != 6:
            raise ValueError(f"{path}, row {number}: expected six numbers, got {line!r:.80}. Fetch the file again.")
        rows.append(TableRow(dict(zip(columns, cells, strict=True)), f"{path}, row {number}"))
    try:
        for row in rows:
            for column in ("series", "image_a", "image_b"):
                row.whole(column, 0, 2**53)
            if row.number("preference", 0, 1) not in (0, 0.5, 1):
                raise ValueError(
                    f"{row.place}: `preference` must be 0, 0.5 or 1, got {row.cells['preference']}. Correct the row."
                )
            if row.whole("image_a", 0, 2**53) == row.whole("image_b", 0, 2**53):
                raise ValueError(f"{row.place}: `image_a` and `image_b` are both {row.cells['image_a']}.")
    except ValueError as error:
        raise _misread(str(error), rows, columns) from error
    return rows


def _misread(problem: str, rows: Iterable[TableRow], columns: Sequence[str]) -> ValueError:
    """What is wrong, what the columns look like, and what to do."""
    looks = []
    for number, column in enumerate(columns, start=1):
        values = sorted({float(row.number(column, float("-inf"), float("inf"))) for row in rows})
        shown = ", ".join(f"{value:g}" for value in values)
        shown = shown if len(values) <= 3 else f"{len(values)} values from {values[0]:g} to {values[-1]:g}"
        looks.append(f"{number} ({column}): {shown}")
    return ValueError(
        f"{problem} The columns of FGAesthetics are not documented, so they may be taken for the wrong ones: "
        f"{'; '.join(looks)}. Pass `columns` with the right names."
    )


def _read_record(row: TableRow, split: str, source: str, unknown: Sequence[str]) -> dict[str, Any]:
    series = f"{source}/{row.whole('series', 0, 2**53)}"
    return {
        **{side: f"{series}/{row.whole(side, 0, 2**53)}" for side in ("image_a", "image_b")},
        "preference": row.number("preference", 0, 1),
        "series_id": series,
        "source": source,
        "split": split,
        **{column: row.number(column, float("-inf"), float("inf")) for column in unknown},
    }


def _rank_series(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Ranks of the pictures of each series, from the comparisons that have a better one."""
    better: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    splits: dict[str, str] = {}
    for record in records:
        series, first, second = record["series_id"], record["image_a"], record["image_b"]
        if splits.setdefault(series, record["split"]) != record["split"]:
            raise ValueError(
                f"FGAesthetics: series {series} is in {splits[series]} and {record['split']}. Pass `columns` with the "
                "right names: what is taken for the series may be something else."
            )
        of_series = better[series]
        winners = {0.0: (second, first), 1.0: (first, second)}.get(record["preference"])
        _ = of_series[first], of_series[second]  # a tie, too, says that they are there
        if winners:
            of_series[winners[1]].add(winners[0])
    return {series: _chain_lengths(series, of_series) for series, of_series in better.items()}


def _chain_lengths(series: str, better: dict[str, set[str]]) -> dict[str, int]:
    if len(better) not in _SERIES_LENGTHS:
        raise ValueError(
            f"FGAesthetics: expected 2 to 10 pictures a series, got {len(better)} in series {series}. Pass `columns` "
            "with the right names: what is taken for series and pictures may be something else."
        )
    ranks: dict[str, int] = {}
    while len(ranks) < len(better):
        ready = [image for image, others in better.items() if image not in ranks and others <= ranks.keys()]
        if not ready:
            circle = sorted(better.keys() - ranks.keys())
            raise ValueError(
                f"FGAesthetics: the preferences of series {series} run in a circle among {', '.join(circle)}. Pass "
                "`columns` with the right names: what is taken for the preference may be something else."
            )
        ranks |= {image: 1 + max((ranks[other] for other in better[image]), default=-1) for image in ready}
    return ranks


def _fill(picture_name: str, image_id: str) -> str:
    source, series, image = image_id.split("/")
    try:
        return picture_name.format(source=source, series=series, image=image)
    except (KeyError, IndexError) as error:
        raise ValueError(
            f"`picture_name` may hold {{source}}, {{series}} and {{image}}, got {picture_name!r}. Correct it."
        ) from error
