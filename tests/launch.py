"""Programs under a launcher, `torch.distributed.run` or `accelerate`, that find the modules of the tests."""

import os
import subprocess
import sys
from pathlib import Path


TESTS = Path(__file__).parent


def launch(launcher: list[str], program: str, file: Path, *arguments: str) -> None:
    """Runs a program from a file, by `python -m <launcher> <file> <arguments>`; an error ends the test."""
    file.write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(file), *arguments],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
