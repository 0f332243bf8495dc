"""The figures of a report as files of their own, for a card or a paper. Knows nothing about how they are drawn."""

import os
import re
from pathlib import Path

from ..analysis.findings import StudyFindings
from ..whole_files import whole_file
from .charts import standalone
from .study_view import plot_figures, plot_shares


def write_figures(folder: str | os.PathLike[str], findings: StudyFindings) -> list[Path]:
    """
    Writes SRCC, skill and contributions of all modalities, and the shares of the cues, as SVG files that follow the
    light or dark scheme of the reader.

    Args:
        folder (`str` or `os.PathLike`):
            Where they go. It is made where there is none.
        findings ([`StudyFindings`]):
            Of one collection.

    Returns:
        `list[Path]`: The files, `<collection>-<figure>.svg`; none for figures that are undefined.

    Example:
        >>> import tempfile
        >>> from hf_aesthetics.analysis.findings import Estimate, ModalityFigures, Verdict
        >>> depth = ModalityFigures("depth", "a network", srcc=None, skill=Estimate(0.2, 0.1, 0.3))
        >>> verdict = Verdict("depth", "Depth carries it.", {"depth": Estimate(1, 1, 1)}, Estimate(0.3, 0.2, 0.4))
        >>> findings = StudyFindings("Parks", 40, 4, "1 to 7", [depth], verdict)
        >>> [file.name for file in write_figures(tempfile.mkdtemp(), findings)]
        ['parks-skill.svg', 'parks-shares.svg']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", findings.collection.lower()).strip("-")
    files = []
    for figure, svg in {**plot_figures([findings]), "shares": plot_shares(findings.verdict)}.items():
        if svg is not None:
            files.append(folder / f"{name}-{figure}.svg")
            with whole_file(files[-1]) as partial:
                partial.write_text(standalone(svg), encoding="utf-8")
    return files
