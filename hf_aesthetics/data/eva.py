"""EVA: pictures of AVA with single votes on beauty and on four attributes that explain it.

Knows nothing about models.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Value

from ..licensing import Permission
from .columns import DatasetFacts, RatingScale, vote_statistics
from .folder import RatedFolder, collect_pictures
from .table_rows import TableRow, find_file, find_pictures, read_delimited


EVA_SCALE = RatingScale(0, 10, 11)

FACTS = DatasetFacts(
    name="EVA",
    license="labels: CC0; the photographs belong to their photographers",
    description=(
        "Photographs of AVA, each rated online from 0 to 10 by 30 to 46 people, and from 1 to 4 in light and colour, "
        "composition and depth, quality, and semantics (Explainable Visual Aesthetics, EVA)."
    ),
    source_url="https://github.com/kang-gnak/eva-dataset",
    citation=(
        "Kang, C., Valenzise, G., & Dufaux, F. (2020). EVA: An explainable visual aesthetics dataset. Joint Workshop "
        "on Aesthetic and Technical Quality Assessment of Multimedia and Media Analytics for Societal Trends."
    ),
    pictures=Permission(False, "EVA's photographs are AVA's, and all rights to them are with the photographers"),
    ratings=Permission(True, "published under CC0", "cc0-1.0"),
    weights=Permission(True, "by our reading CC0 sets no terms for what is learnt from the ratings"),
)

_ATTRIBUTES = ("visual", "composition", "quality", "semantic")
_COLUMNS = ("image_id", "score", "difficulty", *_ATTRIBUTES)
_CONTENT = "image_content_category.csv"
_CONTENT_NAMES = (
    "animals",
    "architecture and city scenes",
    "human",
    "natural and rural scenes",
    "still life",
    "other",
)
_PICTURE_FOLDERS = ("images/EVA_together", "EVA_together", "images")


def load_eva(
    data_dir: str | Path,
    *,
    filtered: bool = True,
    validation: float = 0.1,
    test: float = 0.2,
    with_pictures: bool = True,
    max_skipped: float = 0.01,
    num_proc: int | None = None,
) -> RatedFolder:
    """
    Loads EVA (Kang, Valenzise & Dufaux 2020) from its published layout: `data/votes_filtered.csv` and
    `data/image_content_category.csv`, also without the folder `data`; the pictures as `images/EVA_together/<id>.jpg`.

    There are no published splits: a hash of the id decides. Every picture is one of AVA and has its id there, so that
    a model trained on AVA must not be measured here unless EVA was kept out: give `image_content_category.csv` as
    `exclude_ids` to [`~hf_aesthetics.data.ava.load_ava`]. Ids are checked, so that what a checkpoint has seen of AVA
    is found again.

    Args:
        data_dir (`str` or `Path`):
            The folder.
        filtered (`bool`, *optional*, defaults to `True`):
            The votes that the authors kept, of 4,070 pictures; otherwise all of `votes.csv`.
        validation, test (`float`, *optional*, default to 0.1 and 0.2):
            Expected shares of these splits.
        with_pictures (`bool`, *optional*, defaults to `True`):
            Without them there is no column `image`, and no picture has to be there.
        max_skipped (`float`, *optional*, defaults to 0.01):
            Largest share of the pictures that may be missing or unreadable.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures, the first time.

    Returns:
        [`RatedFolder`]: Beyond the common columns, means of the votes from 1 (very bad) to 4: `visual_mean` (light and
        colour), `composition_mean` (and depth), `quality_mean`, `semantic_mean`; `ease_mean`, from 1 (very difficult
        to judge) to 4; and `content_category`.

    Raises:
        FileNotFoundError: If a table or the folder of the pictures is missing.
        ValueError: If a row is malformed, or too many pictures cannot be used.

    Example:
        >>> load_eva("eva")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected data/votes_filtered.csv or votes_filtered.csv in 'eva', found none. Fetch it from https://github.com/kang-gnak/eva-dataset.
    """  # noqa: E501
    name = "votes_filtered.csv" if filtered else "votes.csv"
    table = find_file(data_dir, (f"data/{name}", name), FACTS.source_url)
    content = _read_content(find_file(data_dir, (f"data/{_CONTENT}", _CONTENT), FACTS.source_url))
    rows = defaultdict(list)
    # browsers name themselves with the delimiter in it
    for row in read_delimited(table, _COLUMNS, delimiter="=", free_text="device"):
        rows[_read_id(row)].append(row)
    records = [
        {**_summarize(image_id, votes), "content_category": content.get(image_id)} for image_id, votes in rows.items()
    ]
    files = None
    if with_pictures:
        pictures = find_pictures(data_dir, _PICTURE_FOLDERS)
        files = [f"{pictures}/{record['file_name']}" for record in records]
    means = dict.fromkeys([f"{name}_mean" for name in (*_ATTRIBUTES, "ease")], Value("float32"))
    return collect_pictures(
        table,
        records,
        files,
        EVA_SCALE,
        {**means, "content_category": Value("string")},
        max_skipped=max_skipped,
        shares=(validation, test, 0),
        num_proc=num_proc,
    )


def _read_id(row: TableRow) -> str:
    """An id as AVA writes it: digits, without `.jpg` or leading zeros."""
    return str(row.whole("image_id", 1, 10**9))


def _read_content(path: Path) -> dict[str, str]:
    rows = read_delimited(path, ("image_id", "sort"))
    return {_read_id(row): _CONTENT_NAMES[row.whole("sort", 1, len(_CONTENT_NAMES)) - 1] for row in rows}


def _summarize(image_id: str, votes: list[TableRow]) -> dict[str, Any]:
    """The votes of a picture, counted and averaged; people could leave out all but the score."""
    scores = [row.whole("score", 0, 10) for row in votes]
    statistics = vote_statistics(np.bincount(scores, minlength=EVA_SCALE.num_bins), EVA_SCALE, votes[0].place)
    means = {}
    for column in (*_ATTRIBUTES, "difficulty"):
        given = [row.whole(column, 1, 4) for row in votes if row.cells[column] is not None]
        means["ease_mean" if column == "difficulty" else f"{column}_mean"] = float(np.mean(given)) if given else None
    return {"file_name": f"{image_id}.jpg", "image_id": image_id, "split": None, **statistics, **means}
