"""What compositional views and the similarity metric buy where categories hardly differ: a run for each arm and seed.

    python scripts/ablate_cecs.py --output_dir outputs/cecs
    python scripts/ablate_cecs.py --output_dir outputs/cecs --arms plain cecs --seeds 0 1 2 3 4 5 6 7

Each seed has a rendered scene of its own, in sixteen categories that differ in the stripes of three small marks (see
`hf_aesthetics/data/rendering/variants.py`). Eight of them are learnt, from a few pictures each. Measured are unseen
pictures of these, as they are and with one of the marks covered, and pictures of the other eight, of which the model
has never seen any: how often the category is right, and how often the nearest other picture is of the same one.

`plain` is the same network with cross entropy alone, from which the others are told seed by seed, because some scenes
are harder. The arms with views see each picture more than once a step, so `plain_longer` has three times the steps.
What is finished is kept in `--output_dir`, and a stopped ablation goes on there.
"""

import argparse
from typing import Any

from ablate_series import arms_parser, run_arms, write_table
from datasets import Dataset, Features, Image, Value
from PIL import Image as PILImage
from transformers import TrainingArguments, set_seed

from hf_aesthetics import CecsConfig, CecsModel, ModalityImageProcessor
from hf_aesthetics.data.rendering.variants import SceneVariants
from hf_aesthetics.training.category_training import CategoryRows, measure_categories, train_on_categories
from hf_aesthetics.training.program_errors import errors_in_one_line


TINY = {
    "model_type": "resnet",
    "depths": [1, 1, 1],
    "hidden_sizes": [16, 32, 64],
    "embedding_size": 16,
    "layer_type": "basic",
}
CROSS_ENTROPY, METRIC = {"similarity_loss_weight": 0.0}, {"similarity_loss_weight": 1.0}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"views": [], **CROSS_ENTROPY},
    "plain_longer": {"views": [], **CROSS_ENTROPY},
    "replaced": {"views": ["replaced"], **CROSS_ENTROPY},
    "masked": {"views": ["masked"], **CROSS_ENTROPY},
    "views": CROSS_ENTROPY,
    "metric": {"views": [], **METRIC},
    "masked_metric": {"views": ["masked"], **METRIC},
    "cecs": {},
    "cecs_more_metric": METRIC,
    "cecs_contrastive": {"similarity_loss": "supervised_contrastive"},
}
METRICS = ("accuracy", "recall_at_1", "covered_accuracy", "covered_recall_at_1", "unknown_recall_at_1")


def run(arguments: argparse.Namespace, arm: str, seed: int) -> dict[str, float]:
    """Trains and measures one model."""
    variants = SceneVariants(seed)
    known = range(variants.num_categories // 2)
    count, test = arguments.num_pictures, range(10_000, 10_000 + arguments.num_test_pictures)
    processor = ModalityImageProcessor(size={"height": variants.side, "width": variants.side})
    train = CategoryRows(render(variants, known, range(count)), processor)
    set_seed(seed)
    fields = {"view_share": arguments.view_share, **ARMS[arm]}
    model = CecsModel(CecsConfig(backbone_config=TINY, num_labels=len(known), embedding_size=64, **fields))
    args = TrainingArguments(
        output_dir=str(arguments.output_dir / f"{arm}-{seed}"),
        num_train_epochs=arguments.num_train_epochs * (3 if arm == "plain_longer" else 1),
        per_device_train_batch_size=16,
        learning_rate=arguments.learning_rate,
        lr_scheduler_type="cosine",
        save_strategy="no",
        report_to=[],
        dataloader_pin_memory=False,
        disable_tqdm=True,
        seed=seed,
    )
    train_on_categories(model, train, args)
    others = range(len(known), variants.num_categories)
    answer = {}
    for prefix, categories, is_covered in (("", known, False), ("covered_", known, True), ("unknown_", others, False)):
        rows = CategoryRows(render(variants, categories, test, is_covered), processor)
        answer |= {f"{prefix}{name}": value for name, value in measure_categories(model, rows).items()}
    return {name: answer[name] for name in METRICS}


def render(variants: SceneVariants, categories: range, numbers: range, is_covered: bool = False) -> Dataset:
    """Pictures and the places of their categories; no two have the same camera, light and noise."""
    images, labels = [], []
    for label, category in enumerate(categories):
        for number in numbers:
            pixels = variants.render(category, number * variants.num_categories + category, is_covered)
            images.append(PILImage.fromarray(pixels))
            labels.append(label)
    return Dataset.from_dict(
        {"image": images, "label": labels}, features=Features({"image": Image(), "label": Value("int64")})
    )


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    parser = arms_parser(__doc__, ARMS)
    parser.add_argument("--num_pictures", type=int, default=6, help="of each category to train on")
    parser.add_argument("--num_test_pictures", type=int, default=16, help="of each category to measure on")
    parser.add_argument("--num_train_epochs", type=float, default=60)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    parser.add_argument("--view_share", type=float, default=0.3, help="of the cells that a view exchanges")
    arguments = parser.parse_args(argv)
    found = run_arms(arguments, run, METRICS)
    rows = dict(found)
    for arm in arguments.arms:
        if "plain" in found and arm != "plain":
            both = zip(found[arm], found["plain"], strict=True)
            rows[f"{arm} - plain"] = [{name: one[name] - plain[name] for name in METRICS} for one, plain in both]
    write_table(rows, METRICS, arguments.output_dir)


if __name__ == "__main__":
    main()
