"""
What would raise a picture's score: edits and crops, tried out on the model.

A gain is what the model says, not what people would: it is advice only where it exceeds the model's own error.
"""

from ..picture_edits import Edit, apply_edit
from .crops import CropAdvice, best_crops, crop_boxes
from .edits import CANDIDATE_EDITS, EditAdvice, score_edits, suggest_edits


__all__ = [
    "CANDIDATE_EDITS",
    "CropAdvice",
    "Edit",
    "EditAdvice",
    "apply_edit",
    "best_crops",
    "crop_boxes",
    "score_edits",
    "suggest_edits",
]
