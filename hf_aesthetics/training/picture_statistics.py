"""What models learn of pictures without their ratings, before anything else: which model needs which fit.

Knows nothing about the fits themselves.
"""

from transformers import PreTrainedModel

from ..data.training_rows import IndexedRows, StreamedRows
from .content_clusters import fit_aadb_net
from .feature_statistics import fit_feature_statistics
from .frozen_features import FrozenFeatureRows
from .gaussian_mixture import fit_fisher_vector


_FITS = {"aadb_net": fit_aadb_net, "handcrafted": fit_feature_statistics, "fisher_vector": fit_fisher_vector}


def fit_picture_statistics(model: PreTrainedModel, rows: IndexedRows | StreamedRows | FrozenFeatureRows) -> None:
    """
    Gives a model the statistics of the training pictures that its type needs; most need none.

    Args:
        model (`PreTrainedModel`):
            A scorer before it is trained.
        rows ([`IndexedRows`], [`StreamedRows`] or [`FrozenFeatureRows`]):
            The training pictures. Their ratings are not looked at.

    Raises:
        ValueError: If they are streamed, but have to be drawn at random.
    """
    fit = _FITS.get(model.config.model_type)
    if fit is fit_fisher_vector and isinstance(rows, StreamedRows):
        raise ValueError(
            "A fisher_vector model draws pictures at random, which a stream cannot do. Train without --streaming, or "
            "from a checkpoint of scripts/fit_fisher_vector.py."
        )
    if fit is not None:
        fit(model, rows)
