"""PARA: photographs with histograms of nine ratings, attributes and scene, which 438 people rated.

Knows nothing about models.
"""

from pathlib import Path
from typing import Any

from datasets import Value

from ..licensing import Permission
from .columns import DatasetFacts, RatingScale, vote_statistics
from .folder import RatedFolder, collect_pictures
from .splits import hash_split
from .table_rows import TableRow, find_file, find_pictures, read_delimited


PARA_SCALE = RatingScale(1, 5, 9)

_TERMS = "PARA is for research and learning only, and neither it nor results based on it may be sold or transferred"

FACTS = DatasetFacts(
    name="PARA",
    license="research and learning only",
    description=(
        "Photographs, each rated from 1 to 5, in halves, by about 25 of 438 people, who rated eight attributes too "
        "(Personalized image Aesthetics with Rich Attributes, PARA)."
    ),
    source_url="https://cv-datasets.institutecv.com/#/data-sets",
    citation=(
        "Yang, Y., Xu, L., Li, L., Qie, N., Li, Y., Zhang, P., & Guo, Y. (2022). Personalized image aesthetics "
        "assessment with rich attributes. IEEE Conference on Computer Vision and Pattern Recognition, 19861-19869. "
        "arXiv:2203.16754."
    ),
    pictures=Permission(False, _TERMS),
    ratings=Permission(False, _TERMS),
    weights=Permission(False, _TERMS),
)

_VOTES = tuple(f"aestheticScore_{rating:.1f}" for rating in PARA_SCALE.bin_scores)
_MEANS = {
    "qualityScore_mean": "quality_mean",
    "compositionScore_mean": "composition_mean",
    "colorScore_mean": "color_mean",
    "dofScore_mean": "depth_of_field_mean",
    "lightScore_mean": "light_mean",
    "contentScore_mean": "content_mean",
    "contentPreference_mean": "content_preference_mean",
    "willingnessToShare_mean": "willingness_to_share_mean",
}
_COLUMNS = ("imageName", "sessionId", "semantic", *_VOTES, "aestheticScore_mean", *_MEANS)
_TABLES = {"train": "PARA-GiaaTrain.csv", "test": "PARA-GiaaTest.csv"}


def load_para(
    data_dir: str | Path,
    *,
    validation: float = 0.05,
    with_pictures: bool = True,
    max_skipped: float = 0.01,
    num_proc: int | None = None,
) -> RatedFolder:
    """
    Loads PARA (Yang et al. 2022, [paper](https://huggingface.co/papers/2203.16754)) from its published layout:
    `annotation/PARA-GiaaTrain.csv` and `annotation/PARA-GiaaTest.csv`, also without the folder, and the pictures as
    `imgs/<session>/<name>`. Columns are found by their names; copies of the tables have others in front.

    The test split is the official one, of 3,000 pictures; of the others a share is for validation, by a hash of the
    name.

    Every attribute mean follows the overall mean with a rank correlation of 0.92 to 0.98 (measured on the test
    pictures), so that its plain covariance with a prediction measures overall quality again: read the partial one.

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
        [`RatedFolder`]: Beyond the common columns: `session` (of the people who rated it), `scene_category`, and means
        of ratings from 1 to 5: `quality_mean`, `composition_mean`, `color_mean`, `depth_of_field_mean`, `light_mean`,
        `content_mean`, `content_preference_mean`, `willingness_to_share_mean`.

    Raises:
        FileNotFoundError: If a table or the folder of the pictures is missing.
        ValueError: If a row is malformed, a picture is in two rows, or too many pictures cannot be used.

    Example:
        >>> load_para("para")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected annotation/PARA-GiaaTrain.csv or PARA-GiaaTrain.csv in 'para', found none. Fetch it from https://cv-datasets.institutecv.com/#/data-sets.
    """  # noqa: E501
    records: dict[str, dict[str, Any]] = {}
    for split, name in _TABLES.items():
        table = find_file(data_dir, (f"annotation/{name}", name), FACTS.source_url)
        for row in read_delimited(table, _COLUMNS):
            record = _read_record(row)
            image_id = record["image_id"]
            if image_id in records:
                raise ValueError(f"{row.place}: {image_id} is in a row before already. Correct the row.")
            part = "test" if split == "test" else hash_split(image_id, validation, 0.0)
            records[image_id] = {**record, "split": part}
    files = None
    if with_pictures:
        pictures = find_pictures(data_dir, ("imgs",), called="<session>/<name>")
        files = [f"{pictures}/{record['file_name']}" for record in records.values()]
    return collect_pictures(
        Path(data_dir),
        list(records.values()),
        files,
        PARA_SCALE,
        {
            "session": Value("string"),
            "scene_category": Value("string"),
            **dict.fromkeys(_MEANS.values(), Value("float32")),
        },
        max_skipped=max_skipped,
        shares=(validation, 0.0, 0),
        num_proc=num_proc,
    )


def _read_record(row: TableRow) -> dict[str, Any]:
    image_id, session = row.name("imageName"), row.name("sessionId")
    statistics = vote_statistics([row.whole(column, 0, 10**6) for column in _VOTES], PARA_SCALE, row.place)
    if abs(row.number("aestheticScore_mean", 1, 5) - statistics["score_mean"]) > 0.01:
        raise ValueError(
            f"{row.place}: expected `aestheticScore_mean` {statistics['score_mean']:.3f} from the votes, got "
            f"{row.cells['aestheticScore_mean']}. Correct the row."
        )
    return {
        "file_name": f"{session}/{image_id}",
        "image_id": image_id,
        **statistics,
        "session": session,
        "scene_category": row.name("semantic"),
        **{column: row.number(published, 1, 5) for published, column in _MEANS.items()},
    }
