"""
A job: a folder in which every unit of a collection becomes one table, whoever scores it and in whichever order.

There is no coordinator. A unit is done when its table is there, a table is there only when it is complete, and its
name follows from what the unit holds: any number of processes and machines may work in one folder, be killed, and go
on.
Knows nothing about processes.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..sources import Unit
from ..whole_files import whole_file
from .batch import Columns
from .scorer import AestheticScorer, ScorerSpec, load_scorer
from .stream import score_columns
from .tables import read_scores, write_table


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """
    What to score with, and where the tables go. Small, and the same for every process.

    Args:
        folder (`Path`):
            Where the tables are: `part-<key of the unit><suffix>`.
        scorer ([`ScorerSpec`]):
            The scorer.
        scorer_id, preprocessing (`str`):
            What [`AestheticScorer.id`] and [`AestheticScorer.preprocessing`] must be in every process.
        suffix (`str`, *optional*, defaults to `".parquet"`):
            Format of the tables: `.parquet`, `.csv` or `.jsonl`.
        batch_size (`int`, *optional*, defaults to 16):
            Number of pictures that go through the model together.
    """

    folder: Path
    scorer: ScorerSpec
    scorer_id: str
    preprocessing: str
    suffix: str = ".parquet"
    batch_size: int = 16

    def table_of(self, unit: Unit) -> Path:
        """Where the scores of a unit are once it is done."""
        return self.folder / f"part-{unit.key}{self.suffix}"

    def is_done(self, unit: Unit) -> bool:
        """Whether a unit is done."""
        return self.table_of(unit).exists() or self._mark_of(unit).exists()

    def write(self, unit: Unit, batches: Iterator[Columns]) -> None:
        """Writes the scores of a unit, which is done then; for one without a picture there is a mark, and no table."""
        first = next(batches, None)
        if first is None:
            self._mark_of(unit).touch()
        else:
            write_table(itertools.chain([first], batches), self.table_of(unit))

    def forget_failures(self) -> None:
        """Removes the tables with rows that have an `error`, so that their units are done again."""
        for table in self.folder.glob(f"part-*{self.suffix}"):
            if any(row.error for row in read_scores(table)):
                table.unlink()

    def _mark_of(self, unit: Unit) -> Path:
        return self.folder / f"part-{unit.key}.empty"

    def begin(self, **details: Any) -> None:
        """
        Makes the folder, or finds out that it is that of this job.

        Args:
            **details:
                What else must be the same whenever the job goes on, such as its sources; JSON.

        Raises:
            ValueError: If the folder is that of another job.
            OSError: If it cannot be made.
        """
        mine = {"scorer": self.scorer_id, "preprocessing": self.preprocessing, "format": self.suffix, **details}
        self.folder.mkdir(exist_ok=True)
        note = self.folder / "job.json"
        if not note.exists():
            if strangers := [path.name for path in self.folder.iterdir() if not path.name.startswith("job.json")]:
                raise ValueError(
                    f"Expected a folder of scores or an empty one, got {str(self.folder)!r} with {strangers[0]!r}. "
                    "Choose another output."
                )
            with whole_file(note, is_shared=True) as partial:
                partial.write_text(json.dumps(mine, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        found = json.loads(note.read_text(encoding="utf-8"))
        for name in mine:
            if found.get(name) != mine[name]:
                raise ValueError(
                    f"{str(self.folder)!r} has scores of another job: expected `{name}` {found.get(name)!r} to go on "
                    f"with it, got {mine[name]!r}. Choose another output, or delete it to begin anew."
                )

    def tables(self, units: Iterable[Unit]) -> list[Path] | None:
        """
        The tables of all units, in their order, once all are done: `None` while others are still at work. What else
        lies in the folder of a complete job, of pictures that have changed or processes that were killed, is removed.
        """
        # names, not units: a hundred million pictures are a few hundred thousand of them
        tables = {self.table_of(unit).name: None for unit in units if not self._mark_of(unit).exists()}
        there = {path.name for path in self.folder.iterdir()}
        if not tables.keys() <= there:
            return None
        for name in there - tables.keys():
            if name.startswith("part-") and not name.endswith(".empty"):
                (self.folder / name).unlink(missing_ok=True)
        return [self.folder / name for name in tables]


def run_unit(
    unit: Unit,
    job: ScoringJob,
    scorer: AestheticScorer | None = None,
    *,
    num_threads: int = 0,
    on_batch: Callable[[int], Any] = lambda num_rows: None,
) -> bool:
    """
    Scores a unit, unless that is done: its table is written under a temporary name and renamed in the end.

    Args:
        unit ([`Unit`]):
            What to score.
        job ([`ScoringJob`]):
            With what, and where the table goes.
        scorer ([`AestheticScorer`], *optional*):
            The scorer of the job; loaded where it is left out, once a process.
        num_threads (`int`, *optional*, defaults to 0):
            As in [`score_columns`].
        on_batch (`Callable`, *optional*):
            Called with the number of rows that were scored.

    Returns:
        `bool`: Whether there was anything to do.

    Raises:
        ValueError: If the checkpoint is no longer that of the job.
        OSError: If the table cannot be written. Everything that is done stays done.
    """
    if job.is_done(unit):
        return False
    scorer = scorer or load_scorer(job.scorer)
    if (scorer.id, scorer.preprocessing) != (job.scorer_id, job.preprocessing):
        raise ValueError(
            f"Expected {job.scorer_id} ({job.preprocessing}), which this job began with, got {scorer.id} "
            f"({scorer.preprocessing}). Has the checkpoint changed? Begin anew with another output."
        )
    job.write(unit, _told(score_columns(unit.read(job.batch_size), scorer, num_threads), on_batch))
    return True


def _told(batches: Iterator[Columns], on_batch: Callable[[int], Any]) -> Iterator[Columns]:
    for columns in batches:
        on_batch(len(columns["path"]))
        yield columns
