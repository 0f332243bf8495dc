import re
import runpy
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "benchmark.py"))["main"]


def test_columns_are_measured_against_their_ceiling(benchmark, photo_folder, capsys):
    few = ["--num_pictures", "2", "--seconds", "0.01", "--repeats", "1"]
    benchmark(["columns", "--data_dir", str(photo_folder), "--modality", "blur", "depth", *few])
    printed = capsys.readouterr().out
    for name, bar in (("blur", "0.8"), ("depth", "0.9")):
        row = re.search(rf"^\| {name} \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| {bar} \|$", printed, re.MULTILINE)
        speed, ceiling, ratio = map(float, row.groups())
        assert speed > 0 < ceiling and ratio == pytest.approx(speed / ceiling, rel=0.05, abs=0.02)


def test_a_folder_without_pictures_is_told(benchmark, tmp_path):
    with pytest.raises(SystemExit, match="^error: Expected pictures in "):
        benchmark(["columns", "--data_dir", str(tmp_path)])
