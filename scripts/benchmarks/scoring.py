"""Pictures a second and core, from JPEG files to scores, beside what decoder and network alone allow.

    python scripts/benchmark.py scoring --output results.json --figures .github
    python scripts/benchmark.py scoring --data_dir PATH --networks mobilenet_v2 --backbone PATH

MobileNetV2 and ResNet-50 at 224 pixels, with random weights, on rendered JPEG files of one to two megapixels, or those
of a folder. What takes turns, each over all the pictures, in CPU seconds of one thread:

- the scorer, in its exact and its fast mode;
- its ceiling in either mode, 1 / (decode and resize + forward), each alone with nothing around it;
- a loop that a user of PIL and transformers would write, with batches of 1 and of 32;
- pyiqa's NIMA over timm's network with the same weights, if pyiqa is installed, a path at a time as it takes them.

All have the same weights, and all but pyiqa, which cuts pictures in another way, see the same pixels: how much their
scores differ is in the JSON. At the end the whole command scores the pictures, with a worker a core.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from hf_aesthetics.scoring import AestheticScorer, score_batch

from .bare import Ceiling, make_ceiling
from .commands import link_pictures, score_command, watch
from .findings import Finding, Report, draw_speeds
from .networks import BACKBONES, TITLES, build_scorer, save_scorer
from .pictures import write_photographs
from .rivals import TIMM_NAMES, PlainLoop, PyiqaLoop, has_pyiqa
from .rounds import Part, Round, ratios, take_turns


BATCH_SIZE = 16
MANY = 1_000_000  # pictures, for which any preparation is worth it
OVER_CEILING, OVER_PLAIN = 0.9, 2.5
OVER_PYIQA = {"mobilenet_v2": {"exact": 3.1, "fast": 5.0}, "resnet-50": {"exact": 1.4, "fast": 3.0}}
PLAIN = "plain loop"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--networks", nargs="+", choices=BACKBONES, default=["mobilenet_v2", "resnet-50"])
    command.add_argument("--modes", nargs="+", choices=["exact", "fast"], default=["exact", "fast"])
    command.add_argument("--backbone", help="pretrained backbone for the first of them, in place of random weights")
    command.add_argument("--num_workers", type=int, default=2, help="of the whole command")
    command.add_argument("--num_links", type=int, default=10, help="pictures of the whole command: links to each")
    command.add_argument("--figures", type=Path, help="folder for a figure of each network")
    command.set_defaults(num_pictures=64)


def run(args: argparse.Namespace) -> Report:
    report = Report("scoring")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = write_photographs(folder / "pictures", args.num_pictures, args.data_dir)
        report.facts["pictures"] = {"number": len(paths), "bytes": sum(path.stat().st_size for path in paths)}
        for name in args.networks:
            backbone = args.backbone if name == args.networks[0] else None
            speeds = benchmark_network(name, backbone, paths, folder / name, args, report)
            if args.figures:
                args.figures.mkdir(parents=True, exist_ok=True)
                file = args.figures / f"speed-{name}.svg"
                file.write_text(draw_speeds(f"Pictures a second and core, {TITLES[name]}", speeds), encoding="utf-8")
    return report


def benchmark_network(
    name: str, backbone: str | None, paths: list[Path], folder: Path, args: argparse.Namespace, report: Report
) -> dict[str, float]:
    """Adds a network to the report; returns pictures a second of everybody."""
    checkpoint = save_scorer(folder, name, backbone)
    model, processor = build_scorer(name, backbone)
    size = processor.size["height"], processor.size["width"]
    ceilings = {mode: make_ceiling(mode, model, size, folder, args.threads) for mode in args.modes}
    scorers: dict[str, Callable[[Sequence[Path]], list[float]]] = {
        **{mode: scorer_of(checkpoint, mode) for mode in ceilings},
        PLAIN: PlainLoop(model, processor, 1),
        f"{PLAIN}, by 32": PlainLoop(model, processor, 32),
    }
    if has_pyiqa() and name in TIMM_NAMES and backbone is None:
        scorers["pyiqa"] = PyiqaLoop(name, model)
    scores = {part: score(paths) for part, score in scorers.items()}  # now networks are ready, and files in memory
    parts: dict[str, Part] = {part: lambda score=score: score(paths) for part, score in scorers.items()}
    contents = [path.read_bytes() for path in paths]
    batches = torch.randn(len(paths), 3, *size).split(BATCH_SIZE)
    for mode, ceiling in ceilings.items():
        parts |= parts_of_ceiling(mode, ceiling, contents, batches)
    rounds = take_turns(parts, args.repeats)
    report.rounds[name] = rounds
    report.facts[name] = {
        "ceilings": {mode: {"decode": each.decoder, "forward": each.forward.name} for mode, each in ceilings.items()},
        "greatest difference to the plain loop": {
            part: max(abs(score - plain) for score, plain in zip(scores[part], scores[PLAIN], strict=True))
            for part in scores
        },
    }
    if args.num_links > 1:
        timed = time_command(checkpoint, paths, folder, args.num_links, args.num_workers)
        report.facts[name]["whole command"] = timed
    return conclude(report, name, rounds, list(ceilings), len(paths))


def scorer_of(checkpoint: str, mode: str) -> Callable[[Sequence[Path]], list[float]]:
    """The scorer of this package, as a worker process calls it."""
    scorer = AestheticScorer.from_pretrained(checkpoint, device="cpu", mode=mode)
    scorer.optimize(MANY)

    def score(paths: Sequence[Path]) -> list[float]:
        batches = [list(map(str, paths[start : start + BATCH_SIZE])) for start in range(0, len(paths), BATCH_SIZE)]
        return [score for batch in batches for score in score_batch({"image": batch}, scorer)["score"]]

    return score


def parts_of_ceiling(
    mode: str, ceiling: Ceiling, contents: Sequence[bytes], batches: Sequence[torch.Tensor]
) -> dict[str, Part]:
    prepared = [ceiling.forward.prepare(batch) for batch in batches]
    parts = {
        f"{mode}: decode": lambda: [ceiling.read(content) for content in contents],
        f"{mode}: forward": lambda: [ceiling.forward.predict(batch) for batch in prepared],
    }
    for part in parts.values():
        part()  # compiles what is compiled
    return parts


def conclude(report: Report, name: str, rounds: list[Round], modes: list[str], num_pictures: int) -> dict[str, float]:
    """Turns seconds into findings, and into pictures a second."""
    others = [part for part in rounds[0].cpu if part == "pyiqa" or part.startswith(PLAIN)]
    speeds = {}
    for mode in modes:
        both = [f"{mode}: decode", f"{mode}: forward"]
        title = f"{TITLES[name]}, {mode}"
        report.findings.append(Finding(f"{title}: share of its ceiling", ratios(rounds, both, [mode]), OVER_CEILING))
        for other in others:
            bar = OVER_PLAIN if other == PLAIN else None
            bar = OVER_PYIQA.get(name, {}).get(mode) if other == "pyiqa" else bar
            report.findings.append(Finding(f"{title}: over {other}", ratios(rounds, [other], [mode]), bar))
        speeds[mode] = [mode]
        speeds[f"{mode}: its ceiling"] = both
    taken = {other: [other] for other in reversed(others)} | speeds
    return {
        part: num_pictures / median(sum(turn.cpu[name] for name in names) for turn in rounds)
        for part, names in taken.items()
    }


def time_command(
    checkpoint: str, paths: list[Path], folder: Path, num_links: int, num_workers: int
) -> dict[str, float | None]:
    """The whole command on the pictures, and on many links to them: the difference has no start in it."""
    seconds = {}
    for num_pictures in (len(paths), len(paths) * num_links):
        source = link_pictures(paths, folder / str(num_pictures), num_pictures)
        command = score_command(checkpoint, source, folder / f"{num_pictures}.parquet", num_workers)
        seconds[num_pictures] = watch(command).seconds
    (few, first), (many, second) = seconds.items()
    return {
        "workers": num_workers,
        "pictures": many,
        "seconds": second,
        "pictures a second, with the start": many / second,
        "pictures a second, without": (many - few) / (second - first) if second > first else None,
    }
