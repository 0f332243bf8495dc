"""
Which of several pictures is the best, as far as scores that have an error can tell.

Knows nothing about where the pictures come from, or what is done with the best one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..images import read_image
from ..pipelines import compare_series, pair_probabilities, series_record
from .batch import PictureScore
from .scorer import AestheticScorer
from .stream import score_pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPicture(PictureScore):
    """
    A row of scores with its place among others.

    Args:
        rank (`int`, *optional*):
            Place by the score alone, 1 for the highest; `None`, as the others, for a picture without a score.
        best_rank (`int`, *optional*), worst_rank (`int`, *optional*):
            Between which places the picture lies for sure: one more than there are pictures clearly above it, and the
            number of those not clearly below it. `None` also where that is not known.
    """

    rank: int | None
    best_rank: int | None
    worst_rank: int | None

    @property
    def place(self) -> str:
        """The place as it is shown: `"4"`, or `"2-5"` where ties leave it open; `"-"` without a score."""
        if self.rank is None:
            return "-"
        if self.best_rank is None:
            return f"{self.rank}"
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
        ranked.append(RankedPicture(**_told(row), **places))
    return ranked


def _told(row: PictureScore) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(PictureScore)}


@dataclass(frozen=True, kw_only=True)
class RankedSeries:
    """
    The pictures of a series, ranked.

    Args:
        rows (`list[PictureScore]`):
            What is said of each picture alone, in the order in which they were given.
        scores (`list[float | None]`):
            Scores by which they are ranked, `None` where there is none: those of the rows, or of a model that compares
            the means over the comparisons.
        order (`list[int]`):
            Positions of the pictures, the best first; those without a score are left out.
        probabilities (`np.ndarray` of shape `(num_pictures, num_pictures)`):
            In row i and column j how likely picture i is better than picture j; NaN where one has no score.
    """

    rows: list[PictureScore]
    scores: list[float | None]
    order: list[int]
    probabilities: np.ndarray

    def in_order(self) -> list[RankedPicture]:
        """The rows, best first, with the scores by which they are ranked; those without a score last."""
        ranked = {at: rank for rank, at in enumerate(self.order, start=1)}
        places = [*self.order, *(at for at in range(len(self.rows)) if at not in ranked)]
        return [
            RankedPicture(
                **_told(replace(self.rows[at], score=self.scores[at])),
                rank=ranked.get(at),
                best_rank=None,
                worst_rank=None,
            )
            for at in places
        ]


def rank_series(
    scorer: AestheticScorer,
    series: Iterable[Sequence[Any]],
    *,
    error: float | None = None,
    batch_size: int = 16,
    num_workers: int | None = None,
) -> Iterator[RankedSeries]:
    """
    Ranks the pictures of each of several series, with the probability that one is better than another.

    A scorer that sees the pictures of a series beside each other, such as FGAesQ, compares all pairs of each; with any
    other, the pictures of all series go through it one by one, in common batches.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        series (`Iterable[Sequence]`):
            Pictures as [`score_pictures`] takes them.
        error (`float`, *optional*):
            Mean absolute error of the scores, such as [`Reliability.error`]; see [`pair_probabilities`].
        batch_size, num_workers (`int`, *optional*):
            As in [`score_pictures`].

    Yields:
        [`RankedSeries`]: One a series, in their order. A picture that cannot be read has a row with the reason.

    Raises:
        ValueError: If `error` is not above 0, or `batch_size` or `num_workers` is less than 1.

    Example:
        >>> from PIL import Image
        >>> from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
        >>> tiny = {"model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8}
        >>> model = NimaForAestheticAssessment(NimaConfig(backbone_config=tiny))
        >>> scorer = AestheticScorer(model, ModalityImageProcessor(), name="tiny", device="cpu")
        >>> gold = Image.new("RGB", (64, 64), "gold")
        >>> [ranked] = rank_series(scorer, [[gold, "gone.jpg", gold]])
        >>> ranked.order, ranked.probabilities[0, 2].item(), ranked.rows[1].error
        ([0, 2], 0.5, "Cannot read 'gone.jpg': there is no such file. Check the path.")
    """
    given = [list(pictures) for pictures in series]
    if hasattr(scorer.processor, "preprocess_series"):
        for pictures in given:
            yield _compare(scorer, pictures, error, batch_size, num_workers)
        return
    together = (picture for pictures in given for picture in pictures)
    rows = score_pictures(scorer, together, batch_size=batch_size, num_workers=num_workers)
    for pictures in given:
        yield _rank_rows([next(rows) for _ in pictures], error)


def rank(scorer: AestheticScorer, images: Sequence[Any], *, error: float | None = None) -> RankedSeries:
    """
    Ranks the pictures of one series; see [`rank_series`].

    Args:
        scorer ([`AestheticScorer`]):
            The scorer.
        images (`Sequence`):
            Pictures as [`score_pictures`] takes them.
        error (`float`, *optional*):
            Mean absolute error of the scores.

    Which patches of each picture a model that compares looked at closely, [`draw_series`] draws:

        ranked = rank(scorer, images)
        draw_series(scorer.processor, images, ranked.order).save("why.png")
    """
    [ranked] = rank_series(scorer, [images], error=error)
    return ranked


def _rank_rows(rows: list[PictureScore], error: float | None) -> RankedSeries:
    known = [place for place, row in enumerate(rows) if row.score is not None]
    scores = [row.score for row in rows if row.score is not None]
    return _place(rows, known, pair_probabilities(scores, error), scores)


def _compare(
    scorer: AestheticScorer, pictures: list[Any], error: float | None, batch_size: int, num_workers: int | None
) -> RankedSeries:
    """The series in one go. What each picture gets alone says what is wrong with it, and its spread."""
    rows = list(score_pictures(scorer, pictures, batch_size=batch_size, num_workers=num_workers))
    known = [place for place, row in enumerate(rows) if row.score is not None]
    if len(known) < 2:
        return _rank_rows(rows, error)
    readable = []
    for place in known:
        picture = pictures[place]() if callable(pictures[place]) else pictures[place]
        readable.append(picture if isinstance(picture, np.ndarray) else read_image(picture))
    record = compare_series(scorer.model, scorer.processor, readable, batch_size)
    if record is None:
        return _rank_rows(rows, error)
    return _place(rows, known, np.array(record["probabilities"]), record["scores"])


def _place(
    rows: list[PictureScore], known: list[int], probabilities: np.ndarray, scores: Sequence[float]
) -> RankedSeries:
    """A series in which only some pictures, at positions `known`, have a score."""
    order = series_record(scores, probabilities)["order"]
    everything = np.full((len(rows), len(rows)), np.nan)
    everything[np.ix_(known, known)] = probabilities
    placed: list[float | None] = [None] * len(rows)
    for place, score in zip(known, scores, strict=True):
        placed[place] = score
    return RankedSeries(rows=rows, scores=placed, order=[known[place] for place in order], probabilities=everything)
