"""
Scoring a collection on a Ray cluster: CPUs read and decode, actors with the model score, the driver writes the tables.

Knows nothing about scores; it moves batches between the two halves of [`score_batch`].
"""

import logging
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..extras import require_extra
from ..sources import Unit
from .batch import prepare_batch, score_prepared, with_kept
from .job import ScoringJob
from .scorer import ScorerSpec, load_scorer


Row = Any  # a dictionary of arrays, one row in each; the types of Ray know more kinds of batches


class RayEngine:
    """
    An engine of [`score_collection`] for machines that Ray has joined to a cluster. Ray Data reads and decodes on the
    CPUs of all of them and scores in a pool of actors, each with a GPU or with a core; it holds back the former where
    the latter do not keep up, and does again what a lost machine has not finished.

        score_collection(list_units, ScorerSpec("org/nima"), "/shared/scores", engine=RayEngine(8, num_gpus=1))

    The driver, which alone writes, joins the cluster that `RAY_ADDRESS` names, or starts Ray on this machine. What it
    has written is there when the job goes on, under whichever engine.

    Args:
        num_actors (`int`, *optional*, defaults to 1):
            Number of actors that run the model.
        num_gpus (`float`, *optional*, defaults to 0):
            GPUs that an actor has; parts of one are possible.

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If there is no actor.

    Example:
        >>> RayEngine(0)
        Traceback (most recent call last):
            ...
        ValueError: `num_actors` must be at least 1, got 0.
    """

    def __init__(self, num_actors: int = 1, num_gpus: float = 0) -> None:
        if num_actors < 1:
            raise ValueError(f"`num_actors` must be at least 1, got {num_actors}.")
        require_extra("RayEngine", "ray", "ray")
        self.num_actors = num_actors
        self.num_gpus = num_gpus

    def __call__(self, units: Iterator[Unit], job: ScoringJob, on_batch: Callable[[int], Any]) -> None:
        import ray
        import ray.data

        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # progress is shown by whoever called
        ray.data.DataContext.get_current().enable_progress_bars = False
        waiting = list(units)
        job = replace(job, scorer=self._spec_of_actors(job.scorer))
        tasks = [{"unit": number, "task": pickle.dumps((unit, job))} for number, unit in enumerate(waiting)]
        scored = (
            ray.data.from_items(tasks, override_num_blocks=len(tasks))
            .map_batches(_prepare, batch_size=1, num_cpus=1)
            .map_batches(
                _Scorer,
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=self.num_actors),
                num_cpus=1,
                num_gpus=self.num_gpus,
            )
        )
        tables: dict[int, dict[int, Any]] = {}
        num_batches: dict[int, int] = {}
        for row in scored.iter_rows():
            columns = pickle.loads(row["columns"])
            number = row["unit"]
            if columns is None:
                num_batches[number] = row["batch"]
            else:
                tables.setdefault(number, {})[row["batch"]] = columns
                on_batch(len(columns["path"]))
            # batches come in any order
            batches = tables.get(number, {})
            if len(batches) == num_batches.get(number):
                job.write(waiting[number], (batches[place] for place in range(len(batches))))
                tables.pop(number, None)

    def _spec_of_actors(self, spec: ScorerSpec) -> ScorerSpec:
        """The runtime was chosen on the driver's machine, which may have no GPU."""
        if not self.num_gpus:
            return replace(spec, device=spec.device or "cpu")
        runtime = "inductor" if spec.mode == "fast" else "torch"
        return replace(spec, device=spec.device or "cuda", runtime=runtime)


def _prepare(tasks: Row) -> Iterator[Row]:
    """A unit to its batches, read and decoded; the last row says how many there were."""
    for unit_number, task in zip(tasks["unit"], tasks["task"], strict=True):
        unit, job = pickle.loads(task)
        on_cpu = job.scorer.device == "cpu"  # the actor may run in this very process, and need not load it twice
        scorer = load_scorer(job.scorer if on_cpu else replace(job.scorer, device="cpu", runtime="torch"))
        number = 0
        for columns in unit.read(job.batch_size):
            yield _row(unit_number, number, (prepare_batch(columns, scorer), job.scorer))
            number += 1
        yield _row(unit_number, number, None)


class _Scorer:
    def __call__(self, rows: Row) -> Row:
        prepared = pickle.loads(rows["columns"][0])
        columns = None
        if prepared is not None:
            batch, spec = prepared
            columns = with_kept(score_prepared(batch, load_scorer(spec)), batch)
        return _row(rows["unit"][0], rows["batch"][0], columns)


def _row(unit: int, batch: int, columns: Any) -> Row:
    """A batch on its way, whose columns Ray need not understand: they differ from unit to unit."""
    return {"unit": [unit], "batch": [batch], "columns": [pickle.dumps(columns)]}
