"""
How far the scores of a checkpoint are to be believed, as its own evaluation says, and scores told in words.

Knows nothing about how an evaluation is done; it reads the report that lies in the checkpoint.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from ..hub_faults import reading_from_hub
from ..models.configuration_rating_scale import RatingScaleConfig
from ..pipelines import AestheticRecord
from .scorer import AestheticScorer


_REPORT = "evaluation/report.json"
# standard deviation of the scores as a share of the scale: votes all over the scale have about 0.3, votes that part
# evenly between its ends have 0.5
_AGREEMENT = ((1 / 6, "people disagree little"), (1 / 4, "people disagree somewhat"), (1, "people disagree much"))


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """
    What a checkpoint's own evaluation says of its scores.

    Args:
        error (`float`):
            Mean absolute error of the scores on the test pictures, in rating units.
        knows_spread (`bool`):
            Whether predicted and true disagreement of raters go together, beyond doubt: the 95 % interval of their
            rank correlation lies above 0.
        num_images (`int`):
            Number of test pictures.
        dataset_name (`str`):
            Where they are from.
    """

    error: float
    knows_spread: bool
    num_images: int
    dataset_name: str

    @classmethod
    def of_scorer(cls, scorer: AestheticScorer) -> Self | None:
        """
        Reads it from where a scorer was loaded from; `None` where its evaluation was not published along with it.

        Args:
            scorer ([`AestheticScorer`]):
                What [`AestheticScorer.from_pretrained`] gave.

        Raises:
            OSError: If the Hub cannot be reached or refuses.
        """
        path = _find_report(scorer)
        if path is None:
            return None
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        interval = report["intervals"].get("srcc_std") or [None]
        return cls(
            error=report["metrics"]["mae"],
            knows_spread=interval[0] is not None and interval[0] > 0,
            num_images=report["num_images"],
            dataset_name=report["dataset_name"],
        )


def describe_score(
    record: AestheticRecord, config: RatingScaleConfig, reliability: Reliability | None = None
) -> list[str]:
    """
    A score in sentences that say no more than the numbers carry.

    How much people disagree is told of a picture only if the model was found to know it; the words are those of the
    predicted standard deviation: little up to a sixth of the scale, somewhat up to a quarter (our choice).

    Args:
        record ([`AestheticRecord`]):
            Of one picture.
        config ([`RatingScaleConfig`]):
            The scorer's.
        reliability ([`Reliability`], *optional*):
            The scorer's.

    Example:
        >>> record = {"score": 6.12, "score_std": 1.3, "percentile": 83.4, "distribution": None}
        >>> measured = Reliability(error=0.42, knows_spread=True, num_images=320, dataset_name="parks")
        >>> for sentence in describe_score(record, RatingScaleConfig(), measured):
        ...     print(sentence)
        6.1 of 10, people disagree little.
        Higher than 83 % of the pictures that the model learned from.
        On 320 test pictures of parks it was off by 0.42 on average.
    """
    opening = f"{record['score']:.1f} of {config.max_score:g}"
    spread = record["score_std"]
    if spread is not None and reliability is not None and reliability.knows_spread:
        share = spread / (config.max_score - config.min_score)
        opening += ", " + next(words for bound, words in _AGREEMENT if share <= bound)
    sentences = [f"{opening}."]
    if record["percentile"] is not None:
        sentences.append(f"Higher than {record['percentile']:.0f} % of the pictures that the model learned from.")
    if reliability is None:
        sentences.append("How far the model is off has not been published with it.")
    else:
        sentences.append(
            f"On {reliability.num_images} test pictures of {reliability.dataset_name} it was off by "
            f"{reliability.error:.2f} on average."
        )
    if spread is not None and reliability is not None and not reliability.knows_spread:
        sentences.append("On which pictures people disagree it could not tell.")
    return sentences


def _find_report(scorer: AestheticScorer) -> Path | None:
    """A report of these very weights, in a folder or in the repository."""
    folder = Path(scorer.model.name_or_path)
    if folder.is_dir():
        path = folder / _REPORT
        if not path.is_file():
            return None
        measured = json.loads(path.read_text(encoding="utf-8"))["weights_sha256"]
        return path if measured and scorer.revision and measured.startswith(scorer.revision) else None
    if scorer.revision is None:
        return None
    with reading_from_hub(scorer.name, revision=scorer.revision):
        try:
            return Path(hf_hub_download(scorer.name, _REPORT, revision=scorer.revision))
        except EntryNotFoundError:
            return None
