"""The page in a real browser: what people see and press, what a program asks, and what never leaves the machine."""

import ast
import asyncio
import base64
import csv
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from space_models import ERROR, save_comparing_model, save_models, save_pictures

from hf_aesthetics.advice import Edit, best_crops, score_edits, suggest_edits
from hf_aesthetics.images import read_image
from hf_aesthetics.scoring import AestheticScorer, rank, rank_pictures, score_pictures


pytest.importorskip("gradio", reason="the page needs gradio: pip install 'hf_aesthetics[space]'")
playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright, which is missing")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("there is no chromium on this machine", allow_module_level=True)

SPACE = Path(__file__).parents[2] / "spaces" / "image_aesthetics"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
SECONDS = 20_000  # of patience, in milliseconds
KEPT_SECONDS = 24
# jumps that nobody asked for by a click or a key just before, as browsers count them: https://web.dev/cls
WATCH_JUMPS = """
window.jumps = 0;
new PerformanceObserver((seen) => {
  for (const jump of seen.getEntries()) if (!jump.hadRecentInput) window.jumps += jump.value;
}).observe({type: "layout-shift", buffered: true});
"""
CARRY = """
([name, type, content]) => {
  const carrier = new DataTransfer();
  carrier.items.add(new File([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], name, {type}));
  return carrier;
}
"""


class Served:
    """A Space that runs, where it keeps uploads, and a scorer that knows what it has to answer."""

    def __init__(self, process: subprocess.Popen, url: str, uploads: Path, scorer: AestheticScorer | None) -> None:
        self.process, self.url, self.uploads, self.scorer = process, url, uploads, scorer

    def score(self, path: Path) -> float:
        assert self.scorer is not None
        return self.scorer.score([path])[0]["score"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def serve(model: str, folder: Path, program: list[str] | None = None) -> tuple[subprocess.Popen, str, Path]:
    port = free_port()
    uploads = folder / "uploads"
    environment = os.environ | {
        "MODEL_ID": model,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(uploads),
        "KEPT_SECONDS": str(KEPT_SECONDS),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, *(program or [str(SPACE / "app.py")])]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/"
    while process.poll() is None:
        try:
            if httpx2.get(url).status_code == 200:
                return process, url, uploads
        except httpx2.HTTPError:
            time.sleep(0.2)
    raise RuntimeError((folder / "log").read_text())


@pytest.fixture(scope="module")
def spaces(tmp_path_factory) -> Iterator[tuple[Served, Served]]:
    """The page over a model that sees one picture, and over one that compares: in one process, which starts sooner."""
    models, port = tmp_path_factory.mktemp("models"), free_port()
    one, comparing = save_models(models), save_comparing_model(tmp_path_factory.mktemp("comparing"))
    program = (
        f"import sys; sys.path.insert(0, {str(SPACE)!r}); import app; other = app.Answers.load({str(comparing)!r})\n"
        f"app.launch(app.build(other), server_port={port}, prevent_thread_lock=True)\n"
        "app.launch(app.make_page())"
    )
    process, url, uploads = serve(str(one), tmp_path_factory.mktemp("space"), ["-c", program])
    scorers = [AestheticScorer.from_pretrained(checkpoint, device="cpu") for checkpoint in (one, comparing)]
    yield (
        Served(process, url, uploads, scorers[0]),
        Served(process, f"http://127.0.0.1:{port}/", uploads, scorers[1]),
    )
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def space(spaces) -> Served:
    return spaces[0]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, space) -> Iterator:
    with open_page(browser, space) as opened:
        yield opened


@contextmanager
def open_page(browser, space: Served, **options) -> Iterator:
    """A page of its own, on which nothing may go wrong and from which nothing may be asked of another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    own = (space.url, "data:", "blob:")
    opened.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(own) else None)
    opened.add_init_script(WATCH_JUMPS)
    opened.set_default_timeout(SECONDS)
    opened.goto(space.url)
    opened.wait_for_selector("#answer .score")
    yield opened
    jumps = opened.evaluate("window.jumps")
    context.close()
    assert complaints == [] and jumps < 0.1


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    return save_pictures(tmp_path_factory.mktemp("pictures"), 4)


def choose(page, path: Path) -> None:
    """Replaces the picture that is there, as its cross and the file dialog do."""
    page.locator("#picture").get_by_label("Remove Image").click()
    page.set_input_files("#picture input[type=file]", str(path))


def choose_and_wait(page, path: Path) -> None:
    choose(page, path)
    expect_about(page, path)


def expect_about(page, path: Path) -> None:
    """Everything on the page is about that picture; no two here have the same proportions."""
    width, height = Image.open(path).size
    slide = page.locator("#layer .slide")
    playwright.expect(slide).to_have_attribute("style", f"--at:50%;--ratio:{width}/{height}", timeout=SECONDS)


def drop(page, path: Path, type_: str = "image/png") -> None:
    content = base64.b64encode(path.read_bytes()).decode()
    carrier = page.evaluate_handle(CARRY, [path.name, type_, content])
    page.locator("#picture").dispatch_event("drop", {"dataTransfer": carrier})


def shown_score(page, place: str = "#answer") -> float:
    return float(page.locator(f"{place} .score strong").inner_text())


def expect_text(page, selector: str, text: str) -> None:
    playwright.expect(page.locator(selector)).to_contain_text(text, timeout=SECONDS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_has_an_answer(browser, space, theme, width):
    with open_page(browser, space, color_scheme=theme) as page:
        page.set_viewport_size({"width": width, "height": 844})
        example = sorted((SPACE / "examples").glob("*.jpg"))[0]
        assert shown_score(page) == pytest.approx(space.score(example), abs=0.051)
        expect_text(page, ".notice", "demonstration <of tests>")
        expect_text(page, "#answer", "On 40 test pictures of parks it was off by 0.00 on average.")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].filter(image => !image.alt).map(image => image.outerHTML)") == []


def test_an_uploaded_picture_is_scored_and_explained(page, space, pictures, tmp_path):
    choose_and_wait(page, shutil.copy(pictures[1], tmp_path / "mine.png"))
    expect_text(page, "#answer .score", f"{space.score(pictures[1]):.1f} of 5, people disagree"[:8])
    ratings = page.locator("#answer .bars span").all_inner_texts()
    assert ratings == ["1", "2", "3", "4", "5"]
    assert list(space.uploads.rglob("mine.png"))
    expect_text(page, "#why", "Of the blur alone a model would expect")
    expect_text(page, "#why .parts", "What named features add")
    page.get_by_label("blur", exact=True).check()
    expect_text(page, "#layer", "how blurred each place is")
    slider = page.locator("#layer input")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowLeft")
    assert page.locator("#layer .slide").evaluate("figure => figure.style.getPropertyValue('--at')") == "45%"


def test_a_change_is_scored_anew(page, space, pictures):
    choose_and_wait(page, pictures[2])
    page.get_by_role("tab", name="What if?").click()
    expect_text(page, "#edited", "as before")
    expect_text(page, "#advice", "model's error")
    saturation = page.get_by_label("number input for Saturation, 1 as it is")
    saturation.fill("0")
    saturation.press("Enter")
    playwright.expect(page.locator("#edited img")).to_have_attribute("alt", "The picture, black and white")
    before, after = score_edits(space.scorer, read_image(pictures[2]), [Edit(), Edit(saturation=0)])
    gain = f"{after - before:+.2f}".replace("-", "\N{MINUS SIGN}")
    expect_text(page, "#edited .score", f"{after:.1f}{gain}" if abs(after - before) >= 0.005 else f"{after:.1f}")
    page.get_by_role("button", name="As it was").click()
    expect_text(page, "#edited", "as before")
    [best, *_] = suggest_edits(space.scorer, read_image(pictures[2]), ERROR)
    page.locator("#tries label").first.click()
    playwright.expect(page.locator("#edited img")).to_have_attribute("alt", f"The picture, {best.edit}")


def test_frames_are_offered(page, space, pictures):
    choose_and_wait(page, pictures[0])
    page.get_by_role("tab", name="Crop").click()
    playwright.expect(page.locator("#crops figure").first).to_be_visible(timeout=SECONDS)
    found = best_crops(space.scorer, read_image(pictures[0]))
    assert page.locator("#crops strong").all_inner_texts() == [crop.ratio for crop in found]


def test_pictures_are_ranked_and_what_is_none_says_so(page, space, pictures, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    page.get_by_role("tab", name="Compare").click()
    page.set_input_files("#pictures input[type=file]", [str(path) for path in (*pictures, tmp_path / "notes.jpg")])
    playwright.expect(page.locator("#pictures .file-preview tr")).to_have_count(5, timeout=SECONDS)
    page.locator("#rank").click()
    playwright.expect(page.locator("#ranking li")).to_have_count(5, timeout=SECONDS)
    ranked = rank_pictures(score_pictures(space.scorer, pictures), ERROR)
    assert page.locator("#ranking .thumb b").all_inner_texts() == [row.place for row in ranked]
    alts = page.locator("#ranking img").evaluate_all("images => images.map(image => image.alt)")
    assert alts == [f"{Path(row.path).name}, place {row.place}" for row in ranked]
    expect_text(page, "#ranking .failed", "notes.jpg")
    expect_text(page, "#ranking .failed", "expected a picture")
    address = page.locator("#ranking .csv").get_attribute("href")
    table = list(csv.DictReader(io.StringIO(base64.b64decode(address.partition(",")[2]).decode())))
    assert [row["path"] for row in table] == [*(Path(row.path).name for row in ranked), "notes.jpg"]
    assert [float(row["score"]) for row in table[:4]] == pytest.approx([row.score for row in ranked], abs=1e-5)


def test_2_to_50_pictures_are_compared(page, tmp_path):
    names = [f"{number}.png" for number in range(51)]
    for number, name in enumerate(names):
        Image.new("RGB", (16, 16), (5 * number, 100, 100)).save(tmp_path / name)
    page.get_by_role("tab", name="Compare").click()
    for count in (1, 51, 50):
        page.set_input_files("#pictures input[type=file]", [str(tmp_path / name) for name in names[:count]])
        playwright.expect(page.locator("#pictures .file-preview tr")).to_have_count(count, timeout=SECONDS)
        page.locator("#rank").click()
        if count == 50:
            playwright.expect(page.locator("#ranking li img")).to_have_count(count, timeout=SECONDS)
        else:
            expect_text(page, "#ranking [role=alert]", f"Choose 2 to 50 pictures, not {count}.")
            page.locator("#pictures").get_by_label("Clear").click()


def test_a_picture_is_dropped_or_pasted_over_the_one_before(browser, space, pictures, tmp_path):
    with open_page(browser, space, permissions=["clipboard-read", "clipboard-write"]) as page:
        drop(page, pictures[0])
        expect_about(page, pictures[0])
        content = base64.b64encode(pictures[3].read_bytes()).decode()
        page.locator("h1").click()  # the clipboard is for the window that has the focus
        page.evaluate(
            "async (url) => navigator.clipboard.write([new ClipboardItem({'image/png': (await fetch(url)).blob()})])",
            f"data:image/png;base64,{content}",
        )
        page.keyboard.press("Control+v")
        expect_about(page, pictures[3])
        archive = tmp_path / "all.zip"
        archive.write_bytes(b"PK")
        drop(page, archive, "application/zip")
        expect_text(page, "#picture_limit", "all.zip: no picture.")
        expect_about(page, pictures[3])


def test_everything_is_reached_by_the_keyboard_and_seen_to_be(page):
    focused = """() => {
        const element = document.activeElement, label = element.closest("label");
        const outlined = [element, label].some((each) => each && getComputedStyle(each).outlineStyle != "none");
        const name = element.ariaLabel || element.innerText || label?.innerText || element.id;
        return [element.tagName, name.trim(), outlined];
    }"""
    page.get_by_role("tab", name="What if?").click()
    expect_text(page, "#edited", "as before")
    page.locator("h1").click()
    reached = {}
    for _ in range(60):
        page.keyboard.press("Tab")
        tag, name, outlined = page.evaluate(focused)
        if tag == "BODY":
            break
        reached[name] = outlined
    examples = [path.stem for path in sorted((SPACE / "examples").glob("*.jpg"))]
    assert {
        "One picture",
        "Compare",
        "Upload file",
        "Remove Image",
        "What if?",
        "Crop",
        "As it was",
        *examples,
    } <= set(reached)
    assert len([name for name in reached if "range slider" in name]) == 4
    assert [name for name, outlined in reached.items() if not outlined] == []


def test_bad_pictures_get_a_message_and_the_page_goes_on(page, space, pictures, tmp_path):
    empty, text, cut, wide = (tmp_path / name for name in ("empty.jpg", "text.jpg", "cut.jpg", "wide.png"))
    empty.touch()
    text.write_text("no picture at all")
    Image.open(pictures[0]).save(cut)
    cut.write_bytes(cut.read_bytes()[:-400])
    Image.new("1", (20_000, 4_000)).save(wide)
    told = {empty: "is empty", text: "expected a picture", cut: "damaged or cut short", wide: "at most 60,000,000"}
    for path, message in told.items():
        choose(page, path)
        expect_text(page, "#answer [role=alert]", message)
        assert "/" not in page.locator("#answer [role=alert]").inner_text()
    choose(page, pictures[3])
    expect_text(page, "#answer .score", f"{space.score(pictures[3]):.1f}")


def test_pictures_of_all_kinds_are_scored(page, space, pictures, tmp_path):
    picture = Image.open(pictures[0])
    Image.new("RGB", (1, 1), "teal").save(tmp_path / "dot.png")
    Image.fromarray(np.asarray(picture)[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    picture.convert("CMYK").save(tmp_path / "print.jpg")
    picture.save(tmp_path / "moving.gif", save_all=True, append_images=[picture.rotate(90)])
    picture.save(tmp_path / "\N{SNOWMAN} été 夏.png")
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.from_pillow(picture).save(tmp_path / "phone.heic")
    paths = sorted(path for path in tmp_path.iterdir() if path.is_file())
    page.get_by_role("tab", name="Compare").click()
    page.set_input_files("#pictures input[type=file]", [str(path) for path in paths])
    playwright.expect(page.locator("#pictures .file-preview tr")).to_have_count(len(paths), timeout=SECONDS)
    page.locator("#rank").click()
    playwright.expect(page.locator("#ranking li")).to_have_count(len(paths), timeout=SECONDS)
    shown = {
        line.partition(" ")[2]: line.partition(" ")[0] for line in page.locator("#ranking li p").all_inner_texts()
    }
    assert shown == {path.name: f"{space.score(path):.2f}" for path in paths}


def test_a_file_above_the_limit_is_refused_in_words(browser, space, pictures, tmp_path):
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.write(pictures[0].read_bytes())
        file.truncate(32_000_000)  # 30 MB are 31.5 million bytes
    with open_page(browser, space) as page:
        choose(page, huge)
        expect_text(page, "#picture_limit", "At most 30 MB, but huge.jpg has 31 MB. Save it smaller.")
        page.set_input_files("#picture input[type=file]", str(pictures[1]))
        expect_text(page, "#answer .score", f"{space.score(pictures[1]):.1f}")
        playwright.expect(page.locator("#picture_limit [role=alert]")).to_be_hidden()


def test_two_people_get_their_own_answers(browser, space, pictures):
    with open_page(browser, space) as one, open_page(browser, space) as other:
        for page, path in ((one, pictures[0]), (other, pictures[1])):
            choose(page, path)
        for page, path in ((one, pictures[0]), (other, pictures[1])):
            expect_about(page, path)


def test_programs_ask_too(space, pictures):
    from gradio_client import Client, handle_file

    client = Client(space.url, verbose=False)
    assert client.view_api(return_format="dict")["named_endpoints"].keys() == {"/score", "/rank"}
    answered = client.predict(handle_file(pictures[0]), api_name="/score")
    assert answered["score"] == pytest.approx(space.score(pictures[0]), abs=1e-5)
    assert answered["scorer"] == space.scorer.id and answered["notice"] == "demonstration <of tests>"
    rows = client.predict([handle_file(path) for path in pictures], api_name="/rank")
    ranked = rank_pictures(score_pictures(space.scorer, pictures), ERROR)
    assert [row["name"] for row in rows] == [Path(row.path).name for row in ranked]


def test_ten_people_at_once_get_their_own_answers(space, pictures):
    from gradio_client import Client, handle_file

    def ask(path: Path) -> float:
        return Client(space.url, verbose=False).predict(handle_file(path), api_name="/score")["score"]

    asked = [pictures[number % len(pictures)] for number in range(10)]
    with ThreadPoolExecutor(10) as people:
        answered = list(people.map(ask, asked))
    assert answered == pytest.approx([space.score(path) for path in asked], abs=1e-5)


def as_data(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def ask_as_agent(space: Served, tool: str, **content) -> tuple[list, Any]:
    """The tools that there are, and what one of them answers."""
    mcp = pytest.importorskip("mcp", reason="tools for agents need gradio[mcp]")
    from mcp.client.streamable_http import streamable_http_client

    async def talk():
        async with streamable_http_client(f"{space.url}gradio_api/mcp/") as (read, write, _):
            async with mcp.ClientSession(read, write) as session:
                await session.initialize()
                return (await session.list_tools()).tools, await session.call_tool(tool, content)

    with ThreadPoolExecutor(1) as another:  # this one has the loop of playwright
        tools, answered = another.submit(asyncio.run, talk()).result()
    return tools, ast.literal_eval(answered.content[0].text)


def test_agents_have_tools(space, pictures):
    tools, told = ask_as_agent(space, "score_picture", image=as_data(pictures[0]))
    assert {tool.name for tool in tools} == {"score_picture", "rank_pictures"}
    assert all("Predicts" in tool.description or "Ranks" in tool.description for tool in tools)
    assert told["score"] == pytest.approx(space.score(pictures[0]), abs=1e-5)
    assert told["notice"] == "demonstration <of tests>"


def test_a_model_that_compares_says_who_is_better_and_where_it_looked(browser, spaces, pictures):
    from gradio_client import Client, handle_file

    _, space = spaces
    with open_page(browser, space) as page:
        ranked = rank(space.scorer, pictures)
        order = [pictures[place].name for place in ranked.order]
        page.get_by_role("tab", name="Compare").click()
        expect_text(page, "#pictures", "2 to 12 pictures")
        page.set_input_files("#pictures input[type=file]", [str(path) for path in pictures])
        playwright.expect(page.locator("#pictures .file-preview tr")).to_have_count(4, timeout=SECONDS)
        page.locator("#rank").click()
        playwright.expect(page.locator("#ranking li img")).to_have_count(4, timeout=SECONDS)
        alts = page.locator("#ranking img").evaluate_all("images => images.map(image => image.alt)")
        assert alts == [f"{name}, place {place}" for place, name in enumerate(order, start=1)]
        best, second, *_ = ranked.order
        expect_text(page, "#ranking li >> nth=0", f"{100 * ranked.probabilities[best, second]:.0f} % likely better")
        assert page.locator("#ranking .chances td:not(:empty)").count() == 12
        address = page.locator("#ranking img").first.get_attribute("src")
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))), dtype=int)
        assert (np.abs(shown - [255, 225, 74]).max(axis=2) < 40).any()  # the light line round a window
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        rows = Client(space.url, verbose=False).predict([handle_file(path) for path in pictures], api_name="/rank")
        assert [row["name"] for row in rows] == order
        assert rows[0]["better_than"][order[1]] == pytest.approx(ranked.probabilities[best, second], abs=1e-5)
        _, told = ask_as_agent(space, "rank_pictures", images=[as_data(path) for path in pictures])
        assert [row["score"] for row in told] == pytest.approx([ranked.scores[at] for at in ranked.order], abs=1e-4)


def test_uploads_are_deleted(space):
    until = time.monotonic() + 3 * KEPT_SECONDS
    while kept := list(space.uploads.rglob("mine.png")):
        assert time.monotonic() < until, kept
        time.sleep(1)
