"""All pairs of each series of a folder, for people to compare.

    python scripts/pair_series.py bursts                    # writes bursts/comparisons.csv
    make label TASK=bursts
    python scripts/calibrate_ranks.py bursts/answers --output_dir bursts

A series is what was shot within seconds of one thing, or versions of one picture. A table `series` in the folder, with
`file_name` and `series_id`, says otherwise.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from hf_aesthetics.data.pairs import find_table, read_rows
from hf_aesthetics.data.series import TABLE_NAMES
from hf_aesthetics.images import find_images
from hf_aesthetics.labelling import pair_series, write_comparisons
from hf_aesthetics.series.bursts import find_series
from hf_aesthetics.training.program_errors import errors_in_one_line


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the pictures")
    arguments = parser.parse_args(argv)
    with errors_in_one_line():
        table = arguments.folder / "comparisons.csv"
        if list(arguments.folder.glob("answers/*.jsonl")):
            raise ValueError(f"{arguments.folder / 'answers'} has answers to other comparisons. Keep them elsewhere.")
        series = {name: pictures for name, pictures in read_series(arguments.folder).items() if len(pictures) > 1}
        if not series:
            raise ValueError(f"Expected series of 2 or more pictures in {str(arguments.folder)!r}, found none.")
        comparisons = pair_series(series)
        write_comparisons(comparisons, table)
        print(f"{len(comparisons):,} comparisons in {len(series):,} series are in {table}")


def read_series(folder: Path) -> dict[str, list[str]]:
    """Pictures by series, as the table says, or as they look."""
    series: dict[str, list[str]] = defaultdict(list)
    if any((folder / name).is_file() for name in TABLE_NAMES):
        for row in read_rows(find_table(folder, None, TABLE_NAMES, "file_name and series_id")):
            series[row.read("series_id", str) or ""].append(row.name("file_name"))
        return series
    for pictures in find_series(find_images(folder)).series:
        names = [path.relative_to(folder).as_posix() for path in pictures]
        series[names[0]] = names
    return series


if __name__ == "__main__":
    main()
