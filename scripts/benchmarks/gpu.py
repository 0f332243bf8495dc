"""Pictures a second on a GPU, beside the compiled network alone.

    python scripts/benchmark.py gpu --output results.json

Needs a CUDA GPU; where there is none it says so and ends. For each network, in bfloat16:

- `forward` of the scorer on batches that are decoded already, beside the compiled network on batches that are on the
  GPU already;
- the scorer from JPEG files, beside decoding alone with as many threads, which is what limits it;
- steps of training, beside a loop of plain PyTorch.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from transformers import BatchFeature

from hf_aesthetics.scoring import AestheticScorer, score_pictures

from .bare import read_exactly
from .findings import Finding, Report
from .networks import BACKBONES, TITLES, build_scorer, save_scorer
from .pictures import write_photographs
from .rounds import Part, ratios, take_turns
from .scoring import MANY
from .training import AT_MOST, plain_steps, rated_rows, trainer_steps, training_arguments


OVER_FORWARD = 0.9


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--networks", nargs="+", choices=BACKBONES, default=["mobilenet_v2", "resnet-50", "vit-base"])
    command.add_argument("--batch_size", type=int, default=256)
    command.add_argument("--num_batches", type=int, default=20, help="of a turn")
    command.add_argument("--device", default="cuda", help="cpu tries the program out")
    command.set_defaults(num_pictures=512)


def run(args: argparse.Namespace) -> Report | None:
    if args.device == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA GPU here, so nothing was measured.")
        return None
    device = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    report = Report("gpu", facts={"device": device, "batch size": args.batch_size})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = write_photographs(folder / "pictures", args.num_pictures, args.data_dir)
        for name in args.networks:
            benchmark_network(name, paths, folder / name, args, report)
    return report


def benchmark_network(name: str, paths: list[Path], folder: Path, args: argparse.Namespace, report: Report) -> None:
    scorer = AestheticScorer.from_pretrained(save_scorer(folder, name), device=args.device, mode="fast")
    scorer.optimize(MANY)
    model, processor = build_scorer(name)
    size, threads = (processor.size["height"], processor.size["width"]), os.cpu_count() or 1
    batches = [torch.rand(args.batch_size, 3, *size) for _ in range(args.num_batches)]
    if args.device == "cuda":
        batches = [batch.pin_memory() for batch in batches]
    contents = [path.read_bytes() for path in paths]
    rows = rated_rows(contents, args.batch_size * args.num_batches)
    options = training_arguments(folder / "run", args.batch_size, bf16=True, dataloader_num_workers=threads)
    parts: dict[str, Part] = {
        "scorer": finished(lambda: [scorer.forward(BatchFeature({"pixel_values": batch})) for batch in batches]),
        "network": finished(compiled_forward(model, batches, args.device)),
        "from files": finished(lambda: list(score_pictures(scorer, paths, batch_size=args.batch_size))),
        "decode": lambda: decode_all(contents, size, threads),
        "trainer": lambda: trainer_steps(build_scorer(name)[0], processor, rows, options),
        "plain training": lambda: plain_steps(build_scorer(name)[0], processor, rows, options),
    }
    for part in parts.values():
        part()  # compiles what is compiled
    rounds = report.rounds[name] = take_turns(parts, args.repeats)

    def find(what: str, over: str, under: str, **bar: float) -> None:
        report.findings.append(Finding(f"{TITLES[name]}: {what}", ratios(rounds, [over], [under], "wall"), **bar))

    find("share of the compiled network, decoded pictures", "network", "scorer", at_least=OVER_FORWARD)
    find("share of decoding, from files", "decode", "from files", at_least=OVER_FORWARD)
    find("a step of training over plain PyTorch", "trainer", "plain training", at_most=AT_MOST)


def compiled_forward(model: Any, batches: list[torch.Tensor], device: str) -> Callable[[], Any]:
    """The network alone, as fast as torch makes it, on what is on the GPU."""
    model = model.to(device, torch.bfloat16, memory_format=torch.channels_last).eval()
    forward = torch.compile(model, mode="max-autotune-no-cudagraphs")
    on_gpu = [batch.to(device, torch.bfloat16).contiguous(memory_format=torch.channels_last) for batch in batches[:4]]

    def run() -> None:
        with torch.inference_mode():
            for number in range(len(batches)):
                forward(pixel_values=on_gpu[number % len(on_gpu)])

    return run


def finished(part: Callable[[], Any]) -> Part:
    """A part that ends when the GPU has done its work."""

    def run() -> None:
        part()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return run


def decode_all(contents: list[bytes], size: tuple[int, int], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda content: read_exactly(content, size), contents):
            pass
