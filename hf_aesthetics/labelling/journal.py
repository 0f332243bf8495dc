"""
A file that only grows: one JSON object a line, each on disk before the program goes on.

Knows nothing about what the objects mean.
"""

import json
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock


logger = logging.getLogger(__name__)


class Journal:
    """
    What one person said, in the order in which it was said.

    A process that is killed, or a machine that loses its power, leaves whole lines and at most one that is cut short,
    which was never acknowledged. It is dropped with a warning.

    Args:
        path (`Path`):
            The file; made with its folder at the first record.

    Example:
        >>> journal = Journal(getfixture("tmp_path") / "ada.jsonl")
        >>> with journal.locked() as records:
        ...     journal.append({"comparison": "0"})
        >>> journal.read()
        [{'comparison': '0'}]
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """
        All records.

        Raises:
            ValueError: If a line that is whole is no JSON object.
        """
        content = self.path.read_bytes() if self.path.is_file() else b""
        *lines, torn = content.split(b"\n")
        if torn:
            logger.warning("%s: the last line was cut short, and is dropped: %r", self.path.name, torn[:80])
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise ValueError(
                    f"{self.path}, line {number}: expected a JSON object, got {line[:80]!r}. Correct or delete it."
                )
            records.append(record)
        return records

    @contextmanager
    def locked(self) -> Generator[list[dict[str, Any]]]:
        """All records, to which no other process adds one meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            yield self.read()

    def append(self, record: dict[str, Any]) -> None:
        """
        Adds a record, which is on the disk afterwards. Call it with the file [`locked`].

        Raises:
            OSError: If it cannot be written; then the file is as before.
        """
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        is_new = not self.path.exists()
        with self.path.open("ab", buffering=0) as file:
            whole = self._whole_size()
            file.truncate(whole)
            try:
                if file.write(line) != len(line):
                    raise OSError(f"{self.path}: the record was not written whole. Is the disk full?")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise
        if is_new and os.name == "posix":  # so that the name of the file is on the disk, too
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _whole_size(self) -> int:
        """Where the last whole line ends."""
        return self.path.read_bytes().rfind(b"\n") + 1
