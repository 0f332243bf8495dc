import importlib
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from space_models import save_models


SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def load():
    """A module of the benchmark by its name; the program itself without one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield lambda name="": importlib.import_module(f"benchmarks.{name}" if name else "benchmark")
        for name in [name for name in sys.modules if name.split(".")[0] in ("benchmark", "benchmarks")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def benchmark(load):
    return load().main


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> str:
    """Three files so small that a program is through with them in no time."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        Image.effect_noise((48, 40), 30 + 20 * number).convert("RGB").save(folder / f"{number}.jpg")
    return str(folder)


# ---- rounds and findings ----


def make_clock(load, others: float):
    """A clock by which each part takes the seconds of its name, and others a share of two cores the while."""
    rounds = load("rounds")
    now = {"wall": 0.0, "own": 0.0, "busy": 0.0}

    def read():
        return rounds.Clock(**now)

    def work(seconds: float):
        now["wall"] += seconds
        now["own"] += seconds
        now["busy"] += seconds + others * seconds * rounds.os.cpu_count()

    return read, work


def test_a_slow_part_shows_in_the_ratio_and_nowhere_else(load):
    rounds = load("rounds")
    read, work = make_clock(load, others=0.0)
    parts = {"decode": lambda: work(1.0), "forward": lambda: work(2.0), "score": lambda: work(4.0)}
    turns = rounds.take_turns(parts, 3, read=read)
    assert rounds.ratios(turns, ["decode", "forward"], ["score"]) == [0.75] * 3
    slower = rounds.take_turns(parts | {"score": lambda: work(6.0)}, 3, read=read)
    assert rounds.ratios(slower, ["decode", "forward"], ["score"]) == [0.5] * 3
    assert [turn.wall["decode"] for turn in slower] == [1.0] * 3


def test_parts_take_turns_in_alternating_order(load):
    rounds = load("rounds")
    read, work = make_clock(load, others=0.0)
    called = []
    rounds.take_turns({name: lambda name=name: called.append(name) for name in "abc"}, 2, read=read)
    assert called == list("abccba")


@pytest.mark.parametrize(("others", "number", "is_quiet"), [(0.05, 2, True), (0.2, 6, False)])
def test_rounds_with_noise_are_taken_again_and_told(load, others, number, is_quiet):
    rounds, findings = load("rounds"), load("findings")
    read, work = make_clock(load, others)
    turns = rounds.take_turns({"score": lambda: work(1.0)}, 2, patience=3, read=read)
    assert len(turns) == number and all(turn.is_quiet is is_quiet for turn in turns)
    assert turns[0].others == pytest.approx(others)
    table = findings.Report("scoring", rounds={"tiny": turns}).table()
    assert ("NOT QUIET" in table) is not is_quiet


def test_a_part_may_say_which_of_its_seconds_count(load):
    rounds = load("rounds")
    read, work = make_clock(load, others=0.0)

    def train():
        work(10.0)
        start = read()
        work(2.0)
        return rounds.Span(start, read())

    (turn,) = rounds.take_turns({"train": train}, 1, read=read)
    assert turn.wall == turn.cpu == {"train": 2.0}


def test_own_work_is_not_that_of_others(load):
    """The real clock: what this process and a program that it waits for compute is not counted as noise."""
    rounds, startup = load("rounds"), load("startup")
    start = rounds.Clock.read()
    startup.call("-c", "sum(range(10_000_000))")
    sum(range(10_000_000))
    end = rounds.Clock.read()
    assert 0 < end.own - start.own <= (end.busy - start.busy) + 0.05


def test_bars_are_met_from_their_own_side(load):
    finding = load("findings").Finding
    for values, bar, met in (([3.0], {"at_least": 3.1}, False), ([3.2], {"at_least": 3.1}, True)):
        assert (finding("speed", values, **bar).margin >= 0) is met
    for values, bar, met in (([1.02, 1.04, 1.5], {"at_most": 1.03}, False), ([1.0], {"at_most": 1.03}, True)):
        assert (finding("step", values, **bar).margin >= 0) is met
    row = "| step | 1.20x [1.00, 1.50] | at most 1x | missed by 20.0 % |"
    assert finding("step", [1.5, 1.0, 1.2], at_most=1.0).row() == row


def test_scoring_is_compared_with_everybody(load):
    rounds, findings, scoring = load("rounds"), load("findings"), load("scoring")
    seconds = {"exact": 4.0, "exact: decode": 1.0, "exact: forward": 2.0}
    seconds |= {"fast": 2.0, "fast: decode": 0.5, "fast: forward": 1.0, "plain loop": 12.0, "pyiqa": 16.0}
    report = findings.Report("scoring")
    turns = [rounds.Round({}, {part: slow * took for part, took in seconds.items()}, 0.0) for slow in (1, 2, 3)]
    speeds = scoring.conclude(report, "mobilenet_v2", turns, ["exact", "fast"], 8)
    found = {finding.what: (finding.median, finding.at_least) for finding in report.findings}
    assert found == {
        "MobileNetV2, exact: share of its ceiling": (0.75, 0.9),
        "MobileNetV2, exact: over plain loop": (3.0, 2.5),
        "MobileNetV2, exact: over pyiqa": (4.0, 3.1),
        "MobileNetV2, fast: share of its ceiling": (0.75, 0.9),
        "MobileNetV2, fast: over plain loop": (6.0, 2.5),
        "MobileNetV2, fast: over pyiqa": (8.0, 5.0),
    }
    assert speeds["pyiqa"] == 0.25 and speeds["exact"] == 1.0 and speeds["fast: its ceiling"] == pytest.approx(8 / 3)


# ---- the subjects, end to end ----


def run_subject(benchmark, tmp_path, subject: str, *flags: str, called: str | None = None) -> dict:
    file = tmp_path / "results.json"
    benchmark([subject, "--output", str(file), *flags])
    result = json.loads(file.read_text())[called or subject]
    assert result["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    for finding in result["findings"]:
        assert min(finding["values"]) <= finding["median"] <= max(finding["values"])
    return result


def test_scoring(benchmark, photographs, tmp_path, capsys):
    flags = ["--networks", "tiny", "--data_dir", photographs, "--modes", "exact"]
    flags += ["--repeats", "1", "--num_links", "1"]
    result = run_subject(benchmark, tmp_path, "scoring", *flags, "--figures", str(tmp_path))
    facts = result["facts"]["tiny"]
    assert facts["ceilings"]["exact"] == {"decode": "simplejpeg, all pixels", "forward": "onnxruntime, float32"}
    assert facts["greatest difference to the plain loop"]["exact"] < 1e-3
    turn = result["rounds"]["tiny"][0]["cpu"]
    first = result["findings"][0]
    assert first["what"] == "a tiny ResNet, exact: share of its ceiling" and first["at_least"] == 0.9
    assert first["values"][0] == pytest.approx((turn["exact: decode"] + turn["exact: forward"]) / turn["exact"])
    figure = (tmp_path / "speed-tiny.svg").read_text()
    assert "plain loop" in figure and "prefers-color-scheme: dark" in figure
    assert "| a tiny ResNet, exact: over plain loop | " in capsys.readouterr().out


def test_training(benchmark, tmp_path):
    few = ["--networks", "tiny", "--num_pictures", "2", "--batch_size", "2", "--num_steps", "1", "--repeats", "1"]
    (finding,) = run_subject(benchmark, tmp_path, "training", *few)["findings"]
    assert finding["what"] == "a tiny ResNet: a step of training over plain PyTorch" and finding["at_most"] == 1.03


def test_both_sides_of_training_do_the_same_work(load, tmp_path):
    """The same batches, optimiser, rates and clipping end in the same weights."""
    training, networks, pictures = load("training"), load("networks"), load("pictures")
    rows = training.rated_rows(pictures.render_tiny(6), 20)
    options = training.training_arguments(tmp_path, 4, crop_fraction=1.0, random_flip=False)
    ended = []
    for train in (training.trainer_steps, training.plain_steps):
        model, processor = networks.build_scorer("tiny")
        model.score_head.dropout.p = 0.0
        before = [parameter.detach().clone() for parameter in model.parameters()]
        train(model, processor, rows, options)
        ended.append(list(model.parameters()))
    for mine, other, start in zip(*ended, before, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=0)
        assert not torch.equal(mine, start)


def test_startup(benchmark, tmp_path):
    (finding,) = run_subject(benchmark, tmp_path, "startup", "--programs", "help", "--repeats", "1")["findings"]
    assert finding["what"] == "--help" and finding["unit"] == " s" and finding["median"] > 0


def test_bare_imports_leave_nothing_out(load, tmp_path):
    startup, modules = load("startup"), tmp_path / "modules.txt"
    modules.write_text("colorsys\na_module_that_another_one_makes\nwave")
    said = startup.call("-c", startup.BARE + "print('colorsys' in sys.modules, 'wave' in sys.modules)", modules)
    assert said == "True True\n"


def test_memory(benchmark, photographs, tmp_path):
    flags = ["--network", "tiny", "--num_workers", "1", "--data_dir", photographs]
    result = run_subject(benchmark, tmp_path, "memory", *flags, "--sizes", "3", "6")
    first, second, growth = (finding["median"] for finding in result["findings"])
    assert growth == second / first and first > 50


def test_soak(benchmark, tmp_path):
    result = run_subject(benchmark, tmp_path, "memory", "--num_workers", "1", "--soak", "20", called="soak")
    assert len(result["facts"]["soak"]["megabytes by tenth"]) == 10 and result["facts"]["soak"]["seconds"] > 0


def test_a_leak_shows_in_the_later_tenths(load):
    peaks = load("memory").peak_of_tenths([(second, 500 + 2 * max(0, second - 50)) for second in range(101)])
    assert peaks[1] == 500 and peaks[-1] == 600 and peaks == sorted(peaks)


def test_without_a_gpu_one_line_says_so(benchmark, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    benchmark(["gpu"])
    assert capsys.readouterr().out == "There is no CUDA GPU here, so nothing was measured.\n"


# ---- columns and the page ----


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


def test_a_page_that_does_not_start_says_why(load, tmp_path):
    serve = load("space").serve
    with pytest.raises(SystemExit, match="the page has ended, and said(?s:.*)ZeroDivisionError"):
        with serve("-c", "1 / 0", folder=tmp_path / "page"):
            pass
