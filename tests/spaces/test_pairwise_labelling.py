"""The page on which people compare: what a browser shows, what a killed server keeps, what the answers tell."""

import importlib
import io
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import httpx2
import numpy as np
import pyarrow
import pytest
import yaml
from bare_package import bare
from forks import Forks
from local_hub import LocalHub
from PIL import Image
from pyarrow import parquet

from hf_aesthetics.labelling import read_answers


pytest.importorskip(
    "fastapi", reason="the page needs fastapi, which gradio brings: pip install 'hf_aesthetics[space]'"
)
ROOT = Path(__file__).parents[2]
SPACE = ROOT / "spaces" / "pairwise_labelling"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
REST = 350  # milliseconds in which the page takes a second press for a part of the first
PROGRAM = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(SPACE)!r})
import app
from backup import fetch_answers

def serve(folder, settings):
    os.chdir(folder)
    app.main(settings)

def fetch(folder):
    fetch_answers("alice/answers", Path(folder))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as hub:
        yield hub


@pytest.fixture(scope="module")
def forks(hub, tmp_path_factory) -> Iterator[Forks]:
    program = bare("hf_aesthetics", "hf_aesthetics.hub") + PROGRAM
    with Forks(program, hub.env("hf_write", tmp_path_factory.mktemp("home")), needs_torch=False) as forks:
        yield forks


class Server:
    """The page over a task, which can be killed and begun again at the same address."""

    def __init__(self, forks: Forks, folder: Path, **settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.forks, self.folder, self.url = forks, folder, f"http://127.0.0.1:{port}/"
        self.settings = {"TASK": "."} | settings | {"GRADIO_SERVER_PORT": str(port)}

    def start(self) -> None:
        self.forks.start("serve", str(self.folder), self.settings)
        for _ in range(200):
            try:
                httpx2.get(self.url).raise_for_status()
                return
            except httpx2.ConnectError:
                time.sleep(0.05)
        raise RuntimeError(self.forks.log.read_text())

    def ask(self, what: str, **content) -> dict:
        return httpx2.post(self.url + what, json=content).raise_for_status().json()


@contextmanager
def serve(forks: Forks, folder: Path, **settings: str) -> Iterator[Server]:
    server = Server(forks, folder, **settings)
    try:
        server.start()
        yield server
    finally:
        forks.kill()


def make_task(folder: Path, num_pictures: int = 4) -> Path:
    lines = ["image_a,image_b"]
    lines += [f"{a}.png,{b}.png" for a, b in combinations(range(num_pictures), 2)]
    (folder / "comparisons.csv").write_text("\n".join(lines) + "\n")
    for number in range(num_pictures):
        Image.new("RGB", (2400 if number == 3 else 60 + 10 * number, 80), (50 * number, 90, 120)).save(
            folder / f"{number}.png"
        )
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def open_page(browser, server: Server, **options) -> Iterator:
    """A browser of its own, on which nothing may go wrong but the connection, and that asks no other machine."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(server.url) else None)
    page.set_default_timeout(20_000)
    page.goto(server.url)
    yield page
    context.close()
    assert [said for said in complaints if "ERR_CONNECTION" not in said and not said.startswith("data:")] == []


def begin(page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Begin").click()


def expect_count(page, text: str) -> None:
    page.locator(f"body:not([data-chosen]) #count:text-is({text!r})").wait_for()
    page.wait_for_timeout(REST)


def look_closely_and_back(page) -> None:
    """Both pictures are enlarged alike and show the same place, and a click that ends this is no answer."""
    before = page.locator("#left img").bounding_box()
    page.keyboard.press("z")
    page.locator("#right").hover(position={"x": 30, "y": 40})
    left, right = (page.locator(f"#{side} img").bounding_box() for side in ("left", "right"))
    assert left["width"] > 1.9 * before["width"]
    rooms = [page.locator(f"#{side}").bounding_box() for side in ("left", "right")]
    shares = [
        [(room[at] - image[at]) / (image[length] - room[length]) for at, length in (("x", "width"), ("y", "height"))]
        for room, image in zip(rooms, (left, right), strict=True)
        if image["width"] > room["width"] and image["height"] > room["height"]
    ]
    expected = [30 / rooms[1]["width"], 40 / rooms[1]["height"]]
    assert shares and all(share == pytest.approx(expected, abs=0.01) for share in shares)
    page.locator("#right").click()
    assert page.locator("#left img").bounding_box() == before


def said_by(folder: Path, name: str) -> list[float]:
    """Preferences for what was on the right, in the order of the answers."""
    answers = [answer for answer in read_answers(folder / "answers") if answer.annotator == name]
    return [-each.preference if each.left == "image_a" else each.preference for each in answers]


def test_two_people_answer_reload_and_go_on_after_the_server_was_killed(browser, forks, tmp_path):
    make_task(tmp_path)
    with serve(forks, tmp_path) as server:
        with open_page(browser, server) as ada, open_page(browser, server, color_scheme="dark") as bob:
            begin(ada, "Ada")
            expect_count(ada, "0 of 7")
            begin(bob, "Bob <b>")
            expect_count(bob, "0 of 7")
            assert bob.locator("#leave").inner_text() == "Bob <b>"
            look_closely_and_back(ada)
            ada.keyboard.press("ArrowRight")
            expect_count(ada, "1 of 7")
            bob.locator("#left").dblclick()
            expect_count(bob, "1 of 7")
            ada.keyboard.press("2")
            expect_count(ada, "2 of 7")
            ada.reload()
            expect_count(ada, "2 of 7")
            ada.keyboard.press("Backspace")
            expect_count(ada, "1 of 7")
            ada.locator("#slider").fill("37")
            ada.get_by_role("button", name="Send 37").click()
            expect_count(ada, "2 of 7")

            pair = ada.locator("#pair").get_attribute("data-question")
            forks.kill()
            ada.keyboard.press("3")
            ada.get_by_text("Not kept yet").wait_for()
            server.start()
            expect_count(ada, "3 of 7")
            assert ada.locator("#pair").get_attribute("data-question") != pair
            assert ada.locator("#told").inner_text() == ""
            bob.get_by_role("button", name="rather right").click()
            expect_count(bob, "2 of 7")
        assert said_by(tmp_path, "Ada") == [100, 37, 0] and said_by(tmp_path, "Bob <b>") == [-100, 50]

        with open_page(browser, server, viewport={"width": 390, "height": 844}) as phone:
            begin(phone, "ada ")
            expect_count(phone, "3 of 7")
            upper, lower = (phone.locator(f"#{side}").bounding_box() for side in ("left", "right"))
            assert upper["y"] + upper["height"] <= lower["y"] and upper["x"] == lower["x"]
            for number in range(4, 8):
                phone.locator("#right").click()
                if number < 7:
                    expect_count(phone, f"{number} of 7")
            phone.get_by_text("All 7 answers of Ada are kept.").wait_for()
            assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert said_by(tmp_path, "Ada") == [100, 37, 0, *[100] * 4]


def test_the_page_shows_pictures_and_nothing_else(forks, tmp_path):
    make_task(tmp_path)
    (tmp_path / "secret.png").write_bytes((tmp_path / "0.png").read_bytes())
    with serve(forks, tmp_path, QUESTION="Which is <calmer>?") as server:
        page = httpx2.get(server.url)
        assert (
            "Which is &lt;calmer&gt;?" in page.text and "default-src 'self'" in page.headers["content-security-policy"]
        )
        told = server.ask("look", annotator="Ada")
        assert not re.search("png|image|comparison|repeat", json.dumps(told))
        names, widths = {pair[side] for pair in told["pairs"] for side in ("left", "right")}, set()
        for name in names:
            shown, whole = (
                Image.open(io.BytesIO(httpx2.get(f"{server.url}pictures/{name}{which}").content))
                for which in ("", "/whole")
            )
            assert shown.format == whole.format == "JPEG" and shown.width == min(whole.width, 2048)
            widths.add(whole.width)
        assert widths == {60, 70, 80, 2400}
        for path in ("0.png", "secret.png", "..%2fcomparisons.csv", "%2e%2e/app.py", names.pop() + "/"):
            assert httpx2.get(f"{server.url}pictures/{path}").status_code in (404, 307)
        for path in ("app.py", "comparisons.csv", "answers", "gradio_api/upload", "docs", "openapi.json", "config"):
            assert httpx2.get(server.url + path).status_code == 404
        refused = httpx2.post(f"{server.url}look", json={"annotator": " "})
        assert refused.status_code == 400 and "A name must have 1 to 60 characters" in refused.json()["error"]
        good = {"annotator": "Ada", "question": told["pairs"][0]["question"], "attempt": 0, "lean": 1, "seconds": 1}
        for bad in ({"lean": 101}, {"question": "none"}, {"lean": "left"}, {"attempt": None}):
            assert httpx2.post(f"{server.url}answer", json=good | bad).status_code in (400, 422)
        assert server.ask("look", annotator="Ada") == told


def test_an_oracle_before_the_page_recovers_the_order_of_models(forks, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    compete = importlib.import_module("compete")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 255, 1500)
    paths = [f"photos/{number}.png" for number in range(len(truth))]
    for name, sigma in {"dull": 190, "sharp": 25, "middling": 80}.items():
        scores = truth + rng.normal(0, sigma, len(truth))
        parquet.write_table(pyarrow.table({"path": paths, "score": scores}), f"{name}.parquet")
    scorers = [f"{name}={name}.parquet" for name in ("dull", "sharp", "middling")]
    compete.main(["select", "--scorers", *scorers, "--output_dir", "round", "--num_pairs", "1"])
    Path("photos").mkdir()
    for path, level in zip(paths, truth, strict=True):
        if path in Path("round/comparisons.csv").read_text():
            Image.new("L", (8, 8), round(level)).save(path)

    def light(server: Server, name: str) -> float:
        return np.asarray(Image.open(io.BytesIO(httpx2.get(f"{server.url}pictures/{name}").content))).mean()

    with serve(forks, tmp_path, TASK="round", PICTURES="photos") as server:
        told = server.ask("look", annotator="Oracle")
        while told["pairs"]:
            pair = told["pairs"][0]
            lean = 100 * np.tanh((light(server, pair["right"]) - light(server, pair["left"])) / 64)
            answer = {"question": pair["question"], "attempt": told["attempt"], "lean": lean, "seconds": 1.5}
            told = server.ask("answer", annotator="Oracle", **answer)
    capsys.readouterr()
    compete.main(["rank", "--output_dir", "round"])
    said = capsys.readouterr().out
    assert re.findall(r"^\| (\w+) \| -?\d+\.\d+ \| -?\d+\.\d+ \|$", said, re.M) == ["sharp", "middling", "dull"]
    assert re.search(
        r"^\| Oracle \| (\d+) \| 1.00 of [1-9]\d* \| 0.\d\d \| 1.5 \|\n\1 of \1 comparisons, 1 ann", said, re.M
    )
    with pytest.raises(SystemExit):
        compete.main(["select", "--scorers", *scorers, "--output_dir", "round"])
    assert "has answers to the comparisons that would be replaced" in capsys.readouterr().err


def test_answers_go_to_the_hub_and_come_back_to_an_empty_disk(forks, hub, tmp_path):
    answers = make_task(tmp_path) / "answers"
    with serve(forks, tmp_path, ANSWERS_REPO="alice/answers", PUSH_SECONDS="0.1") as server:
        for name in ("Ada", "Bob", "Ada"):
            told = server.ask("look", annotator=name)
            question = told["pairs"][0]["question"]
            server.ask("answer", annotator=name, question=question, attempt=0, lean=50, seconds=1)
        kept = {f"answers/{path.name}": path.read_bytes() for path in answers.glob("*.jsonl")}
        for _ in range(200):
            files = hub.files("alice/answers", "dataset")
            if (pushed := {name: files[name] for name in files if name != ".gitattributes"}) == kept:
                break
            time.sleep(0.05)
        assert pushed == kept and len(kept) == 2
        forks.kill()
        shutil.rmtree(answers)
        server.start()
        assert [server.ask("look", annotator=name)["num_answered"] for name in ("Ada", "Bob")] == [2, 1]


def test_of_two_files_of_answers_the_longer_one_counts_and_two_stories_are_refused(forks, hub, tmp_path):
    [name] = [name for name in hub.files("alice/answers", "dataset") if name.startswith("answers/ada-")]
    whole, path = hub.files("alice/answers", "dataset")[name], tmp_path / Path(name).name
    first = whole.splitlines(keepends=True)[0]
    for ours, left in ((first + b'{"cut', whole), (whole + b"{}\n", whole + b"{}\n")):
        path.write_bytes(ours)
        assert forks.run("fetch", str(tmp_path)) == 0, forks.log.read_text()
        assert path.read_bytes() == left
    path.write_bytes(first + b"{}\n")
    assert forks.run("fetch", str(tmp_path)) == 1
    assert f"{path} must continue {name} of alice/answers" in forks.log.read_text()


def test_what_is_wrong_with_a_task_is_one_line(forks, tmp_path):
    assert forks.run("serve", str(tmp_path), {"TASK": str(tmp_path)}) == 2
    [told] = forks.log.read_text().splitlines()
    assert told.startswith(f"error: Expected one table in {str(tmp_path)!r}, comparisons.csv or")
    for repeats in ("abc", "1.5"):
        assert forks.run("serve", str(tmp_path), {"TASK": str(tmp_path), "REPEATS": repeats}) == 2
        [told] = forks.log.read_text().splitlines()
        assert (
            told.startswith("error: REPEATS: expected the share of the pairs")
            and f"from 0 to 1, got '{repeats}'" in told
        )


def test_the_readme_names_every_setting():
    readme = (SPACE / "README.md").read_text()
    settings = set(re.findall(r'given\("([A-Z_]+)"', (SPACE / "app.py").read_text()))
    own = {name for name in settings if not name.startswith("GRADIO_")} - {"PUSH_SECONDS"}
    assert own == set(re.findall(r"^\| `([A-Z_]+)` \|", readme, re.M))
    assert len(yaml.safe_load(readme.split("---")[1])["short_description"]) <= 60  # the limit of the Hub
