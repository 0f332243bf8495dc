"""What training on series buys on real pictures: two questions, each one command that goes on where it was stopped.

    python scripts/measure_series.py edits --dataset oasis --data_dir PATH --backbone mobilenet_v2 \\
        --freeze_stages 12 --freeze_batch_norm --linear_probe --num_train_epochs 3 --output_dir outputs/edits
    python scripts/measure_series.py choices --data_dir PATH --models CHECKPOINT ... --output_dir outputs/choices

`edits`: photographs beside edits that do them harm (blur, exposure, tilt, crops that cut the subject). The same
network with the same flags is trained on ratings alone, and in turn with series of the training photographs, `--seeds`
each. How many pairs of the test photographs are in order, by kind of edit, and does the order of the ratings suffer?
The weight of the series is chosen on the validation photographs of the first seed: the one of `--weights` that puts
most pairs in order among those that cost at most 0.02 of SRCC. All other flags are those of training; frozen stages
run once for all runs.

`choices`: a folder that `load_pairs` reads. On frozen features, is a linear head that is taught which picture was
chosen better than one that is taught how often each picture was? No picture is in two of training, validation and
test, and the strength of the ridge is chosen on validation, in each of `--num_splits` random splits. With
`--train_shares` the heads learn of a part of the choices: few choices a picture say little of how often it wins.

In `--output_dir` then lie `figures.json` and `figures.md`.
"""

import argparse
import json
import math
import shutil
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from scipy.special import expit, logit
from transformers import AutoConfig, HfArgumentParser, PreTrainedModel, set_seed

from hf_aesthetics import ModalityImageProcessor, NimaForAestheticAssessment
from hf_aesthetics.data.columns import known_votes
from hf_aesthetics.data.edited_series import EDIT_KINDS, load_edited_series
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.pairs import TABLE_NAMES, find_pictures_of, find_table, read_pair_table
from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.images import read_image
from hf_aesthetics.metrics import (
    choice_accuracy,
    choice_ceiling,
    pair_accuracy,
    paired_bootstrap,
    spearman_correlation,
    strength_ceiling,
)
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments, build_scorer
from hf_aesthetics.training.frozen_features import FrozenFeatureRows, record_frozen_features, skip_frozen_stages
from hf_aesthetics.training.linear_probe import fit_linear_probe
from hf_aesthetics.training.program_errors import errors_in_one_line
from hf_aesthetics.training.recipe_folders import claim_folder
from hf_aesthetics.training.series_rows import SeriesRows
from hf_aesthetics.training.series_training import make_series_trainer, measure_series, series_scores
from hf_aesthetics.training.trainer import make_trainer, row_transforms
from hf_aesthetics.whole_files import whole_file


SPLITS = ("train", "validation", "test")
TOLERATED_LOSS = 0.02  # of SRCC
FREE = ("output_dir", "logging_dir", "run_name", "disable_tqdm", "seed")  # what runs in one folder may differ in
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass
class EditsArguments:
    """What is measured."""

    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "of training"})
    weights: list[float] = field(
        default_factory=lambda: [0.03, 0.1, 0.3, 1.0], metadata={"help": "of the loss on series, to choose from"}
    )
    num_resamples: int = field(default=1000, metadata={"help": "draws of the bootstrap"})


# ---- edits ----


class Bench:
    """The photographs, their series, and what the frozen stages make of both."""

    def __init__(
        self, data_args: DataArguments, model_args: ModelArguments, args: AestheticTrainingArguments, folder: Path
    ) -> None:
        self.model_args, self.args, self.folder = model_args, args, folder
        collection = load_collection(data_args.dataset, data_args.data_dir, data_args.scale)
        self.scale = collection.scale
        self.series_table = load_edited_series(collection.splits).pictures
        self.votes, self.mean_score = known_votes(collection.splits["test"])
        model, processor = self.build(0)
        transforms = row_transforms(model, processor, self.scale, args)
        self.rated = {split: IndexedRows(collection.splits[split], transforms[split != "train"]) for split in SPLITS}
        self.two_pictures = torch.stack([self.rated["test"][row]["pixel_values"] for row in (0, 1)])
        self.series = {split: SeriesRows(self.series_table[split], processor) for split in SPLITS}
        self._record(model)

    def build(self, seed: int) -> tuple[PreTrainedModel, ModalityImageProcessor]:
        set_seed(seed)
        model, processor = build_scorer(self.model_args, self.scale)
        return model.to(memory_format=torch.channels_last), processor

    def _record(self, model: PreTrainedModel) -> None:
        file = self.folder / "features.pt"
        num_views = math.ceil(self.args.num_train_epochs)
        if not file.exists():
            rated = {
                split: record_frozen_features(model, rows, num_views if split == "train" else 1)
                for split, rows in self.rated.items()
            }
            for rows in self.series.values():
                rows.record_features(model)
            found = {
                "rated": {split: (rows.features, dict(rows.labels)) for split, rows in rated.items()},
                "series": {split: rows.features for split, rows in self.series.items()},
            }
            with whole_file(file) as partial:
                torch.save(found, partial)
        found = torch.load(file)
        self.rated = {split: FrozenFeatureRows(*values) for split, values in found["rated"].items()}
        for split, features in found["series"].items():
            self.series[split].features = features

    def run(self, seed: int, weight: float | None) -> dict[str, Any]:
        """Trains and measures one model: with series of that weight, or on ratings alone."""
        name = f"ratings-{seed}" if weight is None else f"series-{weight:g}-{seed}"
        file = self.folder / f"{name}.json"
        if not file.exists():
            model, _ = self.build(seed)
            args = copy(self.args)
            args.seed, args.output_dir = seed, str(self.folder / "run")
            rated = self.rated["train"], self.rated["validation"]
            with skip_frozen_stages(model, self.two_pictures):
                if args.linear_probe:
                    fit_linear_probe(model, *rated, math.ceil(args.num_train_epochs))
                if weight is None:
                    trainer = make_trainer(model, *rated, self.scale.bin_scores, args, self.model_args.loss)
                else:
                    args.metric_for_best_model = "pair_accuracy"
                    series = self.series["train"], self.series["validation"]
                    trainer = make_series_trainer(
                        model, *series, args, rated, loss=self.model_args.loss,
                        series_loss=self.model_args.series_loss, series_loss_weight=weight,
                    )  # fmt: skip
                trainer.train()
                held = self.series["validation"]
                of_ratings = make_trainer(model, *rated, self.scale.bin_scores, args).evaluate()
                measured = {
                    "validation_srcc": of_ratings["eval_srcc"],
                    "validation_pair_accuracy": measure_series(series_scores(model, held), held)["pair_accuracy"],
                    "scores": self._rated_scores(model),
                    "series_scores": [each.tolist() for each in series_scores(model, self.series["test"])],
                }
            shutil.rmtree(args.output_dir, ignore_errors=True)
            with whole_file(file) as partial:
                partial.write_text(json.dumps(measured))
        found = json.loads(file.read_text())
        print(name, {key: round(found[key], 4) for key in ("validation_srcc", "validation_pair_accuracy")}, flush=True)
        return found

    def _rated_scores(self, model: PreTrainedModel) -> list[float]:
        features = self.rated["test"].features[0]
        with torch.no_grad():
            return torch.cat([model.eval()(part).score for part in features.split(64)]).tolist()


def measure_edits(flags: list[str]) -> None:
    parser = HfArgumentParser(
        (DataArguments, ModelArguments, EditsArguments, AestheticTrainingArguments),
        prog="python scripts/measure_series.py edits",
    )
    data_args, model_args, edits, args = parser.parse_args_into_dataclasses(args=flags)
    folder = Path(args.output_dir)
    recipe = {**asdict(data_args), **asdict(model_args), **args.to_dict()}
    claim_folder(folder, {name: value for name, value in recipe.items() if name not in FREE})
    bench = Bench(data_args, model_args, args, folder)
    ratings = [bench.run(edits.seeds[0], None)]
    tried = {weight: bench.run(edits.seeds[0], weight) for weight in edits.weights}
    weight = choose_weight(ratings[0], tried)
    ratings += [bench.run(seed, None) for seed in edits.seeds[1:]]
    in_turn = [bench.run(seed, weight) for seed in edits.seeds]
    figures = edits_figures(bench.series["test"], bench.mean_score, ratings, in_turn, edits.num_resamples)
    write_figures(folder, {"weight": weight, "seeds": edits.seeds, "rows": figures}, edits_table(figures))


def choose_weight(ratings: dict[str, Any], tried: dict[float, dict[str, Any]]) -> float:
    """The weight that puts most pairs of validation in order among those that cost little of the ratings' order."""
    lowest = ratings["validation_srcc"] - TOLERATED_LOSS
    harmless = [weight for weight, found in tried.items() if found["validation_srcc"] >= lowest]
    return max(harmless or [min(tried)], key=lambda weight: tried[weight]["validation_pair_accuracy"])


def edits_figures(
    series: SeriesRows, mean_score: np.ndarray, ratings: list[dict], in_turn: list[dict], num_resamples: int
) -> list[dict[str, Any]]:
    """A row a kind of edit, all of them, and the order of the ratings; draws are of photographs."""
    photographs, kinds = zip(*(name.rsplit(" ", 1) for name in series.names), strict=True)
    arms = [[better_minus_worse(series, run["series_scores"]) for run in runs] for runs in (ratings, in_turn)]
    num_pairs = [len(each) for each in arms[0][0]]
    of_pair = np.repeat(np.array(kinds), num_pairs)
    photograph = np.repeat(np.array(photographs), num_pairs)
    differences = [np.stack([np.concatenate(run) for run in arm], axis=1) for arm in arms]

    def mean_accuracy(found: np.ndarray, sure: np.ndarray) -> float:
        return float(np.mean([pair_accuracy(column, sure) for column in found.T]))

    def mean_srcc(found: np.ndarray, truth: np.ndarray) -> float:
        return float(np.mean([spearman_correlation(column, truth) for column in found.T]))

    rows = []
    for kind in (*EDIT_KINDS, "all"):
        chosen = (of_pair == kind) | (kind == "all")
        rows.append(
            _compared(
                kind, mean_accuracy, np.ones(chosen.sum()), *(each[chosen] for each in differences),
                photograph[chosen], num_resamples,
            )
        )  # fmt: skip
    scores = [np.array([run["scores"] for run in runs]).T for runs in (ratings, in_turn)]
    rows.append(_compared("srcc of the ratings", mean_srcc, mean_score, *scores, None, num_resamples))
    return rows


def better_minus_worse(series: SeriesRows, scores: list[list[float]]) -> list[np.ndarray]:
    """For each series the difference of scores of every two pictures of unlike rank."""
    answer = []
    for name, of_series in zip(series.names, scores, strict=True):
        ranks, values = np.array(series.ranks[name]), np.array(of_series)
        better, worse = np.nonzero(ranks[:, None] < ranks)
        answer.append(values[better] - values[worse])
    return answer


def _compared(
    name: str,
    metric: Callable[..., float],
    target: np.ndarray,
    ratings: np.ndarray,
    in_turn: np.ndarray,
    groups: np.ndarray | None,
    num_resamples: int,
) -> dict[str, Any]:
    found = paired_bootstrap(metric, target, in_turn, ratings, groups=groups, num_resamples=num_resamples)
    by_seed = [metric(a, target) - metric(b, target) for a, b in zip(*map(_columns, (in_turn, ratings)), strict=True)]
    return {
        "name": name,
        "num_pairs": len(target),
        "ratings": metric(ratings, target),
        "in_turn": metric(in_turn, target),
        "difference": found.difference,
        "interval": [found.low, found.high],
        "by_seed": by_seed,
    }


def _columns(values: np.ndarray) -> list[np.ndarray]:
    return [column[:, None] for column in values.T]


def edits_table(rows: list[dict[str, Any]]) -> str:
    lines = ["| edit | ratings alone | in turn with series | difference | seeds |", "|---" * 5 + "|"]
    for row in rows:
        low, high = row["interval"]
        seeds = f"{min(row['by_seed']):+.3f} to {max(row['by_seed']):+.3f}"
        difference = f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
        lines.append(f"| {row['name']} | {row['ratings']:.3f} | {row['in_turn']:.3f} | {difference} | {seeds} |")
    return "\n".join(lines)


# ---- choices ----


def measure_choices(flags: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python scripts/measure_series.py choices", allow_abbrev=False)
    parser.add_argument("--data_dir", type=Path, required=True, help="folder of the pictures and their table of pairs")
    parser.add_argument("--models", nargs="+", required=True, help="scorers of the type nima, or backbones")
    parser.add_argument("--num_splits", type=int, default=100)
    parser.add_argument("--train_shares", nargs="+", type=float, default=[1.0, 0.1, 0.03], help="of the choices")
    parser.add_argument("--output_dir", type=Path, required=True)
    arguments = parser.parse_args(flags)
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    records, _ = read_pair_table(find_table(arguments.data_dir, None, TABLE_NAMES, "image_a, image_b and wins"))
    names = sorted({record[side] for record in records for side in ("image_a", "image_b")})
    place = {name: number for number, name in enumerate(names)}
    pairs = np.array([[place[record["image_a"]], place[record["image_b"]]] for record in records])
    wins = np.array([[record["wins_a"], record["wins_b"]] for record in records], dtype=float)
    find = find_pictures_of(arguments.data_dir)
    agreement, low, high, num_several = choice_ceiling(*wins.T)
    figures: dict[str, Any] = {
        "num_pictures": len(names),
        "num_choices": int(wins.sum()),
        "ceiling": {
            "two_people_agree": agreement,
            "best_guess": [low, high],
            "pairs_with_several_choices": num_several,
            "one_number_a_picture": strength_ceiling(*pairs.T, *wins.T),
        },
        "models": {},
    }
    for model in arguments.models:
        features = picture_features(model, [find(name) for name in names])
        figures["models"][Path(model).name] = {
            f"{share:g}": choices_figures(
                [compare_heads(features, pairs, wins, seed, share) for seed in range(arguments.num_splits)]
            )
            for share in arguments.train_shares
        }
    write_figures(arguments.output_dir, figures, choices_table(figures))


def picture_features(checkpoint: str, files: list[str]) -> np.ndarray:
    """What reaches the head of a scorer, or what would over a backbone, `(num_pictures, size)`."""
    if AutoConfig.from_pretrained(checkpoint).model_type == "nima":
        model = NimaForAestheticAssessment.from_pretrained(checkpoint)
        processor = ModalityImageProcessor.from_pretrained(checkpoint)
    else:
        model = NimaForAestheticAssessment.from_backbone_pretrained(checkpoint)
        processor = ModalityImageProcessor.from_backbone_pretrained(checkpoint)
    parts = []
    with torch.no_grad():
        for start in range(0, len(files), 16):
            pictures = [read_image(file) for file in files[start : start + 16]]
            inputs = processor(pictures, return_tensors="pt")
            parts.append(model.eval().extract_features(inputs["pixel_values"], None, {})[0])
    return torch.cat(parts).double().numpy()


def compare_heads(
    features: np.ndarray, pairs: np.ndarray, wins: np.ndarray, seed: int, train_share: float = 1.0
) -> tuple[float, float, float]:
    """
    Accuracy on the choices of the test of a head that learnt how often pictures won, and of one that learnt who; and
    of how many pairs both learnt.
    """
    generator = np.random.default_rng(seed)
    part = generator.permutation(len(features)) % 5  # three fifths to train, one each to the others
    split_of = np.where(part > 1, 0, part + 1)  # 0 train, 1 validation, 2 test
    inside = [np.flatnonzero((split_of[pairs] == split).all(axis=1)) for split in range(3)]
    inside[0] = generator.permutation(inside[0])[: math.ceil(train_share * len(inside[0]))]
    train = features[split_of == 0]
    spread = train.std(axis=0)
    spread[spread <= 1e-4 * np.abs(train).max(axis=0)] = np.inf
    inputs = (features - train.mean(axis=0)) / spread / math.sqrt(features.shape[1])
    # all that a ridge sees of many features lies in the span of the pictures
    inputs = inputs @ np.linalg.svd(inputs[split_of == 0], full_matrices=False)[2].T
    truth = pairs[inside[0]], wins[inside[0]]

    def accuracy(weights: np.ndarray, split: int) -> float:
        scores = inputs @ weights
        first, second = pairs[inside[split]].T
        return choice_accuracy(scores[first] - scores[second], *wins[inside[split]].T)

    answer = []
    for fit in (fit_shares, fit_choices):
        tried = [fit(inputs, *truth, strength) for strength in STRENGTHS]
        best = max(tried, key=lambda weights: accuracy(weights, 1))
        answer.append(accuracy(best, 2))
    return answer[0], answer[1], len(inside[0])


def fit_shares(inputs: np.ndarray, pairs: np.ndarray, wins: np.ndarray, strength: float) -> np.ndarray:
    """Ridge regression on the log-odds of the share of choices that each picture won, half a choice added each way."""
    won = np.bincount(pairs.ravel(), weights=wins.ravel(), minlength=len(inputs))
    lost = np.bincount(pairs.ravel(), weights=wins[:, ::-1].ravel(), minlength=len(inputs))
    rows = np.flatnonzero(won + lost > 0)
    target = logit((won[rows] + 0.5) / (won[rows] + lost[rows] + 1))
    known = inputs[rows]
    gram = known.T @ known + strength * np.eye(inputs.shape[1])
    return np.linalg.solve(gram, known.T @ (target - target.mean()))


def fit_choices(inputs: np.ndarray, pairs: np.ndarray, wins: np.ndarray, strength: float) -> np.ndarray:
    """Bradley-Terry on differences of features, with the same penalty a picture, by Newton's method."""
    difference = inputs[pairs[:, 0]] - inputs[pairs[:, 1]]
    total = wins.sum(axis=1)
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = expit(difference @ weights)
        gradient = difference.T @ (wins[:, 0] - total * chance) - strength * weights
        curvature = (difference * (total * chance * (1 - chance))[:, None]).T @ difference
        step = np.linalg.solve(curvature + strength * np.eye(len(weights)), gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def choices_figures(splits: list[tuple[float, float, float]]) -> dict[str, Any]:
    r"""
    Means over splits with intervals at 95 %: Student's, of which the variance is \\((1 / n + 1 / 4) s^2\\), because
    random splits share pictures (Nadeau & Bengio 2003, doi 10.1023/A:1024068626366; a test is a quarter of the rest).
    """
    pointwise, pairs, num_pairs = np.array(splits).T
    columns = {"pointwise": pointwise, "pairs": pairs, "difference": pairs - pointwise}
    figures: dict[str, Any] = {"num_splits": len(splits), "train_pairs": float(num_pairs.mean())}
    for name, values in columns.items():
        reach = stats.t.ppf(0.975, len(values) - 1) * math.sqrt((1 / len(values) + 0.25) * values.var(ddof=1))
        figures[name] = {"mean": float(values.mean()), "interval": [values.mean() - reach, values.mean() + reach]}
    return figures


def choices_table(figures: dict[str, Any]) -> str:
    header = ["features", "pairs learnt", "how often each won", "which was chosen", "difference"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name, by_share in figures["models"].items():
        for found in by_share.values():
            cells = [name, f"{found['train_pairs']:.0f}"]
            for column, sign in (("pointwise", ""), ("pairs", ""), ("difference", "+")):
                low, high = found[column]["interval"]
                cells.append(f"{found[column]['mean']:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]")
            lines.append(f"| {' | '.join(cells)} |")
    ceiling = figures["ceiling"]
    low, high = ceiling["best_guess"]
    lines.append(
        f"\nBy lot 0.5; two people agree {ceiling['two_people_agree']:.3f}, the best guess {low:.3f} to {high:.3f}, "
        f"one number a picture, learnt from the other choices, {ceiling['one_number_a_picture']:.3f}."
    )
    return "\n".join(lines)


def write_figures(folder: Path, figures: dict[str, Any], table: str) -> None:
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    (folder / "figures.md").write_text(table + "\n")
    print(f"\n{table}")


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    question, *flags = argv or sys.argv[1:] or ["--help"]
    questions = {"edits": measure_edits, "choices": measure_choices}
    if question not in questions:
        print(__doc__)
        raise SystemExit(question not in ("-h", "--help"))
    questions[question](flags)


if __name__ == "__main__":
    main()
