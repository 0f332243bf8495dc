"""Scoring pictures with a checkpoint: a batch, a stream, a list in order, a collection on many machines, a reward.

Knows nothing about rated collections or metrics.
"""

from ..strict_loading import hash_weights
from .batch import PictureScore, score_batch
from .collection import CollectionReport, score_collection
from .companions import OwnScore, describe_companions, find_companions
from .fast_mode import ModeAgreement, check_fast_mode, compare_modes
from .job import ScoringJob, run_unit
from .onnx_export import export_onnx
from .ranking import RankedPicture, RankedSeries, rank, rank_pictures, rank_series
from .ranks import Rank
from .ray_engine import RayEngine
from .reliability import Reliability, describe_score
from .reward import AestheticReward
from .scorer import AestheticScorer, ScorerSpec, load_scorer
from .sorting import best_of_n, score_dataset, sort_by_score
from .stream import score_pictures
from .tables import check_destination, read_scores, write_scores


__all__ = [
    "AestheticReward",
    "AestheticScorer",
    "CollectionReport",
    "ModeAgreement",
    "OwnScore",
    "PictureScore",
    "Rank",
    "RankedPicture",
    "RankedSeries",
    "RayEngine",
    "Reliability",
    "best_of_n",
    "ScorerSpec",
    "ScoringJob",
    "check_destination",
    "check_fast_mode",
    "compare_modes",
    "describe_companions",
    "describe_score",
    "export_onnx",
    "find_companions",
    "hash_weights",
    "load_scorer",
    "rank",
    "rank_pictures",
    "rank_series",
    "read_scores",
    "run_unit",
    "score_batch",
    "score_collection",
    "score_dataset",
    "score_pictures",
    "sort_by_score",
    "write_scores",
]
