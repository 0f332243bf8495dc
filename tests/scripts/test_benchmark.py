import re
import runpy
from pathlib import Path

import pytest
from space_models import save_models


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


def test_the_page_is_measured_against_gradio_and_the_bare_scorer(benchmark, photo_folder, tmp_path, capsys):
    pytest.importorskip("gradio", reason="the page needs gradio: pip install 'hf_aesthetics[space]'")
    model = str(save_models(tmp_path / "models"))
    few = ["--num_pictures", "2", "--repeats", "1", "--num_users", "2"]
    benchmark(["space", "--model", model, "--data_dir", str(photo_folder), *few])
    printed = capsys.readouterr().out
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 5
    for name, took, gradio, _, bar, ratio in rows:
        assert (gradio == "") == name.endswith("without Gradio")
        assert float(ratio) == pytest.approx(float(took) / float(bar), rel=0.2, abs=0.02)
    assert "2 people at once: 2 got the answer to their own picture" in printed


def test_a_page_that_does_not_start_says_why(benchmark, tmp_path):
    serve = benchmark.__globals__["serve"]
    with pytest.raises(SystemExit, match="the page has ended, and said(?s:.*)ZeroDivisionError"):
        with serve("-c", "1 / 0", folder=tmp_path / "page"):
            pass
