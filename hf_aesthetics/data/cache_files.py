"""Files of a cache, each whole or absent: made by several processes, and after a stop only those that lack.

Knows nothing about what is in them.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from datasets import Dataset, Features, NamedSplit, config
from datasets.table import MemoryMappedTable
from filelock import FileLock
from tqdm.auto import tqdm

from ..whole_files import whole_file
from ..worker_processes import begin_worker


Job = TypeVar("Job")


def cache_folder(name: str) -> Path:
    """A folder of ours in the cache of `datasets` (`HF_DATASETS_CACHE`)."""
    return Path(config.HF_DATASETS_CACHE) / "hf_aesthetics" / name


def make_files(
    folder: Path,
    make: Callable[[Path, Job], None],
    jobs: Mapping[str, Job],
    num_proc: int | None = None,
    description: str | None = None,
) -> None:
    """
    Makes the files of a folder that are not there yet.

    A stop, even by SIGKILL, costs the file that each process was at; the next call makes the others. Processes are
    spawned, because a fork of a process that has used torch can deadlock, so a script that asks for several needs the
    usual `if __name__ == "__main__":`. They end with the process that started them, however that ends.

    Args:
        folder (`Path`):
            Where the files lie. Two programs that make the same folder wait for each other.
        make (`Callable[[Path, Job], None]`):
            Writes one file for one job; a function at the top of a module.
        jobs (`Mapping[str, Job]`):
            What each file is made of, by its name.
        num_proc (`int`, *optional*):
            Number of processes. By default the calling one makes all files.
        description (`str`, *optional*):
            Of the progress bar.

    Raises:
        RuntimeError: If a process ends before its file is made.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> make_files(folder, lambda path, job: path.write_text(job), {"a.txt": "sea", "b.txt": "sky"})
        >>> [(folder / name).read_text() for name in ("a.txt", "b.txt")]
        ['sea', 'sky']
    """
    if _find_missing(folder, jobs):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            missing = _find_missing(folder, jobs)  # again, because another program may have made them meanwhile
            bar = tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc=description, disable=len(missing) < 2)
            with bar:
                for _ in _make_each(folder, make, {name: jobs[name] for name in missing}, num_proc or 1):
                    bar.update()


def _find_missing(folder: Path, names: Mapping[str, Any]) -> list[str]:
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    return [name for name in names if name not in there]


def _make_each(folder: Path, make: Callable[[Path, Job], None], jobs: dict[str, Job], num_proc: int) -> Iterator[None]:
    if min(num_proc, len(jobs)) <= 1:
        for name, job in jobs.items():
            yield _make_file(folder / name, make, job)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(num_proc, len(jobs)), context, initializer=begin_worker)
    try:
        futures = [pool.submit(_make_file, folder / name, make, job) for name, job in jobs.items()]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise RuntimeError(
            f"A process ended before it had made its file in {str(folder)!r}; its error is printed above, unless "
            "memory ran out. What is made stays: run again, with a smaller num_proc."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _make_file(path: Path, make: Callable[[Path, Job], None], job: Job) -> None:
    with whole_file(path) as partial:
        make(partial, job)


def write_tables(path: Path, features: Features, tables: Iterable[pa.Table]) -> None:
    """Writes tables one below the other, as [`open_table`] maps them, with one of them in memory at a time."""
    schema = features.arrow_schema
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for table in tables:
            writer.write_table(table.cast(schema))


def open_table(path: Path, split: str | None = None, fingerprint: str | None = None) -> Dataset:
    """A table on disk as a data set that takes no memory of its own."""
    named_split = None if split is None else NamedSplit(split)
    return Dataset(MemoryMappedTable.from_file(str(path)), split=named_split, fingerprint=fingerprint)


def keep_table(table: pa.Table, features: Features, split: str, stamp: str) -> Dataset:
    """
    Puts a table into the cache, under a fingerprint that follows from what is in it.

    Args:
        table (`pa.Table`):
            The rows, in the storage of `features`.
        features (`Features`):
            Types of the columns.
        split (`str`):
            Name of the split.
        stamp (`str`):
            What else the rows depend on, such as the state of the files that they name.
    """
    folder = cache_folder("tables")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{split}-{os.getpid()}.partial"
    write_tables(partial, features, [table])
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(stamp.encode())
    path = folder / f"{split}-{digest.hexdigest()[:32]}.arrow"
    partial.replace(path)  # onto an equal one, where there is one, which stays as it is for whoever has it open
    return open_table(path, split, digest.hexdigest()[:16])
