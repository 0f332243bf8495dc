"""Draws pictures beside their modality maps, to look at.

    python scripts/draw_maps.py --data_dir PATH --output outputs/maps.png
    python scripts/draw_maps.py --dataset synthetic --modality saliency blur depth --extractor depth=PATH \\
        --output outputs/maps.png

A row is a picture of a folder, or of the test part of a collection; white is near, salient or blurred. Without
`--modality`, closed-form maps are drawn, and those of the networks that `--extractor` names.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.extraction import ModalityExtractor, name_extractors, split_revision
from hf_aesthetics.images import find_images, read_image
from hf_aesthetics.models.modality_maps import MODALITIES
from hf_aesthetics.reports.map_sheet import draw_sheet


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", help="a collection; without it, data_dir is a folder of pictures")
    parser.add_argument("--data_dir", help="folder of the pictures")
    closed_form = [name for name, row in MODALITIES.items() if row.function is not None and name != "constant"]
    maps = [name for name in MODALITIES if name != "rgb"]
    parser.add_argument("--modality", nargs="+", choices=maps, help="by default those for which there is an extractor")
    parser.add_argument("--extractor", nargs="+", default=[], metavar="MODALITY=CHECKPOINT[@REVISION]")
    parser.add_argument("--num_pictures", type=int, default=8)
    parser.add_argument("--output", type=Path, required=True, help="picture to write")
    args = parser.parse_args(argv)
    try:
        networks = name_extractors(args.extractor, args.modality or maps)
        names = args.modality or [*closed_form, *networks]
        extractors = [ModalityExtractor(name, *split_revision(networks.get(name))) for name in names]
        pictures = dict(islice(read_pictures(args.dataset, args.data_dir), args.num_pictures))
        if not pictures:
            raise ValueError(f"Expected pictures in {args.data_dir!r}, found none.")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from error
    columns = {"picture": list(pictures.values())}
    columns |= {extractor.map_name: extractor.make_maps(pictures.values()) for extractor in extractors}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(list(pictures), columns).save(args.output)
    print(args.output)


def read_pictures(dataset: str | None, data_dir: str | None) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures, in the order of the folder or the collection."""
    if dataset is not None:
        rows = load_collection(dataset, data_dir, num_pictures=100).splits["test"]
        yield from ((row["image_id"], read_image(row["image"])) for row in rows)
    elif data_dir is None:
        raise ValueError("Expected --dataset or --data_dir, got neither.")
    else:
        yield from ((path.name, read_image(path)) for path in find_images(data_dir))


if __name__ == "__main__":
    main()
