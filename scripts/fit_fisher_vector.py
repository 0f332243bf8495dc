"""Fits the vocabularies of a Fisher vector model on the training pictures of a rated collection, without the ratings.

    python scripts/fit_fisher_vector.py --dataset oasis --data_dir PATH --output_dir outputs/fisher-vocabulary
    python -m hf_aesthetics.training --dataset oasis --data_dir PATH --model_type fisher_vector \\
        --backbone outputs/fisher-vocabulary --linear_probe --num_train_epochs 0 --output_dir outputs/fisher-oasis

The first command writes a checkpoint that knows descriptors, their principal components and the visual words; its last
layer is still random. The second fits that layer, evaluates, and writes the card.
"""

from dataclasses import dataclass, field
from typing import Literal

from huggingface_hub.errors import StrictDataclassError
from transformers import HfArgumentParser, set_seed

from hf_aesthetics import FisherVectorConfig, FisherVectorForAestheticAssessment, ModalityImageProcessor
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.training_ids import TrainingIds
from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import EvaluationTransform
from hf_aesthetics.hub import save_checkpoint
from hf_aesthetics.models.local_descriptors import LOCAL_DESCRIPTORS
from hf_aesthetics.training import DataArguments
from hf_aesthetics.training.gaussian_mixture import fit_fisher_vector


@dataclass
class VocabularyArguments:
    """Which descriptors, and how many words."""

    output_dir: str = field(metadata={"help": "folder of the checkpoint"})
    descriptors: list[str] = field(
        default_factory=lambda: [*LOCAL_DESCRIPTORS], metadata={"help": "kinds of local descriptors"}
    )
    encoding: Literal["fisher", "bag_of_words"] = field(default="fisher", metadata={"help": "what is made of them"})
    pca_size: int = field(default=64, metadata={"help": "principal components of a descriptor"})
    num_components: int = field(default=64, metadata={"help": "Gaussians of a mixture, the visual words"})
    image_size: int = field(default=256, metadata={"help": "pixels a side to which pictures are squashed"})
    num_descriptors: int = field(default=200_000, metadata={"help": "how many of each kind to fit on"})
    seed: int = field(default=0, metadata={"help": "of what is drawn"})


def main(argv: list[str] | None = None) -> None:
    parser = HfArgumentParser((DataArguments, VocabularyArguments), description=__doc__.splitlines()[0])
    data_args, args = parser.parse_args_into_dataclasses(args=argv)
    try:
        fit(data_args, args)
    except (ValueError, OSError, StrictDataclassError) as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from error


def fit(data_args: DataArguments, args: VocabularyArguments) -> None:
    if data_args.streaming:
        raise ValueError("Pictures are drawn at random, which a stream cannot do, got --streaming. Leave it out.")
    collection = load_collection(
        data_args.dataset,
        data_args.data_dir,
        data_args.scale,
        data_args.dataset_revision,
        seed=args.seed,
        exclude_ids=data_args.exclude_ids,
    )
    scale, train = collection.scale, collection.splits["train"]
    set_seed(args.seed)
    model = FisherVectorForAestheticAssessment(
        FisherVectorConfig(
            descriptors=args.descriptors,
            encoding=args.encoding,
            pca_size=args.pca_size,
            num_components=args.num_components,
            min_score=scale.min_score,
            max_score=scale.max_score,
            num_labels=scale.num_bins,
            notice=collection.facts.notice,
        )
    )
    processor = ModalityImageProcessor(
        size={"height": args.image_size, "width": args.image_size}, image_mean=[0.0] * 3, image_std=[1.0] * 3
    )
    rows = IndexedRows(train, EvaluationTransform(processor, scale.bin_scores.tolist()))
    fit_fisher_vector(model, rows, args.num_descriptors, seed=args.seed)
    save_checkpoint(model, processor, args.output_dir)
    TrainingIds.of_splits(collection.name, {"train": train["image_id"]}).save(args.output_dir)
    print(
        f"{args.output_dir}: {args.num_components} words each of {', '.join(args.descriptors)}; {len(train)} pictures"
    )


if __name__ == "__main__":
    main()
