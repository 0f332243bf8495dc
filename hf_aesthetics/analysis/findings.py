"""What a study of modalities finds, as plain values that a report draws and a machine reads back.

Knows nothing about how anything was computed, or what it looks like.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from ..whole_files import whole_file


REFERENCE = "rgb"  # the modality beside which the cues stand
CONTROLS = ("gray", "constant")


class Estimate(NamedTuple):
    """
    A figure with its 95 % interval.

    Args:
        value (`float`), low (`float`), high (`float`):
            Never NaN: what is undefined is `None` in place of the estimate.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ModalityFigures:
    """
    How well one modality predicts the votes.

    Args:
        modality (`str`):
            Its name.
        source (`str`):
            What made the map, in words: `"closed form"`, `"org/name@commit"`, `"true map of the renderer"`.
        srcc (`Estimate`, *optional*):
            Of the mean scores; `None` where the prediction or the votes are constant.
        skill (`Estimate`):
            Share of the constant predictor's earth mover's distance that is removed.
        retention (`Estimate`, *optional*):
            SRCC as a share of that of `rgb`.
        unique (`Estimate`, *optional*):
            Cross-fitted R² that is lost when the modality is left out of all.
        beyond_rgb (`Estimate`, *optional*):
            Cross-fitted R² that it adds to the model of `rgb`.
    """

    modality: str
    source: str
    srcc: Estimate | None
    skill: Estimate
    retention: Estimate | None = None
    unique: Estimate | None = None
    beyond_rgb: Estimate | None = None


@dataclass(frozen=True)
class CueOrder:
    """
    Two cues, by how well the models that see them alone predict the votes.

    Args:
        ahead (`str`), behind (`str`):
            The cues, as the first extractor of each orders them.
        difference (`Estimate`):
            Of their SRCCs, over the same draws, for the two extractors for which it is clear the least.
        num_pairs (`int`):
            Of extractors.
        holds (`bool`):
            Whether the order is clear with every pair.
    """

    ahead: str
    behind: str
    difference: Estimate
    num_pairs: int
    holds: bool


@dataclass(frozen=True)
class Dominance:
    """
    Which modality comes closest to the votes of each picture, where the margin exceeds the noise of votes.

    Args:
        counts (`dict[str, int]`):
            Pictures that a modality clearly predicts best.
        undecided (`int`):
            Pictures where the margin to the runner-up lies within the noise.
        noise (`float`):
            Earth mover's distance between two halves of the votes, mean over pictures.
        exemplars (`dict[str, list[str]]`):
            `image_id` of those with the largest margins, for each modality.
    """

    counts: dict[str, int]
    undecided: int
    noise: float
    exemplars: dict[str, list[str]]


@dataclass(frozen=True)
class Covariance:
    """
    One modality and one category or rating.

    Args:
        modality (`str`), category (`str`):
            Which.
        num_pictures (`int`):
            Members of a category; pictures with a rating.
        covariance (`float`):
            Between the predicted mean score and the category's indicator or rating.
        correlation (`Estimate`):
            The same, standardised.
        partial (`Estimate`, *optional*):
            Correlation given the predicted score of `rgb`, for overall quality leaks into every attribute.
        p_value (`float`), q_value (`float`):
            Of the partial correlation, else of the correlation: by permutation, and after Benjamini and Hochberg.
    """

    modality: str
    category: str
    num_pictures: int
    covariance: float
    correlation: Estimate
    partial: Estimate | None
    p_value: float
    q_value: float


@dataclass(frozen=True)
class CategorySystemFindings:
    """All modalities and all categories of a system, such as AVA's styles; `skipped` says why others are left out."""

    system: str
    rows: list[Covariance]
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """
    Pictures that one profile of modalities predicts.

    Args:
        name (`str`):
            From the modalities that stand out and the categories that covary.
        size (`int`):
            Number of pictures.
        profile (`dict[str, float]`):
            Mean of each modality's standardised closeness to the votes.
        categories (`list[str]`):
            Those that are more frequent inside, most telling first.
        exemplars (`list[str]`):
            `image_id` of the pictures that belong to it most clearly.
    """

    name: str
    size: int
    profile: dict[str, float]
    categories: list[str]
    exemplars: list[str]


@dataclass(frozen=True)
class Categorisation:
    """Groups of pictures by what carries their judgement; where `clusters` is empty, `reason` says why."""

    clusters: list[Cluster]
    stability: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Trend:
    """
    The score against a property of the maps, such as the range of depth.

    Args:
        descriptor (`str`), meaning (`str`), modality (`str`):
            Which property, in words, and of which map.
        correlation (`Estimate`, *optional*):
            SRCC with the mean score; `None` where the property does not vary.
        centers (`list[float]`), means (`list[float]`), lows (`list[float]`), highs (`list[float]`):
            Mean score with its interval in parts of equally many pictures.
    """

    descriptor: str
    meaning: str
    modality: str
    correlation: Estimate | None
    centers: list[float]
    means: list[float]
    lows: list[float]
    highs: list[float]


@dataclass(frozen=True)
class Verdict:
    """
    Which cue carries the judgement.

    Args:
        cause (`str`, *optional*):
            The cue that is named; `None` where several lead or nothing is claimed.
        sentence (`str`):
            The same in words, with the figures it rests on.
        shares (`dict[str, Estimate]`):
            Share of each cue in what the cues explain.
        explained (`Estimate`):
            Share of the explainable variance that all cues explain together.
        claims (`list[str]`):
            Further statements that the intervals support.
        rule (`str`):
            By which rule.
        leaders (`list[str]`):
            The cue that is named, or those that cannot be told apart at the top; none where nothing is claimed.
        p_value (`float`):
            How often scores that belong to no picture are explained as well.
    """

    cause: str | None
    sentence: str
    shares: dict[str, Estimate]
    explained: Estimate
    claims: list[str] = field(default_factory=list)
    rule: str = ""
    leaders: list[str] = field(default_factory=list)
    p_value: float = 1.0


@dataclass(frozen=True)
class StudyFindings:
    """
    Everything that is found on one collection.

    Args:
        collection (`str`), num_pictures (`int`), num_groups (`int`), scale (`str`):
            What was studied; groups are what no fold parts, such as themes.
        modalities (`list[ModalityFigures]`):
            `rgb` first, then the others, best first, then the controls.
        order (`list[CueOrder]`):
            Every two cues.
        ceiling (`float`, *optional*):
            SRCC that a second vote would reach.
        agreement (`dict[str, dict[str, float | None]]`):
            SRCC between the predicted mean scores of two modalities.
        dominance (`Dominance`, *optional*), fusion (`ModalityFigures`, *optional*):
            The late-fusion ensemble of all modalities but `rgb`, cross-fitted.
        systems (`list[CategorySystemFindings]`):
            Covariance with categories, by system.
        categorisation ([`Categorisation`], *optional*), trends (`list[Trend]`):
            Groups of pictures, and the score against properties of the maps.
        verdict ([`Verdict`]):
            What it comes to.
        method (`dict[str, str]`):
            How it was done, in words: folds, backbone, freezing depth, seeds, command, revision.
        limits (`list[str]`):
            What must be known to read it, the licences among them.
    """

    collection: str
    num_pictures: int
    num_groups: int
    scale: str
    modalities: list[ModalityFigures]
    verdict: Verdict
    order: list[CueOrder] = field(default_factory=list)
    ceiling: float | None = None
    agreement: dict[str, dict[str, float | None]] = field(default_factory=dict)
    dominance: Dominance | None = None
    fusion: ModalityFigures | None = None
    systems: list[CategorySystemFindings] = field(default_factory=list)
    categorisation: Categorisation | None = None
    trends: list[Trend] = field(default_factory=list)
    method: dict[str, str] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)


def save_findings(path: str | os.PathLike[str], findings: Any) -> None:
    """
    Writes findings as JSON, whole or not at all.

    Args:
        path (`str` or `os.PathLike`):
            The file.
        findings ([`StudyFindings`] or another dataclass of plain values and estimates):
            What was found.

    Raises:
        ValueError: If a figure is NaN or infinite, or a field holds something else than it should.
    """
    text = json.dumps(plain_findings(findings), indent=1, ensure_ascii=False) + "\n"
    with whole_file(Path(path)) as partial:
        partial.write_text(text, encoding="utf-8")


def load_findings(path: str | os.PathLike[str], kind: type = StudyFindings) -> Any:
    """
    Reads what [`save_findings`] wrote of a `kind`, so that another collection can be put beside it.

    Raises:
        ValueError: If there is no such file, or one with other fields than this version writes.

    Example:
        >>> import tempfile
        >>> figures = ModalityFigures("depth", "closed form", srcc=None, skill=Estimate(0.1, 0.0, 0.2))
        >>> verdict = Verdict(None, "Nothing is claimed.", shares={}, explained=Estimate(0.0, 0.0, 0.1))
        >>> findings = StudyFindings("parks", 40, 4, "1 to 7", [figures], verdict)
        >>> path = Path(tempfile.mkdtemp()) / "findings.json"
        >>> save_findings(path, findings)
        >>> load_findings(path) == findings
        True
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"Expected findings at {path}, found none. Write them with save_findings(path, findings).")
    try:
        return _read(kind, json.loads(path.read_text(encoding="utf-8")), "findings")
    except ValueError as error:
        raise ValueError(f"{path} does not hold findings of this version ({error}). Make them again.") from error


def plain_findings(findings: Any) -> dict[str, Any]:
    """
    Findings as dictionaries, lists, words and numbers.

    Raises:
        ValueError: If a figure is NaN or infinite, or a field holds something else than it should.

    Example:
        >>> verdict = Verdict(None, "Nothing.", shares={}, explained=Estimate(float("nan"), 0.0, 0.1))
        >>> plain_findings(StudyFindings("parks", 40, 4, "1 to 7", [], verdict))
        Traceback (most recent call last):
            ...
        ValueError: findings.verdict.explained.value must be a finite number, got nan. What is undefined is None.
    """
    plain = _write(findings)
    _read(type(findings), plain, "findings")
    return plain


def _write(value: Any) -> Any:
    if is_dataclass(value):
        return {part.name: _write(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Estimate):
        return {name: _write(number) for name, number in value._asdict().items()}
    if isinstance(value, Mapping):
        return {_write(name): _write(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_write(item) for item in value]
    if isinstance(value, bool):  # an Integral, too
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    return str(value) if isinstance(value, str) else value  # ids and names may come from arrays


def _read(kind: Any, value: Any, place: str) -> Any:
    """Builds a value of a type from plain ones; `place` names it where it cannot be."""
    parts = get_args(kind)
    if get_origin(kind) is UnionType:  # only `X | None` occurs
        return None if value is None else _read(parts[0], value, place)
    if get_origin(kind) is list and isinstance(value, list):
        return [_read(parts[0], item, f"{place}[{index}]") for index, item in enumerate(value)]
    if get_origin(kind) is dict and isinstance(value, dict):
        items = {_read(parts[0], name, f"a name in {place}"): item for name, item in value.items()}
        return {name: _read(parts[1], item, f"{place}[{name!r}]") for name, item in items.items()}
    if (is_dataclass(kind) or kind is Estimate) and isinstance(value, dict):
        hints = get_type_hints(kind)
        if value.keys() != hints.keys():
            raise ValueError(f"{place} must have the fields {list(hints)}, got {list(value)}")
        return kind(**{name: _read(hint, value[name], f"{place}.{name}") for name, hint in hints.items()})
    if kind is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise ValueError(f"{place} must be a finite number, got {value}. What is undefined is None.")
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{place} must be {getattr(kind, '__name__', kind)}, got {value!r}")
    return value
