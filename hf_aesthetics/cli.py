"""
The command line: `hf-aesthetics score holiday/ --model CHECKPOINT`, `hf-aesthetics explain beach.jpg ...`.

Knows nothing about models; it reads arguments, calls `scoring` or `explain`, and prints. It answers `--help` at once,
because all that takes seconds to import is imported where it is needed.
"""

import argparse
import heapq
import io
import itertools
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__


if TYPE_CHECKING:
    from .scoring import PictureScore, Rank, RayEngine, ScorerSpec

_BLOCKS = "▁▂▃▄▅▆▇█"
_TOP = 20
_MANY = 1000
_MODE = (
    "fast reads pictures at a lower resolution and computes in a lower precision, after a test on some of them that "
    "scores stay within 0.02 on average; default: exact"
)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Runs a command and returns its exit code: 0 if a picture was scored or explained, 1 if none was, 2 if it failed.

    Args:
        argv (`Sequence[str]`, *optional*):
            Arguments; those of the process where they are left out.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal has blocks, or the letters of every file name
    arguments = _build_parser().parse_args(argv)
    try:
        from . import registration  # noqa: F401 (not before, because torch takes seconds)

        return arguments.run(arguments)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hf-aesthetics", description="Predict how people rate pictures.")
    parser.add_argument("--version", action="version", version=f"hf-aesthetics {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    score = commands.add_parser(
        "score",
        help="score pictures and list them, best first",
        description="Score pictures and list them, best first: the mean score that people would give and its standard "
        "deviation, the place among the model's training pictures in percent, and the share of raters a rating.",
        epilog="The exit code is 0 if at least one picture was scored, 1 if none was, and 2 after an error.",
    )
    score.set_defaults(run=_score)
    score.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="photo, folder (searched in depth), glob pattern, .zip, .tar, .parquet, hf://datasets/ORG/NAME, or - for "
        "a list of files on standard input",
    )
    _add_model_arguments(score)
    score.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="write a table: .parquet, .csv or .jsonl; or a folder of Parquet files, which several machines may "
        "share. After a kill, the same command goes on with what is done",
    )
    score.add_argument("--top", type=_positive_int, metavar="K", help=f"list the K best; with --output, {_TOP}")
    score.add_argument("--batch_size", type=_positive_int, default=16, metavar="N", help="default: %(default)s")
    score.add_argument(
        "--num_workers", type=_positive_int, metavar="N", help="processes; default: one a core where that is faster"
    )
    score.add_argument("--mode", choices=["exact", "fast"], default="exact", help=_MODE)
    score.add_argument("--image_column", metavar="NAME", help="column of pictures in tables; default: the only one")
    score.add_argument("--keep_columns", nargs="+", default=[], metavar="NAME", help="columns of tables to hand on")
    score.add_argument(
        "--retry_failures", action="store_true", help="score units again in which pictures could not be read"
    )
    score.add_argument("--ray", action="store_true", help="run on a Ray cluster, with --num_workers actors")

    explain = commands.add_parser(
        "explain",
        help="draw what raises the score of a picture, and what lowers it",
        description="Draw over a picture what raises its score, in orange, and what lowers it, in blue. Several "
        "methods are drawn side by side.",
    )
    explain.set_defaults(run=_explain)
    explain.add_argument("photo", type=Path, metavar="PHOTO")
    _add_model_arguments(explain)
    explain.add_argument(
        "--method",
        nargs="+",
        default=["grad_cam"],
        help="grad_cam, grad_cam_plus_plus, cam, integrated_gradients or occlusion; the last two work with every "
        "model; default: grad_cam",
    )
    explain.add_argument("--output", type=Path, required=True, metavar="FILE", help="picture to write")

    export = commands.add_parser(
        "export",
        help="write a checkpoint as ONNX, for programs without Python",
        description="Write a checkpoint as ONNX, with its processor and how to run it, after a test that the graph "
        "answers as PyTorch does.",
    )
    export.set_defaults(run=_export)
    _add_model_arguments(export)
    export.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="folder to make")

    cull = commands.add_parser(
        "cull",
        help="find the series among photos and propose which shots to keep",
        description="Find the series among photos, shots of one thing taken within seconds, and propose which to "
        "keep: on a contact sheet and, with --xmp, as star ratings in sidecars. Photos are never changed.",
    )
    cull.set_defaults(run=_cull)
    cull.add_argument("paths", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER", help="folders are searched in depth")
    _add_model_arguments(cull)
    cull.add_argument(
        "--keep", type=_positive_int, default=1, metavar="N", help="of each series; default: %(default)s"
    )
    cull.add_argument("--max_gap", type=float, default=10.0, metavar="SECONDS", help="between two shots of a series")
    cull.add_argument("--reject", action="store_true", help="reject what is surely worse, in place of 1 star")
    cull.add_argument("--sheet", type=Path, default=Path("contact_sheet.html"), metavar="FILE", help="contact sheet")
    cull.add_argument("--xmp", action="store_true", help="write ratings into sidecars; existing ones are left alone")
    cull.add_argument("--overwrite", action="store_true", help="put them into existing sidecars, too; the rest stays")
    cull.add_argument(
        "--sidecar_names", choices=["stem", "file"], help="IMG_1.xmp, the default, or IMG_1.jpg.xmp for IMG_1.jpg"
    )
    cull.add_argument("--batch_size", type=_positive_int, default=16, metavar="N", help="default: %(default)s")
    return parser


def _add_model_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True, metavar="CHECKPOINT", help="folder, or repository on the Hub")
    command.add_argument("--revision", help="commit, branch or tag of the repository")
    command.add_argument("--device", help="such as cpu or cuda:1; default: a GPU if there is one")
    command.add_argument("--trust_remote_code", action="store_true", help="run code that the checkpoint brings along")


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _score(arguments: argparse.Namespace) -> int:
    from .scoring import Rank, load_scorer, read_scores, score_collection
    from .sources import PathList, units

    rank = Rank.of_environment(os.environ)
    with ExitStack() as stack:
        sources = [PathList(sys.stdin.buffer) if source == "-" else source for source in arguments.sources]
        list_units = partial(units, sources, image_column=arguments.image_column, keep_columns=arguments.keep_columns)
        if next(iter(list_units()), None) is None:
            print(f"error: Expected at least one picture in {_named(arguments.sources)}, found none.", file=sys.stderr)
            return 1
        spec = _scorer_spec(arguments, rank)
        output = arguments.output or Path(stack.enter_context(tempfile.TemporaryDirectory()), "scores.jsonl")
        report = score_collection(
            list_units,
            spec,
            output,
            batch_size=arguments.batch_size,
            num_workers=arguments.num_workers,
            rank=rank,
            retry_failures=arguments.retry_failures,
            engine=_ray_engine(arguments) if arguments.ray else None,
            watch=partial(_progress_bar, is_hidden=rank.number > 0),
            sources=arguments.sources,
            image_column=arguments.image_column,
            keep_columns=arguments.keep_columns,
        )
        scorer = load_scorer(spec)
        if scorer.notice:
            print(f"Note: {scorer.notice}\n")
        if report.tables is None or rank.count > 1:
            state = "all are done" if report.tables else "the others are at work, or to be started again"
            print(f"rank {rank.number} of {rank.count}: {report.num_units} units done in {output}; {state}")
            return 0
        rows = itertools.chain.from_iterable(map(read_scores, report.tables))
        best = _BestRows(rows, arguments.top or (_TOP if arguments.output else None))
    for line in format_table(best.rows, scorer.model.config.max_score):
        print(line)
    listed = f", the best {len(best.rows)} above" if len(best.rows) < best.num_scored else ""
    print(f"\n{best.num_scored} of {best.num_rows} pictures scored by {scorer.id} ({scorer.preprocessing}){listed}")
    if best.num_rows >= _MANY:
        print(f"Run by {scorer.runtime}: {scorer.runtime_reason}")
    if report.agreement:
        print(f"Fast mode against exact mode: {report.agreement}")
    if arguments.output:
        print(f"All rows are in {arguments.output}")
    if best.failures:
        print("\nNot scored:")
        for reason in best.failures:
            print(f"  {reason}")
        if best.num_failures > len(best.failures):
            print(f"  and {best.num_failures - len(best.failures):,} more, whose rows have an `error`")
    return 0 if best.num_scored else 1


def _explain(arguments: argparse.Namespace) -> int:
    from .explain import draw_explanations, explain, overlay
    from .images import read_image
    from .scoring import load_scorer

    picture = read_image(arguments.photo)
    scorer = load_scorer(_scorer_spec(arguments))
    model, processor, extractor = scorer.model, scorer.processor, scorer.extractor
    explanations = [explain(model, processor, picture, method, extractor=extractor) for method in arguments.method]
    alone = len(explanations) == 1
    drawn = overlay(picture, explanations[0]) if alone else draw_explanations(picture, explanations)
    drawn.save(arguments.output)
    if scorer.notice:
        print(f"Note: {scorer.notice}\n")
    score, best = explanations[0].score, model.config.max_score
    print(f"{score:.{_decimals(best - model.config.min_score)}f} of {best:g} by {scorer.id} ({scorer.preprocessing})")
    print(f"What raises the score is orange, what lowers it is blue in {arguments.output}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from .scoring import export_onnx, load_scorer

    arguments.device = arguments.device or "cpu"
    scorer = load_scorer(_scorer_spec(arguments))
    export_onnx(scorer, arguments.output)
    print(f"{scorer.id} ({scorer.preprocessing}) is in {arguments.output}, and its README.md says how to run it")
    return 0


def _cull(arguments: argparse.Namespace) -> int:
    from .scoring import load_scorer
    from .series.command import run_cull

    return run_cull(arguments, lambda: load_scorer(_scorer_spec(arguments)))


def _scorer_spec(arguments: argparse.Namespace, rank: "Rank | None" = None) -> "ScorerSpec":
    import torch
    import transformers

    from .scoring import ScorerSpec

    # what is wrong with a checkpoint is said in one line by `main`
    transformers.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers.logging.disable_progress_bar()
    device = arguments.device
    if device is None and rank and rank.count > 1 and torch.cuda.device_count() > 1:
        device = f"cuda:{rank.local_number % torch.cuda.device_count()}"
    return ScorerSpec(
        arguments.model,
        revision=arguments.revision,
        device=device,
        mode=getattr(arguments, "mode", "exact"),
        trust_remote_code=arguments.trust_remote_code,
    )


def _ray_engine(arguments: argparse.Namespace) -> "RayEngine":
    import torch

    from .scoring import RayEngine

    on_gpu = torch.cuda.is_available() if arguments.device is None else arguments.device.startswith("cuda")
    return RayEngine(arguments.num_workers or 1, num_gpus=int(on_gpu))


def _progress_bar(total: int | None, done: int, *, is_hidden: bool) -> Callable[[int], Any]:
    from tqdm import tqdm

    # pictures a second and the time that is left are those of this run, not of what was done before
    disable = True if is_hidden else None
    return tqdm(total=total, initial=done, unit=" pictures", disable=disable, file=sys.stderr).update


def _named(sources: Iterable[str]) -> str:
    return ", ".join("standard input" if source == "-" else repr(source) for source in sources)


class _BestRows:
    """The best of many rows, and the first reasons of those without a score."""

    def __init__(self, rows: "Iterable[PictureScore]", num_best: int | None, num_reasons: int = 50) -> None:
        self.num_rows = self.num_scored = 0
        self.failures: list[str] = []
        heap: list[tuple[float, int, PictureScore]] = []
        for row in rows:
            self.num_rows += 1
            if row.score is None:
                if len(self.failures) < num_reasons:
                    self.failures.append(row.error or row.path)
                continue
            self.num_scored += 1
            # among equals the earlier one is the better
            entry = (row.score, -self.num_scored, row)
            if num_best is None or len(heap) < num_best:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)
        self.rows = [row for _, _, row in sorted(heap, reverse=True)]

    @property
    def num_failures(self) -> int:
        return self.num_rows - self.num_scored


def format_table(rows: "Sequence[PictureScore]", max_score: float) -> list[str]:
    """
    Lines of a table for a terminal; file names come last, because they have any length.

    Args:
        rows (`Sequence[PictureScore]`):
            Rows with a score, in the order of the table.
        max_score (`float`):
            The best rating of the scale.

    Example:
        >>> from hf_aesthetics.scoring import PictureScore
        >>> numbers = {"score": 2.7, "score_std": 0.6, "percentile": 91.5}
        >>> shares = {"1": 0.1, "2": 0.1, "3": 0.8}
        >>> row = PictureScore(
        ...     path="beach.jpg", **numbers, distribution=shares, error=None, scorer="nima@5f2c", preprocessing="rgb"
        ... )
        >>> print("\\n".join(format_table([row], max_score=3)))
                 score  percentile  1-3  file
        2.7 ± 0.6 of 3          92  ▂▂█  beach.jpg
    """
    if not rows:
        return []
    ratings = list(rows[0].distribution)
    decimals = _decimals(float(ratings[-1]) - float(ratings[0]))
    cells = [("score", "percentile", f"{ratings[0]}-{ratings[-1]}", "file")]
    for row in rows:
        spread = "" if row.score_std is None else f" ± {row.score_std:.{decimals}f}"
        score = f"{row.score:.{decimals}f}{spread} of {max_score:g}"
        percentile = "-" if row.percentile is None else f"{row.percentile:.0f}"
        # a line break in a name would break the table, an escape sequence would command the terminal
        name = row.path if row.path.isprintable() else repr(row.path)[1:-1]
        cells.append((score, percentile, _draw_shares(row.distribution), name))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    return [
        f"{score:>{widths[0]}}  {percentile:>{widths[1]}}  {shares:<{widths[2]}}  {name}"
        for score, percentile, shares, name in cells
    ]


def _decimals(span: float) -> int:
    """Places behind the point that tell scores of a scale apart: one from 1 to 10, two from 0 to 1."""
    return max(1, 2 - math.ceil(math.log10(span)))


def _draw_shares(distribution: Mapping[str, float | None]) -> str:
    """One block a rating, the most frequent rating at full height; "-" where no shares are predicted."""
    shares = [share for share in distribution.values() if share is not None]
    if not shares:
        return "-"
    return "".join(_BLOCKS[round(share / max(shares) * (len(_BLOCKS) - 1))] for share in shares)


if __name__ == "__main__":
    sys.exit(main())
