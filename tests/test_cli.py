"""The command line: a table for people, a file for programs, one line for whatever goes wrong."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from local_hub import HubFile, LocalHub, Repo
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification

import hf_aesthetics
from hf_aesthetics import ModalityImageProcessor, NimaForAestheticAssessment
from hf_aesthetics.cli import main
from hf_aesthetics.images import find_images
from hf_aesthetics.scoring import AestheticScorer, score_pictures


ROW = re.compile(
    r"^ *(?P<score>[\d.]+) ± (?P<std>[\d.]+) of 10 +(?P<percentile>\d+|-)  (?P<bar>[▁▂▃▄▅▆▇█]{10})  (?P<file>.+)$"
)


@pytest.fixture
def bad_files(photo_folder) -> list[Path]:
    """Three files among the photos that are none."""
    cut, empty, text = photo_folder / "cut.jpg", photo_folder / "empty.png", photo_folder / "trip" / "text.jpeg"
    cut.write_bytes((photo_folder / "beach.jpg").read_bytes()[:-300])
    empty.touch()
    text.write_text("<html>404</html>")
    return [cut, empty, text]


@pytest.fixture(scope="module")
def noticed_checkpoint(tmp_path_factory, tiny_checkpoint) -> Path:
    """A demonstration with a head that is not sure of itself, so that bars have several heights."""
    folder = tmp_path_factory.mktemp("noticed") / "demo"
    model = NimaForAestheticAssessment.from_pretrained(tiny_checkpoint)
    model.config.notice = "trained on rendered scenes"
    torch.nn.init.normal_(model.score_head.dense.weight, std=0.1)
    model.save_pretrained(folder)
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def score(*arguments) -> int:
    return main(["score", *map(str, arguments), "--device", "cpu"])


def table_of(output: str) -> list[re.Match]:
    return [match for line in output.splitlines() if (match := ROW.match(line))]


def test_a_folder_becomes_a_table_best_first(photo_folder, tiny_checkpoint, capsys):
    assert score(photo_folder, "--model", tiny_checkpoint) == 0
    captured = capsys.readouterr()
    scorer = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    rows = sorted(score_pictures(scorer, find_images(photo_folder)), key=lambda row: row.score or 0, reverse=True)
    lines = table_of(captured.out)
    assert [line["file"] for line in lines] == [row.path for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert line["score"] == f"{row.score:.1f}" and line["std"] == f"{row.score_std:.1f}"
        assert line["percentile"] == f"{row.percentile:.0f}"
        shares = [share or 0 for share in row.distribution.values()]
        assert line["bar"][shares.index(max(shares))] == "█"
        assert line["bar"][shares.index(min(shares))] == "▁"
    assert len({line.start("file") for line in lines}) == 1, "the columns are not aligned"
    assert scorer.id in captured.out and scorer.preprocessing in captured.out
    assert captured.err == ""


def test_bars_order_the_shares(photo_folder, noticed_checkpoint, capsys):
    assert score(photo_folder, "--model", noticed_checkpoint) == 0
    scorer = AestheticScorer.from_pretrained(noticed_checkpoint, device="cpu")
    rows = {row.path: list(row.distribution.values()) for row in score_pictures(scorer, find_images(photo_folder))}
    bars = {line["file"]: line["bar"] for line in table_of(capsys.readouterr().out)}
    assert bars.keys() == rows.keys()
    for path, shares in rows.items():
        heights = [bars[path][i] for i in sorted(range(10), key=lambda i: shares[i] or 0)]
        assert heights == sorted(heights), "a larger share has a lower block"  # the blocks are ordered in Unicode
        assert len(set(heights)) > 2


def test_top_lists_the_best_only(photo_folder, tiny_checkpoint, capsys):
    score(photo_folder, "--model", tiny_checkpoint)
    everything = [line["file"] for line in table_of(capsys.readouterr().out)]
    score(photo_folder, "--model", tiny_checkpoint, "--top", 2)
    output = capsys.readouterr().out
    assert [line["file"] for line in table_of(output)] == everything[:2]
    assert f"{len(everything)} of {len(everything)} pictures" in output


def test_twins_stay_in_the_order_given(photo_folder, tiny_checkpoint, tmp_path, capsys):
    twins = [tmp_path / f"{name}.png" for name in "cabd"]
    for twin in twins:
        shutil.copy(photo_folder / "grey.png", twin)
    score(*twins, "--model", tiny_checkpoint, "--batch_size", 1, "--top", 3)
    assert [line["file"] for line in table_of(capsys.readouterr().out)] == [str(twin) for twin in twins[:3]]


def test_bad_files_are_listed_with_their_reasons(photo_folder, bad_files, tiny_checkpoint, capsys):
    assert score(photo_folder, "--model", tiny_checkpoint, "--batch_size", 2) == 0
    captured = capsys.readouterr()
    table, listed = captured.out.split("Not scored:")
    assert len(table_of(table)) == 4 and "4 of 7 pictures" in table
    for path, reason in zip(bad_files, ["cut short", "0 bytes", "<html>404"], strict=True):
        [line] = [line for line in listed.splitlines() if path.name in line]
        assert reason in line
        assert path.name not in table
    assert captured.err == ""


def test_nothing_but_bad_files_is_exit_code_1(bad_files, tiny_checkpoint, capsys):
    assert score(*bad_files, "--model", tiny_checkpoint) == 1
    assert "0 of 3 pictures" in capsys.readouterr().out


def test_a_folder_without_pictures_is_exit_code_1(tmp_path, tiny_checkpoint, capsys):
    (tmp_path / "notes.txt").write_text("none here")
    assert score(tmp_path, "--model", tiny_checkpoint) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and str(tmp_path) in captured.err and captured.out == ""


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_table_is_also_written(photo_folder, bad_files, tiny_checkpoint, tmp_path, capsys, suffix):
    destination = tmp_path / f"scores{suffix}"
    assert score(photo_folder, "--model", tiny_checkpoint, "--top", 1, "--output", destination) == 0
    output = capsys.readouterr().out
    assert len(table_of(output)) == 1 and str(destination) in output
    if suffix == ".csv":
        with destination.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    elif suffix == ".jsonl":
        rows = [json.loads(line) for line in destination.read_text().splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(destination).to_pylist()
    assert [row["path"] for row in rows] == [str(path) for path in find_images(photo_folder)]
    assert sum(bool(row["error"]) for row in rows) == 3
    best = max((float(row["score"]), row["path"]) for row in rows if not row["error"])
    assert table_of(output)[0]["file"] == best[1]
    assert {row["scorer"] for row in rows} == {AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu").id}
    assert "notice" not in rows[0]


def test_a_list_of_files_comes_in_on_standard_input(photo_folder, tiny_checkpoint, monkeypatch, capsys):
    paths = [*find_images(photo_folder), photo_folder / "gone.jpg"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(map(str, paths)).encode())))
    assert score("-", "--model", tiny_checkpoint) == 0
    output = capsys.readouterr().out
    assert {line["file"] for line in table_of(output)} == set(map(str, paths[:-1]))
    assert "4 of 5 pictures" in output and "gone.jpg" in output.split("Not scored:")[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert score("-", "--model", tiny_checkpoint) == 1
    assert "at least one picture in standard input, found none" in capsys.readouterr().err


def test_shards_and_tables_are_scored_with_the_columns_that_are_asked_for(
    photo_folder, tiny_checkpoint, tmp_path, capsys
):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    photos = list(find_images(photo_folder))
    for number, photo in enumerate(photos[:2]):
        with tarfile.open(tmp_path / f"{number:03}.tar", "w") as archive:
            archive.add(photo, "photo.jpg")
    contents = [{"bytes": photo.read_bytes(), "path": None} for photo in photos]
    columns = {"picture": contents, "title": [f"no {number}" for number in range(len(photos))]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    sources, output = [tmp_path / "{000..001}.tar", tmp_path / "rows.parquet"], tmp_path / "scores.parquet"
    assert score(*sources, "--model", tiny_checkpoint, "--output", output, "--keep_columns", "title") == 0
    rows = parquet.read_table(output).to_pylist()
    assert [row["path"] for row in rows[:2]] == [f"{tmp_path}/{number:03}.tar/photo.jpg" for number in range(2)]
    assert [row["title"] for row in rows] == [None, None, *columns["title"]]
    scorer = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    expected = [row.score for row in score_pictures(scorer, [*photos[:2], *photos])]
    np.testing.assert_allclose([row["score"] for row in rows], expected, atol=1e-5)


def test_ranks_share_a_folder_and_say_what_they_have_done(
    photo_folder, tiny_checkpoint, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("pyarrow")
    arguments = [photo_folder, photo_folder / "beach.jpg", "--model", tiny_checkpoint, "--output", tmp_path / "scores"]
    shutil.copy(photo_folder / "beach.jpg", photo_folder / "trip" / "beach.jpg")
    with zipfile.ZipFile(photo_folder / "more.zip", "w") as archive:
        archive.write(photo_folder / "beach.jpg", "zipped.jpg")
    for number, state in enumerate(["the others are at work", "all are done"]):
        monkeypatch.setenv("RANK", str(number))
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert score(*arguments) == 0
        output = capsys.readouterr().out
        assert f"rank {number} of 2: " in output and state in output and "±" not in output
    monkeypatch.delenv("RANK")
    assert score(*arguments) == 0
    assert "7 of 7 pictures" in capsys.readouterr().out


def test_fast_mode_says_how_close_it_is(photo_folder, noticed_checkpoint, capsys):
    assert score(photo_folder, "--model", noticed_checkpoint, "--mode", "fast") == 0
    output = capsys.readouterr().out
    assert re.search(r"Fast mode against exact mode: mean \|difference\| 0\.00\d+, .* 4 pictures", output)
    assert re.search(r"\(rgb, squash 32x32, fast, \w{12}\)", output)


def test_a_notice_stands_above_the_table_and_in_the_file(photo_folder, noticed_checkpoint, tmp_path, capsys):
    score(photo_folder, "--model", noticed_checkpoint, "--output", tmp_path / "scores.csv")
    output = capsys.readouterr().out
    assert output.index("trained on rendered scenes") < output.index("±")
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert {row["notice"] for row in csv.DictReader(file)} == {"trained on rendered scenes"}


def test_without_stored_quantiles_there_is_no_percentile(photo_folder, tiny_checkpoint, tmp_path, capsys):
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    fields = json.loads((folder / "config.json").read_text()) | {"score_quantiles": None}
    (folder / "config.json").write_text(json.dumps(fields))
    assert score(photo_folder, "--model", folder) == 0
    assert {line["percentile"] for line in table_of(capsys.readouterr().out)} == {"-"}


def test_a_file_name_cannot_command_the_terminal(photo_folder, tiny_checkpoint, tmp_path, capsys):
    odd = tmp_path / "two\nlines and \x1b[31mred.png"
    shutil.copy(photo_folder / "grey.png", odd)
    assert score(odd, "--model", tiny_checkpoint) == 0
    output = capsys.readouterr().out
    assert [line["file"] for line in table_of(output)] == [rf"{tmp_path}/two\nlines and \x1b[31mred.png"]
    assert "\x1b" not in output


def test_a_terminal_without_blocks_still_gets_the_table(photo_folder, tiny_checkpoint, monkeypatch):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    assert score(photo_folder, "--model", tiny_checkpoint) == 0
    sys.stdout.flush()
    assert b"beach.jpg" in buffer.getvalue() and b"trip/?t? ?.jpg" in buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"--model": "{classifier}"}, "'resnet'"),
        ({"--model": "{tmp}/nowhere"}, "/nowhere'"),
        ({"--model": "{tmp}"}, "config.json"),
        ({"--output": "{tmp}/scores.xlsx"}, "scores.xlsx"),
        ({"--output": "{tmp}/nowhere/scores.csv"}, "nowhere"),
        ({"--device": "tpu9"}, "tpu9"),
        ({"--revision": "v2"}, "v2"),
        ({"": "{tmp}/nowhere.jpg"}, "nowhere.jpg"),
    ],
    ids=lambda value: "".join(map(str, value.items())) if isinstance(value, dict) else None,
)
def test_errors_are_one_line(photo_folder, tiny_checkpoint, tmp_path, capsys, changes, reason):
    config = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 8], embedding_size=8)
    ResNetForImageClassification(config).save_pretrained(tmp_path / "classifier")
    capsys.readouterr()  # progress bars of saving
    arguments = {"": str(photo_folder), "--model": str(tiny_checkpoint), "--device": "cpu"}
    for name, value in changes.items():
        arguments[name] = value.format(tmp=tmp_path, classifier=tmp_path / "classifier")
    code = main(["score", *(part for item in arguments.items() for part in item if part)])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert re.fullmatch(r"error: .+\n", captured.err), captured.err
    assert reason in captured.err


@pytest.mark.parametrize("arguments", [["--top", "0"], ["--batch_size", "many"], ["--top", "-1"]], ids=" ".join)
def test_numbers_below_one_are_refused(tiny_checkpoint, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        score("photos", "--model", tiny_checkpoint, *arguments)
    assert f"at least 1, got {arguments[1]!r}" in capsys.readouterr().err


@pytest.mark.parametrize("methods", [[], ["occlusion"], ["cam", "grad_cam_plus_plus"]], ids="-".join)
def test_explain_draws_over_the_picture(photo_folder, noticed_checkpoint, tmp_path, capsys, methods):
    photo, drawn = photo_folder / "beach.jpg", tmp_path / "drawn.png"
    arguments = ["explain", photo, "--model", noticed_checkpoint, "--output", drawn, "--device", "cpu"]
    assert main([*map(str, arguments), *(["--method", *methods] if methods else [])]) == 0
    captured = capsys.readouterr()
    scorer = AestheticScorer.from_pretrained(noticed_checkpoint, device="cpu")
    [record] = scorer.score([photo])
    assert f"{record['score']:.1f} of 10 by {scorer.id}" in captured.out and str(drawn) in captured.out
    assert captured.out.startswith("Note: trained on rendered scenes") and captured.err == ""
    with Image.open(photo) as picture, Image.open(drawn) as image:
        assert image.size == picture.size if len(methods) < 2 else image.width > 3 * picture.width
        assert np.ptp(np.asarray(image).astype(int), axis=2).max() > 30, "nothing is coloured"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"--method": "gradcam"}, "'gradcam'"),
        ({"--output": "{tmp}/drawn.xyz"}, ".xyz"),
        ({"--output": "{tmp}/nowhere/drawn.png"}, "nowhere"),
        ({"": "{tmp}/nowhere.jpg"}, "nowhere.jpg"),
    ],
    ids=lambda value: "".join(map(str, value.items())) if isinstance(value, dict) else None,
)
def test_errors_of_explain_are_one_line(photo_folder, tiny_checkpoint, tmp_path, capsys, changes, reason):
    defaults = {"": "{photo}", "--model": "{model}", "--output": "{tmp}/drawn.png", "--device": "cpu"}
    places = {"photo": photo_folder / "beach.jpg", "model": tiny_checkpoint, "tmp": tmp_path}
    arguments = {name: value.format(**places) for name, value in {**defaults, **changes}.items()}
    assert main(["explain", *(part for item in arguments.items() for part in item if part)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and re.fullmatch(r"error: .+\n", captured.err), captured.err
    assert reason in captured.err


def test_export_writes_a_folder_that_answers_as_the_checkpoint_does(
    photo_folder, noticed_checkpoint, tmp_path, capsys
):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    command = ["export", "--model", str(noticed_checkpoint), "--output", str(tmp_path / "onnx")]
    assert main(command) == 0
    assert "README.md says how to run it" in capsys.readouterr().out
    assert "trained on rendered scenes" in (tmp_path / "onnx" / "README.md").read_text()
    scorer = AestheticScorer.from_pretrained(noticed_checkpoint, device="cpu")
    photos = list(find_images(photo_folder))
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    [scores] = session.run(["score"], {"pixel_values": scorer.preprocess(photos)["pixel_values"].numpy()})
    np.testing.assert_allclose(scores, [record["score"] for record in scorer.score(photos)], atol=1e-5)
    assert main(command) == 2 and "new or empty folder" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"hf-aesthetics {hf_aesthetics.__version__}\n"


def test_the_real_program_scores_a_local_folder_without_the_network(
    photo_folder, bad_files, tiny_checkpoint, tmp_path
):
    with LocalHub() as hub:
        result = subprocess.run(
            [sys.executable, "-m", "hf_aesthetics.cli", "score", photo_folder, "--model", tiny_checkpoint],
            env={**os.environ, **hub.env(None, home=tmp_path / "home"), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
        )
    assert (result.returncode, result.stderr) == (0, "")
    assert len(table_of(result.stdout)) == 4
    assert "Not scored:" in result.stdout
    assert hub.log == [], "a local folder was looked up on the Hub"


def test_a_repository_is_cited_with_its_commit(photo_folder, tiny_checkpoint, tmp_path):
    with LocalHub() as hub:
        repo = hub.repos["model", "alice/nima-tiny"] = Repo("alice/nima-tiny", is_private=False, sdk=None)
        contents = {path.name: path.read_bytes() for path in tiny_checkpoint.iterdir()}
        files = {name: HubFile.of(hub.blobs.add(content), len(content), content) for name, content in contents.items()}
        first, second = repo.commit(files, "weights").oid, repo.commit(files, "again").oid
        calls = [
            ["alice/nima-tiny"],
            ["alice/nima-tiny", "--revision", first],
            ["alice/nima-tiny", "--revision", "v9"],
            ["alice/nothing"],
        ]
        program = """
import json, sys
from hf_aesthetics.cli import main
for call in json.loads(sys.argv[2]):
    code = main(["score", sys.argv[1], "--model", *call])
    for stream in (sys.stdout, sys.stderr):
        print("code", code, file=stream)
"""
        result = subprocess.run(
            [sys.executable, "-c", program, photo_folder / "beach.jpg", json.dumps(calls)],
            env={**os.environ, **hub.env(None, home=tmp_path / "home"), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
        )
    newest, pinned, _, _, _ = re.split(r"code \d\n", result.stdout)
    assert f"scored by alice/nima-tiny@{second} " in newest
    assert f"scored by alice/nima-tiny@{first} " in pinned
    assert re.fullmatch(
        r"code 0\ncode 0\n"
        r"error: `revision` must be a commit, branch or tag of 'alice/nima-tiny', got 'v9'\. .+\ncode 2\n"
        r"error: `checkpoint` must be a folder or a repository on the Hub, got 'alice/nothing'\. .+\ncode 2\n",
        result.stderr,
    ), result.stderr
