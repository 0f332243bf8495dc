"""Training as a program.

    accelerate launch -m hf_aesthetics.training --dataset oasis --data_dir PATH --backbone mobilenet_v2 \\
        --modality rgb --output_dir outputs/nima-oasis

An error is one line; with HF_AESTHETICS_TRACEBACK=1 in the environment it is the whole traceback.
"""

import sys
from functools import partial
from pathlib import Path

import torch
from transformers import HfArgumentParser, set_seed

from ..data.loading import load_collection
from ..evaluation import report_table
from ..hub import push_checkpoint, require_replaceable
from .arguments import AestheticTrainingArguments, DataArguments, ModelArguments, portable_command
from .checkpoint import describe_collection, describe_training, finish_checkpoint
from .preparation import build_scorer, map_collection, name_backbone
from .program_errors import errors_in_one_line
from .series_training import learn_series, refuse_series_options
from .trainer import train_scorer


def main(argv: list[str] | None = None) -> None:
    """The program: loads, trains, evaluates, and leaves a checkpoint with its card in `--output_dir`."""
    parser = HfArgumentParser(
        (DataArguments, ModelArguments, AestheticTrainingArguments),
        prog="python -m hf_aesthetics.training",
        description="Trains a scorer on a rated collection, evaluates it, and writes a checkpoint with its card.",
    )
    with errors_in_one_line():
        data_args, model_args, args = parser.parse_args_into_dataclasses(args=argv)
        _run(data_args, model_args, args, portable_command(sys.argv[1:] if argv is None else argv))


def _run(data_args: DataArguments, model_args: ModelArguments, args: AestheticTrainingArguments, command: str) -> None:
    set_seed(args.seed)
    require_replaceable(args.output_dir)  # not after hours of training
    if data_args.series is None:
        refuse_series_options(data_args, model_args, args)
    load = partial(
        load_collection,
        data_args.dataset,
        data_args.data_dir,
        data_args.scale,
        data_args.dataset_revision,
        seed=args.seed,
        exclude_ids=data_args.exclude_ids,
        streaming=data_args.streaming,
        target=data_args.target,
    )
    with args.main_process_first(desc="loading the data set"):
        asked = {
            "modality": model_args.modality if model_args.extractor is None else None,
            "attributes": model_args.attributes or [],
        }
        collection = load(**asked)
    if args.process_index == 0:
        print(describe_collection(collection))
    model, processor = build_scorer(model_args, collection.scale)
    with args.main_process_first(desc="making the maps"):
        needed = {**asked, "attributes": getattr(model.config, "attribute_names", None) or []}
        if model_args.modality is None and processor.modality != "rgb":
            needed["modality"] = processor.modality
        if needed != asked:  # as the earlier checkpoint
            collection = load(**needed)
        collection = map_collection(collection, processor)
    model.config.notice = collection.facts.notice
    if data_args.series is None:
        trainer = train_scorer(model, processor, collection, args, loss=model_args.loss)
    else:
        trainer = learn_series(model, processor, collection, data_args, model_args, args)
    whole = Path(f"{args.output_dir}.run", "whole")
    if trainer.is_fsdp_enabled:  # each process has a part of the weights; gathering them takes all processes
        trainer.save_model(str(whole))
    if not trainer.is_world_process_zero():
        return
    has_backbone = hasattr(model.config, "backbone_config")
    backbone, backbone_license = name_backbone(model_args) if has_backbone else (None, None)
    report = finish_checkpoint(
        type(model).from_pretrained(whole, dtype=torch.float32) if trainer.is_fsdp_enabled else trainer.model,
        processor,
        collection,
        args.output_dir,
        training=describe_training(trainer, collection) | getattr(trainer, "described_series", {}),
        backbone=backbone,
        backbone_license=backbone_license,
        license=model_args.license,
        command=command,
        seed=args.seed,
    )
    print(report_table(report))
    print(f"checkpoint and card: {args.output_dir}")
    if args.push_to_hub:
        commit = push_checkpoint(
            args.output_dir, args.hub_model_id, private=bool(args.hub_private_repo), token=args.hub_token
        )
        print(f"published: {commit.commit_url}")


if __name__ == "__main__":
    main()
