"""Collections: every picture once and with the same score, whoever scores them and however often they are killed."""

import csv
import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from forks import Forks
from pyarrow import parquet

from hf_aesthetics.data.rendering.stream import render_rows
from hf_aesthetics.scoring import (
    Rank,
    RayEngine,
    ScorerSpec,
    ScoringJob,
    load_scorer,
    read_scores,
    run_unit,
    score_collection,
    score_pictures,
)
from hf_aesthetics.scoring.worker_engine import WorkerEngine
from hf_aesthetics.sources import units


NUM_PICTURES, ROWS_PER_UNIT = 300, 7
NUM_UNITS = -(-NUM_PICTURES // ROWS_PER_UNIT)


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    """Pictures of which one in a hundred is none."""
    drawn = [row["image"] for row in render_rows(range(25), with_maps=False)]
    return [b"none" if place % 100 == 42 else drawn[place % 25] for place in range(NUM_PICTURES)]


@pytest.fixture(scope="module")
def table(tmp_path_factory, contents) -> Path:
    """A collection of many small units: a folder of shards."""
    folder = tmp_path_factory.mktemp("collection")
    for first in range(0, NUM_PICTURES, ROWS_PER_UNIT):
        shard = contents[first : first + ROWS_PER_UNIT]
        urls = [str(first + place) for place in range(len(shard))]
        rows = {"image": [{"bytes": content, "path": None} for content in shard], "url": urls}
        parquet.write_table(pyarrow.table(rows), folder / f"{first:03}.parquet")
    return folder


@pytest.fixture(scope="module")
def spec(tiny_checkpoint) -> ScorerSpec:
    return ScorerSpec(str(tiny_checkpoint), device="cpu")


@pytest.fixture(scope="module")
def expected(contents, spec) -> np.ndarray:
    rows = score_pictures(load_scorer(spec), contents)
    return np.array([np.nan if row.score is None else row.score for row in rows])


def scores_in(tables) -> np.ndarray:
    return np.array([np.nan if row.score is None else row.score for path in tables for row in read_scores(path)])


def assert_whole(tables, expected) -> None:
    """Every picture once, in its place, with its score; those that are none have a reason."""
    np.testing.assert_allclose(scores_in(tables), expected, atol=1e-5)
    errors = [row.error for path in tables for row in read_scores(path)]
    assert [error is not None for error in errors] == list(np.isnan(expected))


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.jsonl", "scores"])
def test_every_kind_of_output_holds_every_picture_in_its_place(table, spec, expected, tmp_path, name):
    counted = []
    report = score_collection(
        partial(units, [table], keep_columns=["url"]),
        spec,
        tmp_path / name,
        num_workers=1,
        watch=lambda total, done: counted.append((total, done)) or counted.append,
    )
    assert report.tables and (report.num_units, report.num_done_before) == (NUM_UNITS, 0)
    assert_whole(report.tables, expected)
    assert counted[0] == (NUM_PICTURES, 0) and sum(counted[1:]) == NUM_PICTURES
    assert os.listdir(tmp_path) == [name], "something was left behind"
    if name.endswith(".parquet"):
        assert parquet.read_table(tmp_path / name)["url"].to_pylist() == list(map(str, range(300)))


def test_what_is_done_is_not_done_again(table, spec, expected, tmp_path):
    list_units = partial(units, [table])
    score_collection(list_units, spec, tmp_path / "scores", num_workers=1)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()}
    lost = sorted(written)[3]
    lost.unlink()
    report = score_collection(list_units, spec, tmp_path / "scores", num_workers=1)
    assert report.num_done_before == NUM_UNITS - 1
    assert {path for path, changed in written.items() if path.stat().st_mtime_ns != changed} == {lost}
    assert_whole(report.tables, expected)


def test_a_picture_that_changes_is_scored_again_and_no_other(contents, spec, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for place in range(3):
        (folder / f"{place}.jpg").write_bytes(contents[place])
    table = {"image": [{"bytes": content, "path": None} for content in contents[:9]]}
    parquet.write_table(pyarrow.table(table), folder / "more.parquet", row_group_size=4)
    first = score_collection(partial(units, [folder]), spec, tmp_path / "scores", num_workers=1)
    (folder / "1.jpg").write_bytes(contents[7])
    second = score_collection(partial(units, [folder]), spec, tmp_path / "scores", num_workers=1)
    assert len(first.tables) == len(second.tables) == len(list((tmp_path / "scores").glob("part-*")))
    assert len(set(first.tables) & set(second.tables)) == len(first.tables) - 1
    scores = {row.path: row.score for path in second.tables for row in read_scores(path)}
    assert scores[str(folder / "1.jpg")] == pytest.approx(scores[str(folder / "more.parquet#7")], abs=1e-5)


def test_faults_that_pass_are_tried_again_where_asked(contents, spec, tmp_path):
    """A link to a disk that is not there at first."""
    table = {"image": [{"bytes": content, "path": None} for content in contents[:4]]}
    (tmp_path / "photos").mkdir()
    parquet.write_table(pyarrow.table(table), tmp_path / "photos" / "good.parquet")
    (tmp_path / "photos" / "link.jpg").symlink_to(tmp_path / "disk" / "0.jpg")
    call = partial(score_collection, partial(units, [tmp_path / "photos"]), spec, tmp_path / "scores", num_workers=1)
    errors = [row.error for path in call().tables for row in read_scores(path)]
    assert sum(error is not None for error in errors) == 1
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "0.jpg").write_bytes(contents[0])
    again = call(retry_failures=True)
    assert again.num_done_before == 1
    assert not any(row.error for path in again.tables for row in read_scores(path))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_columns_that_only_some_tables_have_are_joined(contents, spec, tmp_path, suffix):
    (tmp_path / "photos").mkdir()
    for name, more in {"a": {"title": [None, "sea, with\nsun"]}, "b": {}, "c": {"image_id": [7, 8]}}.items():
        table = {"image": [{"bytes": content, "path": None} for content in contents[:2]], **more}
        parquet.write_table(pyarrow.table(table), tmp_path / "photos" / f"{name}.parquet")
    (tmp_path / "photos" / "d.jpg").write_bytes(contents[0])
    list_units = partial(units, [tmp_path / "photos"], keep_columns=["title"])
    [table] = score_collection(list_units, spec, tmp_path / f"scores{suffix}", num_workers=1).tables
    if suffix == ".parquet":
        rows = parquet.read_table(table).to_pylist()
    elif suffix == ".csv":
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = [json.loads(line) for line in table.read_text().splitlines()]
    kept = {(str(row.get("image_id") or ""), row.get("title") or "") for row in rows}
    assert kept == {("7", ""), ("8", ""), ("", ""), ("", "sea, with\nsun")} and len(rows) == 7


def test_folders_of_other_jobs_are_refused(table, spec, tmp_path):
    list_units = partial(units, [table])
    score_collection(list_units, spec, tmp_path / "scores", num_workers=1, sources=["a"])
    with pytest.raises(ValueError, match=r"scores of another job: expected `sources` \['a'\].*got \['b'\]"):
        score_collection(list_units, spec, tmp_path / "scores", num_workers=1, sources=["b"])
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "monday.txt").touch()
    with pytest.raises(ValueError, match="'monday.txt'"):
        score_collection(list_units, spec, tmp_path / "diary", num_workers=1)
    with pytest.raises(ValueError, match="2 ranks need a folder that they share, got the file"):
        score_collection(list_units, spec, tmp_path / "scores.csv", rank=Rank(0, 2))
    assert sorted(os.listdir(tmp_path)) == ["diary", "scores"]


def test_a_checkpoint_that_changes_on_the_way_ends_the_job(table, spec, tmp_path):
    scorer = load_scorer(spec)
    job = ScoringJob(folder=tmp_path, scorer=spec, scorer_id="nima@5f2c", preprocessing=scorer.preprocessing)
    with pytest.raises(ValueError, match=f"Expected nima@5f2c .* got {scorer.id}"):
        run_unit(next(iter(units([table]))), job)
    assert os.listdir(tmp_path) == []


PROGRAM = """
import resource
from collections.abc import Iterator
from functools import partial
from hf_aesthetics.scoring import *
from hf_aesthetics.sources import units

def work(checkpoint, source, output, number, count, most_bytes=None):
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    scorer = ScorerSpec(checkpoint, device="cpu")
    score_collection(
        partial(units, [source]), scorer, output, rank=Rank(number, count), num_workers=1, batch_size=4
    )
"""


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Forks, Forks]]:
    with Forks(PROGRAM) as first, Forks(PROGRAM) as second:
        yield first, second


def test_killed_at_any_moment_on_two_ranks_and_resumed_on_three(machines, table, spec, expected, tmp_path):
    moments = random.Random(7)
    output = tmp_path / "scores"
    num_done = 0
    for _ in range(4):
        for number, machine in enumerate(machines):
            machine.start("work", spec.checkpoint, str(table), str(output), number, 2)
        wanted = num_done + moments.randint(1, 4)
        while (num_done := len(list(output.glob("part-*")))) < wanted:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.02))
        assert {machine.kill() for machine in machines} == {-signal.SIGKILL}
    assert 4 <= num_done < NUM_UNITS
    for number in range(3):
        machine = machines[number % 2]
        assert machine.run("work", spec.checkpoint, str(table), str(output), number, 3) == 0, machine.log.read_text()
    assert {path.suffix for path in output.iterdir()} == {".parquet", ".json"}, "something was left behind"
    rows = [row for path in output.glob("part-*") for row in parquet.read_table(path).to_pylist()]
    by_place = {int(Path(shard).stem) + int(row): score for shard, row, score in map(place_and_score, rows)}
    assert len(rows) == NUM_PICTURES and sorted(by_place) == list(range(NUM_PICTURES))
    scores = np.array([np.nan if by_place[place] is None else by_place[place] for place in range(NUM_PICTURES)])
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def place_and_score(row) -> tuple[str, str, float | None]:
    return *row["path"].rsplit("#", 1), row["score"]


def test_a_disk_without_room_is_told_and_loses_nothing(machines, table, spec, expected, tmp_path):
    """A file may not grow beyond a few kilobytes, as on a disk that is almost full: the last one does not fit."""
    output, machine = tmp_path / "scores.jsonl", machines[0]
    assert machine.run("work", spec.checkpoint, str(table), str(output), 0, 1, 20_000) == 1
    assert "File too large" in machine.log.read_text()
    assert len(list((tmp_path / "scores.jsonl.parts").glob("part-*"))) == NUM_UNITS and not output.exists()
    assert os.listdir(tmp_path) == ["scores.jsonl.parts"]
    assert machine.run("work", spec.checkpoint, str(table), str(output), 0, 1) == 0
    assert_whole([output], expected)
    assert os.listdir(tmp_path) == ["scores.jsonl"]


def test_worker_processes_score_alike_and_a_killed_one_is_told(table, spec, expected, tmp_path):
    def kill_one(total, done):
        def told(num_rows):
            counted.append(num_rows)
            if sum(counted) > 6 * ROWS_PER_UNIT:
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

        return told

    counted: list[int] = []

    list_units, output = partial(units, [table]), tmp_path / "scores.parquet"
    with pytest.raises(RuntimeError, match="2 worker processes to live until the end, but one was killed"):
        score_collection(list_units, spec, output, engine=WorkerEngine(2), watch=kill_one)
    report = score_collection(list_units, spec, output, num_workers=2)
    assert 0 < report.num_done_before <= NUM_UNITS
    assert_whole(report.tables, expected)
    with pytest.raises(ValueError, match="`num_workers` must be at least 1, got 0"):
        WorkerEngine(0)


@pytest.mark.skipif(find_spec("ray") is None, reason='needs the extra "ray"')
def test_ray_scores_alike_and_goes_on(table, spec, expected, tmp_path):
    import ray

    list_units = partial(units, [table], keep_columns=["url"])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        counted = []
        report = score_collection(
            list_units, spec, tmp_path / "scores", engine=RayEngine(1), watch=lambda total, done: counted.append
        )
        assert_whole(report.tables, expected)
        assert sum(counted) == NUM_PICTURES
        urls = [url for path in report.tables for url in parquet.read_table(path)["url"].to_pylist()]
        assert urls == list(map(str, range(300)))
        report.tables[5].unlink()
        again = score_collection(list_units, spec, tmp_path / "scores", num_workers=1)
        assert again.num_done_before == NUM_UNITS - 1
        assert_whole(again.tables, expected)
    finally:
        ray.shutdown()


def test_workers_end_with_a_killed_command_and_the_same_command_goes_on(table, spec, expected, tmp_path):
    output = tmp_path / "scores.csv"
    command = [sys.executable, "-m", "hf_aesthetics.cli", "score", str(table), "--model", spec.checkpoint]
    command += ["--device", "cpu", "--output", str(output), "--num_workers", "2", "--batch_size", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    parts = tmp_path / "scores.csv.parts"
    deadline = time.monotonic() + 120
    while not list(parts.glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.wait()
    while any(Path(f"/proc/{worker}").exists() and is_running(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    assert json.loads((parts / "job.json").read_text())["scorer"] == load_scorer(spec).id
    done = subprocess.run([*command[:-4], "--num_workers", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    num_scored = int((~np.isnan(expected)).sum())
    assert f"{num_scored} of {NUM_PICTURES} pictures scored" in done.stdout and "the best 20 above" in done.stdout
    assert_whole([output], expected)
    assert os.listdir(tmp_path) == ["scores.csv"]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_is_in_a_table_comes_back_from_it(table, spec, tmp_path):
    rows = list(score_pictures(load_scorer(spec), [b"none", io.BytesIO().getvalue()]))
    for suffix in (".csv", ".jsonl", ".parquet"):
        report = score_collection(partial(units, [table]), spec, tmp_path / f"scores{suffix}", num_workers=1)
        assert {row.scorer for row in read_scores(report.tables[0])} == {rows[0].scorer}
