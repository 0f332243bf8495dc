"""
A leaderboard as a page that needs nothing else, and as Markdown for a card or a README.

Knows nothing about how anything was computed.
"""

import os
from pathlib import Path

from markupsafe import Markup

from .. import __version__
from ..analysis.findings import Estimate
from ..analysis.leaderboard import CONSTANT, SHUFFLED, Leaderboard, conclusions
from ..whole_files import whole_file
from .charts import Axis, interval_plot, legend
from .templates import build_environment


FIGURES = {
    "srcc": "SRCC",
    "plcc": "PLCC",
    "krcc": "KRCC",
    "accuracy": "accuracy",
    "f1": "F1",
    "emd_skill": "EMD skill",
}
SERIES = ("new pictures", "training pictures")


def write_leaderboard(folder: str | os.PathLike[str], board: Leaderboard) -> list[Path]:
    """
    Writes `leaderboard.html` and `leaderboard.md`, whole or not at all.

    Args:
        folder (`str` or `os.PathLike`):
            Where they go. It is made where there is none.
        board ([`~hf_aesthetics.analysis.leaderboard.Leaderboard`]):
            What was measured.

    Returns:
        `list[Path]`: The files.

    Example:
        >>> import tempfile
        >>> from hf_aesthetics.analysis.leaderboard import LeaderboardRow
        >>> row = LeaderboardRow("nima", "deep", "distribution", {"srcc": Estimate(0.7, 0.6, 0.8)})
        >>> board = Leaderboard("parks", "1f00", 40, 4, "theme", 5, [0], [row], "python ...", "2 cores")
        >>> page, table = write_leaderboard(tempfile.mkdtemp(), board)
        >>> [line for line in table.read_text().splitlines() if line.startswith("| nima")]
        ['| nima | deep | distribution | 0.700 [0.600, 0.800] | - | - | - | - | - | - | - | - | - |']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, is_html in (("leaderboard.html", True), ("leaderboard.md", False)):
        text = (
            build_environment(autoescape=is_html)
            .get_template(name)
            .render(
                board=board,
                columns=FIGURES,
                controls=(CONSTANT, SHUFFLED),
                sentences=conclusions(board),
                plot=_plot(board) if is_html else None,
                legend=legend(SERIES) if is_html else None,
                version=__version__,
            )
        )
        files.append(folder / name)
        with whole_file(files[-1]) as partial:
            partial.write_text(text, encoding="utf-8")
    return files


def _plot(board: Leaderboard) -> Markup:
    """SRCC on new pictures beside that on training pictures."""
    rows = {
        row.name.replace("_", " "): [
            row.figures.get("srcc"),
            None if row.train_srcc is None else Estimate(row.train_srcc, row.train_srcc, row.train_srcc),
        ]
        for row in board.rows
        if row.name != CONSTANT
    }
    ends = [end for pair in rows.values() for estimate in pair if estimate for end in estimate]
    return interval_plot("SRCC of every entry", rows, Axis.around([0.0, *ends]), series=SERIES, mark=0.0)
