"""
Scoring a collection on the cores of one machine: a process for each, with a single thread.

Knows nothing about scores; it hands out units.
"""

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from transformers.utils.logging import disable_progress_bar

from ..sources import Unit
from ..worker_processes import begin_worker
from .job import ScoringJob, run_unit


class WorkerEngine:
    """
    The engine for a machine without a GPU: processes with one thread each, which together are faster than one process
    with as many threads.

    Args:
        num_workers (`int`):
            Number of processes.

    Raises:
        ValueError: If there is none.
    """

    def __init__(self, num_workers: int) -> None:
        if num_workers < 1:
            raise ValueError(f"`num_workers` must be at least 1, got {num_workers}.")
        self.num_workers = num_workers

    def __call__(self, units: Iterator[Unit], job: ScoringJob, on_batch: Callable[[int], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
        num_rows, stop = context.Value("q", 0), context.Event()
        told = 0
        running: set[Future[bool]] = set()
        pool = ProcessPoolExecutor(self.num_workers, context, _begin_worker, (num_rows, stop))
        try:
            while True:
                # two for each worker, so that none waits, and no list of all units is ever made
                for unit in itertools.islice(units, 2 * self.num_workers - len(running)):
                    running.add(pool.submit(_run_in_worker, unit, job))
                if not running:
                    return
                finished, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                told, before = num_rows.value, told
                on_batch(told - before)
                for future in finished:
                    future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"Expected {self.num_workers} worker processes to live until the end, but one was killed. Out of "
                "memory? Try fewer (--num_workers); the same command goes on with what is done."
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


_num_rows: Any = None
_stop: Any = None


def _begin_worker(num_rows: Any, stop: Any) -> None:
    global _num_rows, _stop
    _num_rows, _stop = num_rows, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells
    disable_progress_bar()
    begin_worker()


def _run_in_worker(unit: Unit, job: ScoringJob) -> bool:
    return run_unit(unit, job, on_batch=_count)


def _count(num_rows: int) -> None:
    if _stop.is_set():  # something is wrong elsewhere, or someone has pressed Ctrl-C: not another minute of work
        raise InterruptedError("stopped")
    with _num_rows.get_lock():
        _num_rows.value += num_rows
