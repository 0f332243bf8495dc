"""The command line as people start it, timed from outside, with the memory of all its processes.

Knows nothing about what a command does.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Watched:
    """
    A program that has ended.

    Args:
        seconds (`float`):
            How long it ran.
        memory (`list[tuple[float, float]]`):
            Resident megabytes of all its processes together, by the seconds since its start.
    """

    seconds: float
    memory: list[tuple[float, float]]

    @property
    def peak(self) -> float:
        return max(megabytes for _, megabytes in self.memory)


def watch(command: Sequence[str], every: float = 0.1, threads: int = 1) -> Watched:
    """
    Runs a program to its end.

    Raises:
        SystemExit: If it fails, with the last of what it said.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        program = psutil.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        memory = []
        while program.poll() is None:
            memory.append((round(time.perf_counter() - start, 2), resident_megabytes(program)))
            time.sleep(every)
        seconds = time.perf_counter() - start
        if program.returncode:
            log.seek(0)
            sys.exit(f"error: {' '.join(map(str, command))} failed:\n{log.read().decode(errors='replace')[-2000:]}")
    return Watched(seconds, memory)


def resident_megabytes(program: psutil.Process) -> float:
    total = 0
    try:
        for process in [program, *program.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.Error:  # one has just ended
        pass
    return round(total / 1e6, 1)


def score_command(checkpoint: str, source: Path, output: Path, num_workers: int | None = None) -> list[str]:
    """`hf-aesthetics score SOURCE --model CHECKPOINT --output OUTPUT`, on the CPU."""
    command = [sys.executable, "-m", "hf_aesthetics.cli", "score", str(source), "--model", checkpoint]
    command += ["--output", str(output), "--device", "cpu"]
    return command if num_workers is None else [*command, "--num_workers", str(num_workers)]


def link_pictures(paths: Sequence[Path], folder: Path, num_pictures: int) -> Path:
    """A folder of as many pictures, which take no room of their own."""
    folder.mkdir(parents=True)
    for number in range(num_pictures):
        path = paths[number % len(paths)]
        os.link(path, folder / f"{number:07}{path.suffix}")
    return folder
