"""Asking people which of two pictures they prefer, and keeping every answer. Knows nothing about pages or models."""

from ..extras import require_extra


require_extra(__name__, "data", "datasets", "pyarrow")

from .answers import (
    Answer,
    Consistency,
    measure_consistency,
    pool_repeats,
    print_consistency,
    read_answers,
    tally_choices,
)
from .comparisons import Comparison, LabellingTask, open_task, pair_series, read_comparisons, write_comparisons
from .journal import Journal
from .questions import Question, order_questions
from .sessions import Labelling, Progress


__all__ = [
    "Answer",
    "Comparison",
    "Consistency",
    "Journal",
    "Labelling",
    "LabellingTask",
    "Progress",
    "Question",
    "measure_consistency",
    "open_task",
    "order_questions",
    "pair_series",
    "pool_repeats",
    "print_consistency",
    "read_answers",
    "read_comparisons",
    "tally_choices",
    "write_comparisons",
]
