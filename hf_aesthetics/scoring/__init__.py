"""Scoring pictures with a checkpoint: a batch, a stream of files, a list or a data set in order, a reward.

Knows nothing about rated collections or metrics.
"""

from ..strict_loading import hash_weights
from .companions import OwnScore, describe_companions, find_companions
from .ranking import RankedPicture, RankedSeries, rank, rank_pictures, rank_series
from .reliability import Reliability, describe_score
from .reward import AestheticReward
from .scorer import AestheticScorer
from .sorting import best_of_n, score_dataset, sort_by_score
from .stream import PictureScore, score_pictures
from .tables import check_destination, write_scores


__all__ = [
    "AestheticReward",
    "AestheticScorer",
    "OwnScore",
    "PictureScore",
    "RankedPicture",
    "RankedSeries",
    "Reliability",
    "best_of_n",
    "check_destination",
    "describe_companions",
    "describe_score",
    "find_companions",
    "hash_weights",
    "rank",
    "rank_pictures",
    "rank_series",
    "score_dataset",
    "score_pictures",
    "sort_by_score",
    "write_scores",
]
