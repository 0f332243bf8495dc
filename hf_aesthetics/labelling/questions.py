"""
The order in which one person is asked: pairs, sides and hidden repeats, drawn from the name of that person.

Knows nothing about what was answered.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from .comparisons import Comparison


REPEAT_SHARE = 0.1
REPEAT_GAP = 30


@dataclass(frozen=True)
class Question:
    """
    A comparison as one person sees it.

    Args:
        id (`str`):
            Says nothing about the comparison, nor whether it comes again.
        comparison ([`Comparison`]):
            What is compared.
        is_repeat (`bool`):
            Whether this person was asked before.
        left (`str`):
            The side of the comparison that is shown on the left, `"image_a"` or `"image_b"`.
    """

    id: str
    comparison: Comparison
    is_repeat: bool
    left: str


def order_questions(
    comparisons: Sequence[Comparison],
    annotator: str,
    *,
    repeat_share: float = REPEAT_SHARE,
    repeat_gap: int = REPEAT_GAP,
    seed: int = 0,
) -> list[Question]:
    """
    All that one person is asked.

    Order and sides follow from hashes of the seed, the person and the comparison alone: they are the same on every
    machine, and comparisons that are added leave those before them in their order and on their sides. Some come again
    with their sides changed, `repeat_gap` comparisons later, or half of all where there are few. (Share and gap are
    our choice.)

    Args:
        comparisons (`Sequence[Comparison]`):
            What to ask.
        annotator (`str`):
            The person.
        repeat_share (`float`, *optional*, defaults to 0.1):
            Share of the comparisons that come again.
        repeat_gap (`int`, *optional*, defaults to 30):
            How many comparisons later.
        seed (`int`, *optional*, defaults to 0):
            Another one draws everything anew.

    Returns:
        `list[Question]`.

    Raises:
        ValueError: If `repeat_share` is not in [0, 1], or `repeat_gap` is less than 1.

    Example:
        >>> pairs = [Comparison(str(number), f"{number}.jpg", "sea.jpg") for number in range(10)]
        >>> questions = order_questions(pairs, "Ada")
        >>> len(questions), [question.is_repeat for question in questions].count(True)
        (11, 1)
    """
    if not 0 <= repeat_share <= 1 or repeat_gap < 1:
        raise ValueError(
            "`repeat_share` must lie between 0 and 1 and `repeat_gap` be 1 or more, got "
            f"{repeat_share} and {repeat_gap}."
        )

    def draw(purpose: str, comparison: Comparison) -> str:
        parts = (str(seed), annotator, purpose, comparison.id)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def ask(comparison: Comparison, is_repeat: bool) -> Question:
        is_turned = (int(draw("side", comparison), 16) % 2 == 1) != is_repeat
        number = draw("repeat" if is_repeat else "first", comparison)[:16]
        return Question(number, comparison, is_repeat, "image_b" if is_turned else "image_a")

    order = sorted(comparisons, key=lambda each: draw("order", each))
    gap = min(repeat_gap, len(order) // 2)
    early = sorted(range(len(order) - gap), key=lambda place: draw("again", order[place]))
    again = set(early[: round(repeat_share * len(order))])
    questions = []
    for place, comparison in enumerate(order):
        questions.append(ask(comparison, False))
        if place - gap in again:
            questions.append(ask(order[place - gap], True))
    return questions
