"""Predictions and maps of all modalities of a collection -> everything that is found on it.

Knows nothing about training, or what a report looks like.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset, Image

from ..analysis.categories import category_systems
from ..analysis.categorisation import categorise
from ..analysis.contributions import agreement, modality_figures
from ..analysis.covariance import find_covariances
from ..analysis.cues import first_of_cues
from ..analysis.descriptors import small_maps
from ..analysis.dominance import dominant_modalities
from ..analysis.findings import CONTROLS, REFERENCE, StudyFindings
from ..analysis.fusion import fuse_cues
from ..analysis.order import order_cues
from ..analysis.panel import ModalityPanel
from ..analysis.trends import find_trends
from ..analysis.verdict import reach_verdict
from ..data.loading import RatedCollection
from ..evaluation.cross_validation import OutOfFoldPredictions
from ..metrics import vote_resampling_ceiling
from ..models.rgb_conversion import convert_to_rgb
from .collection_rows import all_rows, has_pictures, in_order
from .modality_models import StudiedModality
from .summary import find_limits


def find_all(
    studied: Sequence[StudiedModality],
    predictions: Mapping[str, OutOfFoldPredictions],
    method: Mapping[str, str] | None = None,
    reliability: float | None = None,
    seed: int = 0,
) -> StudyFindings:
    """
    Everything that the predictions and the maps of a collection's modalities say.

    Of several modalities of one cue, such as `saliency` and `saliency_u2net`, the first stands for it where single
    pictures are counted or grouped. Degraded maps count only where it is asked whether an extractor matters.

    Args:
        studied (`Sequence[StudiedModality]`):
            The modalities, with their maps.
        predictions (`Mapping[str, OutOfFoldPredictions]`):
            Of each of them, over the same pictures.
        method (`Mapping[str, str]`, *optional*):
            How it was done, in words.
        reliability (`float`, *optional*):
            Correlation of the mean scores of two panels of raters.
        seed (`int`, *optional*, defaults to 0):
            Of all draws.

    Returns:
        [`~hf_aesthetics.analysis.findings.StudyFindings`]

    Raises:
        ValueError: If the modalities were not predicted over the same pictures and folds.
    """
    collection = studied[0].collection
    labels = in_order(_labels(collection), predictions[studied[0].name].image_ids)
    votes = labels["vote_counts"][:]
    num_votes = None if None in votes else np.sum(votes, axis=1)
    panel = ModalityPanel.from_predictions(
        {each.name: predictions[each.name] for each in studied}, collection.scale.bin_scores, num_votes
    )
    one_a_cue = first_of_cues(panel.cues).values()
    own = panel.select([each.name for each in studied if each.degradation is None])
    competing = panel.select([name for name in panel.modalities if name in one_a_cue or name not in panel.cues])
    systems = category_systems(labels)
    members = {
        name: system.values[:, column] == 1
        for system in systems
        if system.kind == "indicator"
        for column, name in enumerate(system.names)
    }
    means = {name: values for name, values in own.predicted_means.items() if name not in CONTROLS}
    fusion = fuse_cues(own, seed=seed)
    maps = read_maps(studied, panel.image_ids)
    return StudyFindings(
        collection=collection.name,
        num_pictures=len(panel.image_ids),
        num_groups=len(np.unique(panel.groups)),
        scale=str(collection.scale),
        modalities=modality_figures(panel, {each.name: each.source for each in studied}, seed=seed),
        verdict=reach_verdict(maps, panel.true_means, panel.groups, reliability, seed=seed),
        order=order_cues(panel, seed=seed),
        ceiling=None if num_votes is None else _ceiling(votes, panel.bin_scores, seed),
        agreement=agreement(own),
        dominance=None if num_votes is None else dominant_modalities(competing, seed=seed),
        fusion=fusion and fusion.figures,
        systems=[find_covariances(means, system, groups=panel.groups, seed=seed) for system in systems],
        categorisation=categorise(competing, members, seed=seed),
        trends=find_trends(maps, panel.true_means, panel.groups, seed=seed),
        method=dict(method or {}),
        limits=find_limits(studied),
    )


def read_maps(studied: Sequence[StudiedModality], image_ids: Sequence[str] | np.ndarray) -> dict[str, np.ndarray]:
    """
    The pictures, where there are some, and the maps of all cues, at the size at which they are described.

    Args:
        studied (`Sequence[StudiedModality]`):
            The modalities; what `rgb+<map>` sees counts as its map.
        image_ids (`Sequence[str]`):
            Which pictures, in which order.

    Returns:
        `dict[str, np.ndarray]`: by map, uint8 of shape `(num_images, 64, 64)`, and `rgb` of `(num_images, 64, 64, 3)`.
    """
    found = {}
    for each in studied:
        if each.map_name in (None, *CONTROLS) or each.map_name in found:
            continue
        rows = in_order(all_rows(each.collection, [each.map_column]), image_ids)
        found[each.map_name] = small_maps(row[each.map_column] for row in rows)
    if has_pictures(studied[0].collection):
        rows = in_order(all_rows(studied[0].collection, ["image"]), image_ids)
        found[REFERENCE] = small_maps(convert_to_rgb(row["image"]) for row in rows)
    return found


def _labels(collection: RatedCollection) -> Dataset:
    """All that is said of the pictures, without pictures and maps."""
    features = collection.splits["test"].features
    said = [name for name, kind in features.items() if name != "image_id" and not isinstance(kind, Image)]
    return all_rows(collection, said)


def _ceiling(votes: Sequence[Sequence[int]], bin_scores: np.ndarray, seed: int) -> float | None:
    ceiling = vote_resampling_ceiling(votes, bin_scores, seed=seed)
    return None if math.isnan(ceiling) else ceiling
