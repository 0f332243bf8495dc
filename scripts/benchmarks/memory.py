"""Memory of the scoring command, all its processes together, as the collection grows.

    python scripts/benchmark.py memory --output results.json
    python scripts/benchmark.py memory --soak 1000000 --output results.json

A folder of 1,000 pictures, then one of 10,000, which are links to a few: the peak of the second is to be less than 5 %
above the first. `--soak` scores so many rows of tiny JPEGs in a Parquet file with a tiny network in their place, and
compares the peak of each tenth of the time with that of the second, when all workers are at work.
"""

import argparse
import tempfile
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from .commands import Watched, link_pictures, score_command, watch
from .findings import Finding, Report
from .networks import BACKBONES, save_scorer
from .pictures import render_tiny, write_photographs


AT_MOST = 1.05
ROWS_PER_GROUP = 10_000
TENTHS = 10


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--network", choices=BACKBONES, default="mobilenet_v2")
    command.add_argument("--sizes", type=int, nargs=2, default=[1_000, 10_000], help="pictures in the two folders")
    command.add_argument("--num_workers", type=int, default=2)
    command.add_argument("--soak", type=int, metavar="ROWS", help="rows of tiny pictures to score in their place")
    command.set_defaults(num_pictures=32, repeats=1)


def run(args: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return soak(args, Path(folder)) if args.soak else grow(args, Path(folder))


def grow(args: argparse.Namespace, folder: Path) -> Report:
    """Few pictures and many, in turns."""
    report = Report("memory")
    checkpoint = save_scorer(folder / "scorer", args.network)
    paths = write_photographs(folder / "pictures", args.num_pictures, args.data_dir)
    sources = [link_pictures(paths, folder / str(size), size) for size in args.sizes]
    peaks: list[list[float]] = [[], []]
    for _ in range(args.repeats):
        for source, of_source in zip(sources, peaks, strict=True):
            command = score_command(checkpoint, source, folder / f"{source.name}.parquet", args.num_workers)
            watched = watch(command, threads=args.threads)
            of_source.append(watched.peak)
            report.facts[f"{source.name} pictures"] = describe(watched, int(source.name), args.num_workers)
    few, many = (f"{size:,} pictures" for size in args.sizes)
    for what, of_source in ((few, peaks[0]), (many, peaks[1])):
        report.findings.append(Finding(f"peak memory at {what}", of_source, unit=" MB"))
    growth = [second / first for first, second in zip(*peaks, strict=True)]
    report.findings.append(Finding(f"peak memory at {many} over {few}", growth, at_most=AT_MOST))
    return report


def soak(args: argparse.Namespace, folder: Path) -> Report:
    """A million rows, or as many as there is time for."""
    report = Report("soak")
    checkpoint = save_scorer(folder / "scorer", "tiny")
    source = write_rows(folder / "rows.parquet", args.soak)
    watched = watch(score_command(checkpoint, source, folder / "scores.parquet", args.num_workers), every=0.5)
    peaks = peak_of_tenths(watched.memory)
    report.facts["soak"] = describe(watched, args.soak, args.num_workers) | {"megabytes by tenth": peaks}
    what = f"peak memory over {args.soak:,} rows, from the second tenth on"
    report.findings.append(Finding(what, [max(peaks[1:]) / peaks[1]], at_most=AT_MOST))
    report.findings.append(Finding("peak memory", [watched.peak], unit=" MB"))
    return report


def write_rows(path: Path, num_rows: int, num_different: int = 1_000) -> Path:
    """Pictures as `datasets` keeps them in Parquet."""
    import pyarrow
    from pyarrow import parquet

    contents = cycle(render_tiny(min(num_different, num_rows)))
    cell = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    schema = pyarrow.schema([("image", cell), ("number", pyarrow.int64())])
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, num_rows, ROWS_PER_GROUP):
            numbers = range(start, min(start + ROWS_PER_GROUP, num_rows))
            cells = [{"bytes": content, "path": f"{n}.jpg"} for n, content in zip(numbers, contents, strict=False)]
            writer.write_table(pyarrow.table({"image": cells, "number": list(numbers)}, schema=schema))
    return path


def peak_of_tenths(memory: Sequence[tuple[float, float]]) -> list[float]:
    """
    The peak of each tenth of a run.

    Example:
        >>> peak_of_tenths([(second / 10, 100 + second % 3) for second in range(40)])
        [102, 102, 102, 102, 102, 102, 102, 102, 102, 102]
    """
    end = memory[-1][0] or 1
    peaks = [0.0] * TENTHS
    for second, megabytes in memory:
        tenth = min(int(TENTHS * second / end), TENTHS - 1)
        peaks[tenth] = max(peaks[tenth], megabytes)
    return peaks


def describe(watched: Watched, num_pictures: int, num_workers: int) -> dict[str, object]:
    thinned = list(islice(watched.memory, 0, None, max(1, len(watched.memory) // 200)))
    rate = num_pictures / watched.seconds
    return {"workers": num_workers, "seconds": watched.seconds, "pictures a second": rate, "megabytes": thinned}
