"""Shows that AVA's size is no trouble: it is built, killed, resumed, given a column of maps, and trained on.

    python scripts/prove_scale.py --work_dir /tmp/scale

Writes a synthetic AVA with a tenth of the rows of the real one and one with all of them (see synthetic_ava.py), and
runs the real programs on both, as processes of their own. The checking of the pictures and the making of the maps are
killed halfway by SIGKILL and run again. What comes out is a table of the time, peak memory and disk of every step:
memory that does not grow with the rows is the same in both sizes.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
from synthetic_ava import write_synthetic_ava


BUILD = """
import sys
from hf_aesthetics.data.loading import load_collection
from hf_aesthetics.data.splits import split_fingerprint

collection = load_collection("ava", sys.argv[1], num_proc=int(sys.argv[2]))
for name, split in collection.splits.items():
    print(f"{name}: {len(split):,} pictures, fingerprint {split_fingerprint(split['image_id'])}")
print(f"left out: {collection.left_out}")
"""
CHECKS, MAPS = "picture_checks/*/*.json", "modality_columns/*/*.arrow"
SECONDS_TO_END = 30  # for the workers of a killed program


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="folder to make; must not exist")
    parser.add_argument("--num_rows", type=int, nargs="+", default=[25_500, 255_000], help="rows of each AVA")
    parser.add_argument("--num_proc", type=int, default=2, help="processes that check pictures and make maps")
    parser.add_argument("--max_steps", type=int, default=20, help="steps of training")
    args = parser.parse_args(argv)
    args.work_dir.mkdir(parents=True)
    save_tiny_backbone(args.work_dir / "backbone")
    print("| rows | step | seconds | MB of memory | of it private | MB on disk |\n|---:|---|---:|---:|---:|---:|")
    for num_rows in args.num_rows:
        prove(args.work_dir / str(num_rows), num_rows, args.num_proc, args.max_steps)


def save_tiny_backbone(folder: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    from hf_aesthetics import ModalityImageProcessor

    config = ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    ModalityImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def prove(folder: Path, num_rows: int, num_proc: int, max_steps: int) -> None:
    """All steps at one size, each a line of the table."""
    start = time.perf_counter()
    ava, hf_home = folder / "ava", folder / "hf_home"
    write_synthetic_ava(ava, num_rows)
    print_line(num_rows, "write pictures and tables", time.perf_counter() - start, "", "", ava)

    build = [sys.executable, "-c", BUILD, str(ava), str(num_proc)]
    flags = ["--dataset", "ava", "--data_dir", str(ava), "--modality", "gray"]
    script = str(Path(__file__).with_name("cache_modalities.py"))
    make_maps = [sys.executable, script, *flags, "--num_proc", str(num_proc)]
    train = [sys.executable, "-m", "hf_aesthetics.training", *flags, "--backbone", str(folder.parent / "backbone")]
    train += ["--output_dir", str(folder / "nima"), "--max_steps", str(max_steps), "--disable_tqdm", "1"]
    # 256 verdicts lie in a file; the maps of a split lie in up to 128
    for step, command, files, kill_at in (
        ("check pictures", build, CHECKS, num_rows // 512),
        ("check the others, build", build, CHECKS, None),
        ("load", build, CHECKS, None),
        ("make gray maps", make_maps, MAPS, 64),
        ("make the others", make_maps, MAPS, None),
        (f"train {max_steps} steps on the maps, evaluate", train, MAPS, None),
    ):
        made = hf_home / "datasets" / "hf_aesthetics"
        before = {path: path.stat().st_mtime_ns for path in made.glob(files)}
        kill_when = None if kill_at is None else partial(has_files, made, files, kill_at)
        seconds, memory, private = run(command, hf_home, folder / "log.txt", kill_when)
        if any(path.stat().st_mtime_ns != stamp for path, stamp in before.items()):
            raise SystemExit(f"{step}: expected {len(before)} files to stay as they are, but some were made again.")
        killed = "" if kill_at is None else f", killed with {len(list(made.glob(files)))} files made"
        print_line(num_rows, f"{step}{killed}", seconds, f"{memory:,.0f}", f"{private:,.0f}", hf_home)


def has_files(folder: Path, pattern: str, number: int) -> bool:
    return sum(1 for _ in folder.glob(pattern)) >= number


def run(
    command: list[str], hf_home: Path, log: Path, kill_when: Callable[[], bool] | None = None
) -> tuple[float, float, float]:
    """Seconds that a program ran, and the peak MB of its processes together: resident, and not shared with others."""
    environment = {**os.environ, "HF_HOME": str(hf_home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    start, peaks, polls = time.perf_counter(), (0.0, 0.0), 0
    with log.open("a") as output:
        program = psutil.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        while program.poll() is None:
            if polls % 5 == 0:  # it costs more than looking for files
                peaks = tuple(map(max, peaks, measure_memory(program)))
            polls += 1
            if kill_when is not None and kill_when():
                workers = program.children(recursive=True)
                program.kill()
                if psutil.wait_procs(workers, timeout=SECONDS_TO_END)[1]:
                    raise SystemExit(f"Expected the workers of {command} to end with it, but some live on.")
            time.sleep(0.2)
    if program.returncode != 0 and kill_when is None:
        raise SystemExit(f"{command} failed:\n{log.read_text()[-3000:]}")
    if program.returncode == 0 and kill_when is not None:
        raise SystemExit(f"{command} ended before it could be killed. Give more rows.")
    return time.perf_counter() - start, *peaks


def measure_memory(program: psutil.Process) -> tuple[float, float]:
    resident = private = 0
    for process in [program, *program.children(recursive=True)]:
        try:
            memory = process.memory_full_info()
        except psutil.Error:  # it has just ended
            continue
        resident, private = resident + memory.rss, private + memory.uss
    return resident / 1e6, private / 1e6


def print_line(num_rows: int, step: str, seconds: float, memory: str, private: str, folder: Path) -> None:
    size = sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 1e6
    print(f"| {num_rows:,} | {step} | {seconds:.0f} | {memory} | {private} | {size:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
