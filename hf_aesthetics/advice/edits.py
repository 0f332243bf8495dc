"""
Changes of light, colour, sharpness and frame, tried out on a scorer: what would the picture get with them?

Knows nothing about how a score comes about, and only trial tells: no gradient is followed into the picture, which
would find changes that no eye sees.
"""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from ..picture_edits import Edit, apply_edit, shrink_to_work
from ..scoring import AestheticScorer


CANDIDATE_EDITS: tuple[Edit, ...] = (
    *(Edit(exposure=stops / 3) for stops in (-3, -2, -1, 1, 2, 3)),
    *(Edit(saturation=factor) for factor in (0.0, 0.5, 0.75, 1.25, 1.5)),
    *(Edit(blur=percent) for percent in (0.1, 0.2, 0.4)),
)
"""What [`suggest_edits`] tries: steps that a camera or a slider has. Frames are the business of [`best_crops`]."""


class EditAdvice(NamedTuple):
    """
    An edit that is worth a try.

    Args:
        edit ([`Edit`]):
            What to change.
        score (`float`):
            What the changed picture gets, in rating units.
        gain (`float`):
            By how much that is more than before.
    """

    edit: Edit
    score: float
    gain: float


def score_edits(scorer: AestheticScorer, picture: Image.Image, edits: Sequence[Edit]) -> list[float]:
    """
    What a picture gets with each of several edits, in one batch.

    All of it happens at `WORKING_SIDE`, so that scores compare with each other; put `Edit()` among the edits to
    compare with the picture as it is.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        picture (`PIL.Image.Image`):
            As [`read_image`] gives it.
        edits (`Sequence[Edit]`):
            The edits.
    """
    small = shrink_to_work(picture)
    return [record["score"] for record in scorer.score([apply_edit(small, edit) for edit in edits])]


def suggest_edits(
    scorer: AestheticScorer,
    picture: Image.Image,
    error: float,
    candidates: Sequence[Edit] = CANDIDATE_EDITS,
) -> list[EditAdvice]:
    """
    The edits that raise the score by more than the model's error, the best first, and one of each kind.

    That is a modest bar: the best of fourteen trials is a little better than it would be again. But the picture stays
    the same but for the edit, and what the model gets wrong about it does, too.

    Args:
        scorer ([`AestheticScorer`]), picture (`PIL.Image.Image`):
            As in [`score_edits`].
        error (`float`):
            The gain that has to be exceeded, in rating units, such as [`Reliability.error`].
        candidates (`Sequence[Edit]`, *optional*):
            What to try.
    """
    before, *after = score_edits(scorer, picture, [Edit(), *candidates])
    best: dict[tuple[str, ...], EditAdvice] = {}
    for edit, score in zip(candidates, after, strict=True):
        kind = tuple(name for name, value in vars(edit).items() if value != getattr(Edit(), name))
        advice = EditAdvice(edit, score, score - before)
        if advice.gain > error and (kind not in best or advice.gain > best[kind].gain):
            best[kind] = advice
    return sorted(best.values(), key=lambda advice: -advice.gain)
