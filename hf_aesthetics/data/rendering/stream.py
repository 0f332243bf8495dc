"""Scenes as rows of encoded pictures and numbers, rendered one after the other or by several processes.

Knows nothing about raters and `datasets`. A rendering process imports this folder alone, under its own name: importing
the package would load torch into each, and a fork of a process that has used torch can deadlock.
"""

import io
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from . import render_scene


MAPS = ("true_depth", "true_saliency", "true_blur")  # not what an extractor makes of the pixels


def render_row(seed: int, with_maps: bool = True) -> dict[str, Any]:
    """
    One scene: encoded `image` (JPEG), its `MAPS` (8-bit PNG), and numbers `cause_<name>`.

    Example:
        >>> sorted(render_row(3, with_maps=False))[:3]
        ['cause_colour', 'cause_composition', 'cause_depth']
    """
    scene = render_scene(seed)
    row: dict[str, Any] = {"image": scene.jpeg}
    if with_maps:
        maps = (scene.depth_map, scene.saliency_map, scene.blur_map)
        row |= {name: _encode_map(values) for name, values in zip(MAPS, maps, strict=True)}
    # rounded as a float32 column keeps them, so that whoever asks a panel about the column gets the same votes
    return row | {f"cause_{name}": float(np.float32(value)) for name, value in scene.causes.items()}


def _encode_map(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    levels = np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)
    PILImage.fromarray(levels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def render_rows(seeds: range, with_maps: bool = True, num_proc: int | None = None) -> Iterator[dict[str, Any]]:
    """
    Rows of several scenes, in order and the same for any number of processes.

    Args:
        seeds (`range`):
            Seeds of the scenes.
        with_maps (`bool`):
            Whether to encode the true maps.
        num_proc (`int`, *optional*):
            Number of processes. By default the calling one renders. Processes wait while their rows are not fetched,
            so memory does not grow with the number of scenes.

    Raises:
        RuntimeError: If a process ends before it has delivered its scenes.
    """
    num_proc = min(num_proc or 1, len(seeds))
    if num_proc <= 1:
        yield from (render_row(seed, with_maps) for seed in seeds)
        return
    code = "import sys; sys.path.insert(0, sys.argv[1]); from rendering.stream import serve; serve(*sys.argv[2:])"
    folder = str(Path(__file__).parents[1])
    parts = [seeds[index::num_proc] for index in range(num_proc)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", code, folder, *map(str, (part.start, part.stop, part.step, int(with_maps)))],
            stdout=subprocess.PIPE,
        )
        for part in parts
    ]
    try:
        for index, seed in enumerate(seeds):
            worker = workers[index % num_proc]
            try:
                yield pickle.load(worker.stdout)  # ty: ignore[invalid-argument-type]
            except EOFError:
                raise RuntimeError(
                    f"A rendering process ended with exit code {worker.wait()} before scene {seed}. "
                    "Its error is printed above; set num_proc=1 to render in this process."
                ) from None
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def serve(start: str, stop: str, step: str, with_maps: str) -> None:
    """Main function of a rendering process: pickled rows on the standard output."""
    for seed in range(int(start), int(stop), int(step)):
        pickle.dump(render_row(seed, with_maps == "1"), sys.stdout.buffer)
        sys.stdout.buffer.flush()
