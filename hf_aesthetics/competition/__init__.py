"""Scorers ranked against each other with few labels: people see only where they disagree most.

Knows nothing about models; it reads what they said of one corpus.
"""

from ..extras import require_extra


require_extra(__name__, "evaluation", "scipy", "pyarrow")

from .score_tables import ScoredCorpus, open_corpus
from .selection import AttackPair, level_weights, mad_images, mad_labels, select_attacks, tree_distance
from .standing import Standing, confident_annotators, pair_accuracy_ranking, perron_vector, rank_scorers


__all__ = [
    "AttackPair",
    "ScoredCorpus",
    "Standing",
    "confident_annotators",
    "level_weights",
    "mad_images",
    "mad_labels",
    "open_corpus",
    "pair_accuracy_ranking",
    "perron_vector",
    "rank_scorers",
    "select_attacks",
    "tree_distance",
]
