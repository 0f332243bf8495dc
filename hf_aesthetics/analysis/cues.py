"""Which modality stands for which visual cue. Knows nothing about maps or predictions."""

from collections.abc import Iterable

from .findings import CONTROLS, REFERENCE


PICTURE_CUES = ("colour", "light")  # read from the picture itself


def is_cue(modality: str) -> bool:
    """
    Whether a modality stands for one cue: neither those that hold the whole picture nor the controls do.

    Example:
        >>> is_cue("depth"), is_cue("rgb+depth"), is_cue("gray")
        (True, False, False)
    """
    return modality.split("+")[0] not in (REFERENCE, *CONTROLS)


def cue_of(modality: str) -> str:
    """
    Modalities that differ in what made the map are one cue.

    Example:
        >>> cue_of("saliency_u2net"), cue_of("depth")
        ('saliency', 'depth')
    """
    return modality.split("_")[0]


def first_of_cues(modalities: Iterable[str]) -> dict[str, str]:
    """
    By cue the first of its modalities, and the picture for the cues that are read from it, last.

    Example:
        >>> first_of_cues(["rgb", "gray", "saliency", "saliency_u2net"])
        {'saliency': 'saliency', 'colour': 'rgb', 'light': 'rgb'}
    """
    modalities = list(modalities)
    first: dict[str, str] = {}
    for modality in filter(is_cue, modalities):
        first.setdefault(cue_of(modality), modality)
    return first | (dict.fromkeys(PICTURE_CUES, REFERENCE) if REFERENCE in modalities else {})
