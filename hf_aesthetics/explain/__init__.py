"""Explanations of one prediction: which parts of a picture raise its score, and which lower it.

How faithful they are is measured in `faithfulness.py`, which needs the extra `evaluation`.
"""

from .close_looks import draw_close_looks, draw_series, draw_windows
from .covering import CoveringCost, covering_cost
from .explanation import METHODS, Explanation, explain, explain_prediction, place_in_picture
from .overlay import draw_explanations, overlay
from .prediction import Prediction


__all__ = [
    "METHODS",
    "CoveringCost",
    "Explanation",
    "Prediction",
    "covering_cost",
    "draw_close_looks",
    "draw_explanations",
    "draw_series",
    "draw_windows",
    "explain",
    "explain_prediction",
    "overlay",
    "place_in_picture",
]
