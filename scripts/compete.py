"""A competition of scorers: which pictures to show to people, and what follows from their answers.

    hf-aesthetics score photos/ --model CHECKPOINT --output scores/nima
    python scripts/compete.py select --scorers nima=scores/nima ours=scores/ours --output_dir competition
    make label TASK=competition PICTURES=photos
    python scripts/compete.py rank --output_dir competition

The first writes `comparisons.csv`, what to show: `comparison`, `image_a`, `image_b`, in an order that gives nothing
away; and `attacks.json`, who attacks whom by it. The second asks people on a page. The third prints who attacks, who
withstands, and the ranking; answers from elsewhere are a table with `comparison`, `annotator` and `preference`, from
-100, image_b is surely better, over 0 to 100.
"""

import argparse
import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hf_aesthetics.competition import (
    AttackPair,
    Standing,
    confident_annotators,
    level_weights,
    open_corpus,
    rank_scorers,
    select_attacks,
)
from hf_aesthetics.data.pairs import read_rows
from hf_aesthetics.data.table_rows import TableRow
from hf_aesthetics.labelling import pool_repeats, print_consistency, read_answers
from hf_aesthetics.training.program_errors import errors_in_one_line
from hf_aesthetics.whole_files import whole_file


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="select or rank")
    selecting = commands.add_parser("select", help="choose the pictures to show")
    selecting.set_defaults(run=select)
    selecting.add_argument("--scorers", nargs="+", required=True, metavar="NAME=TABLE", help="Parquet file or folder")
    selecting.add_argument("--num_pairs", type=int, default=2, help="pairs a level, for each two scorers each way")
    selecting.add_argument("--seed", type=int, default=0, help="of the order in which pictures are shown")
    ranking = commands.add_parser("rank", help="rank the scorers by answers")
    ranking.set_defaults(run=rank)
    ranking.add_argument("--answers", type=Path, help="folder of the page, or .csv, .jsonl or .parquet")
    ranking.add_argument("--num_resamples", type=int, default=1000, help="draws of annotators for intervals")
    for command in (selecting, ranking):
        command.add_argument("--output_dir", type=Path, required=True, help="folder of the competition")
    arguments = parser.parse_args(argv)
    with errors_in_one_line():
        arguments.run(arguments)


def select(arguments: argparse.Namespace) -> None:
    if list(arguments.output_dir.glob("answers/*.jsonl")):
        raise ValueError(
            f"{arguments.output_dir / 'answers'} has answers to the comparisons that would be replaced. Choose another"
            " --output_dir."
        )
    scorers = dict(part.split("=", 1) for part in arguments.scorers if "=" in part)
    if len(scorers) != len(arguments.scorers):
        raise ValueError(f"--scorers must be NAME=TABLE, each name once, got {' '.join(arguments.scorers)}.")
    corpus = open_corpus(scorers, arguments.output_dir / "ranks")
    pairs = select_attacks(corpus.percentiles, num_pairs=arguments.num_pairs)
    if not pairs:
        raise ValueError("No two scorers disagree on any picture enough to ask. Score more pictures, or other models.")
    rng = np.random.default_rng(arguments.seed)
    order, is_turned = rng.permutation(len(pairs)).tolist(), (rng.random(len(pairs)) < 0.5).tolist()
    paths = corpus.paths([image for pair in pairs for image in (pair.better, pair.worse)])
    attacks = [{**asdict(pair), "is_turned": turned} for pair, turned in zip(pairs, is_turned, strict=True)]
    weights = {name: level_weights(values).tolist() for name, values in corpus.percentiles.items()}
    text = json.dumps({"attacks": attacks, "weights": weights}, indent=1)
    with whole_file(arguments.output_dir / "attacks.json") as partial:
        partial.write_text(text, encoding="utf-8")
    table = arguments.output_dir / "comparisons.csv"
    with whole_file(table) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["comparison", "image_a", "image_b"])
        for number in order:
            both = paths[2 * number : 2 * number + 2]
            writer.writerow([number, *(both[::-1] if is_turned[number] else both)])
    print(f"{len(pairs)} comparisons of {len(corpus):,} pictures are in {table}")


def rank(arguments: argparse.Namespace) -> None:
    told = json.loads((arguments.output_dir / "attacks.json").read_text(encoding="utf-8"))
    turned = [attack.pop("is_turned") for attack in told["attacks"]]
    pairs = [AttackPair(**attack) for attack in told["attacks"]]
    given: dict[str, dict[int, float]] = {}
    for row in read_answer_rows(arguments.answers or arguments.output_dir / "answers"):
        number = row.whole("comparison", 0, len(pairs) - 1)
        said = row.number("preference", -100, 100)
        given.setdefault(row.read("annotator", str) or "", {})[number] = -said if turned[number] else said
    answers = np.full((len(given), len(pairs)), np.nan)
    for place, said in enumerate(given.values()):
        answers[place, list(said)] = list(said.values())
    num_selected = len(pairs)
    pairs, answers = drop_unanswered(pairs, answers)
    if len(answers) > 4:  # of fewer people one cannot tell who answers without a plan
        pairs, answers = drop_unanswered(pairs, answers[confident_annotators(answers)])
    resamples = arguments.num_resamples if len(answers) > 1 else 0
    standing = rank_scorers(pairs, answers, told["weights"], num_resamples=resamples)
    left_out = len(given) - len(answers)
    print(f"{len(pairs)} of {num_selected} comparisons, {len(answers)} annotators, {left_out} left out")
    print_standing(standing)


def read_answer_rows(place: Path) -> list[TableRow]:
    """Answers of a table; of the page one a person and comparison, after a word on how each person answers."""
    if place.is_file():
        return read_rows(place)
    answers = read_answers(place)
    print_consistency(answers)
    return [
        TableRow(asdict(answer), f"{place}, comparison {answer.comparison} of {answer.annotator}")
        for answer in pool_repeats(answers)
    ]


def drop_unanswered(pairs: list[AttackPair], answers: np.ndarray) -> tuple[list[AttackPair], np.ndarray]:
    answered = ~np.isnan(answers).all(axis=0)
    return [pair for pair, is_answered in zip(pairs, answered, strict=True) if is_answered], answers[:, answered]


def print_standing(standing: Standing) -> None:
    print("| scorer | aggressiveness | resistance |")
    print("|---|---|---|")
    for name in standing.order:
        place, cells = standing.names.index(name), []
        for key in ("global_aggressiveness", "global_resistance"):
            cell = f"{getattr(standing, key)[place]:.2f}"
            if standing.intervals is not None:
                low, high = standing.intervals[key][place]
                cell += f" [{low:.2f}, {high:.2f}]"
            cells.append(cell)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
