"""
The command line: `hf-aesthetics score holiday/ --model CHECKPOINT`, `hf-aesthetics explain beach.jpg ...`.

Knows nothing about models; it reads arguments, calls `scoring` or `explain`, and prints.
"""

import argparse
import heapq
import io
import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__


if TYPE_CHECKING:
    from .scoring import AestheticScorer, PictureScore

_BLOCKS = "▁▂▃▄▅▆▇█"


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
    score.add_argument("paths", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER", help="folders are searched in depth")
    _add_model_arguments(score)
    score.add_argument("--output", type=Path, metavar="FILE", help="write a table too: .csv, .jsonl or .parquet")
    score.add_argument("--batch_size", type=_positive_int, default=16, metavar="N", help="default: %(default)s")
    score.add_argument("--top", type=_positive_int, metavar="K", help="list the K best only")

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
    # here, because they take seconds to import
    from tqdm import tqdm

    from .images import find_images
    from .scoring import check_destination, score_pictures, write_scores

    if arguments.output:
        check_destination(arguments.output)
    paths = list(find_images(arguments.paths))
    if not paths:
        folders = ", ".join(repr(str(path)) for path in arguments.paths)
        print(f"error: Expected at least one picture in {folders}, found none.", file=sys.stderr)
        return 1
    scorer = _load_scorer(arguments)

    best = _BestRows(arguments.top or len(paths))
    rows = score_pictures(scorer, paths, batch_size=arguments.batch_size)
    rows = best.watch(tqdm(rows, total=len(paths), unit=" pictures", disable=None, file=sys.stderr))
    if arguments.output:
        write_scores(rows, arguments.output)
    else:
        deque(rows, maxlen=0)

    if scorer.notice:
        print(f"Note: {scorer.notice}\n")
    for line in format_table(best.rows(), scorer.model.config.max_score):
        print(line)
    print(f"\n{best.num_scored} of {len(paths)} pictures scored by {scorer.id} ({scorer.preprocessing})")
    if arguments.output:
        print(f"All rows are in {arguments.output}")
    if best.failures:
        print("\nNot scored:")
        for reason in best.failures:
            print(f"  {reason}")
    return 0 if best.num_scored else 1


def _explain(arguments: argparse.Namespace) -> int:
    from .explain import draw_explanations, explain, overlay
    from .images import read_image

    picture = read_image(arguments.photo)
    scorer = _load_scorer(arguments)
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


def _cull(arguments: argparse.Namespace) -> int:
    from .series.command import run_cull

    return run_cull(arguments, _load_scorer)


def _load_scorer(arguments: argparse.Namespace) -> "AestheticScorer":
    import transformers

    from .scoring import AestheticScorer

    # what is wrong with a checkpoint is said in one line by `main`
    transformers.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers.logging.disable_progress_bar()
    return AestheticScorer.from_pretrained(
        arguments.model,
        revision=arguments.revision,
        device=arguments.device,
        trust_remote_code=arguments.trust_remote_code,
    )


class _BestRows:
    """Keeps the best of the rows that pass by, and the reasons of those without a score."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self.num_scored = 0
        self.failures: list[str] = []
        self._heap: list[tuple[float, int, PictureScore]] = []

    def watch(self, rows: "Iterable[PictureScore]") -> "Iterator[PictureScore]":
        for row in rows:
            if row.score is None:
                self.failures.append(row.error or row.path)
            else:
                self.num_scored += 1
                # among equals the earlier one is the better
                entry = (row.score, -self.num_scored, row)
                if len(self._heap) < self.num_rows:
                    heapq.heappush(self._heap, entry)
                else:
                    heapq.heappushpop(self._heap, entry)
            yield row

    def rows(self) -> "list[PictureScore]":
        return [row for _, _, row in sorted(self._heap, reverse=True)]


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
