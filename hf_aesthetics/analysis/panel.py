"""The panel: what every modality predicts of the same pictures, beside their votes.

Knows nothing about maps, models or training: it holds pooled predictions and checks that they fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ..evaluation.cross_validation import OutOfFoldPredictions
from ..metrics import distribution_mean
from ..metrics.array_checks import as_bin_values, as_distributions, as_vector, require_same_length
from .cues import is_cue


# predictions that vary by less of the votes' own spread say nothing: what order they have is that of the folds
LEAST_SPREAD = 0.01


@dataclass(frozen=True, eq=False)
class ModalityPanel:
    """
    Predictions of one network per modality, each picture's made by networks that saw neither it nor its group.

    Args:
        image_ids (array of shape `(num_images,)`):
            The pictures, each once.
        groups (array of shape `(num_images,)`):
            What no fold parts, such as the theme; the ids of the pictures where there are no groups.
        bin_scores (array of shape `(num_bins,)`):
            Rating of every bin, increasing.
        target (array of shape `(num_images, num_bins)`):
            Vote shares.
        num_votes (array of shape `(num_images,)`, *optional*):
            Votes of each picture.
        constant (array of shape `(num_images, num_bins)`):
            Prediction of the constant predictor: the mean distribution of the pictures that the networks were trained
            with.
        predicted (`Mapping[str, array of shape (num_images, num_bins)]`):
            Predicted distributions of each modality.

    Raises:
        ValueError: If the arrays do not fit, a row is no distribution, a picture appears twice, or there is no
        modality.

    Example:
        >>> panel = ModalityPanel(
        ...     image_ids=["a", "b"],
        ...     groups=["lake", "dog"],
        ...     bin_scores=[1, 2, 3],
        ...     target=[[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]],
        ...     num_votes=[20, 20],
        ...     constant=[[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]],
        ...     predicted={"depth": [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]},
        ... )
        >>> panel.true_means, panel.predicted_means
        (array([2.5, 1.5]), {'depth': array([2. , 1.5])})
    """

    image_ids: np.ndarray
    groups: np.ndarray
    bin_scores: np.ndarray
    target: np.ndarray
    num_votes: np.ndarray | None
    constant: np.ndarray
    predicted: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        if not self.predicted:
            raise ValueError("`predicted` must hold at least one modality, got none.")
        arrays = {
            "image_ids": np.asarray(self.image_ids),
            "groups": np.asarray(self.groups),
            "target": as_distributions(self.target, "target"),
            "constant": as_distributions(self.constant, "constant"),
        }
        if self.num_votes is not None:
            arrays["num_votes"] = as_vector(self.num_votes, "num_votes")
            if arrays["num_votes"].min(initial=1) < 1:
                raise ValueError(f"`num_votes` must be at least 1, got {arrays['num_votes'].min():g}. Pass None.")
        require_same_length(**arrays)
        arrays["bin_scores"] = as_bin_values(self.bin_scores, arrays["target"].shape[1])
        predicted = {name: as_distributions(rows, name) for name, rows in self.predicted.items()}
        for name, rows in [("constant", arrays["constant"]), *predicted.items()]:
            if rows.shape != arrays["target"].shape:
                raise ValueError(
                    f"`{name}` must have the shape of `target`, {arrays['target'].shape}, got {rows.shape}. Pass "
                    "predictions of the same pictures on the same rating scale."
                )
        ids, counts = np.unique(arrays["image_ids"], return_counts=True)
        if len(ids) < len(arrays["image_ids"]):
            raise ValueError(f"`image_ids` must name each picture once, got {str(ids[counts.argmax()])!r} repeatedly.")
        for name, value in {**arrays, "predicted": predicted}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_predictions(
        cls,
        predictions: Mapping[str, OutOfFoldPredictions],
        bin_scores: ArrayLike,
        num_votes: ArrayLike | None = None,
    ) -> Self:
        """
        Brings the cross-validated predictions of the modalities together; each is the mean over its foldings.

        Args:
            predictions (`Mapping[str, OutOfFoldPredictions]`):
                By modality, all over the same foldings of the same pictures.
            bin_scores (array of shape `(num_bins,)`):
                Rating of every bin.
            num_votes (array of shape `(num_images,)`, *optional*):
                Votes of each picture, in the order of the predictions' `image_ids`, which are sorted.

        Raises:
            ValueError: If two modalities have other pictures, groups, votes or foldings.
        """
        if not predictions:
            raise ValueError("`predictions` must hold at least one modality, got none.")
        (first, reference), *others = predictions.items()
        for name, other in others:
            for part in ("image_ids", "groups", "seeds", "target"):
                if not np.array_equal(getattr(reference, part), getattr(other, part)):
                    raise ValueError(
                        f"All modalities must have the same `{part}`, but those of {first!r} "
                        f"({len(reference.image_ids)} pictures, foldings {reference.seeds}) and {name!r} "
                        f"({len(other.image_ids)} pictures, foldings {other.seeds}) differ. Cross-validate both on "
                        "the same collection with the same folds."
                    )
        means = {
            name: None if each.predicted is None else each.predicted.mean(axis=0) for name, each in predictions.items()
        }
        if without := [name for name, mean in means.items() if mean is None]:
            raise ValueError(f"A panel needs models that predict distributions, got scores alone of {without}.")
        return cls(
            image_ids=reference.image_ids,
            groups=reference.groups,
            bin_scores=np.asarray(bin_scores),
            target=reference.target,
            num_votes=None if num_votes is None else np.asarray(num_votes),
            constant=reference.constant.mean(axis=0),
            predicted={name: mean for name, mean in means.items() if mean is not None},
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """All of them, in the order given."""
        return tuple(self.predicted)

    @property
    def cues(self) -> tuple[str, ...]:
        """The modalities that stand for one visual cue: neither those that hold the whole picture nor the controls."""
        return tuple(filter(is_cue, self.predicted))

    @cached_property
    def true_means(self) -> np.ndarray:
        """Mean score of each picture by its votes, of shape `(num_images,)`."""
        return distribution_mean(self.target, self.bin_scores)

    @cached_property
    def predicted_means(self) -> dict[str, np.ndarray]:
        """Mean score of each picture by each modality, of shape `(num_images,)`."""
        return {name: distribution_mean(rows, self.bin_scores) for name, rows in self.predicted.items()}

    def varies(self, modality: str) -> bool:
        """Whether the predicted means vary with the pictures, and not only with the folds as those of `constant`."""
        spread = np.std(self.predicted_means[modality])
        return modality != "constant" and bool(spread > LEAST_SPREAD * np.std(self.true_means) > 0)

    def select(self, modalities: Sequence[str]) -> Self:
        """
        The panel of some modalities, in the order given.

        Raises:
            KeyError: If one is not in the panel.
        """
        for name in modalities:
            if name not in self.predicted:
                raise KeyError(f"{name!r} is not a modality of the panel ({', '.join(self.predicted)}).")
        return replace(self, predicted={name: self.predicted[name] for name in modalities})
