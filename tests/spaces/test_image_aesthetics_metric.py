import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import yaml

import hf_aesthetics


REPOSITORY = Path(__file__).parents[2]
SPACE = REPOSITORY / "spaces" / "image_aesthetics_metric"

COMPUTE = """
import json, sys
import evaluate

metric = evaluate.load("spaces/image_aesthetics_metric")
calls = json.load(sys.stdin)
results = []
for call in calls[:-1]:
    try:
        results.append(metric.compute(**call))
    except (TypeError, ValueError) as error:
        results.append(f"{type(error).__name__}: {error}")
for prediction, reference in zip(calls[-1]["predictions"], calls[-1]["references"]):
    metric.add(prediction=prediction, reference=reference)
results.append(metric.compute())
print(json.dumps(results))
"""


def run_offline(code: str, folder: Path, stdin: str = "") -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, input=stdin, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def distributions_and_votes(num_bins: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.ones(num_bins), size=40)
    return (truth + rng.dirichlet(np.ones(num_bins), size=40)) / 2, rng.multinomial(50, truth)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    """Every call of the metric that the tests look at, made in one process without a network."""
    ten, ten_votes = distributions_and_votes(10)
    halves, halves_votes = distributions_and_votes(9)
    rows = {"predictions": ten.tolist(), "references": (ten_votes / 50).tolist()}
    calls = {
        "ten bins": rows,
        "options": {
            "predictions": halves.tolist(),
            "references": (halves_votes / 50).tolist(),
            "bin_values": np.linspace(1, 5, 9).tolist(),
            "vote_counts": halves_votes.tolist(),
            "constant_distribution": np.full(9, 1 / 9).tolist(),
            "num_resamples": 50,
        },
        "raw votes": {"predictions": ten.tolist(), "references": ten_votes.tolist()},
        "misspelt": rows | {"num_resample": 50},
        "one by one": rows,
    }
    printed = run_offline(COMPUTE, tmp_path_factory.mktemp("hf_home"), json.dumps(list(calls.values())))
    return dict(zip(calls, json.loads(printed.splitlines()[-1]), strict=True))


def test_equals_scipy_on_the_default_scale(results):
    predicted, votes = distributions_and_votes(10)
    result, bins = results["ten bins"], np.arange(1, 11)
    mean_p, mean_t = predicted @ bins, votes @ bins
    assert result["num_images"] == 40
    assert result["srcc"] == pytest.approx(scipy.stats.spearmanr(mean_p, mean_t).statistic)
    assert result["plcc"] == pytest.approx(scipy.stats.pearsonr(mean_p, mean_t).statistic)
    assert result["krcc"] == pytest.approx(scipy.stats.kendalltau(mean_p, mean_t).statistic)
    distances = [
        scipy.stats.wasserstein_distance(bins, bins, p, q) / 10 for p, q in zip(predicted, votes / 50, strict=True)
    ]
    assert result["emd"] == pytest.approx(np.mean(distances))
    assert result["accuracy"] == pytest.approx(np.mean((mean_p > 5) == (mean_t > 250)))


def test_options_reach_the_metrics(results):
    predicted, votes = distributions_and_votes(9)
    result, bins = results["options"], np.linspace(1, 5, 9)
    assert result["mae"] == pytest.approx(np.abs(predicted @ bins - votes @ bins / 50).mean())
    assert "emd_skill" in result
    low, high = result["intervals"]["srcc"]
    assert low < result["srcc"] < high


def test_pictures_may_come_one_by_one(results):
    assert results["one by one"] == results["ten bins"]


def test_errors_say_what_to_do(results):
    assert re.search(
        "Rows of `target` must sum to 1, got sums between 50 and 50. Pass vote shares", results["raw votes"]
    )
    assert re.search("TypeError: .*'num_resample'", results["misspelt"])


def test_readme_prints_what_it_says(tmp_path):
    readme = (SPACE / "README.md").read_text()
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", readme, flags=re.DOTALL)
    assert run_offline(code, tmp_path) == printed


def test_readme_front_matter_describes_the_space():
    front_matter = yaml.safe_load((SPACE / "README.md").read_text().split("---")[1])
    assert front_matter["sdk"] == "gradio"
    assert re.fullmatch(r"\d+\.\d+\.\d+", front_matter["sdk_version"])
    assert (SPACE / front_matter["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(front_matter["tags"])
    assert len(front_matter["short_description"]) <= 60  # the Hub's limit


def test_readme_names_every_key(results):
    readme = (SPACE / "README.md").read_text()
    assert [key for key in results["options"] if f"`{key}`" not in readme and key != "num_images"] == []


def test_requirements_are_exact_and_name_this_version():
    lines = (SPACE / "requirements.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line) for line in lines)
    assert f"hf_aesthetics[evaluation]=={hf_aesthetics.__version__}" in lines


def test_page_computes_its_example(monkeypatch):
    pytest.importorskip("gradio", reason="the page of the metric needs gradio")
    monkeypatch.syspath_prepend(str(SPACE))
    app = importlib.import_module("app")
    monkeypatch.delitem(sys.modules, "app")  # other Spaces have a page of that name

    values = dict(app.compute(*app.EXAMPLE))
    predicted, target = (np.array(json.loads(text)) @ np.arange(1, 6) for text in app.EXAMPLE)
    assert float(values["plcc"]) == pytest.approx(np.corrcoef(predicted, target)[0, 1], abs=1e-5)
    with pytest.raises(app.gr.Error, match="JSON lists of lists"):
        app.compute("[[0.5,", app.EXAMPLE[1])
