"""Writes a synthetic AVA: the layout and the faults of the published one, with tiny pictures and planted votes.

    python scripts/synthetic_ava.py --output_dir synthetic_ava --num_rows 2000

It has rows for the ids that are known to be unreadable, a few damaged files, and ids in the test list that are not in
the table, as the published one has. How good a picture is follows from its brightness.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image


NUM_CONTENTS = 64  # different pictures; the others are copies of their files
NUM_TAGS, NUM_CHALLENGES, NUM_STYLES = 66, 1398, 14
NUM_MISSING_TEST_IDS = 70


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, required=True, help="folder to make; must not exist")
    parser.add_argument("--num_rows", type=int, default=255_530, help="rows of AVA.txt")
    args = parser.parse_args(argv)
    write_synthetic_ava(args.output_dir, args.num_rows)
    print(f"{args.num_rows:,} rows: {args.output_dir}")


def write_synthetic_ava(folder: Path, num_rows: int, seed: int = 0) -> dict[str, str]:
    """
    Writes the tables and the pictures.

    Returns:
        `dict[str, str]`: What is wrong with the damaged pictures, `"missing"` or `"unreadable"`, by their ids.
    """
    from hf_aesthetics.data.ava import UNREADABLE_IDS

    rng = np.random.default_rng(seed)
    known = np.array(sorted(map(int, UNREADABLE_IDS))[: num_rows // 4])
    others = np.setdiff1d(
        rng.choice(970_000, 2 * num_rows + 1000, replace=False) + 1, [int(i) for i in UNREADABLE_IDS]
    )
    others = rng.permutation(others)
    ids = rng.permutation(np.concatenate([known, others[: num_rows - len(known)]]))
    contents = rng.integers(NUM_CONTENTS, size=num_rows)
    files = [_encode_picture(content, rng) for content in range(NUM_CONTENTS)]

    pictures, tables = folder / "images", folder / "AVA_dataset"
    for part in (pictures, tables / "aesthetics_image_lists", tables / "style_image_lists"):
        part.mkdir(parents=True)
    for image_id, content in zip(ids.tolist(), contents.tolist(), strict=True):
        (pictures / f"{image_id}.jpg").write_bytes(files[content])
    damaged = _damage(pictures, [image_id for image_id in ids.tolist() if image_id not in set(known.tolist())])

    columns = [np.arange(1, num_rows + 1), ids, *_draw_votes(contents, rng).T, *_draw_tags(num_rows, rng).T]
    rows = np.stack([*columns, rng.integers(1, NUM_CHALLENGES + 10, size=num_rows)], axis=1)
    np.savetxt(tables / "AVA.txt", rows, fmt="%d")
    in_table = ids[rng.random(num_rows) < 0.078]
    in_none = others[num_rows : num_rows + NUM_MISSING_TEST_IDS]
    np.savetxt(tables / "aesthetics_image_lists" / "generic_test.jpgl", np.concatenate([in_table, in_none]), fmt="%d")
    _write_names(tables / "tags.txt", "Tag, with / spaces", NUM_TAGS)
    _write_names(tables / "challenges.txt", "Challenge", NUM_CHALLENGES)
    _write_styles(tables / "style_image_lists", rng.choice(ids, size=max(2, num_rows // 20), replace=False), rng)
    return damaged


def _encode_picture(content: int, rng: np.random.Generator) -> bytes:
    brightness = 40 + 170 * content / (NUM_CONTENTS - 1)
    pixels = np.clip(brightness + rng.normal(0, 20, size=(24, 32, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def _damage(pictures: Path, ids: list[int]) -> dict[str, str]:
    damaged = [pictures / f"{ids[row]}.jpg" for row in (0, len(ids) // 2, -2, -1)]
    cut, empty, page, gone = damaged
    cut.write_bytes(cut.read_bytes()[:300])
    empty.write_bytes(b"")
    page.write_text("<!DOCTYPE html><title>404</title>")
    gone.unlink()
    return {path.stem: "missing" if path is gone else "unreadable" for path in damaged}


def _draw_votes(contents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """78 to 549 votes a picture, around a mean from 4 for the darkest to 7 for the brightest."""
    scores, means = np.arange(1, 11), 4 + 3 * contents / (NUM_CONTENTS - 1)
    shares = np.exp(-0.5 * ((scores - means[:, None]) / 1.4) ** 2)
    return rng.multinomial(rng.integers(78, 550, size=len(contents)), shares / shares.sum(axis=1, keepdims=True))


def _draw_tags(num_rows: int, rng: np.random.Generator) -> np.ndarray:
    """No tag, one in the first column, or two in ascending order."""
    first, second = rng.integers(1, NUM_TAGS, size=num_rows), np.full(num_rows, NUM_TAGS)
    number = rng.choice(3, p=[0.23, 0.18, 0.59], size=num_rows)
    return np.stack([np.where(number > 0, first, 0), np.where(number > 1, second, 0)], axis=1)


def _write_names(path: Path, stem: str, count: int) -> None:
    path.write_text("".join(f"{number} {stem} {number}\n" for number in range(1, count + 1)))


def _write_styles(folder: Path, ids: np.ndarray, rng: np.random.Generator) -> None:
    train, test = np.split(ids, [len(ids) * 4 // 5])
    _write_names(folder / "styles.txt", "Style", NUM_STYLES)
    np.savetxt(folder / "train.jpgl", train, fmt="%d")
    np.savetxt(folder / "train.lab", rng.integers(1, NUM_STYLES + 1, size=len(train)), fmt="%d")
    np.savetxt(folder / "test.jpgl", test, fmt="%d")
    np.savetxt(folder / "test.multilab", rng.random((len(test), NUM_STYLES)) < 0.1, fmt="%d")


if __name__ == "__main__":
    main()
