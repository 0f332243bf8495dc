"""Scoring pictures with a checkpoint, one batch or a stream of files. Knows nothing about data sets or metrics."""

from ..strict_loading import hash_weights
from .scorer import AestheticScorer
from .stream import PictureScore, score_pictures
from .tables import check_destination, write_scores


__all__ = ["AestheticScorer", "PictureScore", "check_destination", "hash_weights", "score_pictures", "write_scores"]
