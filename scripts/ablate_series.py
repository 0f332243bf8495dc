"""What the parts of FGAesQ buy, and what each defect of its released code costs: one run for each part and seed.

    python scripts/ablate_series.py --output_dir outputs/series
    python scripts/ablate_series.py --output_dir outputs/series --arms whole coarse --seeds 0 1 2 3 4 5 6 7
    python scripts/ablate_series.py --output_dir outputs/series-clip --data_dir PATH \\
        --backbone openai/clip-vit-base-patch16 --learning_rate 2e-5 --num_train_epochs 7

By default on rendered series: the same scene three times, and all that differs is how sharp a detail of 24 pixels is,
whose threads half the resolution cannot show. Each seed has its own training scenes, weights and order; the scenes of
the test are the same for all, and in no training. Every part has the same scenes, steps and rates as the others.

Four arms have settings of their own, to which those with the same first word compare: with room for half of the
tokens, with half of the patches as candidates, with pictures of several widths, and with a second detail that does not
count.

Captions go through the text tower of `--backbone`. The tiny tower has none: a random vector stands for each sentence,
which is as frozen. What is finished is kept in `--output_dir`, and a stopped ablation goes on there.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict
from scipy import stats
from transformers import set_seed

from hf_aesthetics import FgaesqConfig, FgaesqForAestheticAssessment, FgaesqImageProcessor
from hf_aesthetics.data.pairs import ComparedPictures
from hf_aesthetics.data.series import load_series
from hf_aesthetics.data.synthetic_series import load_synthetic_series
from hf_aesthetics.models.configuration_fgaesq import TOWERS
from hf_aesthetics.models.diff_tokens import seeded_numbers
from hf_aesthetics.training import AestheticTrainingArguments
from hf_aesthetics.training.caption_embeddings import add_text_embeds
from hf_aesthetics.training.program_errors import errors_in_one_line
from hf_aesthetics.training.recipe_folders import claim_folder
from hf_aesthetics.training.series_rows import TEXT_COLUMN, SeriesRows
from hf_aesthetics.training.series_training import measure_series, series_scores, train_on_series
from hf_aesthetics.whole_files import whole_file


class Arm(NamedTuple):
    """What an arm changes: fields of the processor, of the model, of the rendered series, and of the run."""

    processor: dict[str, Any] = {}
    model: dict[str, Any] = {}
    series: dict[str, Any] = {}
    training: dict[str, Any] = {}


PLACE = {"num_refined": 7, "candidate_share": 0.5, "sequence_length": 42}
VIEWS = {"compositional_views": 0.5}
SIMILARITY = {"similarity_loss_weight": 1.0}
ARMS = {
    "whole": Arm(),
    "coarse": Arm({"num_refined": 0}),
    "no_captions": Arm(model={"align_loss_weight": 0.0}),
    "bradley_terry": Arm(model={"series_loss": "bradley_terry"}),
    "rank_reg_over_pairs": Arm(model={"series_loss": "rank_reg_pairs"}),
    # pictures with patches of better ones, and a metric between pictures, after CECS
    "cecs_views": Arm(training=VIEWS),
    "cecs_similarity": Arm(model=SIMILARITY),
    "cecs": Arm(model=SIMILARITY, training=VIEWS),
    "defect_c_scales": Arm(model={"use_detached_scales": True}),
    "defect_d_padding": Arm(model={"use_padding_attention": True}),
    # of the largest pictures half of the tokens are dropped
    "tight": Arm({"sequence_length": 20}),
    "tight_defect_b_drop": Arm({"sequence_length": 20, "use_patch_number_drop": True}),
    # half of the patches are candidates, as in the paper, so that it is a matter of luck which ones are refined
    "half": Arm({"candidate_share": 0.5}),
    "half_defect_h_windows": Arm({"candidate_share": 0.5, "use_separate_draws": True}),
    # pictures of several widths
    "cut": Arm(series={"do_cut": True}),
    "cut_defect_e_columns": Arm({"use_flat_comparison": True}, series={"do_cut": True}),
    # a detail on the left counts, and another one on the right does not
    "place": Arm(PLACE, series={"do_distract": True}),
    "place_defect_a_positions": Arm({**PLACE, "use_row_major_positions": True}, series={"do_distract": True}),
    "place_defect_f_positions": Arm(PLACE, {"use_frozen_positions": True}, {"do_distract": True}),
}
# of these pictures the smallest leave slots empty, and of the largest tokens are dropped; all candidates are refined
SMALL = {"size": {"longest_edge": 160}, "num_refined": 4, "candidate_share": 0.16, "sequence_length": 33}
METRICS = ("pair_accuracy", "series_srcc", "top1_accuracy", "full_order_accuracy")


def run(arguments: argparse.Namespace, arm: str, seed: int) -> dict[str, Any]:
    """Trains and measures one model."""
    of_processor, of_model, of_series, of_training = ARMS[arm]
    series = load(arguments, seed, of_series)
    is_tiny = arguments.backbone in TOWERS
    set_seed(seed)
    if is_tiny:
        processor = FgaesqImageProcessor(**(SMALL | of_processor))
        model = FgaesqForAestheticAssessment(FgaesqConfig(backbone_config=TOWERS[arguments.backbone], **of_model))
    else:
        processor = FgaesqImageProcessor.from_backbone_pretrained(arguments.backbone, **of_processor)
        model = FgaesqForAestheticAssessment.from_backbone_pretrained(arguments.backbone, **of_model)
    series = with_text(series, arguments.backbone, model.config.backbone_config.projection_dim)
    args = AestheticTrainingArguments(
        output_dir=str(arguments.output_dir / f"{arm}-{seed}"),
        num_train_epochs=arguments.num_train_epochs,
        series_batch_size=arguments.series_batch_size,
        learning_rate=arguments.learning_rate,
        head_learning_rate=arguments.head_learning_rate,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        disable_tqdm=True,
        seed=seed,
        **of_training,
    )
    trainer = train_on_series(model, processor, series, args)
    test = SeriesRows(series.pictures["test"], processor, series.pairs.get("test"))
    measured = measure_series(series_scores(trainer.model, test), test)
    return {name: measured[name] for name in METRICS} | {"steps": trainer.state.global_step}


def load(arguments: argparse.Namespace, seed: int, fields: dict[str, Any]) -> ComparedPictures:
    if arguments.data_dir is not None:
        return load_series(arguments.data_dir)
    count = arguments.num_series
    mine = load_synthetic_series(count, 1, 1, seed=seed + 1, **fields)
    others = load_synthetic_series(1, 8, arguments.num_test_series, **fields)
    pictures = DatasetDict(
        {"train": mine.pictures["train"], **{s: others.pictures[s] for s in ("validation", "test")}}
    )
    pairs = DatasetDict({"train": mine.pairs["train"], **{s: others.pairs[s] for s in ("validation", "test")}})
    return ComparedPictures(pictures, pairs)


def with_text(series: ComparedPictures, backbone: str, size: int) -> ComparedPictures:
    """Comparisons with vectors for their captions, where they have any."""
    pairs = series.pairs["train"]
    if "caption" not in pairs.column_names:
        return series
    if backbone in TOWERS:
        pairs = stand_in_embeds(pairs, size)
    else:
        pairs = add_text_embeds(pairs, backbone, size=size)
    return ComparedPictures(series.pictures, DatasetDict({**series.pairs, "train": pairs}))


def stand_in_embeds(pairs: Dataset, size: int) -> Dataset:
    """A random vector for each sentence, the same for the same sentence."""
    sentences = {caption: (seeded_numbers(caption, size) - 0.5).tolist() for caption in set(pairs["caption"])}
    return pairs.add_column(TEXT_COLUMN, [sentences[caption] for caption in pairs["caption"]])


def table_row(name: str, figures: list[dict[str, Any]], metrics: Sequence[str]) -> str:
    """A row of a Markdown table, with an interval over the seeds."""
    cells = [mean_and_interval([figure[metric] for figure in figures]) for metric in metrics]
    return f"| {name} | {len(figures)} | {' | '.join(cells)} |"


def mean_and_interval(figures: list[float]) -> str:
    """Mean over the seeds, and Student's interval of it at 95 %, up to 1."""
    values = np.array(figures)
    text = f"{values.mean():.3f}"
    if len(values) > 1:
        reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
        text += f" [{values.mean() - reach:.3f}, {min(values.mean() + reach, 1):.3f}]"
    return text


def arms_parser(description: str | None, arms: Iterable[str]) -> argparse.ArgumentParser:
    """What every ablation is asked: which arms and seeds, and where they go."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", choices=arms, default=[*arms], metavar="ARM", help=", ".join(arms))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    return parser


def run_arms(
    arguments: argparse.Namespace,
    run: Callable[[argparse.Namespace, str, int], dict[str, Any]],
    metrics: Sequence[str],
) -> dict[str, list[dict[str, Any]]]:
    """Figures of every arm, seed by seed: those that `--output_dir` has, and those that are run now."""
    free = ("output_dir", "arms", "seeds")  # more of these can be added
    claim_folder(arguments.output_dir, {name: value for name, value in vars(arguments).items() if name not in free})
    found: dict[str, list[dict[str, Any]]] = {}
    for arm in arguments.arms:
        found[arm] = []
        for seed in arguments.seeds:
            file = arguments.output_dir / f"{arm}-{seed}.json"
            if not file.exists():
                text = json.dumps(run(arguments, arm, seed))
                with whole_file(file) as partial:
                    partial.write_text(text)
            found[arm].append(json.loads(file.read_text()))
        print(table_row(arm, found[arm], metrics), flush=True)
    return found


def write_table(rows: Mapping[str, list[dict[str, Any]]], metrics: Sequence[str], output_dir: Path) -> None:
    """Prints a Markdown table of figures by name, and writes it to `table.md`."""
    header = ["arm", "seeds", *(name.replace("_", " ") for name in metrics)]
    lines = [table_row(name, figures, metrics) for name, figures in rows.items()]
    table = "\n".join([f"| {' | '.join(header)} |", "|---" * len(header) + "|", *lines])
    (output_dir / "table.md").write_text(table + "\n")
    print(f"\n{table}")


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    parser = arms_parser(__doc__, ARMS)
    parser.add_argument("--data_dir", type=Path, help="your own series; rendered ones by default")
    parser.add_argument("--backbone", default="tiny", help=f"a CLIP, or one of {', '.join(TOWERS)} from nothing")
    parser.add_argument("--num_series", type=int, default=128, help="rendered series to train on")
    parser.add_argument("--num_test_series", type=int, default=200)
    parser.add_argument("--num_train_epochs", type=float, default=12)
    parser.add_argument("--series_batch_size", type=int, default=48, help="pictures a step, about")
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--head_learning_rate", type=float, default=1e-3)
    arguments = parser.parse_args(argv)
    found = run_arms(arguments, run, METRICS)
    write_table(found, METRICS, arguments.output_dir)


if __name__ == "__main__":
    main()
