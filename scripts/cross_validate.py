"""Cross-validates a recipe of training on a rated collection: every picture is judged by models new to its group.

    python scripts/cross_validate.py --dataset oasis --data_dir PATH --groups theme --backbone mobilenet_v2 \\
        --freeze_stages 12 --freeze_batch_norm --num_train_epochs 8 --output_dir outputs/cv

The recipe is that of `python -m hf_aesthetics.training`, by the same flags; the seed is that of the folding. In each
fold the best checkpoint is chosen on an inner validation part with groups of its own. Frozen stages run once for all
folds. A finished fold is not trained again. In `--output_dir` then lie `predictions.parquet` and `figures.json`.

With `--fixed_split` the published split is the only fold, and each of `--fold_seeds` is a seed of training.
"""

from transformers import HfArgumentParser

from hf_aesthetics.evaluation.cross_validation import figures_table
from hf_aesthetics.training import AestheticTrainingArguments, DataArguments, ModelArguments
from hf_aesthetics.training.cross_validation import FoldArguments, cross_validate, load_mapped
from hf_aesthetics.training.program_errors import errors_in_one_line


@errors_in_one_line()
def main(argv: list[str] | None = None) -> None:
    parser = HfArgumentParser((DataArguments, ModelArguments, FoldArguments, AestheticTrainingArguments))
    data_args, model_args, fold_args, args = parser.parse_args_into_dataclasses(args=argv)
    collection = load_mapped(data_args, model_args)
    print(figures_table(cross_validate(collection, model_args, fold_args, args)))


if __name__ == "__main__":
    main()
