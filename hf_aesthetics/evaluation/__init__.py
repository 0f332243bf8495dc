"""Measuring a scorer on a rated collection, and the report of it. Knows nothing about training, cards or the Hub."""

from ..extras import require_extra


require_extra(__name__, "evaluation", "datasets", "pyarrow", "scipy", "jinja2")

from .evaluate import evaluate_scorer
from .report import EvaluationReport
from .table import report_table


__all__ = ["EvaluationReport", "evaluate_scorer", "report_table"]
