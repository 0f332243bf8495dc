"""The page: drop a picture, see its score, why, what would change it, and which of several is the best.

    make space                                   # or: MODEL_ID=<checkpoint> python spaces/image_aesthetics/app.py

Knows nothing about models or markup: `answers.py` asks, `panels.py` draws.
"""

import base64
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit


# before Gradio is imported, which reads it then: pictures belong to whoever brings them
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.insert(0, str(Path(__file__).parent))

import gradio as gr
import panels
from answers import HERE, MAX_PIXELS, Answers, choose_model, plain
from gradio.processing_utils import ssrf_protected_download

from hf_aesthetics.advice import Edit


try:
    from spaces import GPU as gpu  # on ZeroGPU; elsewhere there is no such package
except ImportError:

    def gpu(function: Callable) -> Callable:
        return function


TITLE = "Image aesthetics"
EXAMPLES = sorted((HERE / "examples").glob("*.jpg"))
MAX_FILE_BYTES = 30 * 2**20
LIMIT_ALERT = '<p class="limit" role="alert"></p>'  # where `page.js` says that a file is too large
# what is drawn before nothing moves any more, see `page.js`, is not shown; but after three seconds whatever happens
UNTIL_STILL = """
<style>
  html:not(.still) .gradio-container { animation: wait 3s step-end }
  @keyframes wait { from { visibility: hidden } }
</style>
"""
KEPT_SECONDS = int(os.environ.get("KEPT_SECONDS") or 15 * 60)  # an upload, so that it can be asked about again
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
THEME = gr.themes.Base(
    primary_hue="orange",
    neutral_hue="stone",
    font=FONTS,
    font_mono=["ui-monospace", "monospace"],
    radius_size="lg",
)


def uploaded_path(payload: Any) -> str | None:
    """The file as it was uploaded, in place of what Gradio makes of it: this package has its own way of reading."""
    return None if payload is None else payload.path


def uploaded_files(payload: Any) -> list[tuple[str, str]]:
    """Files as they were uploaded, with their names; what is no picture is said beside the others."""
    files = [] if payload is None else getattr(payload, "root", payload)
    return [(file.path, file.orig_name or Path(file.path).name) for file in files]


def received(file: Any, name: str) -> tuple[str | bytes, str]:
    """
    A file of a list that a program sends, with its name. Those of agents come as URLs: the page turns single ones into
    files, but not those in a list. What they hold is kept in memory alone.
    """
    if not isinstance(file, str):
        return file["path"], file.get("orig_name") or file["path"]
    try:
        if file.startswith("data:"):
            content = base64.b64decode(file.partition(",")[2], validate=True)
        elif file.startswith(("http://", "https://")):
            name = PurePosixPath(urlsplit(file).path).name or name
            with tempfile.TemporaryDirectory() as folder:
                content = Path(ssrf_protected_download(file, folder)).read_bytes()
        else:
            raise ValueError("it is no URL")
    except Exception as error:  # of a server that nobody knows
        raise ValueError(
            f"Cannot read {name}: expected a picture at an http, https or data URL, got {file[:60]!r} ({error}). Send "
            "another URL."
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"Cannot read {name}: expected at most {MAX_FILE_BYTES // 2**20} MB. Save it smaller.")
    return content, name


def guarded(ask: Callable[..., Any], *nothing: Any) -> Callable[..., Any]:
    """What goes wrong with a picture is said in place of the answer, and `nothing` stands for its other parts."""

    def asked(path: Any, *rest: Any) -> Any:
        if not path:
            told = panels.hint("Choose a picture first.")
        else:
            try:
                return ask(path, *rest)
            except (OSError, ValueError) as error:
                told = panels.problem(plain(str(error)))
        return (told, *nothing) if nothing else told

    return asked


def build(answers: Answers) -> gr.Blocks:
    """The page over loaded models."""
    answer, layer, why, crop, compare = (
        guarded(gpu(ask)) for ask in (answers.answer, answers.layer, answers.why, answers.crop, answers.compare)
    )

    @guarded
    @gpu
    def edit(path: str, exposure: float, saturation: float, blur: float, frame: float) -> str:
        return answers.edit(path, Edit(exposure=exposure, saturation=saturation, blur=blur, crop=frame / 100))

    @gpu
    def advise(path: str) -> tuple[str, gr.Radio]:
        told, edits = answers.advise(path)
        choices = [
            (label, f"{edit.exposure} {edit.saturation} {edit.blur} {100 * edit.crop}") for label, edit in edits
        ]
        return told, gr.Radio(choices, value=None, visible=bool(choices))

    first = str(EXAMPLES[0])
    private: dict[str, Any] = {"api_visibility": "private"}

    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(min(60, KEPT_SECONDS // 4), KEPT_SECONDS)
    ) as page:
        gr.HTML(panels.heading(TITLE, answers.scorer.notice))
        with gr.Tab("One picture"):
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    picture = gr.Image(
                        first,
                        label="Your picture",
                        sources=["upload", "clipboard"],
                        buttons=["fullscreen"],
                        height=380,
                        elem_id="picture",
                        alt_text="The picture that is asked about",
                        placeholder="Drop a picture here, paste it, or click to choose one",
                    )
                    gr.HTML(LIMIT_ALERT, elem_id="picture_limit")
                    gr.HTML(panels.hint("Or one of these, rendered:"))
                    with gr.Row(elem_id="examples"):
                        examples = {
                            path: gr.Button(path.stem, icon=path, size="sm", min_width=60) for path in EXAMPLES
                        }
                        for button in examples.values():
                            button.keep_in_cache |= button.temp_files  # they are not deleted as uploads are
                with gr.Column(scale=5, min_width=320):
                    answered = gr.HTML(answer(first), elem_id="answer")
            with gr.Tabs(selected="why") as questions:
                with gr.Tab("Why?", id="why"), gr.Row(equal_height=False):
                    with gr.Column(scale=5, min_width=320):
                        chosen = gr.Radio(answers.layers, value=answers.layers[0], label="Lay over the picture")
                        layered = gr.HTML(layer(first, answers.layers[0]), elem_id="layer")
                    with gr.Column(scale=5, min_width=320):
                        explained = gr.HTML(why(first), elem_id="why")
                with gr.Tab("What if?", id="what_if", render_children=True) as what_if, gr.Row(equal_height=False):
                    with gr.Column(scale=6, min_width=320):
                        edited = gr.HTML(elem_id="edited")
                    with gr.Column(scale=4, min_width=320):
                        exposure = gr.Slider(-2, 2, 0, step=1 / 6, label="Exposure in stops")
                        saturation = gr.Slider(0, 2, 1, step=0.05, label="Saturation, 1 as it is")
                        blur = gr.Slider(0, 2, 0, step=0.05, label="Blur in percent of the diagonal")
                        frame = gr.Slider(40, 100, 100, step=1, label="Frame in percent around the middle")
                        reset = gr.Button("As it was", size="sm")
                        advised = gr.HTML(elem_id="advice")
                        tries = gr.Radio([], label="Try it", visible=False, elem_id="tries")
                with gr.Tab("Crop", id="crop", render_children=True) as crop_tab:
                    cropped = gr.HTML(elem_id="crops")
        with gr.Tab("Compare", render_children=True):
            files = gr.File(
                file_count="multiple",
                file_types=["image"],
                label=f"2 to {answers.max_pictures} pictures",
                height=220,
                elem_id="pictures",
            )
            gr.HTML(LIMIT_ALERT, elem_id="pictures_limit")
            rank = gr.Button("Rank them", variant="primary", elem_id="rank")
            ranked = gr.HTML(elem_id="ranking")
        gr.HTML(panels.about(footer(answers)))

        picture.preprocess, files.preprocess = uploaded_path, uploaded_files

        sliders = [exposure, saturation, blur, frame]
        shown = [
            picture.input,
            *(button.click(partial(str, path), None, picture, **private).then for path, button in examples.items()),
        ]
        for on_picture in shown:
            # at once, so that nobody is called back from where they have gone meanwhile
            on_picture(lambda: gr.Tabs(selected="why"), None, questions, queue=False, **private)
            scored = on_picture(answer, picture, answered, **private)
            scored.then(layer, [picture, chosen], layered, **private).then(why, picture, explained, **private)
        chosen.change(layer, [picture, chosen], layered, **private)
        gr.on(
            [what_if.select, *(slider.change for slider in sliders)],
            edit,
            [picture, *sliders],
            edited,
            trigger_mode="always_last",
            show_progress="hidden",
            **private,
        )
        what_if.select(guarded(advise, gr.update(visible=False)), picture, [advised, tries], **private)
        tries.input(lambda chosen: [float(value) for value in chosen.split()], tries, sliders, **private)
        reset.click(lambda: (0, 1, 0, 100, None), None, [*sliders, tries], **private)
        crop_tab.select(crop, picture, cropped, **private)
        rank.click(compare, files, ranked, **private)
        add_interface(answers)
    return page


def add_interface(answers: Answers) -> None:
    """Endpoints for programs, which are tools for agents, too."""

    def score_picture(image: gr.FileData) -> dict:
        """
        Predicts how people would rate a picture.

        Args:
            image: The picture.

        Returns:
            Mean score, its standard deviation over people, percentile among the training pictures, share of people a
            rating, all of it in words, the scorer to be cited, and what has to be said with it.
        """
        try:
            return gpu(answers.score)(image["path"])
        except (OSError, ValueError) as error:
            raise gr.Error(plain(str(error)), print_exception=False) from error

    def rank_pictures(images: list[gr.FileData]) -> list[dict]:
        """
        Ranks 2 or more pictures by how people would rate them.

        Args:
            images: The pictures.

        Returns:
            One row a picture, best first: name, score, rank, between which places it lies for sure where that is
            known, and, for one that cannot be read, why. Of a model that compares also how likely the picture is
            better than each other one.
        """
        try:
            files = [received(image, f"picture {number}") for number, image in enumerate(images, start=1)]
            rows, chances = gpu(answers.rank)(files)
        except (OSError, ValueError) as error:
            raise gr.Error(plain(str(error)), print_exception=False) from error
        told = ("score", "rank", "best_rank", "worst_rank", "error", "scorer")
        # not "path", at which clients would look for a file
        named = [{"name": row.path} | {name: getattr(row, name) for name in told} for row in rows]
        return [row if chances is None else row | {"better_than": chances.get(row["name"], {})} for row in named]

    gr.api(score_picture, api_name="score")
    gr.api(rank_pictures, api_name="rank")


def footer(answers: Answers) -> str:
    kept, limit, pixels = max(1, KEPT_SECONDS // 60), MAX_FILE_BYTES // 2**20, MAX_PIXELS // 10**6
    return (
        f"Scores by {answers.scorer.id}. Pictures are deleted after {kept} minutes, kept nowhere else, and sent to "
        f"nobody; at most {limit} MB and {pixels} megapixels each."
    )


def build_problem(message: str) -> gr.Blocks:
    """The page where there is no model to ask."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(panels.heading(TITLE, None) + panels.problem(message))
    return page


def make_page() -> gr.Blocks:
    """The page over the model that `choose_model` names, or what is wrong with that model."""
    try:
        return build(Answers.load(choose_model()))
    except (OSError, ValueError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return build_problem(plain(str(error)))


def launch(page: gr.Blocks, **options: Any) -> Any:
    """Serves the page as it is meant to be served."""
    try:
        import mcp  # noqa: F401

        has_mcp = True
    except ImportError:
        has_mcp = False
    return page.queue(max_size=64, default_concurrency_limit=2).launch(
        theme=THEME,
        css_paths=[HERE / "style.css"],
        head=UNTIL_STILL,
        footer_links=["api"],
        max_file_size=MAX_FILE_BYTES,
        js=(HERE / "page.js").read_text(encoding="utf-8").replace("MAX_FILE_BYTES", str(MAX_FILE_BYTES)),
        mcp_server=has_mcp,
        run_history=False,
        show_error=True,
        ssr_mode=False,
        **options,
    )


if __name__ == "__main__":
    launch(make_page())
