"""Findings as one page that anybody can read. Knows nothing about how they were found."""

from ..extras import require_extra


require_extra(__name__, "evaluation", "datasets", "pyarrow", "jinja2")

from .figure_files import write_figures
from .leaderboard_page import write_leaderboard
from .study_report import read_verdict, write_report


__all__ = ["read_verdict", "write_figures", "write_leaderboard", "write_report"]
