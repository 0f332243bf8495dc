"""Every way to a score on one collection, over the same folds: a leaderboard with intervals, as HTML and Markdown.

    python scripts/leaderboard.py --dataset oasis --data_dir PATH --groups theme --backbone efficientnet_lite0 \\
        --linear_probe --num_train_epochs 3 --attributes valence_mean arousal_mean --output_dir outputs/leaderboard

The flags are those of cross_validate.py, for all entries alike; entries without a backbone and those in closed form
leave out what is nothing to them. `--adjust ENTRY:FLAG=VALUE` changes a flag for one entry. Each entry lies in a
folder of its own in `--output_dir`, as cross_validate.py leaves it: what is finished is not done again.

Beside the entries stand the constant prediction, and the votes of other pictures as a control: of these nothing can
be learnt but what leaks through the folds. Near-duplicates on both sides of a fold are looked for, and the entries
measured without them. Regressions say what each class of features tells that the others do not, and the hand-crafted
ones by criterion. `--transfer_by COLUMN` trains the `--transfer_entries` on each part of the collection, and tests
them on all others.
"""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from transformers import HfArgumentParser

from hf_aesthetics.analysis.findings import save_findings
from hf_aesthetics.analysis.leaderboard import SHUFFLED, Leaderboard, constant_row, rank_rows
from hf_aesthetics.data.splits import split_fingerprint
from hf_aesthetics.images import read_image
from hf_aesthetics.reports import write_leaderboard
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments
from hf_aesthetics.training.arguments import portable_command
from hf_aesthetics.training.cross_validation import FoldArguments, all_pictures, load_mapped, read_predictions
from hf_aesthetics.training.leaderboard import (
    ENTRIES,
    Recipe,
    entry_recipe,
    explain_by_class,
    explain_by_criterion,
    find_leakage,
    measure_costs,
    measure_transfer,
    run_entry,
)
from hf_aesthetics.training.program_errors import errors_in_one_line
from hf_aesthetics.training.transfer import split_by_column


@dataclass
class LeaderboardArguments:
    """What stands on it."""

    entries: list[str] = field(
        default_factory=lambda: list(ENTRIES), metadata={"help": f"some of {', '.join(ENTRIES)}"}
    )
    adjust: list[str] = field(
        default_factory=list,
        metadata={"help": "ENTRY:FLAG=VALUE, a flag for one entry; a comma between several values"},
    )
    transfer_by: str | None = field(default=None, metadata={"help": "column that parts the collection"})
    transfer_entries: list[str] = field(
        default_factory=lambda: ["handcrafted", "frozen_backbone"], metadata={"help": "which to train on each part"}
    )
    speed_pictures: int = field(default=32, metadata={"help": "pictures that go through each model to time it"})


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = HfArgumentParser(
        (DataArguments, ModelArguments, FoldArguments, LeaderboardArguments, AestheticTrainingArguments)
    )
    data_args, model_args, fold_args, board_args, args = parser.parse_args_into_dataclasses(args=argv)
    names = [name for name in board_args.entries if name != "aadb_net" or model_args.attributes]
    recipes = {}
    for name in names:
        flags = [flag for each in board_args.adjust for flag in _flags_of(each, name)]
        _, *given = parser.parse_args_into_dataclasses(args=[*argv, *flags])
        recipes[name] = entry_recipe(name, Recipe(given[0], given[1], given[3]))
    # they see the same maps, and one of them may read more columns
    collection = load_mapped(data_args, recipes.get("aadb_net", next(iter(recipes.values()))).model)
    if board_args.transfer_by:  # not after hours of training
        split_by_column(collection, board_args.transfer_by)
        for name in board_args.transfer_entries:
            if name not in recipes:
                raise ValueError(f"--transfer_entries must be some of the entries, {', '.join(names)}, got {name!r}.")
    scale, pictures, draws = collection.scale, all_pictures(collection), fold_args.num_resamples

    rows = []
    for name, recipe in recipes.items():
        print(f"== {name}", flush=True)
        rows.append(run_entry(name, recipe, collection))
    predictions = {name: read_predictions(recipe.training.output_dir) for name, recipe in recipes.items()}
    files = pictures.select(range(min(board_args.speed_pictures, len(pictures))))
    costs = measure_costs(recipes, scale, [read_image(image) for image in files["image"]])
    rows = [replace(row, **costs[row.name]._asdict()) for row in rows]
    entries = {name: each for name, each in predictions.items() if name != SHUFFLED}
    first = next(iter(entries.values()))
    rows = rank_rows([*rows, constant_row(first, scale.bin_scores, draws)], entries, scale.bin_scores, draws)
    deep = next((entries[row.name] for row in rows if row.features == "deep" and row.name != SHUFFLED), None)
    board = Leaderboard(
        collection.name,
        split_fingerprint(pictures["image_id"][:]),
        len(first.image_ids),
        len(set(first.groups)),
        fold_args.groups or "image_id",
        fold_args.num_folds,
        list(first.seeds),
        rows,
        portable_command(argv, "python scripts/leaderboard.py"),
        f"{args.device.type}, threads: {torch.get_num_threads()}",
        fold_args.reliability,
        find_leakage(collection, fold_args, {row.name: entries[row.name] for row in rows if row.name in entries}),
        [
            measure_transfer(name, recipes[name], collection, board_args.transfer_by)
            for name in (board_args.transfer_entries if board_args.transfer_by else ())
        ],
        explain_by_class([row for row in rows if row.name in entries], entries, scale),
        explain_by_criterion(recipes["handcrafted"], collection, deep) if "handcrafted" in recipes else [],
    )
    save_findings(Path(args.output_dir, "leaderboard.json"), board)
    page, table = write_leaderboard(args.output_dir, board)
    print(table.read_text(encoding="utf-8"))
    print(f"page: {page}")


def _flags_of(adjustment: str, name: str) -> list[str]:
    """`nima:image_size=96` -> `--image_size 96`, for that entry."""
    entry, colon, rest = adjustment.partition(":")
    flag, equals, value = rest.partition("=")
    if not (colon and equals and entry in ENTRIES):
        raise ValueError(
            f"--adjust must be ENTRY:FLAG=VALUE with an entry of {', '.join(ENTRIES)}, got {adjustment!r}."
        )
    return [f"--{flag}", *value.split(",")] if entry == name else []


if __name__ == "__main__":
    main()
