"""From what a head without a distribution says to rating units, fitted on pictures with votes after training.

Knows nothing about backbones or losses: whatever takes a calibration in its configuration can be fitted.
"""

from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, default_data_collator

from ..data.training_rows import IndexedRows, StreamedRows
from .frozen_features import FrozenFeatureRows, evaluating, inputs_of


GROUP_SIZE, MAX_GROUPS = 10, 20
GAP = 1e-5  # of the scale's length, between knots: float32 can tell them apart
MIN_SLOPE = 0.01  # towards the ends, where a model ranks no better than chance


def has_calibration(model: PreTrainedModel) -> bool:
    """Whether the scores of a model come into rating units by a calibration after training."""
    return hasattr(model.config, "calibration_inputs")


def fit_score_calibration(
    model: PreTrainedModel, rows: IndexedRows | StreamedRows | FrozenFeatureRows, batch_size: int = 64
) -> None:
    """
    Gives a scorer the calibration to rating units, `calibration_inputs` and `calibration_scores` of its configuration.

    Pictures are taken in the order of their scores before calibration, in groups of ten or more, at most twenty. Means
    of the true scores of the groups are fitted by isotonic regression; each level of it becomes a knot, at the mean
    of the scores in it. To both ends of the scale the line goes on with the slope of a linear fit. As levels differ,
    it ascends strictly: calibration changes no order of pictures, so correlations of ranks stay as they are. Groups,
    knots and ends are our choice; plain isotonic regression has flat steps, and follows single pictures at its ends.

    Args:
        model (`PreTrainedModel`):
            A trained scorer with these fields, such as [`AestheticBaselineForAestheticAssessment`]. An earlier
            calibration is replaced.
        rows ([`IndexedRows`], [`StreamedRows`] or [`FrozenFeatureRows`]):
            Pictures that the model was not trained on, with vote shares: the validation pictures.
        batch_size (`int`, *optional*, defaults to 64):
            Pictures that go through the model together.

    Raises:
        TypeError: If the configuration has no such fields: the scores of other scorers are in rating units already.
        ValueError: If the model gives all pictures one score.

    Example:
        >>> from hf_aesthetics import AestheticBaselineConfig, AestheticBaselineForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> config = AestheticBaselineConfig(backbone_config=tiny, objective="ranking", max_score=2, num_labels=2)
        >>> model = AestheticBaselineForAestheticAssessment(config).eval()
        >>> pictures = torch.rand(1, 20, 3, 32, 32)
        >>> order = model(pictures[0]).score.argsort().argsort() / 19  # votes that agree with the model
        >>> labels = torch.stack([1 - order, order], dim=1)
        >>> fit_score_calibration(model, FrozenFeatureRows(pictures, {"labels": labels}))
        >>> model.score_is_calibrated, [round(score, 2) for score in model.config.calibration_scores]
        (True, [1.0, 1.24, 1.76, 2.0])
    """
    config = model.config
    if not has_calibration(model):
        raise TypeError(
            "A calibration needs a scorer with `calibration_inputs` in its configuration, got "
            f"{type(model).__name__}, whose scores are in rating units already. Leave it out."
        )
    config.calibration_inputs = config.calibration_scores = None
    scores, ratings = _scores_and_ratings(model, rows, batch_size)
    knots = _monotone_knots(scores, ratings, float(config.min_score), float(config.max_score))
    config.calibration_inputs, config.calibration_scores = knots.tolist()


def _scores_and_ratings(
    model: PreTrainedModel, rows: IndexedRows | StreamedRows | FrozenFeatureRows, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    bins = torch.tensor(model.config.bin_scores, dtype=torch.float64)
    scores, ratings = [], []
    with evaluating(model), torch.no_grad():
        for batch in DataLoader(rows, batch_size, collate_fn=default_data_collator):
            scores.append(model(**inputs_of(batch, model)).score.double().cpu())
            ratings.append(batch["labels"].double() @ bins)
    return torch.cat(scores).numpy(), torch.cat(ratings).numpy()


def _monotone_knots(scores: np.ndarray, ratings: np.ndarray, min_score: float, max_score: float) -> np.ndarray:
    """Two rows: scores before calibration, and what they stand for."""
    gap = GAP * (max_score - min_score)
    if not np.ptp(scores) > gap:
        raise ValueError(
            f"A calibration needs a model that tells pictures apart, got the score {scores[0]:g} for all "
            f"{len(scores)} pictures. Train it first."
        )
    order = np.argsort(scores, kind="stable")
    groups = np.array_split(order, np.clip(len(order) // GROUP_SIZE, 1, MAX_GROUPS))
    sizes = [len(group) for group in groups]
    fitted = isotonic_regression([ratings[group].mean() for group in groups], weights=sizes)
    knots: list[np.ndarray] = []
    for start, end in pairwise(fitted.blocks):
        knot = np.array([scores[np.concatenate(groups[start:end])].mean(), fitted.x[start]])
        knot = knot.clip(min_score + 2 * gap, max_score - 2 * gap)
        if not knots or (knot - knots[-1] > gap).all():
            knots.append(knot)
    slope = max(np.polyfit(scores, ratings, 1)[0], MIN_SLOPE)
    (first, lowest), (last, highest) = knots[0], knots[-1]
    start = min_score, max(min_score, lowest - slope * (first - min_score))
    end = max_score, min(max_score, highest + slope * (max_score - last))
    return np.array([start, *knots, end]).T
