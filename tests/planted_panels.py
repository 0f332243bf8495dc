"""Panels of modalities where it is known what the votes follow."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from hf_aesthetics.analysis.panel import ModalityPanel


BINS = np.arange(1, 11)


def distributions(means: np.ndarray) -> np.ndarray:
    """Discretised normal distributions on ten bins, about 5.5 with a unit of 0.8."""
    edges = stats.norm.cdf(np.arange(1.5, 10) - 5.5 - 0.8 * means[:, None], scale=1.4)
    return np.diff(edges, axis=1, prepend=0, append=1)


def panel_of(
    means: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    groups: Sequence | np.ndarray | None = None,
    num_votes: int | None = 200,
) -> ModalityPanel:
    """A panel of these true and predicted means, both about 0."""
    rows = np.arange(len(means))
    return ModalityPanel(
        image_ids=np.array([f"I{row:04d}" for row in rows]),
        groups=rows if groups is None else np.asarray(groups),
        bin_scores=BINS,
        target=distributions(means),
        num_votes=None if num_votes is None else np.full(len(rows), num_votes),
        constant=np.tile(distributions(means).mean(axis=0), (len(rows), 1)),
        predicted={name: distributions(values) for name, values in predicted.items()},
    )


def regime_panel(
    seed: int,
    num_images: int = 480,
    names: Sequence[str] = ("depth", "saliency", "blur"),
    noise: float = 0.5,
    theme_size: int | None = 12,
    sizes: Sequence[float] | None = None,
    outliers: bool = False,
) -> tuple[ModalityPanel, np.ndarray]:
    """
    Pictures, or themes of pictures, that each follow one of several independent cues, and which.

    A network that sees a cue through noise, and does not know the themes in which it counts, predicts its mean over
    all pictures. Noise is the deviation of what is seen and of the votes, both in units of a cue.
    """
    rng = np.random.default_rng(seed)
    num_themes = num_images // (theme_size or 1)
    themes = rng.integers(num_themes, size=num_images) if theme_size else np.arange(num_images)
    follows = rng.choice(len(names), num_themes, p=sizes)[themes]
    cues = rng.normal(size=(num_images, len(names)))
    scale = noise * (np.exp(rng.normal(0, 0.7, num_images)) if outliers else 1)
    means = cues[np.arange(num_images), follows] + scale * rng.normal(size=num_images)
    seen = cues + noise * rng.normal(size=cues.shape)
    shares = np.bincount(follows, minlength=len(names)) / num_images
    predicted = seen * shares / (1 + noise**2)
    return panel_of(means, dict(zip(names, predicted.T, strict=True)), themes), follows
