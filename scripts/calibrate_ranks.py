"""From choices between two pictures to ranked series, and how far choices can be foreseen at all.

    python scripts/pair_series.py bursts
    make label TASK=bursts
    python scripts/calibrate_ranks.py bursts/answers --output_dir bursts

or, with choices from elsewhere, `python scripts/calibrate_ranks.py choices.csv --output_dir bursts`. The table has
`image_a`, `image_b`, and `wins_a` and `wins_b` or `preference`; `series_id` says which pictures belong together.
`series.csv` and `pairs.csv` in the output folder are what `hf_aesthetics.data.series.load_series` reads beside the
pictures.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from hf_aesthetics.data.pairs import read_pair_table
from hf_aesthetics.labelling import print_consistency, read_answers, tally_choices
from hf_aesthetics.metrics import bootstrap_interval, choice_ceiling, strength_ceiling
from hf_aesthetics.series.rank_calibration import calibrate_ranks, write_calibration
from hf_aesthetics.training.program_errors import errors_in_one_line


SIDES = ("image_a", "image_b")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="choices: folder of the page, or .csv, .jsonl or .parquet")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for series.csv and pairs.csv")
    parser.add_argument("--min_margin", type=float, default=0.1, help="pairs this close to 0.5 are dropped")
    parser.add_argument("--prior", type=float, default=0.5, help="imagined comparisons a picture; 0 for none")
    arguments = parser.parse_args(argv)
    with errors_in_one_line():
        choices, shared = read_choices(arguments.table)
        calibration = calibrate_ranks(choices + shared, min_margin=arguments.min_margin, prior=arguments.prior)
        arguments.output_dir.mkdir(parents=True, exist_ok=True)
        write_calibration(calibration, arguments.output_dir)
        num_series = len({picture["series_id"] for picture in calibration.pictures})
        print(
            f"{len(calibration.pictures):,} pictures of {num_series:,} series, {len(calibration.pairs):,} clear pairs"
        )
        print(f"{calibration.num_unclear:,} unclear ones dropped, {len(calibration.unlinked):,} series left out")
        for name, reason in calibration.unlinked.items():
            print(f"  {name}: {reason}")
        if choices and "wins_a" in choices[0]:
            describe_ceiling(choices, arguments.prior)


def read_choices(place: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of choices, and rows of those who could not tell, which are half a choice for each side."""
    if place.is_file():
        return read_pair_table(place)[0], []
    answers = read_answers(place)
    print_consistency(answers)
    rows = tally_choices(answers)
    chosen = [row for row in rows if row["wins_a"] + row["wins_b"]]
    half = [row | dict.fromkeys(("wins_a", "wins_b"), row["num_ties"] / 2) for row in rows if row["num_ties"]]
    return chosen, half


def describe_ceiling(records: list[dict], prior: float) -> None:
    """What is known of how well single choices can be foreseen."""
    won, lost = (np.array([record[side] for record in records]) for side in ("wins_a", "wins_b"))
    ceiling = choice_ceiling(won, lost)
    if ceiling.num_pairs > 1:
        several = won + lost > 1
        total = (won + lost)[several]
        agree = (won * (won - 1) + lost * (lost - 1))[several] / (total * (total - 1))
        low, high = bootstrap_interval(np.mean, agree)
        print(
            f"Two people agree on {ceiling.agreement:.3f} [{low:.3f}, {high:.3f}] of {ceiling.num_pairs:,} pairs that "
            f"several saw, so that the best guess foresees {ceiling.low:.3f} to {ceiling.high:.3f} of choices"
        )
    names = {record[side]: 0 for record in records for side in SIDES}
    names = {name: place for place, name in enumerate(names)}
    first, second = ([names[record[side]] for record in records] for side in SIDES)
    try:
        foreseen = strength_ceiling(first, second, won, lost, prior=prior or 0.5)
    except ValueError:  # several series, or too few choices to leave any out
        return
    print(f"One number a picture, from the other choices, foresees {foreseen:.3f}")


if __name__ == "__main__":
    main()
