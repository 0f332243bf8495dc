"""
What several scorers said of one corpus of any size, as ranks from 0 to 100, on disk.

Knows nothing about pictures: here they are paths in tables.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pyarrow import parquet
from scipy.stats import rankdata

from ..whole_files import whole_file


_ROWS = 65_536


@dataclass(frozen=True)
class ScoredCorpus:
    """
    What [`open_corpus`] opens.

    Args:
        percentiles (`dict[str, np.ndarray]`):
            For each scorer where each picture stands among all of them, in percent, float32; NaN for a picture that a
            scorer has no score of. Arrays on disk, mapped into memory.
        tables (`list[Path]`):
            The tables of the first scorer, which has the paths.
    """

    percentiles: dict[str, np.ndarray]
    tables: list[Path]

    def __len__(self) -> int:
        return len(next(iter(self.percentiles.values())))

    def paths(self, positions: Sequence[int]) -> list[str]:
        """Paths of some pictures. Reads through the tables, and keeps no other path."""
        wanted = np.unique(np.asarray(positions, dtype=np.int64))
        found: dict[int, str] = {}
        start = 0
        for paths, _ in _read_tables(self.tables):
            inside = wanted[(wanted >= start) & (wanted < start + len(paths))]
            found |= {int(position): paths[position - start] for position in inside}
            start += len(paths)
        return [found[int(position)] for position in positions]


def open_corpus(scorers: Mapping[str, str | os.PathLike[str]], work_dir: str | os.PathLike[str]) -> ScoredCorpus:
    """
    Opens the scores of several scorers over the same pictures, as `hf-aesthetics score --output` writes them.

    Scores become ranks, so that no scorer wins by its scale, and no monotone change of its scores changes anything. A
    picture without a score of one scorer takes part for none. Ranks lie in `work_dir`, four bytes a picture and
    scorer. Tables are read in pieces; while one scorer is ranked, about a hundred bytes a picture are in memory.

    Args:
        scorers (`Mapping[str, str or os.PathLike]`):
            For each scorer its name, and its table: a Parquet file, or a folder of `part-*.parquet`, with the columns
            `path` and `score`.
        work_dir (`str` or `os.PathLike`):
            A folder for the ranks. What an earlier call left there is used again if the tables are the same.

    Returns:
        [`ScoredCorpus`].

    Raises:
        FileNotFoundError: If there is no table.
        ValueError: If there are fewer than two scorers, a column is missing, the tables are not of the same pictures
            in the same order, or fewer than two pictures have all scores.
    """
    if len(scorers) < 2:
        raise ValueError(
            f"A competition needs at least 2 scorers, got {len(scorers)}. Score the corpus by another one."
        )
    tables = {name: _find_tables(Path(place)) for name, place in scorers.items()}
    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr([(name, [_stamp(path) for path in found]) for name, found in tables.items()]).encode())
    files = {name: work_dir / f"{key.hexdigest()[:16]}-{number}.npy" for number, name in enumerate(tables)}
    if not all(path.is_file() for path in files.values()):
        has_all = _find_common(tables)
        for name, found in tables.items():
            _write_ranks(found, has_all, files[name])
    first = next(iter(tables.values()))
    return ScoredCorpus({name: np.load(path, mmap_mode="r") for name, path in files.items()}, first)


def to_percentiles(scores: ArrayLike) -> np.ndarray:
    """
    Where each score stands among all, from 0 to 100; equal ones share the middle of their places.

    Args:
        scores (array of shape `(num_images,)`):
            Scores; NaN for none.

    Returns:
        `np.ndarray` of shape `(num_images,)`, float32, NaN where there is no score.

    Example:
        >>> to_percentiles([3.0, 9.0, float("nan"), 3.0, 5.0, 4.0]).tolist()
        [12.5, 100.0, nan, 12.5, 75.0, 50.0]
    """
    scores = np.asarray(scores)
    known = ~np.isnan(scores)
    percentiles = np.full(len(scores), np.nan, dtype=np.float32)
    percentiles[known] = 100 * (rankdata(scores[known]) - 1) / max(np.count_nonzero(known) - 1, 1)
    return percentiles


def _find_tables(place: Path) -> list[Path]:
    found = sorted(place.glob("part-*.parquet")) if place.is_dir() else [place] if place.is_file() else []
    if not found:
        raise FileNotFoundError(
            f"Expected a Parquet file, or a folder of part-*.parquet, in {str(place)!r}, found none. Make it with "
            "hf-aesthetics score PICTURES --output."
        )
    return found


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def _read_tables(tables: Sequence[Path]) -> Iterator[tuple[list[str], np.ndarray]]:
    """Paths and scores, some thousand at once; NaN for a row without a score."""
    for path in tables:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if missing := [name for name in ("path", "score") if name not in names]:
            raise ValueError(f"{path}: expected columns path and score, found {names} without {missing[0]}.")
        for batch in file.iter_batches(_ROWS, columns=["path", "score"]):
            scores = batch["score"].to_numpy(zero_copy_only=False).astype(np.float64)
            yield batch["path"].to_pylist(), scores


def _find_common(tables: Mapping[str, Sequence[Path]]) -> np.ndarray:
    """Which pictures have all scores, after a walk through all tables side by side."""
    has_all: np.ndarray | None = None
    names = list(tables)
    digests: dict[str, list[bytes]] = {}
    for name in names:
        known, digests[name], running = [], [], hashlib.sha256()
        for paths, scores in _by_rows(_read_tables(tables[name])):
            running.update("\n".join(paths).encode("utf-8", "surrogateescape") + b"\n")
            digests[name].append(running.digest())
            known.append(np.isfinite(scores))
        of_scorer = np.concatenate(known) if known else np.zeros(0, dtype=bool)
        if has_all is None:
            has_all = of_scorer
        elif digests[name] != digests[names[0]] or len(of_scorer) != len(has_all):
            pairs = zip(digests[name], digests[names[0]], strict=False)
            end = min(len(digests[name]), len(digests[names[0]]))
            piece = next((number for number, (a, b) in enumerate(pairs) if a != b), end)
            raise ValueError(
                f"The tables must be of the same pictures in the same order, but those of {names[0]!r} "
                f"({len(has_all):,} rows) and {name!r} ({len(of_scorer):,} rows) part after row {piece * _ROWS:,}. "
                "Score the same sources by both."
            )
        else:
            has_all &= of_scorer
    if has_all is None or np.count_nonzero(has_all) < 2:
        raise ValueError("Expected at least 2 pictures with a score of every scorer. Score more pictures.")
    return has_all


def _by_rows(batches: Iterator[tuple[list[str], np.ndarray]]) -> Iterator[tuple[list[str], np.ndarray]]:
    """The same rows in pieces of one size, wherever one file ends and the next begins."""
    paths: list[str] = []
    scores = np.zeros(0)
    for more_paths, more_scores in batches:
        paths, scores = paths + more_paths, np.concatenate([scores, more_scores])
        while len(paths) >= _ROWS:
            yield paths[:_ROWS], scores[:_ROWS]
            paths, scores = paths[_ROWS:], scores[_ROWS:]
    if paths:
        yield paths, scores


def _write_ranks(tables: Sequence[Path], has_all: np.ndarray, destination: Path) -> None:
    scores = np.empty(len(has_all), dtype=np.float32)
    start = 0
    for _, part in _read_tables(tables):
        scores[start : start + len(part)] = part
        start += len(part)
    scores[~has_all] = np.nan
    # two competitions may be opened at once
    with whole_file(destination, is_shared=True) as partial, partial.open("wb") as file:
        np.save(file, to_percentiles(scores))
