"""Parts of a program that are timed in turns, so that what slows a machine down slows all of them.

Knows nothing about what the parts do.
"""

import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


QUIET = 0.08  # share of the machine's cores that other programs may have in a round that counts
Part = Callable[[], Any]


class Clock(NamedTuple):
    """Seconds since some moment: of the clock, of this process with its children, and of all the cores together."""

    wall: float
    own: float
    busy: float

    @classmethod
    def read(cls) -> "Clock":
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = time.process_time() + children.ru_utime + children.ru_stime
        # user, nice, system, interrupts and what the host took away; not idle, not waiting for the disk
        ticks = [int(field) for field in _first_line("/proc/stat").split()[1:9]]
        busy = sum(ticks) - ticks[3] - ticks[4]
        return cls(time.perf_counter(), own, busy / os.sysconf("SC_CLK_TCK"))


class Span(NamedTuple):
    """What a part may return to say which of its seconds count, such as its steps without the start."""

    start: Clock
    end: Clock


@dataclass(frozen=True)
class Round:
    """
    One turn of every part.

    Args:
        wall (`dict[str, float]`), cpu (`dict[str, float]`):
            Seconds of each part, by the clock and of this process with the children it has waited for.
        others (`float`):
            Share of the machine's cores that other programs had meanwhile.
    """

    wall: dict[str, float]
    cpu: dict[str, float]
    others: float

    @property
    def is_quiet(self) -> bool:
        return self.others <= QUIET


def take_turns(
    parts: Mapping[str, Part], repeats: int, patience: int = 3, read: Callable[[], Clock] = Clock.read
) -> list[Round]:
    """
    Runs every part once a round, in alternating order, until there are enough quiet rounds.

    Args:
        parts (`Mapping[str, Callable]`):
            What is timed, by name.
        repeats (`int`):
            Number of quiet rounds that are wanted.
        patience (`int`, *optional*, defaults to 3):
            After so many times as many rounds it ends, quiet or not.
        read (`Callable`, *optional*):
            Reads the clock.

    Returns:
        `list[Round]`: The quiet rounds if there are `repeats`, or else all of them.
    """
    rounds: list[Round] = []
    while sum(turn.is_quiet for turn in rounds) < repeats and len(rounds) < repeats * patience:
        wall, cpu, start = {}, {}, read()
        for name in list(parts)[:: 1 if len(rounds) % 2 == 0 else -1]:
            before = read()
            counted = parts[name]()
            span = counted if isinstance(counted, Span) else Span(before, read())
            wall[name], cpu[name] = span.end.wall - span.start.wall, span.end.own - span.start.own
        rounds.append(Round(wall, cpu, _share_of_others(start, read())))
    quiet = [turn for turn in rounds if turn.is_quiet]
    return quiet if len(quiet) >= repeats else rounds


def ratios(rounds: Iterable[Round], over: Iterable[str], under: Iterable[str], kind: str = "cpu") -> list[float]:
    """
    What some parts take in proportion to others, round by round.

    Example:
        >>> turn = Round(wall={}, cpu={"decode": 1.0, "forward": 2.0, "score": 4.0}, others=0.0)
        >>> ratios([turn], ["decode", "forward"], ["score"])
        [0.75]
    """
    over, under = list(over), list(under)
    return [
        sum(getattr(turn, kind)[name] for name in over) / sum(getattr(turn, kind)[name] for name in under)
        for turn in rounds
    ]


def clock(part: Callable[[int], Any], repeat: int) -> float:
    start = time.perf_counter()
    part(repeat)
    return time.perf_counter() - start


def _share_of_others(start: Clock, end: Clock) -> float:
    cores = (os.cpu_count() or 1) * max(end.wall - start.wall, 1e-9)
    return min(max(0.0, (end.busy - start.busy) - (end.own - start.own)) / cores, 1.0)


def _first_line(path: str) -> str:
    with open(path) as file:
        return file.readline()
