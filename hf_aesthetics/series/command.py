"""The command `hf-aesthetics cull`: what it does, and what it says. Knows nothing about how arguments are parsed."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

from ..images import find_images
from ..scoring import AestheticScorer, Reliability
from .contact_sheet import check_sheet, describe_shot, write_contact_sheet
from .culling import Culling, RatingsWritten, cull, write_ratings


_MAX_LINES = 20


def run_cull(arguments: Namespace, load_scorer: Callable[[], AestheticScorer]) -> int:
    """
    Runs the command and returns its exit code: 1 if there was no picture, or a rating could not be written; else 0.

    Args:
        arguments (`Namespace`):
            `paths`, `keep`, `reject`, `xmp`, `overwrite`, `sidecar_names`, `sheet`, `max_gap` and `batch_size`.
        load_scorer (`Callable`):
            Loads the scorer, once there is something to rank.
    """
    if (arguments.overwrite or arguments.sidecar_names) and not arguments.xmp:
        raise ValueError("--overwrite and --sidecar_names say how ratings are written. Add --xmp, or leave them out.")
    check_sheet(arguments.sheet)
    paths = list(find_images(arguments.paths))
    if not paths:
        folders = ", ".join(repr(str(path)) for path in arguments.paths)
        print(f"error: Expected at least one picture in {folders}, found none.", file=sys.stderr)
        return 1
    scorer = load_scorer()
    reliability = Reliability.of_scorer(scorer)
    culling = cull(
        scorer,
        paths,
        keep=arguments.keep,
        reject=arguments.reject,
        error=None if reliability is None or not reliability.error > 0 else reliability.error,
        max_gap=arguments.max_gap,
        batch_size=arguments.batch_size,
    )
    title = ", ".join(path.name or str(path.absolute()) for path in arguments.paths)
    for line in describe_culling(culling):
        print(line)
    write_contact_sheet(culling, arguments.sheet, title)
    print(f"\nThe contact sheet is {arguments.sheet}")
    if not arguments.xmp:
        print("No rating was written. Add --xmp to write them as sidecars beside the pictures.")
        return 0
    report = write_ratings(culling, overwrite=arguments.overwrite, naming=arguments.sidecar_names or "stem")
    for line in describe_ratings(report):
        print(line)
    return 1 if report.failed else 0


def describe_culling(culling: Culling) -> list[str]:
    """
    What is proposed, in lines for a terminal.

    Args:
        culling ([`Culling`]):
            What [`cull`] proposes.
    """
    lines = [] if culling.notice is None else [f"Note: {culling.notice}", ""]
    for number, shots in enumerate(culling.series, start=1):
        lines.append(f"Series {number}")
        for shot in shots:
            stars = "" if shot.rating is None else "rejected" if shot.rating < 0 else "★" * shot.rating
            score = "" if shot.score is None else f"{shot.score:.2f}"
            lines.append(f"  {stars:<8}  {score:>6}  {_printable(shot.path)}  ({describe_shot(shot)})")
    found = culling.found
    num_shots = sum(map(len, culling.series))
    lines += [""] if culling.series else []
    lines.append(
        f"{len(culling.series):,} series of {num_shots:,} shots, of which {culling.num_kept:,} proposed to keep; "
        f"{_count(len(found.singles), 'picture resembles', 'pictures resemble')} no other one"
        + (f"; {_count(len(found.copies), 'copy', 'copies')} to the byte" if found.copies else "")
    )
    lines.append(f"Ranked by {culling.scorer} ({culling.preprocessing})")
    if found.unreadable:
        lines += ["", "Not looked at:", *_list(found.unreadable.values())]
    return lines


def describe_ratings(report: RatingsWritten) -> list[str]:
    """
    What became of the sidecars, in lines for a terminal.

    Args:
        report ([`RatingsWritten`]):
            What [`write_ratings`] did.
    """
    lines = [f"{_count(len(report.written), 'rating was', 'ratings were')} written"]
    if report.unchanged:
        lines.append(f"{_count(len(report.unchanged), 'was', 'were')} there already")
    if report.respected:
        told = _count(
            len(report.respected), "sidecar was there and left as it is", "sidecars were there and left as they are"
        )
        lines.append(f"{told}: {_first(report.respected)}")
        lines.append("Add --overwrite to put the ratings into them; all else that they say stays in them.")
    if report.failed:
        lines += ["Without a sidecar:", *_list(f"{path}: {reason}" for path, reason in report.failed.items())]
    return lines


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _list(reasons: Iterable[str]) -> list[str]:
    """Some lines, however many there are: of a folder that cannot be written all pictures tell the same."""
    told = [f"  {reason}" for reason in reasons]
    return told[:_MAX_LINES] + ([f"  and {len(told) - _MAX_LINES:,} more"] if len(told) > _MAX_LINES else [])


def _first(paths: Iterable[Path]) -> str:
    names = [_printable(path) for path in paths]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _printable(path: Path) -> str:
    # a line break in a name would break the list, an escape sequence would command the terminal
    return str(path) if str(path).isprintable() else repr(str(path))[1:-1]
