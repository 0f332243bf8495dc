"""Seconds of the page on this machine, beside Gradio alone and beside the bare scorer.

    python scripts/benchmark.py space --model outputs/demo/nima               # the page, which it starts itself

Gradio alone is a page that gets the same files and computes nothing. From the upload of a picture to its answer it may
take twice `score` and 0.1 s; from the upload of several to their order, 1.3 times `score_pictures`; everything under
"Why?", 3 times its parts, which are the score, Grad-CAM, and the map and score of each companion. Pictures are sent as
a browser sends them, all in one request, and as `gradio_client` does, one after the other. At the end as many people
as `--num_users` ask at once, and each has to get the answer to their own picture.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from hf_aesthetics.explain import explain
from hf_aesthetics.images import read_image
from hf_aesthetics.scoring import score_pictures

from .pictures import read_contents
from .rounds import clock


ROOT = Path(__file__).parents[2]
SPACE = ROOT / "spaces" / "image_aesthetics"
Part = Callable[[], Any]


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default=str(ROOT / "outputs" / "demo" / "nima"), help="a folder")
    command.add_argument("--num_users", type=int, default=10)
    command.set_defaults(num_pictures=50)


def run(args: argparse.Namespace) -> None:
    contents = read_contents(args.data_dir, args.num_pictures)
    with tempfile.TemporaryDirectory() as folder:
        benchmark_space(args.model, contents, Path(folder), args.repeats, args.threads, args.num_users)


def benchmark_space(
    model: str, contents: list[bytes], folder: Path, repeats: int, threads: int, num_users: int
) -> None:
    """Prints the table, and how many people got their answer."""
    from gradio_client import Client, handle_file

    sys.path.insert(0, str(SPACE))
    answers = import_module("answers").Answers.load(model)
    scorer, paths = answers.scorer, [folder / f"{number}.jpg" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    first, several = str(paths[0]), [str(path) for path in paths]

    def client_of(url: str) -> Any:
        return Client(url, verbose=False)

    def send(client: Any) -> Any:
        """All in one request, as a browser does."""
        with ExitStack() as stack:
            files = [("files", stack.enter_context(path.open("rb"))) for path in paths]
            sent = httpx2.post(f"{client.src}gradio_api/upload", files=files, timeout=60).json()
        return client.predict([{"path": path, "orig_name": Path(path).name} for path in sent], api_name="/rank")

    def send_each(client: Any) -> Any:
        return client.predict([handle_file(path) for path in several], api_name="/rank")

    def ask(client: Any, path: str) -> Any:
        return client.predict(handle_file(path), api_name="/score")

    def score_one() -> Any:
        return scorer.score([first])

    def score_all() -> Any:
        return list(score_pictures(scorer, several))

    def compare() -> Any:
        return answers.compare([(path, path) for path in several])

    def why() -> Any:
        return answers.layer(first, answers.layers[0]), answers.why(first)

    def parts_of_why() -> Any:
        scorer.score([first])
        explain(scorer.model, scorer.processor, read_image(first), "grad_cam")
        return [companion.score([first]) for companion, _ in answers.companions.values()]

    environment = {"MODEL_ID": model, "OMP_NUM_THREADS": str(threads)}
    with (
        serve(str(SPACE / "app.py"), folder=folder / "page", **environment) as url,
        serve("-c", IDLE_PAGE, folder=folder / "idle", **environment) as idle_url,
    ):
        page, idle = client_of(url), client_of(idle_url)
        # whole, the same without a model, the bare scorer, how often its seconds, and how many more
        rows: dict[str, tuple[Part, Part | None, Part, float, float]] = {
            "upload to answer": (lambda: ask(page, first), lambda: ask(idle, first), score_one, 2, 0.1),
            f"{len(paths)} sent at once, ranked": (lambda: send(page), lambda: send(idle), score_all, 1.3, 0),
            f"{len(paths)} sent one by one": (lambda: send_each(page), lambda: send_each(idle), score_all, 1.3, 0),
            f"{len(paths)} compared, without Gradio": (compare, None, score_all, 1.3, 0),
            "why, without Gradio": (why, None, parts_of_why, 3, 0),
        }
        print("| what | seconds | Gradio alone | bare scorer | at most | ratio |\n|---|---:|---:|---:|---:|---:|")
        for name, (whole, gradio, bare, factor, more) in rows.items():
            timed = [whole, bare] if gradio is None else [whole, bare, gradio]
            for part in timed:
                part()
            seconds = [[clock(lambda _, part=part: part(), repeat) for part in timed] for repeat in range(repeats)]
            took, alone, *idled = (median(of_part) for of_part in zip(*seconds, strict=True))
            bar, without = factor * alone + more, f"{idled[0]:.3f}" if idled else ""
            print(f"| {name} | {took:.3f} | {without} | {alone:.3f} | {bar:.3f} | {took / bar:.2f} |", flush=True)
        asked = list(islice(cycle(several), num_users))
        with ThreadPoolExecutor(num_users) as users:
            start = time.perf_counter()
            answered = list(users.map(lambda path: ask(client_of(url), path), asked))
            took = time.perf_counter() - start
    right = sum(
        abs(answer["score"] - scorer.score([path])[0]["score"]) < 1e-5
        for answer, path in zip(answered, asked, strict=True)
    )
    print(f"\n{num_users} people at once: {right} got the answer to their own picture, all within {took:.1f} s")


IDLE_PAGE = """
import gradio as gr

def score(image: gr.FileData) -> dict:
    return {}

def rank(images: list[gr.FileData]) -> list[dict]:
    return []

with gr.Blocks(analytics_enabled=False) as page:
    gr.api(score, api_name="score")
    gr.api(rank, api_name="rank")
page.queue(max_size=64, default_concurrency_limit=2).launch(ssr_mode=False, run_history=False)
"""


@contextmanager
def serve(*arguments: str, folder: Path, **environment: str) -> Generator[str]:
    """A page on a free port, as long as it is needed."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"GRADIO_SERVER_PORT": port, "GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=os.environ | own | environment, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        while process.poll() is None:
            try:
                httpx2.get(url).raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.2)
        else:
            sys.exit(f"error: the page has ended, and said {(folder / 'log').read_text()[-2000:]}")
        yield url
    finally:
        process.terminate()
        process.wait()
