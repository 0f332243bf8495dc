"""How AVA's fourteen photographic styles go with the votes: no network, labels alone.

    python scripts/covary_ava_styles.py --data_dir ava

The folder holds `style_image_lists/` as AVA publishes it, and the votes: AVA's own `AVA.txt` with all that lies beside
it, or a table `ava_votes*.csv` or `.csv.gz` with the columns `image_id` and `votes_1` to `votes_10`. Pictures that
nobody looked at for styles are left out.

For each style: how many pictures have it, how much higher their mean score is than that of the others, and how having
it correlates with the mean and with the spread of the votes, with 95 % intervals, p by permutation and q by Benjamini
and Hochberg over both. Pictures of one contest resemble each other; where `AVA.txt` tells the contest, whole contests
are drawn and tested.
"""

import argparse
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_aesthetics.analysis.categories import category_systems
from hf_aesthetics.analysis.covariance import find_covariances
from hf_aesthetics.analysis.findings import Covariance
from hf_aesthetics.data.ava import AVA_SCALE, load_ava, read_styles
from hf_aesthetics.metrics import distribution_mean, distribution_std


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True, help="folder of the votes and of style_image_lists")
    parser.add_argument("--num_permutations", type=int, default=20_000, help="permutations behind each p")
    args = parser.parse_args(argv)
    rows = load_labels(args.data_dir)
    rows = rows.select([row for row, styles in enumerate(rows["styles"]) if styles is not None])
    if len(rows) == 0:
        raise SystemExit(
            f"Expected pictures of style_image_lists among the votes in {str(args.data_dir)!r}, found none."
        )
    (system,) = (system for system in category_systems(rows) if system.name == "AVA styles")
    votes = np.array(rows["vote_counts"][:], dtype=np.float64)
    shares = votes / votes.sum(axis=1, keepdims=True)
    figures = {
        "mean": distribution_mean(shares, AVA_SCALE.bin_scores),
        "spread": distribution_std(shares, AVA_SCALE.bin_scores),
    }
    groups = np.array(rows["challenge"][:], dtype=str) if "challenge" in rows.column_names else None
    found = find_covariances(figures, system, groups=groups, num_permutations=args.num_permutations)
    count = f"{len(rows):,} pictures" + ("" if groups is None else f" of {len(np.unique(groups)):,} contests")
    print(f"{count}, mean score {figures['mean'].mean():.3f}\n")
    print("| style | pictures | score against others | with mean | p | q | with spread | p | q |")
    print("|---|---:|---:|---|---:|---:|---|---:|---:|")
    by_style = {(row.category, row.modality): row for row in found.rows}
    lines = []
    for style in {row.category for row in found.rows}:
        is_member = system.values[:, system.names.index(style)] == 1
        difference = figures["mean"][is_member].mean() - figures["mean"][~is_member].mean()
        cells = [describe(by_style[style, figure]) for figure in figures]
        lines.append(
            (
                -difference,
                f"| {style.replace('_', ' ')} | {is_member.sum()} | {difference:+.3f} | {' | '.join(cells)} |",
            )
        )
    print("\n".join(line for _, line in sorted(lines)))
    for style, reason in found.skipped.items():
        print(f"\n{style}: {reason}.")


def load_labels(data_dir: Path) -> Dataset:
    """Votes and styles, and the contest where it is known."""
    if any((folder / "AVA.txt").is_file() for folder in (data_dir, data_dir / "AVA_dataset")):
        return concatenate_datasets(list(load_ava(data_dir, with_pictures=False).splits.values()))
    tables = sorted(data_dir.glob("ava_votes*.csv*"))
    if len(tables) != 1:
        raise SystemExit(f"Expected AVA.txt or one ava_votes*.csv in {str(data_dir)!r}, found {len(tables)} tables.")
    table = np.loadtxt(tables[0], dtype=np.int64, delimiter=",", skiprows=1, ndmin=2)
    ids = table[:, 0].astype(str).tolist()
    return Dataset.from_dict(
        {"image_id": ids, "vote_counts": table[:, 1:].tolist(), "styles": read_styles(ids, data_dir).to_pylist()}
    )


def describe(row: Covariance) -> str:
    """Correlation with its interval, p and q."""
    value, low, high = row.correlation
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}] | {describe_p(row.p_value)} | {describe_p(row.q_value)}"


def describe_p(p: float) -> str:
    return f"{p:.1g}" if p < 0.001 else f"{p:.3f}"


if __name__ == "__main__":
    main()
