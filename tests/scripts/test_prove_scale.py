"""The measuring of programs; what they measure is proved at small size in tests/data, by kills of the same kind."""

import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    from prove_scale import run

    return run


def test_memory_of_all_processes_is_measured(run, tmp_path):
    hold = "import sys, time; held = bytearray(100_000_000); time.sleep(2)"
    twice = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}"
    seconds, resident, private = run([sys.executable, "-c", twice], tmp_path, tmp_path / "log.txt")
    assert 2 < seconds < 60 and 200 < private < 300 and private <= resident


def test_a_program_that_fails_or_ends_too_early_is_no_proof(run, tmp_path):
    with pytest.raises(SystemExit, match="failed:\n.*no such picture"):
        run([sys.executable, "-c", "raise SystemExit('no such picture')"], tmp_path, tmp_path / "log.txt")
    with pytest.raises(SystemExit, match="ended before it could be killed"):
        run([sys.executable, "-c", "pass"], tmp_path, tmp_path / "log.txt", lambda: False)


def test_a_worker_that_outlives_a_kill_is_noticed(run, tmp_path, monkeypatch):
    import prove_scale

    monkeypatch.setattr(prove_scale, "SECONDS_TO_END", 1)
    sleeper = "import subprocess, sys, time; subprocess.Popen(['sleep', '8']); print('up', flush=True); time.sleep(60)"
    log, start = tmp_path / "log.txt", time.monotonic()
    with pytest.raises(SystemExit, match="some live on"):
        run([sys.executable, "-c", sleeper], tmp_path, log, lambda: "up" in log.read_text())
    assert time.monotonic() - start < 30
