"""Makes the maps of a modality for all pictures of a collection, once, so that training need not make them.

    python scripts/cache_modalities.py --dataset ava --data_dir PATH --modality gray --num_proc 8

A run that is stopped goes on where it was. Training with the same --dataset, --data_dir and --modality finds the maps
in the cache of `datasets` (HF_DATASETS_CACHE).
"""

import argparse

from hf_aesthetics.models.modality_maps import MODALITY_MAPS


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, choices=["ava", "folder", "oasis"])
    parser.add_argument("--data_dir", required=True, help="folder of the pictures and their table")
    parser.add_argument("--modality", required=True, choices=sorted(set(MODALITY_MAPS) - {"rgb"}))
    parser.add_argument("--num_proc", type=int, help="number of processes")
    args = parser.parse_args(argv)

    from hf_aesthetics.data.loading import load_collection
    from hf_aesthetics.data.modality_columns import ModalityColumn, cache_modality_column

    try:
        splits = load_collection(args.dataset, args.data_dir, num_proc=args.num_proc).splits
        for name, split in splits.items():
            maps = cache_modality_column(split, ModalityColumn(args.modality), num_proc=args.num_proc)
            print(f"{name}: {len(maps):,} {args.modality} maps, {maps.data.nbytes / 1e6:,.1f} MB")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from error


if __name__ == "__main__":
    main()
