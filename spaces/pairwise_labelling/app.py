"""The page on which people say which of two pictures they prefer, and how strongly.

    make label TASK=folder                       # or: TASK=folder python spaces/pairwise_labelling/app.py

Knows nothing about order, repeats or files: `hf_aesthetics.labelling` does. The page is served by FastAPI, which
comes with Gradio, and not by Gradio itself, which would take uploads and show files beside it.
"""

import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from html import escape
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from huggingface_hub import snapshot_download
from PIL import Image
from pydantic import BaseModel

from hf_aesthetics.hub_faults import HubPublishError, reading_from_hub
from hf_aesthetics.images import read_image
from hf_aesthetics.labelling import Labelling, Progress, open_task


HERE = Path(__file__).parent
TITLE = "Pairwise labelling"
QUESTION = "Which picture do you prefer?"
MAX_SIDE = 2048
NUM_AHEAD = 3  # pairs that the page is told of, so that their pictures are there before they are asked about
# nothing from elsewhere is loaded, whatever a name or a question may hold
POLICY = "default-src 'self'; img-src 'self' data:"


class Person(BaseModel):
    annotator: str


class LastAnswer(Person):
    question: str
    attempt: int


class GivenAnswer(LastAnswer):
    lean: float
    seconds: float


def build(
    labelling: Labelling, question: str = QUESTION, when_answered: Callable[[], object] = lambda: None
) -> FastAPI:
    """The page over a task."""
    # addresses say nothing: the name of a file may tell which model made it
    address = {name: hashlib.sha256(name.encode()).hexdigest()[:20] for name in labelling.task.pictures}
    files = {address[name]: path for name, path in labelling.task.pictures.items()}
    page = (HERE / "page.html").read_text(encoding="utf-8")
    page = page.replace("{{ question }}", escape(question)).replace("{{ title }}", TITLE)
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    render = lru_cache(maxsize=64)(render_picture)
    render_whole = lru_cache(maxsize=4)(partial(render_picture, max_side=None))

    def tell(progress: Progress) -> dict[str, Any]:
        pairs = []
        for asked in progress.questions[:NUM_AHEAD]:
            sides = asked.comparison.image_a, asked.comparison.image_b
            left, right = sides if asked.left == "image_a" else sides[::-1]
            pairs.append({"question": asked.id, "left": address[left], "right": address[right]})
        return {
            "annotator": progress.annotator,
            "num_answered": progress.num_answered,
            "num_questions": progress.num_questions,
            "attempt": progress.attempt,
            "pairs": pairs,
            "last": progress.last and {"question": progress.last[0], "attempt": progress.last[1]},
        }

    @app.exception_handler(ValueError)
    def refuse(_: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=400)

    @app.get("/")
    def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    @app.get("/page.js")
    @app.get("/style.css")
    def show_part(request: Request) -> Response:
        kind = "text/css" if request.url.path.endswith(".css") else "text/javascript"
        content = (HERE / request.url.path.removeprefix("/")).read_bytes()
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    @app.get("/pictures/{name}")
    def show_picture(name: str) -> Response:
        if name not in files:
            return Response(status_code=404)
        return Response(render(files[name]), media_type="image/jpeg", headers={"Cache-Control": "max-age=86400"})

    @app.get("/pictures/{name}/whole")
    def show_whole_picture(name: str) -> Response:
        if name not in files:
            return Response(status_code=404)
        content = render_whole(files[name])
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "max-age=86400"})

    @app.post("/look")
    def look(person: Person) -> dict[str, Any]:
        return tell(labelling.look(person.annotator))

    @app.post("/answer")
    def answer(given: GivenAnswer) -> dict[str, Any]:
        progress = labelling.answer(given.annotator, given.question, given.attempt, given.lean, given.seconds)
        when_answered()
        return tell(progress)

    @app.post("/undo")
    def undo(given: LastAnswer) -> dict[str, Any]:
        progress = labelling.undo(given.annotator, given.question, given.attempt)
        when_answered()
        return tell(progress)

    return app


def render_picture(path: Path, max_side: int | None = MAX_SIDE) -> bytes:
    """A picture as people see it, with nothing in it but its pixels; all of these where no side is given."""
    picture = read_image(path)
    if max_side is not None and max(picture.size) > max_side:
        picture = picture.copy()
        picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def find_task(task: str) -> Path:
    """The folder of a task, or a copy of the dataset repository that is called so."""
    if Path(task).is_dir() or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", task):
        return Path(task)
    with reading_from_hub(task, "dataset"):
        return Path(snapshot_download(task, repo_type="dataset"))


def main(settings: Mapping[str, str]) -> None:
    try:
        serve(settings)
    except (OSError, ValueError, HubPublishError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def serve(settings: Mapping[str, str]) -> None:
    def given(name: str, default: str = "") -> str:
        return settings.get(name) or default

    task = given("TASK", "task")
    folder = find_task(task)
    # nothing is written into the cache of the Hub, where a task from there lies
    beside = folder if folder == Path(task) else Path()
    answers, repo_id = Path(given("ANSWERS") or beside / "answers"), given("ANSWERS_REPO")
    repeats = given("REPEATS", "0.1")
    try:
        repeat_share = float(repeats)
    except ValueError:
        repeat_share = -1.0
    if not 0 <= repeat_share <= 1:
        raise ValueError(
            f"REPEATS: expected the share of the pairs that come again, from 0 to 1, got {repeats!r}. Correct it, or "
            "leave it out for 0.1."
        )
    labelling = Labelling(open_task(folder, given("PICTURES") or None), answers, repeat_share=repeat_share)
    backup = None
    if repo_id:
        from backup import AnswersBackup, fetch_answers  # takes seconds, and more packages

        fetch_answers(repo_id, answers)
        backup = AnswersBackup(repo_id, answers, pause=float(given("PUSH_SECONDS", "60")))
        backup.push()  # what a server that was killed had not pushed
    app = build(labelling, given("QUESTION", QUESTION), backup.push if backup else lambda: None)
    # names that Spaces set for Gradio
    host, port = given("GRADIO_SERVER_NAME", "127.0.0.1"), int(given("GRADIO_SERVER_PORT", "7861"))
    print(f"{len(labelling.task.comparisons):,} comparisons at http://{host}:{port}, answers in {answers}", flush=True)
    uvicorn.run(app, host=host, port=port, log_level="warning")
    if backup:
        backup.close()


if __name__ == "__main__":
    main(os.environ)
