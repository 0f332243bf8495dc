"""
The answers of all people: what stands, how consistent each of them is, and choices counted.

Knows nothing about what follows from them.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from .journal import Journal


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    What a person said of two pictures.

    Args:
        comparison (`str`):
            Which comparison it was.
        annotator (`str`):
            The person.
        preference (`float`):
            From -100, `image_b` is surely better, over 0, cannot tell, to 100.
        image_a (`str`), image_b (`str`):
            The pictures.
        series_id (`str`, *optional*):
            The series of both.
        is_repeat (`bool`):
            Whether the person was asked before.
        left (`str`):
            What was shown on the left, `"image_a"` or `"image_b"`.
        time (`str`):
            When, in UTC.
        seconds (`float`):
            How long the pair was looked at.
    """

    comparison: str
    annotator: str
    preference: float
    image_a: str
    image_b: str
    series_id: str | None
    is_repeat: bool
    left: str
    time: str
    seconds: float


@dataclass(frozen=True)
class Consistency:
    """
    How a person answers.

    Args:
        num_answers (`int`):
            Answers, without repeats.
        num_repeats (`int`):
            Comparisons that were answered twice.
        agreement (`float`, *optional*):
            Share of these with the same choice both times; "cannot tell" beside a choice is half of one. `None`
            without repeats.
        mean_difference (`float`, *optional*):
            How far both preferences lie apart, on average.
        left_share (`float`, *optional*):
            Share of the choices that fell on the left: 0.5 for who does not look at sides. `None` without choices.
        median_seconds (`float`):
            Time an answer takes.
    """

    num_answers: int
    num_repeats: int
    agreement: float | None
    mean_difference: float | None
    left_share: float | None
    median_seconds: float


def read_answers(folder: str | os.PathLike[str]) -> list[Answer]:
    """
    Reads what people answered, without what they took back, in the order of names and then of time.

    Args:
        folder (`str` or `os.PathLike`):
            With one `.jsonl` file a person, as [`Labelling`] writes it.

    Raises:
        FileNotFoundError: If there are no answers.
        ValueError: If a line is malformed.
    """
    files = sorted(Path(folder).glob("*.jsonl"))
    answers = []
    for path in files:
        for record in standing_records(Journal(path).read()).values():
            try:
                answers.append(Answer(**record))
            except TypeError:
                raise ValueError(f"{path}: expected an answer, got {record}. Correct or delete the line.") from None
    if not answers:
        raise FileNotFoundError(f"Expected answers, one .jsonl file a person, in {str(folder)!r}, found none.")
    return answers


def standing_records(records: Iterable[dict[str, Any]]) -> dict[tuple[str, bool], dict[str, Any]]:
    """
    Of all that was said the records that stand, by comparison and whether it was a repeat, the latest last.

    Example:
        >>> said = [{"comparison": "0", "is_repeat": False}, {"comparison": "1", "is_repeat": False}]
        >>> list(standing_records([*said, {**said[1], "is_undone": True}]))
        [('0', False)]
    """
    standing: dict[tuple[str, bool], dict[str, Any]] = {}
    for record in records:
        key = record["comparison"], record["is_repeat"]
        standing.pop(key, None)
        if not record.get("is_undone"):
            standing[key] = record
    return standing


def pool_repeats(answers: Sequence[Answer]) -> list[Answer]:
    """
    One answer a person and comparison: where there are two, their mean.

    Who chose one picture first and then the other has said 0, cannot tell, which is what is known. (Our choice; nobody
    is left out for it, see [`measure_consistency`].)
    """
    both: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in answers:
        both[answer.annotator.casefold(), answer.comparison].append(answer)
    return [
        replace(said[0], preference=fmean(answer.preference for answer in said), is_repeat=False)
        for said in both.values()
    ]


def measure_consistency(answers: Sequence[Answer]) -> dict[str, Consistency]:
    """
    How each person answers.

    Args:
        answers (`Sequence[Answer]`):
            Of [`read_answers`].

    Returns:
        `dict[str, Consistency]` by name.
    """
    by_person: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_person[answer.annotator].append(answer)
    return {name: _measure(said) for name, said in by_person.items()}


def print_consistency(answers: Sequence[Answer]) -> None:
    """
    Prints a table of what [`measure_consistency`] finds.

    Args:
        answers (`Sequence[Answer]`):
            Of [`read_answers`].
    """
    print("| annotator | answers | repeats that agree | choices on the left | seconds each |")
    print("|---|---|---|---|---|")
    for name, found in measure_consistency(answers).items():
        agree = "" if found.agreement is None else f"{found.agreement:.2f} of {found.num_repeats}"
        left = "" if found.left_share is None else f"{found.left_share:.2f}"
        name = name.replace("|", "\\|")
        print(f"| {name} | {found.num_answers} | {agree} | {left} | {found.median_seconds:.1f} |")


def tally_choices(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """
    How many people chose which, a row a pair, as rank calibration counts them.

    Args:
        answers (`Sequence[Answer]`):
            Of [`read_answers`]; those of one person to one pair are pooled.

    Returns:
        `list[dict]` with `image_a`, `image_b`, `series_id`, `wins_a`, `wins_b`, and `num_ties`: who could not tell.
    """
    rows: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    for answer in pool_repeats(answers):
        key = answer.image_a, answer.image_b, answer.series_id
        empty = dict(zip(("image_a", "image_b", "series_id"), key, strict=True), wins_a=0, wins_b=0, num_ties=0)
        row = rows.setdefault(key, empty)
        row["wins_a" if answer.preference > 0 else "wins_b" if answer.preference < 0 else "num_ties"] += 1
    return list(rows.values())


def _measure(answers: list[Answer]) -> Consistency:
    first = {answer.comparison: answer.preference for answer in answers if not answer.is_repeat}
    again = {answer.comparison: answer.preference for answer in answers if answer.is_repeat}
    twice = [(first[name], said) for name, said in again.items() if name in first]
    chosen = [answer for answer in answers if answer.preference]
    return Consistency(
        num_answers=len(first),
        num_repeats=len(twice),
        agreement=fmean(1 - abs(_sign(a) - _sign(b)) / 2 for a, b in twice) if twice else None,
        mean_difference=fmean(abs(a - b) for a, b in twice) if twice else None,
        left_share=fmean((each.preference > 0) == (each.left == "image_a") for each in chosen) if chosen else None,
        median_seconds=median(answer.seconds for answer in answers),
    )


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
