"""Another rated quantity in place of a collection's ratings: one of its columns, such as valence or memorability.

Knows nothing about where a collection comes from.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from datasets import Dataset, DatasetDict, Features, concatenate_datasets

from .columns import RATING_COLUMNS, RatingScale, rating_features, require_attributes


if TYPE_CHECKING:
    from .loading import RatedCollection


def with_target(collection: "RatedCollection", column: str, scale: RatingScale | None) -> "RatedCollection":
    """
    A collection rated by one of its columns: a mean for each picture, without votes. The head learns it as it learns
    beauty, by the maximum-entropy histogram of the mean.

    Args:
        collection ([`~hf_aesthetics.data.loading.RatedCollection`]):
            On disk, not streamed.
        column (`str`):
            A column of numbers. Pictures without one are left out, and counted.
        scale ([`RatingScale`], *optional*):
            The scale of these numbers. It cannot be read off them, so it has to be given.

    Raises:
        ValueError: If there is no such column or no scale, a number lies off the scale, or the collection is streamed.

    Example:
        >>> from hf_aesthetics.data.loading import load_collection
        >>> scenes = load_collection("synthetic", num_pictures=20)
        >>> colourful = with_target(scenes, "cause_colour", RatingScale(0, 1, 5))
        >>> colourful.name, colourful.splits["train"]["score_mean"][0] == scenes.splits["train"]["cause_colour"][0]
        ('synthetic, cause_colour', True)
    """
    if collection.is_streaming:
        raise ValueError(
            f"A target is a column of rows on disk, but those of {collection.name} are streamed. Load them."
        )
    loaded = cast(DatasetDict, collection.splits)
    require_attributes(loaded["train"].features, [column], collection.name, "--target")
    if scale is None:
        raise ValueError(
            f"The scale of {column!r} cannot be read off its numbers. Pass --min_score, --max_score and --num_bins."
        )
    splits, unrated = DatasetDict(), 0
    for name, rows in loaded.items():
        values = np.array(rows[column][:], dtype=np.float64)  # null becomes NaN
        known = np.flatnonzero(~np.isnan(values))
        unrated += len(values) - len(known)
        off = known[(values[known] < scale.min_score) | (values[known] > scale.max_score)]
        if len(off):
            raise ValueError(
                f"{column!r} must lie on the scale {scale}, but {rows['image_id'][int(off[0])]} has "
                f"{values[off[0]]:g}. Correct --min_score, --max_score and --num_bins."
            )
        splits[name] = rate_by_means(rows if len(known) == len(rows) else rows.select(known), values[known], scale)
    left_out = {**collection.left_out, f"without {column}": unrated} if unrated else collection.left_out
    facts = replace(
        collection.facts,
        name=f"{collection.facts.name}: {column}",
        description=f"The column {column} in place of the ratings. {collection.facts.description or ''}".strip(),
    )
    return replace(
        collection,
        name=f"{collection.name}, {column}",
        splits=splits,
        scale=scale,
        facts=facts,
        left_out=left_out,
    )


def rate_by_means(rows: Dataset, means: np.ndarray, scale: RatingScale) -> Dataset:
    """
    Rows whose ratings are means alone, without votes.

    Args:
        rows (`Dataset`):
            With other ratings, which give way.
        means (`np.ndarray` of shape `(len(rows),)`):
            On the scale.
        scale ([`RatingScale`]):
            Of the means.
    """
    features = Features({name: rating_features(scale.num_bins)[name] for name in RATING_COLUMNS})
    ratings = {**{name: [None] * len(means) for name in RATING_COLUMNS}, "score_mean": means.tolist()}
    return concatenate_datasets(
        [rows.remove_columns(list(RATING_COLUMNS)), Dataset.from_dict(ratings, features)], axis=1
    )
