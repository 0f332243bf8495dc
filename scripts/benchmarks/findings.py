"""What a benchmark finds: ratios beside their bars, as a table for people and as JSON. Knows nothing about clocks."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from hf_aesthetics.reports.charts import Axis, bar_plot, standalone

from .rounds import Round


FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
PACKAGES = ("hf_aesthetics", "torch", "torchvision", "transformers", "datasets", "accelerate", "numpy")
PACKAGES += ("pillow", "simplejpeg", "onnxruntime", "timm", "pyiqa")


@dataclass(frozen=True)
class Finding:
    """
    A measured quantity, and what it is to be.

    Args:
        what (`str`):
            Its name.
        values (`list[float]`):
            Of every round.
        at_least (`float`, *optional*), at_most (`float`, *optional*):
            The bar, if there is one.
        unit (`str`, *optional*, defaults to `"x"`):
            What stands behind the number.
    """

    what: str
    values: list[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def margin(self) -> float | None:
        """
        How far the median is beyond its bar, as a share of the bar; negative where it is missed.

        Example:
            >>> Finding("speed", [3.3], at_least=3.0).margin, Finding("memory", [1.1], at_most=1.0).margin
            (0.1, -0.1)
        """
        if self.at_least is not None:
            return round(self.median / self.at_least - 1, 4)
        return None if self.at_most is None else round(1 - self.median / self.at_most, 4)

    def row(self) -> str:
        """
        A row of the table.

        Example:
            >>> Finding("ceiling", [0.8, 0.9, 0.85], at_least=0.9).row()
            '| ceiling | 0.85x [0.80, 0.90] | at least 0.9x | missed by 5.6 % |'
        """
        low, high = min(self.values), max(self.values)
        spread = f" [{_short(low)}, {_short(high)}]" if len(self.values) > 1 else ""
        bar = "" if self.at_least is None else f"at least {self.at_least:g}{self.unit}"
        bar = bar if self.at_most is None else f"at most {self.at_most:g}{self.unit}"
        verdict = ""
        if self.margin is not None:
            verdict = f"missed by {-100 * self.margin:.1f} %" if self.margin < 0 else f"met, {100 * self.margin:.1f} %"
        return f"| {self.what} | {_short(self.median)}{self.unit}{spread} | {bar} | {verdict} |"


@dataclass
class Report:
    """All that a subject finds; `facts` are what a reader needs to know beside it, `rounds` the raw seconds."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def table(self) -> str:
        """What was found in Markdown, and below it whether the machine was quiet."""
        rows = [finding.row() for finding in self.findings]
        lines = ["| what | median [range of the rounds] | bar | |", "|---|---|---|---|", *rows]
        for name, rounds in self.rounds.items():
            low, high = (100 * pick(turn.others for turn in rounds) for pick in (min, max))
            trust = "quiet" if all(turn.is_quiet for turn in rounds) else "NOT QUIET, so measure again"
            lines.append(
                f"\n{name}: {len(rounds)} rounds, {trust}; others had {low:.0f} to {high:.0f} % of the cores."
            )
        return "\n".join(lines)

    def write(self, path: Path, threads: int) -> None:
        """Adds the subject to a JSON file, beside other subjects that were measured before."""
        known = json.loads(path.read_text()) if path.exists() else {}
        findings = [asdict(each) | {"median": each.median, "margin": each.margin} for each in self.findings]
        known[self.subject] = {
            "machine": describe_machine() | {"threads": threads},
            "facts": self.facts,
            "findings": findings,
            "rounds": {name: [asdict(each) for each in rounds] for name, rounds in self.rounds.items()},
        }
        path.write_text(json.dumps(known, indent=1) + "\n")


def draw_speeds(title: str, speeds: dict[str, float]) -> str:
    """Pictures a second as bars, an SVG file that follows the light or dark scheme of its reader."""
    top = Axis.around([0, max(speeds.values())])
    axis = Axis(0, top.high, top.step, write=_short)
    return standalone(bar_plot(title, speeds, axis))


def describe_machine() -> dict[str, Any]:
    """What figures depend on: the processor and what it can, the versions of what computes."""
    processor = _processor()
    flags = set(processor.get("flags", "").split())
    return {
        "processor": processor.get("model name", platform.processor()),
        "cores": int(processor.get("cpu cores", "0")) or None,
        "flags": [flag for flag in FLAGS if flag in flags],
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | dict(_versions(PACKAGES)),
    }


def _processor() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _short(value: float) -> str:
    """
    A number with three digits at most, or all before the point.

    Example:
        >>> _short(0.8512), _short(34.56), _short(1234.5)
        ('0.85', '34.6', '1234')
    """
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
