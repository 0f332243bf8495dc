"""Three questions about a recipe, as grids of runs of cross_validate.py that go on where they were stopped.

    python scripts/ablate.py transfer --dataset oasis --data_dir PATH --groups theme --backbone mobilenet_v2 \\
        --freeze_batch_norm --output_dir outputs/transfer
    python scripts/ablate.py spread --dataset synthetic --backbone mobilenet_v2 --output_dir outputs/spread
    python scripts/ablate.py losses --dataset oasis --data_dir PATH --groups theme --backbone mobilenet_v2 \\
        --freeze_batch_norm --output_dir outputs/losses

`transfer`: what do pretrained weights buy, by the number of frozen stages (`--depths`), at several shares of the
training pictures? On the published split; each of `--fold_seeds` is a training seed. Random weights are trained whole,
with `--random_learning_rate` and `--random_epochs`, because they need more than a fine-tuned network.

`spread`: do the terms of the loss that name the mean and the spread beat the earth mover's distance alone where the
picture itself drives the spread? On rendered scenes; their panel disagrees the more, the stronger
`--disagreement_cause` is.

`losses`: what should the same network be taught? The distribution by each of its distances, or with no distribution at
all classes, the mean score, or an order. Heads that are not taught rating units are calibrated on validation pictures.

All other flags are those of cross_validate.py. Every figure is compared with a baseline on the same draws of pictures:
random weights at the same share, or the earth mover's distance alone.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from transformers import HfArgumentParser

from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.data.rater_panel import RaterPanel
from hf_aesthetics.data.synthetic import FACTS, load_synthetic
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments
from hf_aesthetics.training.cross_validation import FoldArguments, cross_validate, load_mapped
from hf_aesthetics.training.program_errors import errors_in_one_line


def transfer_cells(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Flags of each cell; the baseline of a share comes first."""
    random = [
        *("--initial_weights", "random", "--freeze_stages", "0"),
        *("--learning_rate", arguments.random_learning_rate, "--head_learning_rate", arguments.random_learning_rate),
        *("--num_train_epochs", arguments.random_epochs),
    ]
    cells = {}
    for share, depth in product(arguments.shares, ["random", *arguments.depths]):
        flags = random if depth == "random" else ["--freeze_stages", depth]
        name = f"{depth}-{share}" if depth == "random" else f"pretrained-{depth}-{share}"
        cells[name] = [*flags, "--train_share", share, *_compared_with(arguments, f"random-{share}", name)]
    return cells


def spread_cells(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Flags of each cell; the baseline comes first."""
    terms = ["--mean_loss_weight", "1", "--std_loss_weight", "1"]
    return {"emd": [], "emd-mean-std": [*terms, *_compared_with(arguments, "emd", "emd-mean-std")]}


def losses_cells(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Flags of each cell; the baseline comes first."""
    distributions = {name: ["--distribution_loss", name] for name in ("emd", "chi_square", "kl", "js", "cjs")}
    heads = {
        "binary": ["--objective", "binary"],
        "classes": ["--objective", "classes"],
        **{name: ["--objective", "regression", "--regression_loss", name] for name in ("mse", "mae", "huber")},
        **{name: ["--objective", "ranking", "--ranking_loss", name] for name in ("margin", "triplet", "list_mle")},
    }
    cells = distributions | {name: ["--model_type", "aesthetic_baseline", *flags] for name, flags in heads.items()}
    return {name: [*flags, *_compared_with(arguments, "emd", name)] for name, flags in cells.items()}


def _compared_with(arguments: argparse.Namespace, baseline: str, name: str) -> list[str]:
    return [] if name == baseline else ["--compare_with", str(arguments.output_dir / baseline)]


def contested_scenes(num_pictures: int, cause: str) -> RatedCollection:
    """Rendered scenes, a fifth each for validation and test, over which raters part the more, the stronger a cause."""
    panel = RaterPanel(disagreement_causes={cause: 1.0})
    held_out = num_pictures // 5
    splits = load_synthetic(num_pictures - 2 * held_out, held_out, held_out, with_maps=False, panel=panel)
    return RatedCollection(f"rendered scenes, contested by {cause}", splits, panel.scale, FACTS)


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("question", choices=["transfer", "spread", "losses"])
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--depths", nargs="+", default=["-1"], help="numbers of stages to freeze")
    parser.add_argument("--shares", nargs="+", default=["0.1", "0.3", "1"], help="of the training pictures")
    parser.add_argument("--random_learning_rate", default="1e-3")
    parser.add_argument("--random_epochs", default="20")
    parser.add_argument("--disagreement_cause", default="colour")
    parser.add_argument("--num_pictures", type=int, default=1500, help="scenes to render")
    arguments, flags = parser.parse_known_args(argv)
    make_cells = {"transfer": transfer_cells, "spread": spread_cells, "losses": losses_cells}[arguments.question]
    cells = make_cells(arguments)
    recipe_parser = HfArgumentParser((DataArguments, ModelArguments, FoldArguments, AestheticTrainingArguments))
    collection: RatedCollection | None = None
    rows = []
    for name, of_cell in cells.items():
        cell = ["--fixed_split", *flags, *of_cell, "--output_dir", str(arguments.output_dir / name)]
        data_args, *recipe = recipe_parser.parse_args_into_dataclasses(args=cell)
        if collection is None:
            collection = (
                contested_scenes(arguments.num_pictures, arguments.disagreement_cause)
                if arguments.question == "spread"
                else load_mapped(data_args, recipe[0])
            )
        rows.append(table_row(name, cross_validate(collection, *recipe)))
        print(rows[-1], flush=True)
    print("\n".join(["", "| cell | SRCC | PLCC | SRCC of the spread | EMD skill |", "|---|---|---|---|---|", *rows]))


def table_row(name: str, figures: dict[str, Any]) -> str:
    """A row of a Markdown table: each figure, and how far it is ahead of the baseline with the interval of that."""
    differences = next(iter(figures["ahead_of"].values()), {})
    parts = []
    for key in ("srcc", "plcc", "srcc_std", "emd_skill"):
        text = f"{figures[key]['value']:.3f}" if key in figures else "-"
        if key in differences:
            d = differences[key]
            text += f" ({d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}])"
        parts.append(text)
    return f"| {name} | {' | '.join(parts)} |"


if __name__ == "__main__":
    main()
