"""
The report of a study: findings as one HTML file that needs nothing else, with the verdict for machines inside.

Knows nothing about how anything was computed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

from .. import __version__
from ..analysis.findings import StudyFindings, plain_findings
from ..whole_files import whole_file
from .study_view import FIGURES, Thumbnails, compare_studies, describe_study
from .templates import build_environment


VERDICT_ID = "verdict"


def write_report(
    path: str | os.PathLike[str],
    findings: StudyFindings | Sequence[StudyFindings],
    thumbnails: Thumbnails | Sequence[Thumbnails | None] | None = None,
    map_sheets: Mapping[str, Image.Image] | None = None,
) -> None:
    """
    Writes the report of one collection, or of several side by side, whole or not at all.

    Args:
        path (`str` or `os.PathLike`):
            The HTML file. Nothing else belongs to it.
        findings ([`~hf_aesthetics.analysis.findings.StudyFindings`] or a sequence of them):
            What was found, by collection.
        thumbnails (`Mapping[str, PIL.Image.Image]`, `Callable[[str], PIL.Image.Image]` or a sequence, *optional*):
            Pictures by `image_id`, for all collections, or a sequence of these with one for each. Those that are
            examples go into the file, 160 pixels wide or high; where there is none, the id stands alone.
        map_sheets (`Mapping[str, PIL.Image.Image]`, *optional*):
            Some pictures of a collection beside their maps, as one picture, by the name of the collection.

    Raises:
        ValueError: If there are no findings, two of the same collection, or a figure is NaN or infinite.

    Example:
        >>> import tempfile
        >>> from hf_aesthetics.analysis.findings import Estimate, ModalityFigures, Verdict
        >>> depth = ModalityFigures("depth", "a network", srcc=None, skill=Estimate(0.2, 0.1, 0.3))
        >>> verdict = Verdict("depth", "Depth carries it.", {"depth": Estimate(1, 1, 1)}, Estimate(0.3, 0.2, 0.4))
        >>> report = Path(tempfile.mkdtemp()) / "report.html"
        >>> write_report(report, StudyFindings("parks", 40, 4, "1 to 7", [depth], verdict))
        >>> [(row["collection"], row["cause"], row["explained"]["value"]) for row in read_verdict(report)]
        [('parks', 'depth', 0.3)]
    """
    studies = [findings] if isinstance(findings, StudyFindings) else list(findings)
    names = [study.collection for study in studies]
    if not studies or len(set(names)) < len(names):
        raise ValueError(f"Expected findings of one collection or of several with different names, got {names}.")
    sources = list(thumbnails) if isinstance(thumbnails, Sequence) else [thumbnails] * len(studies)
    if len(sources) != len(studies):
        raise ValueError(f"Expected thumbnails for all of {names} or for each, got {len(sources)}. Put None for none.")
    sheets = map_sheets or {}
    text = (
        build_environment()
        .get_template("study_report.html")
        .render(
            verdict_id=VERDICT_ID,
            verdicts=[_plain_verdict(study) for study in studies],
            studies=[
                describe_study(study, f"c{index}", source, sheets.get(study.collection))
                for index, (study, source) in enumerate(zip(studies, sources, strict=True), start=1)
            ],
            comparison=compare_studies(studies) if len(studies) > 1 else None,
            columns=FIGURES,
            version=__version__,
        )
    )
    with whole_file(Path(path)) as partial:
        partial.write_text(text, encoding="utf-8")


def read_verdict(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """
    Reads the verdicts out of a report.

    Returns:
        `list[dict]`: For each collection `collection`, `num_pictures`, `num_groups` and `scale`, and the fields of
        [`~hf_aesthetics.analysis.findings.Verdict`], where an estimate has the fields `value`, `low` and `high`.

    Raises:
        ValueError: If the file is no report.
    """
    parser = _VerdictParser()
    parser.feed(Path(path).read_text(encoding="utf-8"))
    if not parser.text:
        raise ValueError(f'Expected a report with <script id="{VERDICT_ID}">, found none in {path}. See write_report.')
    return json.loads(parser.text)


class _VerdictParser(HTMLParser):
    text = ""
    is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_inside = tag == "script" and ("id", VERDICT_ID) in attrs

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = False


def _plain_verdict(study: StudyFindings) -> dict[str, Any]:
    plain = plain_findings(study)  # refuses what a report cannot show
    names = ("collection", "num_pictures", "num_groups", "scale")
    return {**{name: plain[name] for name in names}, **plain["verdict"]}
