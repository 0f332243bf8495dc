"""Publishes what may be published: checkpoints, Spaces and labels, each with a written verdict on its licences.

    python scripts/release.py ORG --dry_run                                  # the verdicts alone
    python scripts/release.py ORG                                            # everything that is allowed
    python scripts/release.py ORG --only nima-mobilenet_v2-rgb-oasis         # by name; others are left alone
    python scripts/release.py ORG --dataset oasis --data_dir data/oasis      # and the ratings of a collection

Checkpoints are the finished ones in outputs/, called <model type>-<backbone>-<modality>-<data set>, without a backbone
where there is none. Spaces get the wheel of this checkout, unless they are private, and the page asks the checkpoint
of pictures with the highest SRCC; demonstrations come last. The verdicts
follow from the licences that cards and collections state: nothing is published whose terms are unknown or forbid it.
The exit code is 1 if something that was asked for by name is refused, and 2 after an error. A verdict is no legal
advice.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, ModelCard

from hf_aesthetics.cards import PROVENANCE_FIELD
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.hub import (
    HubPublishError,
    Verdict,
    check_checkpoint,
    judge_checkpoint,
    judge_dataset,
    judge_space,
    push_checkpoint,
    push_dataset,
    push_space,
)
from hf_aesthetics.models.backbones import BACKBONE_PRESETS


ROOT = Path(__file__).parents[1]
PAGE = "image_aesthetics"


@dataclass(frozen=True)
class Item:
    """Something that can be published, and whether it may."""

    kind: str
    name: str
    source: str
    verdict: Verdict
    push: Callable[..., CommitInfo]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("organisation", help="user or organisation on the Hub")
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs", help="folder of the checkpoints")
    parser.add_argument("--spaces", type=Path, default=ROOT / "spaces", help="folder of the Spaces")
    parser.add_argument("--dataset", help="a collection whose ratings are to be published: ava, oasis, ...")
    parser.add_argument("--data_dir", help="its folder")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="publish these alone")
    parser.add_argument("--private", action="store_true", help="into private repositories; the verdicts are the same")
    parser.add_argument("--dry_run", action="store_true", help="print the verdicts and publish nothing")
    args = parser.parse_args(argv)
    try:
        items = [*find_checkpoints(args.outputs), *find_spaces(args.spaces)]
        models = [f"{args.organisation}/{name}" for name in models_of_page(items)]
        asked = set(args.only or [])
        if args.dataset:
            found = list(find_dataset(args.dataset, args.data_dir))
            items += found
            asked.add(found[0].name)
        if unknown := asked - {item.name for item in items}:
            names = ", ".join(item.name for item in items)
            raise ValueError(f"--only must name what is there ({names}), got {', '.join(sorted(unknown))}.")
        if args.only:
            items = [item for item in items if item.name in asked]
        for item in items:
            print(f"{item.verdict.word:<8} {item.kind:<11} {args.organisation}/{item.name}  ({item.source})")
            print(f"{'':<8} {item.verdict.reason}")
        if not args.dry_run:
            publish([item for item in items if item.verdict.is_allowed], args.organisation, args.private, models)
    except (ValueError, OSError, HubPublishError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return int(any(item.name in asked and not item.verdict.is_allowed for item in items))


def publish(items: list[Item], organisation: str, private: bool, models: list[str]) -> None:
    """Publishes everything, Spaces with what they need."""
    with tempfile.TemporaryDirectory() as folder:
        for item in items:
            options: dict[str, Any] = {"models": models} if item.name == PAGE else {}
            if item.kind == "space" and not private:
                options["wheel"] = build_wheel(Path(folder))
            commit = item.push(repo_id=f"{organisation}/{item.name}", private=private, **options)
            print(f"published {commit.commit_url}")


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built once."""
    if not any(folder.iterdir()):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"the wheel cannot be built, which `make wheel` does, too: {done.stderr[-500:]}")
    [wheel] = folder.glob("*.whl")
    return wheel


def models_of_page(items: list[Item]) -> list[str]:
    """Names of the checkpoints that may be published, the one that the page is to ask first."""

    def order(item: Item) -> tuple[bool, bool, float]:
        report = json.loads(Path(item.source, "evaluation", "report.json").read_text(encoding="utf-8"))
        of_pictures = not item.name.startswith("handcrafted-") and "-rgb-" in item.name
        return not of_pictures, report["notice"] is not None, -(report["metrics"]["srcc"] or 0)

    allowed = [item for item in items if item.kind == "checkpoint" and item.verdict.is_allowed]
    return [item.name for item in sorted(allowed, key=order)]


def find_checkpoints(outputs: Path) -> Iterator[Item]:
    """Every folder with a model and its processor, but not the unfinished ones of a run."""
    taken: dict[str, Path] = {}
    for path in sorted(outputs.rglob("preprocessor_config.json")):
        folder = path.parent
        if any(part.endswith(".run") for part in folder.parts):
            continue
        name, verdict = name_checkpoint(folder), judge_checkpoint(folder)
        try:
            check_checkpoint(folder)
        except ValueError as error:
            verdict = Verdict(False, str(error))
        if verdict.is_allowed and taken.setdefault(name, folder) != folder:
            verdict = Verdict(False, f"{taken[name]} has the same name; remove one of them")
        yield Item("checkpoint", name, str(folder), verdict, partial(push_checkpoint, folder))


def name_checkpoint(folder: Path) -> str:
    """`<model type>-<backbone>-<modality>-<data set>`, as its files say; without a backbone where there is none."""
    config, processor = (
        json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else {}
        for name in ("config.json", "preprocessor_config.json")
    )
    card, report = folder / "README.md", folder / "evaluation" / "report.json"
    provenance = ModelCard.load(card).data.to_dict().get(PROVENANCE_FIELD, {}) if card.is_file() else {}
    backbone = provenance.get("backbone") or config.get("backbone_config", {}).get("model_type")
    presets = {preset.checkpoint: name for name, preset in BACKBONE_PRESETS.items()}
    dataset = json.loads(report.read_text(encoding="utf-8"))["dataset_name"] if report.is_file() else "unknown"
    parts = (config.get("model_type", "unknown"), presets.get(backbone, backbone), processor.get("modality"), dataset)
    return "-".join(slug(str(part).rpartition("/")[2]) for part in parts if part is not None)


def find_spaces(spaces: Path) -> Iterator[Item]:
    for path in sorted(spaces.glob("*/README.md")):
        yield Item(
            "space", path.parent.name, str(path.parent), judge_space(path.parent), partial(push_space, path.parent)
        )


def find_dataset(name: str, data_dir: str | None) -> Iterator[Item]:
    """The ratings of a collection, never its pictures; where the ratings may not go, its ids and splits."""
    collection = load_collection(name, data_dir)
    source, verdict = data_dir or name, judge_dataset(collection.facts)
    yield Item("data set", slug(collection.facts.name), source, verdict, partial(push_dataset, collection))
    if not verdict.is_allowed:
        push = partial(push_dataset, collection, ratings=False)
        ids = judge_dataset(collection.facts, ratings=False)
        yield Item("data set", f"{slug(collection.facts.name)}-splits", source, ids, push)


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-.")


if __name__ == "__main__":
    sys.exit(main())
