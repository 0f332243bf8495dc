"""Makes the folder that `hf_aesthetics.data.oasis.load_oasis` reads from the published files of OASIS.

Needed are OASIS.csv and images/ of the Open Affective Standardized Image Set (https://osf.io/6pnd7/), and the ratings
of beauty as a MATLAB matrix raters x pictures (corrData.mat of https://github.com/aenneb/OASIS-beauty):

    python scripts/prepare_oasis.py --oasis_dir OASIS --ratings OASIS-beauty/corrData.mat --output_dir data/oasis

The theme of a picture ("Acorns" of "Acorns 1") decides its split by hash, so that no theme is in two splits. These
are the project's own splits; to repeat a result measured on others, or without some of the pictures, give them:

    python scripts/prepare_oasis.py --oasis_dir OASIS --ratings OASIS-beauty/corrData.mat --output_dir data/oasis \\
        --splits splits.csv --exclude sensitive.txt

splits.csv has the columns theme,split; sensitive.txt has one id a line, such as I82. Size and fingerprint of every
split are printed: results can be compared where the fingerprints agree.
"""

import argparse
import csv
import gzip
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np


VALIDATION, TEST = 0.1, 0.15  # shares of the themes
SOURCES = ("pixabay", "wikipedia", "flickr")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oasis_dir", type=Path, required=True, help="folder with OASIS.csv and images/<Theme>.jpg")
    parser.add_argument("--ratings", type=Path, required=True, help="MATLAB file with a matrix raters x pictures")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder to make; must not exist")
    parser.add_argument("--short_side", type=int, default=256, help="pixels; smaller pictures keep their size")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG files")
    parser.add_argument("--exclude", type=Path, help="file with the ids to leave out, one a line")
    parser.add_argument("--splits", type=Path, help="CSV file with the columns theme,split")
    args = parser.parse_args(argv)

    from PIL import Image

    from hf_aesthetics.data.splits import SPLITS, split_fingerprint
    from hf_aesthetics.images import read_image

    if args.output_dir.exists():
        raise SystemExit(f"--output_dir: expected a new folder, {args.output_dir} exists. Remove it or give another.")
    pictures = read_pictures(args.oasis_dir)
    ratings = read_ratings(args.ratings, len(pictures))  # (raters, pictures), NaN where there is none
    left_out = set(args.exclude.read_text().split()) if args.exclude else set()
    if unknown := left_out - {picture["image_id"] for picture in pictures}:
        raise SystemExit(f"--exclude: expected ids of OASIS.csv, got {sorted(unknown)[:3]}. Correct {args.exclude}.")
    groups = find_rater_groups(ratings)
    split_by_theme = read_splits(args.splits) if args.splits else None
    kept = [index for index, picture in enumerate(pictures) if picture["image_id"] not in left_out]
    if missing := [pictures[index]["path"].name for index in kept if not pictures[index]["path"].is_file()]:
        raise SystemExit(
            f"--oasis_dir: expected {len(kept)} pictures in {args.oasis_dir / 'images'}, {len(missing)} are missing, "
            f"such as {missing[:3]}. Unpack them there."
        )
    rows = [make_row(pictures[index], ratings[:, index], groups[index], split_by_theme) for index in kept]

    partial = args.output_dir.with_name(args.output_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "images").mkdir(parents=True)
    for index, row in zip(kept, rows, strict=True):
        image = read_image(pictures[index]["path"])
        scale = min(1, args.short_side / min(image.size))
        width, height = (round(scale * side) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
        image.save(partial / "images" / row["file_name"], quality=args.quality)
    with (partial / "labels.csv").open("w", newline="") as file:
        labels = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        labels.writeheader()
        labels.writerows(rows)
    with gzip.open(partial / "ratings.csv.gz", "wt", newline="") as file:
        single = csv.writer(file, lineterminator="\n")
        single.writerow(["rater_id", "image_id", "rating"])
        for rater, row in enumerate(ratings, start=1):
            rated = [index for index in kept if not np.isnan(row[index])]
            single.writerows((rater, pictures[index]["image_id"], int(row[index])) for index in rated)
    partial.rename(args.output_dir)
    for split in SPLITS:
        ids = [row["image_id"] for row in rows if row["split"] == split]
        print(f"{split}: {len(ids)} pictures, fingerprint {split_fingerprint(ids)}")


def read_pictures(oasis_dir: Path) -> list[dict[str, Any]]:
    """The rows of OASIS.csv, each with its `image_id` and the `path` of its picture."""
    with (oasis_dir / "OASIS.csv").open(newline="", encoding="utf-8-sig") as file:  # its lines end in CR alone
        pictures: list[dict[str, Any]] = list(csv.DictReader(file))
    for picture in pictures:
        picture["image_id"] = picture[""]
        picture["path"] = oasis_dir / "images" / f"{picture['Theme'].strip()}.jpg"
    return pictures


def read_ratings(path: Path, num_pictures: int) -> np.ndarray:
    """The only matrix of numbers in the MATLAB file that has a column a picture."""
    from scipy.io import loadmat

    matrices = {
        name: value for name, value in loadmat(path).items() if getattr(value, "dtype", np.dtype("O")).kind in "fiu"
    }
    fitting = [value for value in matrices.values() if value.ndim == 2 and value.shape[1] == num_pictures]
    if len(fitting) != 1:
        shapes = {name: value.shape for name, value in matrices.items()}
        raise SystemExit(
            f"--ratings: expected one matrix of numbers with {num_pictures} columns in {path}, found {shapes}."
        )
    return fitting[0].astype(np.float64)


def find_rater_groups(ratings: np.ndarray) -> np.ndarray:
    """Number of the closed block of each picture, whose raters rated no other; the block with most raters is 1."""
    from scipy.sparse import block_array, csr_array
    from scipy.sparse.csgraph import connected_components

    rated = csr_array(~np.isnan(ratings))
    _, blocks = connected_components(block_array([[None, rated], [rated.T, None]]), directed=False)
    raters, pictures = blocks[: len(ratings)], blocks[len(ratings) :]
    by_size = np.argsort(-np.bincount(raters, minlength=blocks.max() + 1), kind="stable")
    return (np.argsort(by_size) + 1)[pictures]


def read_splits(path: Path) -> dict[str, str]:
    from hf_aesthetics.data.splits import SPLITS

    with path.open(newline="", encoding="utf-8-sig") as file:
        split_by_theme = {row["theme"]: row["split"] for row in csv.DictReader(file)}
    if unknown := set(split_by_theme.values()) - set(SPLITS):
        raise SystemExit(f"--splits: expected {list(SPLITS)}, got {sorted(unknown)}. Correct {path}.")
    return split_by_theme


def make_row(
    picture: dict[str, Any], ratings: np.ndarray, group: int, split_by_theme: dict[str, str] | None
) -> dict[str, Any]:
    """A row of labels.csv."""
    from hf_aesthetics.data.columns import vote_statistics
    from hf_aesthetics.data.oasis import OASIS_SCALE
    from hf_aesthetics.data.splits import hash_split

    name, given = picture["Theme"].strip(), ratings[~np.isnan(ratings)]
    theme = re.sub(r"\s*\d+$", "", name)
    if split_by_theme is not None and theme not in split_by_theme:
        raise SystemExit(f"--splits: expected a row for the theme {theme!r}, found none. Add it, or exclude {name!r}.")
    votes = [int((given == score).sum()) for score in OASIS_SCALE.bin_scores]
    if sum(votes) != len(given):
        raise SystemExit(f"--ratings: expected {OASIS_SCALE} for {name!r}, got {np.unique(given)}. Correct the file.")
    statistics = vote_statistics(votes, OASIS_SCALE, name)
    return {
        "image_id": picture["image_id"],
        "file_name": f"{picture['image_id']}.jpg",
        "theme": theme,
        "category": picture["Category"],
        "source_class": next((source for source in SOURCES if source in picture["Source"].lower()), "other"),
        "split": split_by_theme[theme] if split_by_theme else hash_split(theme, VALIDATION, TEST),
        "rater_group": group,
        "num_votes": statistics["num_votes"],
        "mean": f"{statistics['score_mean']:.5f}",
        "std": f"{np.std(given, ddof=1):.5f}",  # of a sample, as published; the loader divides by n
        **{f"votes_{number}": count for number, count in enumerate(votes, start=1)},
        "valence_mean": f"{float(picture['Valence_mean']):.5f}",
        "arousal_mean": f"{float(picture['Arousal_mean']):.5f}",
    }


if __name__ == "__main__":
    main()
