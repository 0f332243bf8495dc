"""Explanations of one prediction: which parts of a picture raise its score, and which lower it.

How faithful they are is measured in `faithfulness.py`, which needs the extra `evaluation`.
"""

from .explanation import METHODS, Explanation, explain, explain_prediction
from .overlay import draw_explanations, overlay
from .prediction import Prediction


__all__ = [
    "METHODS",
    "Explanation",
    "Prediction",
    "draw_explanations",
    "explain",
    "explain_prediction",
    "overlay",
]
