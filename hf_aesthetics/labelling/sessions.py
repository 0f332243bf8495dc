"""
People who answer one question after the other, stop, come back, and go on: nothing is kept but their journals.

Knows nothing about pages: those ask here what to show.
"""

import hashlib
import math
import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from .answers import standing_records
from .comparisons import LabellingTask
from .journal import Journal
from .questions import REPEAT_SHARE, Question, order_questions


MAX_NAME = 60


@dataclass(frozen=True)
class Progress:
    """
    Where a person is.

    Args:
        annotator (`str`):
            The name under which answers are kept.
        num_answered (`int`), num_questions (`int`):
            How far, repeats included.
        questions (`list[Question]`):
            What is still to be answered, the next one first.
        attempt (`int`):
            How often the answer to the next one was taken back.
        last (`tuple[str, int]`, *optional*):
            Question and attempt of the latest answer that stands.
    """

    annotator: str
    num_answered: int
    num_questions: int
    questions: list[Question]
    attempt: int
    last: tuple[str, int] | None


class Labelling:
    """
    A task and the answers of all who work on it.

    Every call reads the journal of the person, under a lock, and so any number of people, threads and processes can
    work on one folder, and none of them has to be asked when another one was killed.

    Args:
        task ([`LabellingTask`]):
            What to ask.
        folder (`str` or `os.PathLike`):
            Where answers are kept, one file a person.
        repeat_share (`float`, *optional*, defaults to 0.1), seed (`int`, *optional*, defaults to 0):
            As in [`order_questions`].
    """

    def __init__(
        self,
        task: LabellingTask,
        folder: str | os.PathLike[str],
        *,
        repeat_share: float = REPEAT_SHARE,
        seed: int = 0,
    ) -> None:
        self.task, self.folder = task, Path(folder)
        by_person = lru_cache(maxsize=64)
        self._order = by_person(
            lambda person: order_questions(task.comparisons, person, repeat_share=repeat_share, seed=seed)
        )
        self._order("")  # what is wrong with the share is said now

    def look(self, name: str) -> Progress:
        """
        Where a person is, who may be new.

        Raises:
            ValueError: If it is no name, or there are answers to other comparisons in the folder.
        """
        annotator, journal = self._open(name)
        with journal.locked() as records:
            return self._progress(first_spelling(annotator, records), records)

    def answer(self, name: str, question: str, attempt: int, lean: float, seconds: float) -> Progress:
        """
        Keeps an answer, on disk before this returns. One that comes again, or to a question that has one, changes
        nothing.

        Args:
            name (`str`):
                The person.
            question (`str`), attempt (`int`):
                What is answered, as [`Progress`] told.
            lean (`float`):
                From -100, the left one is surely better, over 0, cannot tell, to 100, the right one is.
            seconds (`float`):
                How long the pair was looked at.

        Raises:
            ValueError: If there is no such question, or a number is out of range.
        """
        if not abs(lean) <= 100:
            raise ValueError(f"`lean` must lie between -100 and 100, got {lean}.")
        if not (seconds >= 0 and math.isfinite(seconds)):
            raise ValueError(f"`seconds` must be 0 or more, got {seconds}.")
        annotator, journal = self._open(name)
        asked = self._find(annotator, question)
        with journal.locked() as records:
            annotator = first_spelling(annotator, records)
            if asked.id not in self._standing(records, annotator) and attempt == _attempts(records)[_key(asked)]:
                pair = asked.comparison
                record = {
                    "comparison": pair.id,
                    "is_repeat": asked.is_repeat,
                    "annotator": annotator,
                    "preference": -lean if asked.left == "image_a" else lean,
                    "image_a": pair.image_a,
                    "image_b": pair.image_b,
                    "series_id": pair.series_id,
                    "left": asked.left,
                    "time": _now(),
                    "seconds": round(seconds, 3),
                }
                record["preference"] += 0.0  # no -0.0
                journal.append(record)
                records.append(record)
            return self._progress(annotator, records)

    def undo(self, name: str, question: str, attempt: int) -> Progress:
        """
        Takes the latest answer back, and asks again. A call that names another one, such as the same call once more,
        changes nothing.

        Raises:
            ValueError: If there is no such question.
        """
        annotator, journal = self._open(name)
        asked = self._find(annotator, question)
        with journal.locked() as records:
            annotator = first_spelling(annotator, records)
            if self._progress(annotator, records).last == (asked.id, attempt):
                pair = asked.comparison
                record = {"comparison": pair.id, "is_repeat": asked.is_repeat, "annotator": annotator}
                record |= {"is_undone": True, "time": _now()}
                journal.append(record)
                records.append(record)
            return self._progress(annotator, records)

    def _open(self, name: str) -> tuple[str, Journal]:
        annotator = clean_name(name)
        path = self.folder / file_name(annotator)
        return annotator, Journal(path)

    def _find(self, annotator: str, question: str) -> Question:
        for asked in self._order(annotator.casefold()):
            if asked.id == question:
                return asked
        raise ValueError(f"Expected a question of {annotator}, got {question!r}. Load the page again.")

    def _standing(self, records: list[dict[str, Any]], annotator: str) -> dict[str, Question]:
        """Questions with an answer, the latest answer last."""
        asked = {_key(question): question for question in self._order(annotator.casefold())}
        found = {}
        for key, record in standing_records(records).items():
            if (question := asked.get(key)) is not None:
                pair = question.comparison
                if (record["image_a"], record["image_b"]) != (pair.image_a, pair.image_b):
                    raise ValueError(
                        f"{self.folder}: comparison {pair.id} must be of {pair.image_a} and {pair.image_b}, but the "
                        f"answers of {annotator} are to {record['image_a']} and {record['image_b']}, from before the "
                        "table was changed. Keep these answers elsewhere, and begin with an empty folder."
                    )
                found[question.id] = question
        return found

    def _progress(self, annotator: str, records: list[dict[str, Any]]) -> Progress:
        order = self._order(annotator.casefold())
        standing, attempts = self._standing(records, annotator), _attempts(records)
        waiting = [question for question in order if question.id not in standing]
        latest = next(reversed(standing.values()), None)
        return Progress(
            annotator,
            len(standing),
            len(order),
            waiting,
            attempts[_key(waiting[0])] if waiting else 0,
            None if latest is None else (latest.id, attempts[_key(latest)]),
        )


def clean_name(name: str) -> str:
    """
    A name as it is kept: without spaces that nobody sees.

    Raises:
        ValueError: If nothing is left, it is too long, or it cannot be printed.

    Example:
        >>> clean_name("  Ada   Lovelace ")
        'Ada Lovelace'
    """
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if not 0 < len(cleaned) <= MAX_NAME or not cleaned.isprintable():
        raise ValueError(f"A name must have 1 to {MAX_NAME} characters that can be printed, got {cleaned[:80]!r}.")
    return cleaned


def first_spelling(annotator: str, records: list[dict[str, Any]]) -> str:
    """
    A person is called as at the first answer, however the name was typed later: answers are told apart by it.

    Example:
        >>> first_spelling("ada", [{"annotator": "Ada"}])
        'Ada'
    """
    return records[0]["annotator"] if records else annotator


def file_name(annotator: str) -> str:
    """
    The file of a person, the same however the name is capitalised.

    Example:
        >>> file_name("Ada Lovelace") == file_name("ada lovelace")
        True
    """
    key = annotator.casefold()
    slug = re.sub(r"[^a-z0-9]+", "-", key).strip("-")[:40]
    return f"{slug or 'annotator'}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.jsonl"


def _key(question: Question) -> tuple[str, bool]:
    return question.comparison.id, question.is_repeat


def _attempts(records: list[dict[str, Any]]) -> Counter[tuple[str, bool]]:
    """How often the answer to each question was taken back."""
    return Counter((record["comparison"], record["is_repeat"]) for record in records if record.get("is_undone"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
