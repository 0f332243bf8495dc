"""Makes the maps of modalities for all pictures of a collection, once, so that training need not make them.

    python scripts/cache_modalities.py --dataset ava --data_dir PATH --modality saliency blur --num_proc 8
    python scripts/cache_modalities.py --dataset folder --data_dir PATH --modality depth saliency_u2net \\
        --extractor depth=depth-anything/Depth-Anything-V2-Small-hf@main saliency_u2net=PATH

A run that is stopped goes on where it was. Training with the same collection, modality and extractor finds the maps in
the cache of `datasets` (HF_DATASETS_CACHE). Closed-form maps are made by several processes, those of a network by one,
on a GPU where there is one. With `--push_to_hub ORG/NAME` the ratings are published with a configuration for each
modality, as far as the terms of the collection allow it.
"""

from dataclasses import dataclass, field
from typing import Any

from hf_aesthetics.models.modality_maps import MODALITIES


@dataclass
class MapArguments:
    """Which maps, and who makes them."""

    modality: list[str] = field(metadata={"choices": sorted(MODALITIES.keys() - {"rgb"}), "help": "one or more maps"})
    extractor: list[str] = field(
        default_factory=list, metadata={"help": "networks, each as MODALITY=FOLDER_OR_REPOSITORY[@REVISION]"}
    )
    map_size: int = field(default=512, metadata={"help": "longer side of the maps in pixels, at most"})
    num_proc: int | None = field(default=None, metadata={"help": "number of processes; a core each by default"})
    push_to_hub: str | None = field(default=None, metadata={"help": "repository to publish ratings and maps in"})
    license: str | None = field(default=None, metadata={"help": "terms under which you publish what is yours"})
    private: bool = field(default=False, metadata={"help": "whether the repository must be private"})


def main(argv: list[str] | None = None) -> None:
    # here, because the processes that make the maps read this file, too
    from transformers import HfArgumentParser

    from hf_aesthetics.data.loading import add_maps, load_collection
    from hf_aesthetics.hub import HubPublishError, push_dataset
    from hf_aesthetics.training import DataArguments

    parser = HfArgumentParser((DataArguments, MapArguments), description=__doc__.splitlines()[0])
    data_args, args = parser.parse_args_into_dataclasses(args=argv)
    try:
        columns = make_columns(args)
        collection = load_collection(
            data_args.dataset,
            data_args.data_dir,
            data_args.scale,
            data_args.dataset_revision,
            exclude_ids=data_args.exclude_ids,
            streaming=data_args.streaming,
            num_proc=args.num_proc,
        )
        made = {}
        for column in columns:
            mapped = add_maps(collection, column, args.num_proc)
            made[column.modality] = {
                name: rows.select_columns(["image_id", column.modality]) for name, rows in mapped.splits.items()
            }
            for name, maps in made[column.modality].items():
                print(f"{name}: {len(maps):,} {column.modality} maps, {maps.data.nbytes / 1e6:,.1f} MB", flush=True)
        if args.push_to_hub:
            commit = push_dataset(
                collection, args.push_to_hub, modalities=made, license=args.license, private=args.private
            )
            print(f"published: {commit.commit_url}")
    except (ValueError, OSError, HubPublishError) as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from error


def make_columns(args: MapArguments) -> list[Any]:
    """What is to be made, by what."""
    from hf_aesthetics.data.modality_columns import ModalityColumn
    from hf_aesthetics.extraction import name_extractors, split_revision

    networks = name_extractors(args.extractor, args.modality)
    return [ModalityColumn(name, *split_revision(networks.get(name)), args.map_size) for name in args.modality]


if __name__ == "__main__":
    main()
