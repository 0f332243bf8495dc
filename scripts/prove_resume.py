"""Is every picture scored exactly once, however often a job is killed?

    python scripts/prove_resume.py --model outputs/demo/nima

Renders pictures, of which one in a hundred is damaged, in folders and shards; scores them with two ranks of the real
command, which are killed with SIGKILL at random moments, and at last with three ranks; then compares with a run that
nobody disturbed. Exit code 1 if a picture is missing, there twice, or has another score.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from hf_aesthetics.data.rendering.stream import render_rows
from hf_aesthetics.scoring import read_scores


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="outputs/demo/nima", help="a checkpoint")
    parser.add_argument("--num_pictures", type=int, default=2000)
    parser.add_argument("--num_kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        pictures, scores, calm = Path(folder, "pictures"), Path(folder, "scores"), Path(folder, "calm.parquet")
        num_damaged = render(pictures, args.num_pictures)
        command = [sys.executable, "-m", "hf_aesthetics.cli", "score", str(pictures), "--model", args.model]
        subprocess.run([*command, "--output", str(calm)], check=True, stdout=subprocess.DEVNULL)
        for kill in range(args.num_kills):
            ranks = [start([*command, "--output", str(scores)], rank, 2) for rank in range(2)]
            begin, num_before = time.monotonic(), count_done(scores)
            if kill % 5:  # while they score; else while they load the model
                while count_done(scores) == num_before and any(rank.poll() is None for rank in ranks):
                    time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.3))
            for rank in ranks:
                with suppress(ProcessLookupError):  # it may have had nothing left to do
                    os.killpg(rank.pid, signal.SIGKILL)
                rank.wait()
            seconds = time.monotonic() - begin
            print(f"kill {kill + 1} after {seconds:4.1f} s: {count_done(scores)} units done", flush=True)
        if any(start([*command, "--output", str(scores)], rank, 3).wait() for rank in range(3)):
            return 1
        expected = {row.path: row for row in read_scores(calm)}
        rows = [row for part in sorted(scores.glob("part-*.parquet")) for row in read_scores(part)]
        times = Counter(row.path for row in rows)
        gaps = [abs(row.score - (expected[row.path].score or 0)) for row in rows if row.score is not None]
        num_failed = sum(row.score is None for row in rows)
        leftovers = [path.name for path in scores.iterdir() if path.name.endswith(".partial")]
    print(
        f"{len(expected)} pictures, {num_damaged} damaged: {len(times.keys() & expected.keys())} scored, "
        f"{sum(count > 1 for count in times.values())} twice, {num_failed} with a reason instead, largest difference "
        f"{max(gaps):.1e}, {len(leftovers)} files left behind"
    )
    is_right = times == Counter(list(expected)) and max(gaps) <= 1e-5 and num_failed == num_damaged and not leftovers
    return 0 if is_right else 1


def count_done(scores: Path) -> int:
    return len(list(scores.glob("part-*.parquet")))


def render(folder: Path, num_pictures: int) -> int:
    """Half as files in many folders, half in tar shards; returns how many are damaged."""
    folder.mkdir()
    drawn = [row["image"] for row in render_rows(range(50), with_maps=False)]
    num_damaged = 0
    for number in range(num_pictures):
        place = folder / ("albums" if number % 2 else "shards") / f"{number // 40:03}"
        place.mkdir(parents=True, exist_ok=True)
        is_damaged = number % 100 == 37
        num_damaged += is_damaged
        content = drawn[number % len(drawn)]
        (place / f"{number:06}.jpg").write_bytes(content[: len(content) // 2] if is_damaged else content)
    for shard in sorted((folder / "shards").iterdir()):
        with tarfile.open(shard.with_suffix(".tar"), "w") as archive:
            for picture in sorted(shard.iterdir()):
                archive.add(picture, picture.name)
        shutil.rmtree(shard)
    return num_damaged


def start(command: list[str], rank: int, count: int) -> subprocess.Popen:
    """A rank of the real command, in a group of processes of its own."""
    environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main())
