"""
Which shots of each series of a folder to keep, by a scorer, as star ratings.

Knows nothing about how series are found or shown. It proposes; the photographer decides.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from ..scoring import AestheticScorer, RankedSeries, rank_series
from .bursts import MIN_SHOT_SIMILARITY, FoundSeries, find_series
from .sidecars import Naming, SidecarError, read_rating, sidecar_path, write_rating


BEST, KEPT = 5, 4
REJECTED = -1
# by the probability that the last shot that is kept is better: below which one has how many stars
_CLOSE = ((0.75, 3), (0.9, 2), (1.01, 1))


@dataclass(frozen=True, kw_only=True)
class CulledShot:
    """
    What is proposed for a shot of a series.

    Args:
        path (`Path`):
            The file.
        score (`float`, *optional*):
            By which it was ranked; `None` where there is an `error`.
        rating (`int`, *optional*):
            Proposed stars, -1 for rejected; `None` where there is an `error`.
        is_kept (`bool`):
            Whether to keep it.
        chance (`float`, *optional*):
            How likely the last shot that is kept is better than this one, which is not.
        error (`str`, *optional*):
            Why there is no score.
    """

    path: Path
    score: float | None
    rating: int | None
    is_kept: bool
    chance: float | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Culling:
    """
    What is proposed for a folder.

    Args:
        series (`list[list[CulledShot]]`):
            The shots of each series, the best first; those without a score last.
        found ([`FoundSeries`]):
            The series, and what belongs to none.
        scorer (`str`), preprocessing (`str`), notice (`str`, *optional*):
            What ranked the shots, and what has to be said with it.
    """

    series: list[list[CulledShot]]
    found: FoundSeries
    scorer: str
    preprocessing: str
    notice: str | None

    @property
    def num_kept(self) -> int:
        """How many shots of series are kept."""
        return sum(shot.is_kept for shots in self.series for shot in shots)


@dataclass(frozen=True)
class RatingsWritten:
    """
    What became of the sidecars.

    Args:
        written (`list[Path]`), unchanged (`list[Path]`):
            Sidecars that were written, and those that said the same before.
        respected (`list[Path]`):
            Sidecars that were there and were left as they are.
        failed (`dict[Path, str]`):
            Pictures without a sidecar, and why.
    """

    written: list[Path] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)
    respected: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def cull(
    scorer: AestheticScorer,
    paths: Iterable[str | os.PathLike[str]],
    *,
    keep: int = 1,
    reject: bool = False,
    error: float | None = None,
    max_gap: float = 10.0,
    min_similarity: float = MIN_SHOT_SIMILARITY,
    batch_size: int = 16,
) -> Culling:
    """
    Finds the series among pictures, ranks the shots of each, and proposes which to keep.

    The best shot has 5 stars, further ones that are kept have 4. A shot that is not kept has 3 stars where the last
    one that is kept is better with a probability below 0.75, 2 stars below 0.9, and 1 star, or with `reject` a mark of
    rejection, where it is surer than that. Pictures that belong to no series get nothing.

    Args:
        scorer ([`AestheticScorer`]):
            The scorer; one that compares the shots of a series is asked to.
        paths (`Iterable` of `str` or `os.PathLike`):
            Files, such as [`find_images`] gives them.
        keep (`int`, *optional*, defaults to 1):
            How many shots of a series to keep.
        reject (`bool`, *optional*, defaults to `False`):
            Whether to reject what is surely worse. Some programs delete rejected pictures at a keystroke.
        error (`float`, *optional*):
            Mean absolute error of the scores; see [`pair_probabilities`].
        max_gap, min_similarity (`float`, *optional*):
            As in [`find_series`].
        batch_size (`int`, *optional*, defaults to 16):
            Number of pictures that go through the model together.

    Raises:
        ValueError: If `keep` is less than 1, or another argument is out of range.
    """
    if keep < 1:
        raise ValueError(f"`keep` must be at least 1, got {keep}.")
    found = find_series(paths, max_gap=max_gap, min_similarity=min_similarity)
    ranked = rank_series(scorer, found.series, error=error, batch_size=batch_size)
    series, num_shots = [], sum(map(len, found.series))
    with tqdm(total=num_shots, desc="ranking", unit=" pictures", disable=num_shots < 1000) as bar:
        for shots, answer in zip(found.series, ranked, strict=True):
            series.append(propose(shots, answer, keep, reject))
            bar.update(len(shots))
    return Culling(
        series=series,
        found=found,
        scorer=scorer.id,
        preprocessing=scorer.preprocessing,
        notice=scorer.notice,
    )


def propose(shots: Sequence[Path], ranked: RankedSeries, keep: int, reject: bool = False) -> list[CulledShot]:
    """
    The proposal for one series, the best shot first; see [`cull`].

    Args:
        shots (`Sequence[Path]`):
            The files.
        ranked ([`RankedSeries`]):
            What was said of them, in their order.
        keep (`int`):
            How many to keep.
        reject (`bool`, *optional*, defaults to `False`):
            Whether to reject what is surely worse.
    """
    order = ranked.order
    proposed = []
    for place, shot in enumerate(order):
        score, is_kept = ranked.scores[shot], place < keep
        if is_kept:
            rating, chance = BEST if place == 0 else KEPT, None
        else:
            chance = float(ranked.probabilities[order[keep - 1], shot])
            rating = next(stars for bound, stars in _CLOSE if chance < bound)
            rating = REJECTED if reject and rating == 1 else rating
        proposed.append(CulledShot(path=shots[shot], score=score, rating=rating, is_kept=is_kept, chance=chance))
    for shot in range(len(shots)):
        if shot not in order:
            reason = ranked.rows[shot].error
            proposed.append(CulledShot(path=shots[shot], score=None, rating=None, is_kept=False, error=reason))
    return proposed


def write_ratings(culling: Culling, *, overwrite: bool = False, naming: Naming = "stem") -> RatingsWritten:
    """
    Writes the proposed ratings into sidecars beside the pictures, which stay as they are, to the byte.

    A run that is killed has written some of them, each whole; the next one goes on, because sidecars that are there
    are left alone.

    Args:
        culling ([`Culling`]):
            What [`cull`] proposes.
        overwrite (`bool`, *optional*, defaults to `False`):
            Whether to put the rating into sidecars that are there. All else that they say stays in them.
        naming (`"stem"` or `"file"`, *optional*, defaults to `"stem"`):
            How sidecars are called; see [`sidecar_path`].

    Returns:
        [`RatingsWritten`].
    """
    found = culling.found
    everything = [*found.singles, *found.copies, *found.unreadable, *(shot for each in found.series for shot in each)]
    shared = Counter(sidecar_path(path, naming) for path in everything)
    report = RatingsWritten()
    for shot in (shot for shots in culling.series for shot in shots):
        if shot.rating is None:
            continue
        sidecar = sidecar_path(shot.path, naming)
        try:
            if shared[sidecar] > 1:
                raise SidecarError(f"{shared[sidecar]} pictures would share {sidecar}. Name sidecars by file.")
            there = sidecar.exists()
            if there and not overwrite:
                report.respected.append(sidecar)
            elif there and read_rating(sidecar) == shot.rating:
                report.unchanged.append(sidecar)
            else:
                write_rating(sidecar, shot.rating)
                report.written.append(sidecar)
        except SidecarError as error:
            report.failed[shot.path] = str(error)
        except OSError as error:
            told = error.strerror or error
            report.failed[shot.path] = f"{sidecar} cannot be written ({told}). Check the permissions and the disk."
    return report
