"""How fast the package works, against a ceiling that is measured in the same run.

    python scripts/benchmark.py columns                                       # on rendered scenes
    python scripts/benchmark.py columns --data_dir PATH --modality blur depth # on pictures of a folder
    python scripts/benchmark.py space --model outputs/demo/nima               # the page, which it starts itself

`columns`: pictures a second of the writer of map columns, beside what decoding, the function or network alone, and
encoding would allow, 1 / (decode + map + encode) or 1 / (decode + forward + encode), with the same number of threads.
Networks have the shapes of FastDepth and U²-Net-P with random weights, which take the same time. The parts take turns,
each for about `--seconds`, and the medians of the repeats count. The ratio is to be at least 0.8 for closed-form maps
and 0.9 for networks. `constant`, of which there is nothing to compute, is measured where it is asked for.

`space`: seconds of the page on this machine, beside what a page of Gradio takes that gets the same files and computes
nothing, and beside the bare scorer: from the upload of a picture to its answer, at most twice `score` and 0.1 s; from
the upload of several to their order, at most 1.3 times `score_pictures`; everything under "Why?", at most 3 times its
parts, which are the score, Grad-CAM, and the map and score of each companion. Pictures are sent as a browser sends
them, all in one request, and as `gradio_client` does, one after the other. At the end as many people as `--num_users`
ask at once, and each has to get the answer to their own picture.
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
import torch
from datasets import Dataset

from hf_aesthetics import (
    FastDepthConfig,
    FastDepthForDepthEstimation,
    ModalityImageProcessor,
    U2NetConfig,
    U2NetForImageSegmentation,
    U2NetImageProcessor,
)
from hf_aesthetics.data.modality_columns import ModalityColumn, cache_modality_column, encode_map
from hf_aesthetics.data.rendering.stream import render_rows
from hf_aesthetics.explain import explain
from hf_aesthetics.extraction import ModalityExtractor
from hf_aesthetics.images import find_images, read_image
from hf_aesthetics.models.modality_maps import MODALITIES, make_modality_maps
from hf_aesthetics.scoring import score_pictures


ROOT = Path(__file__).parents[1]
SPACE = ROOT / "spaces" / "image_aesthetics"
U2NET_P = {"encoder_hidden_sizes": [64] * 6, "encoder_inner_sizes": [16] * 6}
U2NET_P |= {"decoder_hidden_sizes": [64] * 5, "decoder_inner_sizes": [16] * 5}
BARS = {True: 0.8, False: 0.9}  # closed form, network
Part = Callable[[], Any]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    columns, space = what.add_parser("columns"), what.add_parser("space")
    maps = [name for name in MODALITIES if name != "rgb"]
    columns.add_argument("--modality", nargs="+", choices=maps, default=[name for name in maps if name != "constant"])
    columns.add_argument("--seconds", type=float, default=2.0, help="about how long each part of a repeat takes")
    space.add_argument("--model", default=str(ROOT / "outputs" / "demo" / "nima"), help="a folder")
    space.add_argument("--num_users", type=int, default=10)
    for command, num_pictures in ((columns, 32), (space, 50)):
        command.add_argument("--data_dir", help="folder of pictures; rendered scenes by default")
        command.add_argument("--num_pictures", type=int, default=num_pictures, help="how many different ones")
        command.add_argument("--repeats", type=int, default=5)
        command.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    contents = read_contents(args.data_dir, args.num_pictures)
    with tempfile.TemporaryDirectory() as folder:
        if args.what == "columns":
            print("| modality | pictures/s | ceiling | ratio | at least |\n|---|---:|---:|---:|---:|")
            for name in args.modality:
                print(benchmark_column(name, contents, Path(folder), args.seconds, args.repeats), flush=True)
        else:
            benchmark_space(args.model, contents, Path(folder), args.repeats, args.threads, args.num_users)


def read_contents(data_dir: str | None, num_pictures: int) -> list[bytes]:
    """Files as they lie on disk."""
    if data_dir is None:
        return [row["image"] for row in render_rows(range(num_pictures), with_maps=False)]
    contents = [path.read_bytes() for _, path in zip(range(num_pictures), find_images(data_dir), strict=False)]
    if not contents:
        sys.exit(f"error: Expected pictures in {data_dir!r}, found none.")
    return contents


def benchmark_column(name: str, contents: list[bytes], folder: Path, seconds_a_part: float, repeats: int) -> str:
    """A row of the table."""
    column = ModalityColumn(name, save_network(name, folder))
    extractor = ModalityExtractor(name, column.checkpoint, column.revision, device="cpu")
    few = [read_image(content) for content in contents[:4]]
    extractor.make_maps(few)
    count = round(seconds_a_part * len(few) / clock(lambda _: extractor.make_maps(few), 0))
    contents = list(islice(cycle(contents), min(max(count, 4), 500)))
    rows = {"image_id": [str(number) for number in range(len(contents))]}
    dataset = Dataset.from_dict({**rows, "image": [{"bytes": content, "path": None} for content in contents]})
    pictures = [read_image(content) for content in contents]
    maps = extractor.make_maps(pictures)
    batches = [batch for _, batch in extractor.batches(extractor.prepare(pictures)[0])]

    def write(repeat: int) -> None:
        cache_modality_column(dataset, column, folder / f"{name}-{repeat}")

    def make(_: int) -> None:
        with torch.inference_mode():
            for batch in batches:
                extractor.model(batch) if column.checkpoint else make_modality_maps(batch, name)

    parts: list[Callable[[int], Any]] = [
        lambda _: [read_image(content) for content in contents],
        make,
        lambda _: [encode_map(map_) for map_ in maps],
        write,
    ]
    write(-1)  # loads the network
    seconds = [[clock(part, repeat) for part in parts] for repeat in range(repeats)]
    speed = len(contents) / median(write_time for *_, write_time in seconds)
    ratio = median(sum(others) / write_time for *others, write_time in seconds)
    ceiling = len(contents) / median(sum(others) for *others, _ in seconds)
    return f"| {name} | {speed:.1f} | {ceiling:.1f} | {ratio:.2f} | {BARS[column.checkpoint is None]} |"


def clock(part: Callable[[int], Any], repeat: int) -> float:
    start = time.perf_counter()
    part(repeat)
    return time.perf_counter() - start


def save_network(name: str, folder: Path) -> str | None:
    """A network of the usual shape with random weights, for a map that needs one."""
    task = MODALITIES[name].task
    if task is None:
        return None
    torch.manual_seed(0)
    if task == "depth-estimation":
        model: Any = FastDepthForDepthEstimation(FastDepthConfig())
        processor: Any = ModalityImageProcessor(image_mean=[0.0] * 3, image_std=[1.0] * 3)
    else:
        model, processor = U2NetForImageSegmentation(U2NetConfig(**U2NET_P)), U2NetImageProcessor()
    model.save_pretrained(folder / name)
    processor.save_pretrained(folder / name)
    return str(folder / name)


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


if __name__ == "__main__":
    main()
