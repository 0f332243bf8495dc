"""
Scoring whole collections: on every core of a machine, on many machines, and on from where it was stopped.

Knows nothing about what a unit is made of, or how it is scored; it says who runs which.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..sources import Unit
from .fast_mode import ModeAgreement, check_fast_mode
from .job import ScoringJob, run_unit
from .ranks import ONLY_RANK, Rank
from .scorer import AestheticScorer, ScorerSpec, load_scorer
from .stream import default_threads, num_cores
from .tables import check_destination, join_tables
from .worker_engine import WorkerEngine


MIN_PICTURES_FOR_WORKERS = 4000
"""Below, starting processes takes longer than they save: each imports torch and loads the model."""

# where fast mode is compared with exact mode before a job
_NUM_PLACES, _PICTURES_A_PLACE = 16, 32

Engine = Callable[[Iterator[Unit], ScoringJob, Callable[[int], Any]], None]
"""Scores units that are not done yet, and tells as it goes how many rows more there are."""


@dataclass(frozen=True)
class CollectionReport:
    """
    What became of a call of [`score_collection`].

    Args:
        num_units, num_done_before (`int`):
            Units of this rank, and how many of them were done before.
        tables (`list[Path]`, *optional*):
            The tables of all units, in their order; `None` where those of other ranks are not done yet.
        agreement ([`ModeAgreement`], *optional*):
            How well fast mode agreed with exact mode before the job; `None` where that was not measured.
    """

    num_units: int
    num_done_before: int
    tables: list[Path] | None
    agreement: ModeAgreement | None = None


def score_collection(
    list_units: Callable[[], Iterable[Unit]],
    scorer: ScorerSpec,
    output: str | os.PathLike[str],
    *,
    batch_size: int = 16,
    num_workers: int | None = None,
    rank: Rank = ONLY_RANK,
    retry_failures: bool = False,
    engine: Engine | None = None,
    watch: Callable[[int | None, int], Callable[[int], Any]] = lambda total, done: lambda num_rows: None,
    **details: Any,
) -> CollectionReport:
    """
    Scores a collection of any size into a table, or into a folder of tables, and goes on where it was stopped.

        score_collection(partial(units, ["photos/"]), ScorerSpec("org/nima"), "scores.parquet")

    A unit that is done is never done again, unless its pictures change. While a file is being made, its units are in a
    folder beside it, `scores.parquet.parts`. A folder stays as it is, one table a unit, and takes in what is added to
    the collection later.

    Args:
        list_units (`Callable`):
            Gives the units of the collection, in the same order at every call, such as `partial(units, sources)`.
        scorer ([`ScorerSpec`]):
            The scorer. A branch or tag is resolved once, to the commit that every process loads.
        output (`str` or `os.PathLike`):
            A file that ends in `.parquet`, `.csv` or `.jsonl`, which is replaced when all is done; or, without a
            suffix, a folder of Parquet files.
        batch_size (`int`, *optional*, defaults to 16):
            Number of pictures that go through the model together.
        num_workers (`int`, *optional*):
            Number of processes. By default one with a single thread for each core that this rank has, if there is no
            GPU and enough to do (`MIN_PICTURES_FOR_WORKERS`); else this process, with threads that read pictures.
        rank ([`Rank`], *optional*):
            Of `rank.count` processes that know nothing of each other, this one scores every `rank.count`-th unit, from
            the one numbered `rank.number` on. They share `output`, which must be a folder.
        retry_failures (`bool`, *optional*, defaults to `False`):
            Whether to do again the units in which a picture could not be read, for faults that pass, such as those of
            a network. Files that have been mended are scored again in any case.
        engine (`Callable`, *optional*):
            What runs the units in place of processes of this machine, such as [`RayEngine`].
        watch (`Callable`, *optional*):
            Called with the number of pictures, if known, and of those that are done; returns a function that is called
            with the number of rows that were scored since.
        **details:
            What else must be the same whenever the job goes on, such as its `sources`; written into `job.json`.

    Raises:
        ValueError: If `output` is that of another job or of no known format, several ranks share a file, or fast mode
            is too far from exact mode on some pictures of the collection (see [`check_fast_mode`]).
        OSError: If something cannot be read that all units need, or a table cannot be written; the units that are done
            stay done.
        RuntimeError: If a worker process was killed.
    """
    output = Path(output)
    _check_output(output, rank)
    loaded = load_scorer(scorer)
    _ = loaded.extractor  # what is wrong with it must not be told for every file
    if scorer.revision is not None or not Path(scorer.checkpoint).is_dir():
        scorer = replace(scorer, revision=loaded.revision)
    folder = output.with_name(f"{output.name}.parts") if output.suffix else output
    job = ScoringJob(
        folder=folder,
        scorer=scorer,
        scorer_id=loaded.id,
        preprocessing=loaded.preprocessing,
        suffix=output.suffix.lower() or ".parquet",
        batch_size=batch_size,
    )
    job.begin(**details)
    if retry_failures:
        job.forget_failures()
    plan = _plan(_share(list_units(), rank), job)
    agreement = None
    if plan.num_waiting:
        job = replace(job, scorer=replace(scorer, runtime=loaded.optimize(plan.num_pictures_waiting)))
        if scorer.mode == "fast":
            sample = _sample_pictures(list_units(), plan)
            agreement = check_fast_mode(replace(scorer, mode="exact"), loaded, sample, batch_size=batch_size)
        if engine is None:
            if num_workers is None:
                is_worth_it = plan.num_pictures_waiting >= MIN_PICTURES_FOR_WORKERS and loaded.device.type == "cpu"
                num_workers = max(1, num_cores() // rank.local_count) if is_worth_it else 1
            engine = partial(_work_here, loaded) if num_workers == 1 else WorkerEngine(num_workers)
        waiting = (unit for unit in _share(list_units(), rank) if not job.is_done(unit))
        engine(waiting, job, watch(plan.num_pictures, plan.num_done))
    tables = job.tables(list_units())
    if tables is not None and folder != output:
        join_tables(tables, output)
        shutil.rmtree(folder)
        tables = [output]
    return CollectionReport(plan.num_units, plan.num_units - plan.num_waiting, tables, agreement)


def _check_output(output: Path, rank: Rank) -> None:
    if not output.suffix:
        a_table = f"part{ScoringJob.suffix}"
        check_destination(output / a_table if output.is_dir() else output.with_name(a_table))
        return
    check_destination(output)
    if rank.count > 1:
        raise ValueError(
            f"{rank.count} ranks need a folder that they share, got the file {str(output)!r}. Leave out the suffix: "
            f"{str(output.with_suffix(''))!r}."
        )


@dataclass(frozen=True)
class _Plan:
    num_units: int
    num_waiting: int
    num_pictures: int | None
    num_done: int

    @property
    def num_pictures_waiting(self) -> int:
        """How many are not done; a lot, where nobody knows."""
        return 1_000_000 if self.num_pictures is None else self.num_pictures - self.num_done


def _share(units: Iterable[Unit], rank: Rank) -> Iterator[Unit]:
    return itertools.islice(units, rank.number, None, rank.count)


def _plan(units: Iterable[Unit], job: ScoringJob) -> _Plan:
    num_units = num_waiting = num_pictures = num_done = 0
    is_known = True
    for unit in units:
        num_units += 1
        is_done = job.is_done(unit)
        num_waiting += not is_done
        is_known &= unit.num_pictures is not None
        num_pictures += unit.num_pictures or 0
        num_done += (unit.num_pictures or 0) * is_done
    return _Plan(num_units, num_waiting, num_pictures if is_known else None, num_done)


def _sample_pictures(units: Iterable[Unit], plan: _Plan) -> Iterator[Any]:
    """Pictures from several places of a collection."""
    step = -(-plan.num_units // _NUM_PLACES)
    for unit in itertools.islice(units, 0, None, step):
        columns = next(unit.read(_PICTURES_A_PLACE), {"image": []})
        yield from (picture for picture in columns["image"] if picture is not None)


def _work_here(
    scorer: AestheticScorer, units: Iterator[Unit], job: ScoringJob, on_batch: Callable[[int], Any]
) -> None:
    """The engine for a GPU, and for what is soon done: this process, and threads that read pictures."""
    for unit in units:
        run_unit(unit, job, scorer, num_threads=default_threads(), on_batch=on_batch)
