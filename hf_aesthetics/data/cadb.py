"""CADB: photographs whose composition five experts rated, with scene, composition classes and attributes.

Knows nothing about models.
"""

from pathlib import Path
from typing import Any

import numpy as np
from datasets import List, Value

from ..licensing import Permission
from .aadb import ATTRIBUTES, read_attributes
from .columns import DatasetFacts, RatingScale, vote_statistics
from .folder import RatedFolder, collect_pictures
from .splits import hash_split
from .table_rows import TableRow, find_file, find_pictures, read_json_object


CADB_SCALE = RatingScale(1, 5, 5)

FACTS = DatasetFacts(
    name="CADB",
    license="labels: licence not stated; photographs: Creative Commons on Flickr, for research",
    description=(
        "Photographs of AADB, each rated for its composition from 1 to 5 by five people with a background in fine art "
        "(Composition Assessment Database, CADB)."
    ),
    source_url="https://github.com/bcmi/Image-Composition-Assessment-Dataset-CADB",
    citation=(
        "Zhang, B., Niu, L., & Zhang, L. (2021). Image composition assessment with saliency-augmented multi-pattern "
        "pooling. British Machine Vision Conference. arXiv:2104.03133."
    ),
    pictures=Permission(False, "CADB's photographs are those of AADB, which are for research only"),
    ratings=Permission(None, "the authors of CADB have not said under which terms its labels are"),
    weights=Permission(None, "the authors of CADB have not said under which terms its labels are"),
)

_SCORES, _SPLIT = "composition_scores.json", "split.json"
_SCENES, _ELEMENTS, _ATTRIBUTES = "scene_categories.json", "composition_elements.json", "composition_attributes.json"


def load_cadb(
    data_dir: str | Path,
    *,
    validation: float = 0.05,
    with_pictures: bool = True,
    max_skipped: float = 0.01,
    num_proc: int | None = None,
) -> RatedFolder:
    """
    Loads CADB (Zhang, Niu & Zhang 2021) from its published layout, in `data_dir` or `data_dir/CADB_Dataset`:
    `composition_scores.json`, `split.json` and the pictures as `images/<name>`; beside them or in `annotations`
    `scene_categories.json`, `composition_elements.json` and, where it is there, `composition_attributes.json`.

    The test split is the official one, of 950 pictures; the others are for training, and of them a share for
    validation, by a hash of the name.

    Args:
        data_dir (`str` or `Path`):
            The folder.
        validation (`float`, *optional*, defaults to 0.05):
            Expected share of the validation split in what is not for test.
        with_pictures (`bool`, *optional*, defaults to `True`):
            Without them there is no column `image`, and no picture has to be there.
        max_skipped (`float`, *optional*, defaults to 0.01):
            Largest share of the pictures that may be missing or unreadable.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures, the first time.

    Returns:
        [`RatedFolder`]: Beyond the common columns: `scene_category`, `composition_classes` (one to six of 13 rules, or
        `none`) and, where they are there, the attributes of [`~hf_aesthetics.data.aadb.load_aadb`].

    Raises:
        FileNotFoundError: If a file or the folder of the pictures is missing.
        ValueError: If an entry is malformed, or too many pictures cannot be used.

    Example:
        >>> load_cadb("cadb", with_pictures=False)
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected composition_scores.json or CADB_Dataset/composition_scores.json or annotations/composition_scores.json in 'cadb', found none. Fetch it from https://github.com/bcmi/Image-Composition-Assessment-Dataset-CADB.
    """  # noqa: E501
    table = _find(data_dir, _SCORES)
    scores, scenes, elements = (read_json_object(_find(data_dir, name)) for name in (_SCORES, _SCENES, _ELEMENTS))
    is_test = _read_split(_find(data_dir, _SPLIT), scores)
    try:
        path = _find(data_dir, _ATTRIBUTES)
    except FileNotFoundError:  # was published later than the others
        attributes = {}
    else:
        attributes = read_attributes(read_json_object(path), path)
    records = []
    for name, entry in scores.items():
        place = f"{table}, {name}"
        records.append(
            {
                "file_name": name,
                "image_id": name,
                "split": "test" if is_test[name] else hash_split(name, validation, 0.0),
                **_count_scores(entry, place),
                "scene_category": scenes.get(name),
                # classes without elements, such as patterns, have empty lists
                "composition_classes": sorted(elements[name]) if name in elements else None,
                **(attributes.get(name, dict.fromkeys(ATTRIBUTES.values())) if attributes else {}),
            }
        )
    files = None
    if with_pictures:
        pictures = find_pictures(data_dir, ("images", "CADB_Dataset/images"), called="<name>.jpg")
        files = [f"{pictures}/{name}" for name in scores]
    types = {"scene_category": Value("string"), "composition_classes": List(Value("string"))}
    return collect_pictures(
        table,
        records,
        files,
        CADB_SCALE,
        {**types, **(dict.fromkeys(ATTRIBUTES.values(), Value("float32")) if attributes else {})},
        max_skipped=max_skipped,
        shares=(validation, 0.0, 0),
        num_proc=num_proc,
    )


def _find(data_dir: str | Path, name: str) -> Path:
    return find_file(data_dir, (name, f"CADB_Dataset/{name}", f"annotations/{name}"), FACTS.source_url)


def _read_split(path: Path, scores: dict[str, Any]) -> dict[str, bool]:
    split = read_json_object(path)
    lists = [set(split.get(part, ())) for part in ("train", "test")]
    for name in scores:
        if sum(name in names for names in lists) != 1:
            raise ValueError(f"{path}: expected {name} in `train` or in `test`, not both. Fetch the file again.")
    return {name: name in lists[1] for name in scores}


def _count_scores(entry: Any, place: str) -> dict[str, Any]:
    scores = entry.get("scores") if isinstance(entry, dict) else None
    if not isinstance(scores, list) or not scores:
        raise ValueError(f"{place}: expected a list `scores`, got {entry!r:.80}. Fetch the file again.")
    votes = [TableRow({"scores": score}, place).whole("scores", 1, 5) for score in scores]
    statistics = vote_statistics(np.bincount(votes, minlength=6)[1:], CADB_SCALE, place)
    if abs(entry.get("mean", statistics["score_mean"]) - statistics["score_mean"]) > 0.01:
        raise ValueError(
            f"{place}: expected `mean` {statistics['score_mean']:g} from `scores`, got {entry['mean']}. "
            "Fetch the file again."
        )
    return statistics
