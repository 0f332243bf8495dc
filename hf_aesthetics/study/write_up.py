"""Findings of a study -> its files: findings for machines, and the report with pictures and maps.

Knows nothing about how anything was found.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..analysis.findings import StudyFindings, save_findings
from ..data.loading import RatedCollection
from ..models.rgb_conversion import convert_to_rgb
from ..reports import write_report
from ..reports.map_sheet import draw_sheet
from .collection_rows import all_rows, has_pictures, in_order
from .modality_models import StudiedModality


FINDINGS_FILE, REPORT_FILE = "findings.json", "report.html"


def write_study(
    output_dir: str | Path,
    findings: StudyFindings,
    studied: Sequence[StudiedModality],
    beside: Sequence[StudyFindings] = (),
) -> Path:
    """
    Writes `findings.json` and `report.html`.

    Args:
        output_dir (`str` or `Path`):
            The folder.
        findings ([`~hf_aesthetics.analysis.findings.StudyFindings`]):
            Of the collection that was studied.
        studied (`Sequence[StudiedModality]`):
            Its modalities, for the pictures and maps of the report.
        beside (`Sequence[StudyFindings]`, *optional*):
            Of other collections, for the same report; they stand without pictures.

    Returns:
        `Path`: The report.

    Raises:
        ValueError: If two collections have the same name.
    """
    report = Path(output_dir, REPORT_FILE)
    save_findings(report.with_name(FINDINGS_FILE), findings)
    thumbnails = [find_pictures(studied[0].collection), *[None] * len(beside)]
    sheet = draw_maps(studied)
    sheets = None if sheet is None else {findings.collection: sheet}
    write_report(report, [findings, *beside], thumbnails, sheets)
    return report


def find_pictures(collection: RatedCollection) -> Callable[[str], Image.Image | None] | None:
    """
    The pictures of a collection by `image_id`; `None` where it has none.

    Args:
        collection ([`RatedCollection`]):
            On disk.
    """
    if not has_pictures(collection):
        return None
    rows = all_rows(collection, ["image"])
    place = {image_id: row for row, image_id in enumerate(rows["image_id"])}
    return lambda image_id: rows[place[image_id]]["image"] if image_id in place else None


def draw_maps(studied: Sequence[StudiedModality], num_pictures: int = 5) -> Image.Image | None:
    """
    Test pictures, from the lowest to the highest mean score, beside their maps; `None` where there are no maps.

    Args:
        studied (`Sequence[StudiedModality]`):
            The modalities.
        num_pictures (`int`, *optional*, defaults to 5):
            How many pictures.
    """
    labels = studied[0].collection.labels["test"]
    order = np.argsort(labels["score_mean"][:], kind="stable")
    ids = [labels[int(order[place])]["image_id"] for place in _spread(len(order), num_pictures)]
    maps: dict[str, list[Image.Image]] = {}
    for each in studied:
        if each.map_name not in (None, "constant"):
            rows = in_order(all_rows(each.collection, [each.map_column]), ids)
            maps[each.map_name] = [row[each.map_column] for row in rows]
    if not maps:
        return None
    if has_pictures(studied[0].collection):
        pictures = in_order(all_rows(studied[0].collection, ["image"]), ids)
        maps = {"picture": [convert_to_rgb(row["image"]) for row in pictures], **maps}
    return draw_sheet(ids, maps)


def _spread(number: int, wanted: int) -> np.ndarray:
    return np.unique(np.linspace(0, number - 1, wanted).round().astype(int))
