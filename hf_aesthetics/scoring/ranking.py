"""
Which of several pictures is the best, as far as scores that have an error can tell.

Knows nothing about where the scores come from.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, fields

from .batch import PictureScore


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPicture(PictureScore):
    """
    A row of scores with its place among others.

    Args:
        rank (`int`, *optional*):
            Place by the score alone, 1 for the highest; `None`, as the others, for a picture without a score.
        best_rank (`int`, *optional*), worst_rank (`int`, *optional*):
            Between which places the picture lies for sure: one more than there are pictures clearly above it, and the
            number of those not clearly below it.
    """

    rank: int | None
    best_rank: int | None
    worst_rank: int | None

    @property
    def place(self) -> str:
        """The place as it is shown: `"4"`, or `"2-5"` where ties leave it open; `"-"` without a score."""
        if self.rank is None:
            return "-"
        return f"{self.best_rank}" if self.best_rank == self.worst_rank else f"{self.best_rank}-{self.worst_rank}"


def rank_pictures(rows: Iterable[PictureScore], error: float) -> list[RankedPicture]:
    """
    Sorts pictures by their scores, best first, and says how far their places are open.

    Two pictures tie where their intervals, the score plus and minus `error`, overlap. A tie is between two pictures
    and does not carry over to a third, so a place is a range instead of a number that several share. With the mean
    absolute error of a model and errors that are normal and independent, two pictures that just do not tie are in the
    right order in about 87 % of the cases.

    Args:
        rows (`Iterable[PictureScore]`):
            What [`score_pictures`] gives.
        error (`float`):
            Half the width of the intervals, in rating units, such as [`Reliability.error`].

    Returns:
        `list[RankedPicture]`, those without a score last, in their order.

    Raises:
        ValueError: If `error` is negative.

    Example:
        >>> about = {"score_std": None, "percentile": None, "distribution": {}, "error": None}
        >>> about |= {"scorer": "org/nima@5f2c", "preprocessing": "rgb"}
        >>> scores = {"a.jpg": 5.1, "b.jpg": 6.9, "c.jpg": 5.5, "d.jpg": 5.9}
        >>> rows = [PictureScore(path=path, score=score, **about) for path, score in scores.items()]
        >>> [(picture.path, picture.place) for picture in rank_pictures(rows, error=0.25)]
        [('b.jpg', '1'), ('d.jpg', '2-3'), ('c.jpg', '2-4'), ('a.jpg', '3-4')]
    """
    if not error >= 0:
        raise ValueError(f"`error` must be at least 0, got {error}.")
    rows = list(rows)
    scores = sorted(row.score for row in rows if row.score is not None)
    by_score = sorted(rows, key=lambda row: float("-inf") if row.score is None else row.score, reverse=True)
    ranked = []
    for rank, row in enumerate(by_score, start=1):
        places: dict[str, int | None] = dict.fromkeys(("rank", "best_rank", "worst_rank"))
        if row.score is not None:
            above = len(scores) - bisect_right(scores, row.score + 2 * error)
            below = bisect_left(scores, row.score - 2 * error)
            places = {"rank": rank, "best_rank": 1 + above, "worst_rank": len(scores) - below}
        told = {field.name: getattr(row, field.name) for field in fields(PictureScore)}
        ranked.append(RankedPicture(**told, **places))
    return ranked
