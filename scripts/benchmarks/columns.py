"""Pictures a second of the writer of map columns, beside what its parts allow.

    python scripts/benchmark.py columns                                       # on rendered scenes
    python scripts/benchmark.py columns --data_dir PATH --modality blur depth # on pictures of a folder

The ceiling is what decoding, the function or network alone, and encoding would allow, 1 / (decode + map + encode) or
1 / (decode + forward + encode), with the same number of threads. Networks have the shapes of FastDepth and U²-Net-P
with random weights, which take the same time. The parts take turns, each for about `--seconds`, and the medians of the
repeats count. The ratio is to be at least 0.8 for closed-form maps and 0.9 for networks. `constant`, of which there is
nothing to compute, is measured where it is asked for.
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import Dataset

from hf_aesthetics import (
    FastDepthConfig,
    FastDepthForDepthEstimation,
    ModalityImageProcessor,
    U2NetConfig,
    U2NetForImageSegmentation,
    U2NetImageProcessor,
)
from hf_aesthetics.data.modality_columns import ModalityColumn, cache_modality_column, encode_map
from hf_aesthetics.extraction import ModalityExtractor
from hf_aesthetics.images import read_image
from hf_aesthetics.models.modality_maps import MODALITIES, make_modality_maps

from .pictures import read_contents
from .rounds import clock


U2NET_P = {"encoder_hidden_sizes": [64] * 6, "encoder_inner_sizes": [16] * 6}
U2NET_P |= {"decoder_hidden_sizes": [64] * 5, "decoder_inner_sizes": [16] * 5}
BARS = {True: 0.8, False: 0.9}  # closed form, network


def add_arguments(command: argparse.ArgumentParser) -> None:
    maps = [name for name in MODALITIES if name != "rgb"]
    command.add_argument("--modality", nargs="+", choices=maps, default=[name for name in maps if name != "constant"])
    command.add_argument("--seconds", type=float, default=2.0, help="about how long each part of a repeat takes")
    command.set_defaults(num_pictures=32)


def run(args: argparse.Namespace) -> None:
    contents = read_contents(args.data_dir, args.num_pictures)
    print("| modality | pictures/s | ceiling | ratio | at least |\n|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.modality:
            print(benchmark_column(name, contents, Path(folder), args.seconds, args.repeats), flush=True)


def benchmark_column(name: str, contents: list[bytes], folder: Path, seconds_a_part: float, repeats: int) -> str:
    """A row of the table."""
    column = ModalityColumn(name, save_network(name, folder))
    extractor = ModalityExtractor(name, column.checkpoint, column.revision, device="cpu")
    few = [read_image(content) for content in contents[:4]]
    extractor.make_maps(few)
    count = round(seconds_a_part * len(few) / clock(lambda _: extractor.make_maps(few), 0))
    contents = list(islice(cycle(contents), min(max(count, 4), 500)))
    rows = {"image_id": [str(number) for number in range(len(contents))]}
    dataset = Dataset.from_dict({**rows, "image": [{"bytes": content, "path": None} for content in contents]})
    pictures = [read_image(content) for content in contents]
    maps = extractor.make_maps(pictures)
    batches = [batch for _, batch in extractor.batches(extractor.prepare(pictures)[0])]

    def write(repeat: int) -> None:
        cache_modality_column(dataset, column, folder / f"{name}-{repeat}")

    def make(_: int) -> None:
        with torch.inference_mode():
            for batch in batches:
                extractor.model(batch) if column.checkpoint else make_modality_maps(batch, name)

    parts: list[Callable[[int], Any]] = [
        lambda _: [read_image(content) for content in contents],
        make,
        lambda _: [encode_map(map_) for map_ in maps],
        write,
    ]
    write(-1)  # loads the network
    seconds = [[clock(part, repeat) for part in parts] for repeat in range(repeats)]
    speed = len(contents) / median(write_time for *_, write_time in seconds)
    ratio = median(sum(others) / write_time for *others, write_time in seconds)
    ceiling = len(contents) / median(sum(others) for *others, _ in seconds)
    return f"| {name} | {speed:.1f} | {ceiling:.1f} | {ratio:.2f} | {BARS[column.checkpoint is None]} |"


def save_network(name: str, folder: Path) -> str | None:
    """A network of the usual shape with random weights, for a map that needs one."""
    task = MODALITIES[name].task
    if task is None:
        return None
    torch.manual_seed(0)
    if task == "depth-estimation":
        model: Any = FastDepthForDepthEstimation(FastDepthConfig())
        processor: Any = ModalityImageProcessor(image_mean=[0.0] * 3, image_std=[1.0] * 3)
    else:
        model, processor = U2NetForImageSegmentation(U2NetConfig(**U2NET_P)), U2NetImageProcessor()
    model.save_pretrained(folder / name)
    processor.save_pretrained(folder / name)
    return str(folder / name)
