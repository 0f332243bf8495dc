"""AADB: photographs of Flickr with a mean score and the means of eleven attributes.

Knows nothing about models.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from datasets import Value

from ..licensing import Permission
from .columns import DatasetFacts, RatingScale
from .folder import RatedFolder, collect_pictures
from .table_rows import TableRow, find_file, find_pictures


AADB_SCALE = RatingScale(0, 1, 5)

FACTS = DatasetFacts(
    name="AADB",
    license="photographs: Creative Commons on Flickr, for research only; labels: licence not stated",
    description=(
        "Photographs of Flickr, each rated by five people for its beauty and for eleven attributes (Aesthetics and "
        "Attributes Database, AADB)."
    ),
    source_url="https://github.com/aimerykong/deepImageAestheticsAnalysis",
    citation=(
        "Kong, S., Shen, X., Lin, Z., Mech, R., & Fowlkes, C. (2016). Photo aesthetics ranking network with "
        "attributes and content adaptation. European Conference on Computer Vision, 662-679. arXiv:1606.01621."
    ),
    pictures=Permission(False, "the makers of AADB offer its photographs for research only"),
    ratings=Permission(None, "the makers of AADB have not said under which terms its labels are"),
    weights=Permission(None, "the makers of AADB point to a patent (US 2017/0294010 A1) and to research use"),
)

ATTRIBUTES = {
    "BalacingElements": "balancing_elements",  # as the files spell it
    "ColorHarmony": "color_harmony",
    "Content": "interesting_content",
    "DoF": "depth_of_field",
    "Light": "good_lighting",
    "MotionBlur": "motion_blur",
    "Object": "object_emphasis",
    "Repetition": "repetition",
    "RuleOfThirds": "rule_of_thirds",
    "Symmetry": "symmetry",
    "VividColor": "vivid_color",
}
"""Columns of the attributes, by the names in the published files."""

# a picture of several lists belongs to the first of them
_LISTS = {
    "test": "imgListTestNewRegression_",
    "validation": "imgListValidationRegression_",
    "train": "imgListTrainRegression_",
}
_FOLDERS = ("", "imgListFiles_label/", "labels/")
_PICTURE_FOLDERS = ("datasetImages_originalSize", "AADB_newtest_originalSize", "datasetImages_warp256")
_SCORE_PREFIX = re.compile(r"^\d(\.\d+)?_(?=farm)")


def load_aadb(
    data_dir: str | Path,
    *,
    with_pictures: bool = True,
    max_skipped: float = 0.01,
    num_proc: int | None = None,
) -> RatedFolder:
    """
    Loads AADB (Kong et al. 2016, [paper](https://huggingface.co/papers/1606.01621)) from its published layout: the lists
    `imgList<split>Regression_<attribute>.txt` with a name and a value a line, in `data_dir` or its folder
    `imgListFiles_label`; the pictures in `datasetImages_originalSize` and `AADB_newtest_originalSize`, or in
    `datasetImages_warp256`.

    The splits are the official ones, with the new list of test pictures. Pictures of that list which the older list for
    validation holds, too, are for test alone. There are means, but no votes.

    Args:
        data_dir (`str` or `Path`):
            The folder.
        with_pictures (`bool`, *optional*, defaults to `True`):
            Without them there is no column `image`, and no picture has to be there.
        max_skipped (`float`, *optional*, defaults to 0.01):
            Largest share of the pictures that may be missing or unreadable.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures, the first time.

    Returns:
        [`RatedFolder`]: `score_mean` lies in 0..1. Beyond the common columns, each from -1 (takes from the picture) to 1
        (adds to it): `balancing_elements`, `color_harmony`, `interesting_content`, `depth_of_field`, `good_lighting`,
        `motion_blur`, `object_emphasis`, `repetition`, `rule_of_thirds`, `symmetry`, `vivid_color`.

    Raises:
        FileNotFoundError: If a list or the folder of the pictures is missing.
        ValueError: If a line is malformed, lists disagree, the sign of the attributes is unclear, or too many pictures
            cannot be used.

    Example:
        >>> load_aadb("aadb")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected imgListTestNewRegression_score.txt or imgListFiles_label/imgListTestNewRegression_score.txt or labels/imgListTestNewRegression_score.txt in 'aadb', found none. Fetch it from https://github.com/aimerykong/deepImageAestheticsAnalysis.
    """  # noqa: E501
    splits: dict[str, str] = {}
    values: dict[str, dict[str, float]] = {}
    for split, prefix in _LISTS.items():
        lists = {
            name: _read_list(
                find_file(data_dir, [f"{folder}{prefix}{name}.txt" for folder in _FOLDERS], FACTS.source_url)
            )
            for name in ("score", *ATTRIBUTES)
        }
        for name, found in lists.items():
            if differing := found.keys() ^ lists["score"].keys():
                raise ValueError(
                    f"{prefix}{name}.txt: expected the pictures of {prefix}score.txt, differs in {len(differing)}, "
                    f"such as {min(differing)}. Fetch both again."
                )
        for image_id in lists["score"]:
            if splits.setdefault(image_id, split) == split:
                values[image_id] = {name: found[image_id] for name, found in lists.items()}
    table = Path(data_dir)
    attributes = read_attributes(values, table)
    records = [
        {
            "file_name": image_id,
            "image_id": image_id,
            "split": splits[image_id],
            "vote_counts": None,
            "score_mean": TableRow(row, f"{table}, {image_id}").number("score", 0, 1),
            "score_std": None,
            "num_votes": None,
            **attributes[image_id],
        }
        for image_id, row in values.items()
    ]
    return collect_pictures(
        table,
        records,
        _locate(data_dir, values) if with_pictures else None,
        AADB_SCALE,
        dict.fromkeys(ATTRIBUTES.values(), Value("float32")),
        max_skipped=max_skipped,
        shares=(0.0, 0.0, 0),
        num_proc=num_proc,
    )


def _read_list(path: Path) -> dict[str, float]:
    values = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        name, *cells = line.split()
        row = TableRow({"value": cells[0] if cells else None}, f"{path}, line {number}")
        name = _SCORE_PREFIX.sub("", name)
        if name in values:
            raise ValueError(f"{row.place}: expected a picture that no line before has, got {name}. Correct the line.")
        values[name] = row.number("value", -1, 3)
    return values


def read_attributes(values: Mapping[str, Mapping[str, float]], path: Path) -> dict[str, dict[str, float]]:
    """
    The attributes of pictures in -1..1, by the columns of [`ATTRIBUTES`].

    Releases write them as means in -1..1, or of 1 (negative), 2 (null) and 3 (positive); which of both it is shows the
    range of all of them together. Either way they have to rise with the overall score.

    Args:
        values (`Mapping[str, Mapping[str, float]]`):
            Of each picture the published names with their values, and `score`.
        path (`Path`):
            What errors call the file.

    Raises:
        ValueError: If a value is missing, the range is of neither kind, or high values mean something bad.

    Example:
        >>> published = {"a.jpg": dict.fromkeys(ATTRIBUTES, 1.2) | {"score": 0.1}}
        >>> round(read_attributes(published, Path("composition_attributes.json"))["a.jpg"]["symmetry"], 2)
        -0.8
    """
    rows = [TableRow(dict(row), f"{path}, {name}") for name, row in values.items()]
    found = np.array([[row.number(name, -1, 3) for name in ATTRIBUTES] for row in rows])
    if found.max() > 1:
        if found.min() < 1:
            raise ValueError(
                f"{path}: attributes must lie in -1..1 or in 1..3, got {found.min():g} to {found.max():g}. "
                "Fetch the files of one release."
            )
        found -= 2
    scores, means = np.array([row.number("score", -1, 5) for row in rows]), found.mean(axis=1)
    if len(rows) > 30 and np.ptp(scores) > 0 and np.ptp(means) > 0 and np.corrcoef(scores, means)[0, 1] < 0:
        raise ValueError(
            f"{path}: attributes must rise with the score, got a correlation of their mean with it of "
            f"{np.corrcoef(scores, means)[0, 1]:.2f}. Is the highest value the negative one? Turn the sign."
        )
    return {
        name: dict(zip(ATTRIBUTES.values(), row, strict=True))
        for name, row in zip(values, found.tolist(), strict=True)
    }


def _locate(data_dir: str | Path, names: Iterable[str]) -> list[str]:
    """Paths of the pictures; those of the new test list carry their score before the name."""
    folders = [folder for folder in _PICTURE_FOLDERS if (Path(data_dir) / folder).is_dir()] or _PICTURE_FOLDERS
    found = {}
    for folder in folders:
        for file in find_pictures(data_dir, (folder,), called="<name>.jpg").iterdir():
            found.setdefault(_SCORE_PREFIX.sub("", file.name), str(file))
    return [found.get(name, str(Path(data_dir).absolute() / folders[0] / name)) for name in names]
