"""Trains embeddings that tell nearly identical categories apart, from a folder of pictures a category.

    python scripts/train_cecs.py --data_dir PATH --data_license CC-BY-4.0 --backbone google/mobilenet_v2_1.0_224 \\
        --num_train_epochs 60 --learning_rate 1e-3 --per_device_train_batch_size 16 --output_dir outputs/cecs-leaves

`PATH` holds a folder a category, in `train` and `test` or, where these are not there, of which a share is held out.
The finished checkpoint, with code, processor and card, is for `AutoModel`. Every option of transformers'
`TrainingArguments` is one here; `accelerate launch` runs it on several devices.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from datasets import ClassLabel, Dataset, load_dataset
from transformers import HfArgumentParser, TrainingArguments, set_seed

from hf_aesthetics import CecsModel, ModalityImageProcessor
from hf_aesthetics.cards import card_template, fill_template
from hf_aesthetics.hub import save_checkpoint
from hf_aesthetics.training import ModelArguments
from hf_aesthetics.training.category_training import CategoryRows, measure_categories, train_on_categories
from hf_aesthetics.training.preparation import backbone_checkpoint, name_backbone
from hf_aesthetics.training.program_errors import errors_in_one_line


@dataclass
class CategoryArguments:
    """What to learn, and from what. See [`CecsConfig`] for the fields of the model."""

    data_dir: str = field(metadata={"help": "folder with a folder of pictures for each category"})
    data_name: str | None = field(default=None, metadata={"help": "what the card calls the data; the folder's name"})
    data_license: str = field(default="not recorded", metadata={"help": "terms of the pictures, for the card"})
    test_share: float = field(default=0.2, metadata={"help": "of the pictures to hold out where there is no test"})
    backbone: str | None = field(default=None, metadata={"help": "checkpoint of a vision network, or a named one"})
    backbone_license: str | None = field(default=None, metadata={"help": "terms of its weights, for the card"})
    license: str | None = field(default=None, metadata={"help": "terms of the trained weights, for the card"})
    image_size: int | None = field(default=None, metadata={"help": "pixels a side; as the backbone by default"})
    embedding_size: int = field(default=128, metadata={"help": "length of the embeddings"})
    views: list[str] = field(
        default_factory=lambda: ["replaced", "masked"],
        metadata={"help": "of each picture to train on: replaced, masked, or both; none: neither"},
    )
    view_grid: int = field(default=4, metadata={"help": "cells along each side"})
    view_share: float = field(default=0.3, metadata={"help": "of the cells that a view exchanges"})
    mask_fill: Literal["zero", "mean", "noise"] = field(default="zero", metadata={"help": "what masked cells show"})
    similarity_loss: Literal["triplet", "supervised_contrastive"] = field(
        default="triplet", metadata={"help": "between embeddings"}
    )
    similarity_loss_weight: float = field(default=0.2, metadata={"help": "its weight; 0 is cross entropy alone"})


MODEL_FIELDS = ("embedding_size", "view_grid", "view_share", "mask_fill", "similarity_loss", "similarity_loss_weight")


def train(asked: CategoryArguments, args: TrainingArguments) -> None:
    splits, names = load_splits(asked, args.seed)
    set_seed(args.seed)
    checkpoint = backbone_checkpoint(asked.backbone)
    size = {} if asked.image_size is None else {"size": {"height": asked.image_size, "width": asked.image_size}}
    processor = ModalityImageProcessor.from_backbone_pretrained(checkpoint, **size)
    model = CecsModel.from_backbone_pretrained(
        checkpoint,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        views=[view for view in asked.views if view != "none"],
        **{name: getattr(asked, name) for name in MODEL_FIELDS},
    )
    output_dir, args.output_dir = str(args.output_dir), f"{args.output_dir}.run"
    rows = {split: CategoryRows(pictures, processor) for split, pictures in splits.items()}
    trainer = train_on_categories(model, rows["train"], args, rows["test"])
    results = measure_categories(model, rows["test"])
    if not trainer.is_world_process_zero():
        return
    folder = save_checkpoint(model, processor, output_dir)
    (folder / "README.md").write_text(render_card(asked, args, model, processor, rows, results), encoding="utf-8")
    print(f"{output_dir}: accuracy {results['accuracy']:.3f}, recall at 1 {results['recall_at_1']:.3f}")


def load_splits(asked: CategoryArguments, seed: int) -> tuple[dict[str, Dataset], list[str]]:
    """Pictures in `train` and `test`, and the names of the categories."""
    if not any(Path(asked.data_dir).glob("**/*.*")):
        raise ValueError(
            f"--data_dir must hold a folder of pictures for each category, found none in {asked.data_dir!r}."
        )
    splits = load_dataset("imagefolder", data_dir=asked.data_dir)
    labels = splits["train"].features.get("label")
    if not isinstance(labels, ClassLabel) or labels.num_classes < 2:
        raise ValueError(
            f"--data_dir must hold a folder of pictures for each of at least 2 categories: {asked.data_dir}."
        )
    if "test" not in splits:
        splits = splits["train"].train_test_split(asked.test_share, stratify_by_column="label", seed=seed)
    return {split: splits[split] for split in ("train", "test")}, labels.names


def render_card(
    asked: CategoryArguments,
    args: TrainingArguments,
    model: CecsModel,
    processor: ModalityImageProcessor,
    rows: dict[str, CategoryRows],
    results: dict[str, float],
) -> str:
    counts = np.bincount(rows["test"].labels)
    shares = counts / counts.sum()
    chance = {
        "chance_accuracy": shares.max(),  # by always saying the most frequent one
        "chance_recall": float((shares * (counts - 1)).sum() / (counts.sum() - 1)),
        "num_images": f"{counts.sum():,}",
    }
    backbone, backbone_license = name_backbone(
        ModelArguments(backbone=asked.backbone, backbone_license=asked.backbone_license)
    )
    return fill_template(
        card_template("cecs"),
        name=Path(str(args.output_dir).removesuffix(".run")).resolve().name,
        num_parameters=f"{model.num_parameters() / 1e6:.2f} million",
        config=model.config,
        processor=processor,
        data={"name": asked.data_name or Path(asked.data_dir).resolve().name, "license": asked.data_license},
        data_link=None,
        license=asked.license,
        backbone=backbone,
        backbone_license=backbone_license,
        results={**results, **chance},
        training={
            "training pictures": f"{len(rows['train']):,}",
            "optimizer": f"{args.optim}, learning rate {args.learning_rate:g}, {args.num_train_epochs:g} epochs",
            "batch": f"{args.train_batch_size} pictures a device",
            "seed": args.seed,
        },
    )


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    parser = HfArgumentParser((CategoryArguments, TrainingArguments), description=__doc__.splitlines()[0])
    train(*parser.parse_args_into_dataclasses(args=argv))


if __name__ == "__main__":
    main()
