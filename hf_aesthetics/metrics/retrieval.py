"""How well embeddings find pictures of the same category. Knows nothing about who made them."""

import numpy as np
from numpy.typing import ArrayLike

from .array_checks import require_same_length


def recall_at_k(embeddings: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    """
    Share of pictures with one of their own category among the `k` others that are most similar, by the cosine.

    A picture whose category has no other is left out. Equal similarities go to the picture that stands first.

    Args:
        embeddings (array of shape `(num_pictures, size)`): Of any length but 0.
        labels (array of shape `(num_pictures,)`): Their categories.
        k (`int`, *optional*, defaults to 1): How many others are looked at.

    Returns:
        `float`: Between 0 and 1; NaN if no category has two pictures.

    Raises:
        ValueError: If the lengths differ, an embedding is not finite or zero, or `k` is below 1.

    Example:
        >>> from hf_aesthetics.metrics import recall_at_k
        >>> recall_at_k([[1, 0], [2, 0.1], [0, 1], [1, 3]], ["oak", "oak", "elm", "oak"])  # elm is alone
        0.6666666666666666
    """
    vectors, labels = np.asarray(embeddings, np.float64), np.asarray(labels)
    require_same_length(embeddings=vectors, labels=labels)
    lengths = np.linalg.norm(vectors, axis=-1) if vectors.ndim == 2 else np.zeros(1)
    if k < 1 or not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise ValueError(
            f"`embeddings` must be a matrix of finite rows other than zero, and `k` at least 1, got shape "
            f"{vectors.shape} and k={k}."
        )
    directions = vectors / lengths[:, None]
    found = []
    for number, direction in enumerate(directions):  # row by row: the whole table may not fit into memory
        others = labels == labels[number]
        if others.sum() > 1:
            similarity = directions @ direction
            similarity[number] = -np.inf
            found.append(others[np.argsort(-similarity, kind="stable")[:k]].any())
    return float(np.mean(found)) if found else float("nan")
