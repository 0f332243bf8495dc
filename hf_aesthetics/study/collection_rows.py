"""The rows of a collection, all splits together, in the order that predictions have. Knows no modalities."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset, concatenate_datasets

from ..data.loading import RatedCollection
from ..data.splits import SPLITS


def has_pictures(collection: RatedCollection) -> bool:
    """Whether there are pictures, and not only maps of them."""
    return "image" in collection.splits["test"].column_names


def all_rows(collection: RatedCollection, columns: Sequence[str]) -> Dataset:
    """
    All splits, one below the other.

    Args:
        collection ([`RatedCollection`]):
            On disk.
        columns (`Sequence[str]`):
            What to keep beside `image_id`.
    """
    return concatenate_datasets([collection.splits[name].select_columns(["image_id", *columns]) for name in SPLITS])


def in_order(rows: Dataset, image_ids: Sequence[str] | np.ndarray) -> Dataset:
    """
    The rows of some pictures, in the order of their ids.

    Example:
        >>> in_order(Dataset.from_dict({"image_id": ["a", "b", "c"]}), ["c", "a"])["image_id"][:]
        ['c', 'a']
    """
    place = {image_id: row for row, image_id in enumerate(rows["image_id"])}
    return rows.select([place[image_id] for image_id in image_ids])
