"""
What the report shows of a study: its figures drawn, its tables shaded, its pictures packed.

Knows nothing about the page on which they stand.
"""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from PIL import Image

from ..analysis.findings import (
    CONTROLS,
    REFERENCE,
    Categorisation,
    CategorySystemFindings,
    Covariance,
    Dominance,
    Estimate,
    ModalityFigures,
    StudyFindings,
    Trend,
    Verdict,
)
from ..models.modality_maps import MODALITIES
from ..models.rgb_conversion import convert_to_rgb
from .charts import Axis, bar_plot, interval_plot, legend, trend_plot
from .numbers import number, percent


Thumbnails = Mapping[str, Image.Image] | Callable[[str], Image.Image | None]

# what is measured of a modality: how it is called, its decimals, and why it may be undefined
FIGURES = {
    "srcc": ("SRCC", 2, "the forecasts or the votes are all the same"),
    "skill": ("skill", 2, ""),
    "retention": ("retention", 2, "it compares with rgb, where the SRCC of rgb is clearly above 0"),
    "unique": ("unique", 3, "it is for cues, not for what sees the whole picture nor for controls"),
    "beyond_rgb": ("beyond rgb", 3, "it is for cues, where there is a network that sees the picture itself"),
}
SIGNIFICANT = 0.05
NUM_STRONGEST = 20  # categories that are shown at once
THUMBNAIL_SIZE = 160
SHEET_SIZE = 1600


def describe_study(
    study: StudyFindings, key: str, thumbnails: Thumbnails | None = None, map_sheet: Image.Image | None = None
) -> dict[str, Any]:
    """
    Everything that the template needs of one collection.

    Args:
        study ([`~hf_aesthetics.analysis.findings.StudyFindings`]):
            What was found.
        key (`str`):
            Where links inside the page lead.
        thumbnails (`Mapping[str, PIL.Image.Image]` or `Callable[[str], PIL.Image.Image]`, *optional*):
            Pictures by `image_id`.
        map_sheet (`PIL.Image.Image`, *optional*):
            Some pictures beside their maps.
    """
    cues = [row for row in study.modalities if _kind(row.modality) == "cue"]
    return {
        "key": key,
        "findings": study,
        "claims": _group_claims(study.verdict.claims),
        "share_plot": plot_shares(study.verdict),
        "rows": [(row, _kind(row.modality), _meaning(row.modality)) for row in study.modalities],
        "undefined": _undefined_figures(study.modalities),
        "plots": plot_figures([study]),
        "map_sheet": _embed(map_sheet, SHEET_SIZE),
        "agreement": _shade(study.agreement, list(study.agreement), 1.0) if study.agreement else None,
        "best_cue": max(cues, key=lambda row: row.srcc.value if row.srcc else -1, default=None),
        "fusion_plot": _plot_fusion(study, cues),
        "dominance": study.dominance and _describe_dominance(study.dominance, thumbnails),
        "systems": [_describe_system(system) for system in study.systems],
        "clusters": _describe_clusters(study.categorisation, thumbnails) if study.categorisation else [],
        "trends": _plot_trends(study.trends),
    }


def compare_studies(studies: Sequence[StudyFindings]) -> dict[str, Any]:
    """The figures of several collections side by side: a legend, plots, and a row for each modality."""
    tables = [{row.modality: row for row in [*study.modalities, study.fusion] if row} for study in studies]
    together = {study.fusion.modality: "all cues together" for study in studies if study.fusion}
    return {
        "legend": legend([study.collection for study in studies]),
        "plots": plot_figures(studies),
        "rows": [
            (name, _kind(name), together.get(name, _meaning(name)), [table.get(name) for table in tables])
            for name in _names(tables)
        ],
    }


def _group_claims(claims: Sequence[str]) -> list[str]:
    """Claims of one cue on one line: "depth carries more than blur" and "... than colour" are one."""
    grouped: dict[str, list[str]] = {}
    for claim in claims:
        cue, words, other = claim.partition(" carries more than ")
        grouped.setdefault(cue + words, []).append(other)
    return [head + ", ".join(others) for head, others in grouped.items()]


def _kind(modality: str) -> str:
    base = modality.split("+")[0]  # what sees the whole picture, too, is no cue
    return "reference" if base == REFERENCE else "control" if base in CONTROLS else "cue"


def _meaning(modality: str) -> str:
    names = [name if name in MODALITIES else name.rpartition("_")[0] for name in modality.split("+")]  # degraded maps
    return ", and ".join(MODALITIES[name].meaning for name in names if name in MODALITIES)


def _names(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """All modalities, in the order of the first table that has them, controls last."""
    names = dict.fromkeys(name for table in tables for name in table)
    return sorted(names, key=lambda name: ("reference", "cue", "control").index(_kind(name)))


def _undefined_figures(rows: Sequence[ModalityFigures]) -> dict[str, str]:
    """Why figures are undefined, by their name."""
    return {
        name: reason for key, (name, _, reason) in FIGURES.items() if any(getattr(row, key) is None for row in rows)
    }


def _axis(
    rows: Iterable[Estimate | float | None], *others: float, write: Callable[[float], str] | None = None
) -> Axis:
    """A scale for estimates or plain values, with zero on it."""
    values = [value for row in rows if row is not None for value in (row if isinstance(row, tuple) else [row])]
    return Axis.around([0.0, *values, *others], write)


def plot_figures(studies: Sequence[StudyFindings]) -> dict[str, Markup | None]:
    """SRCC, skill and contributions of all modalities; none of what is undefined for all."""
    tables = [{row.modality: row for row in study.modalities} for study in studies]
    plots: dict[str, Markup | None] = dict.fromkeys(("srcc", "skill", "unique", "beyond_rgb"))
    for key in plots:
        rows = {name: [getattr(table.get(name), key, None) for table in tables] for name in _names(tables)}
        if key in ("unique", "beyond_rgb"):
            rows = {name: row for name, row in rows.items() if any(row)}
        estimates = [estimate for row in rows.values() for estimate in row]
        if any(estimates):
            plots[key] = interval_plot(
                f"{FIGURES[key][0]} of every modality, with 95 % intervals",
                rows,
                _axis(estimates, *([1.0] if key == "srcc" else [])),
                series=[study.collection for study in studies],
                mark=studies[0].ceiling if key == "srcc" and len(studies) == 1 else None,
            )
    return plots


def plot_shares(verdict: Verdict) -> Markup | None:
    """Share of each cue; none where nothing could be shared out."""
    shares = verdict.shares
    return bar_plot("Share of each cue", shares, _axis(shares.values(), write=percent)) if shares else None


def _plot_fusion(study: StudyFindings, cues: Sequence[ModalityFigures]) -> Markup | None:
    """SRCC of every cue, of all together and of the picture itself."""
    if study.fusion is None or study.fusion.srcc is None:
        return None
    references = [row for row in study.modalities if _kind(row.modality) == "reference"]
    rows = {row.modality: [row.srcc] for row in [*references, study.fusion, *cues]}
    return interval_plot("SRCC of all cues together", rows, _axis([row for (row,) in rows.values()], 1.0))


def _describe_dominance(dominance: Dominance, thumbnails: Thumbnails | None) -> dict[str, Any]:
    counts = {**dominance.counts, "undecided": dominance.undecided}
    total = sum(counts.values())
    shares = {name: count / total for name, count in counts.items()} if total else {}
    return {
        "counts": counts,
        "total": total,
        "plot": bar_plot("Share of pictures", shares, _axis(shares.values(), write=percent)) if shares else None,
        "exemplars": {name: _exemplars(ids, thumbnails) for name, ids in dominance.exemplars.items() if ids},
    }


def _describe_system(system: CategorySystemFindings) -> dict[str, Any]:
    """Shaded tables of one category system: partial correlations where there are any, and correlations."""
    has_partial = any(row.partial is not None for row in system.rows)
    tables = [_tabulate(system.rows, is_partial) for is_partial in ([True, False] if has_partial else [False])]
    return {"findings": system, "has_partial": has_partial, "tables": tables}


def _tabulate(rows: Sequence[Covariance], is_partial: bool) -> dict[str, Any]:
    shown = {(row.category, row.modality): row for row in rows if row.partial is not None or not is_partial}
    modalities = list(dict.fromkeys(row.modality for row in shown.values()))
    values: dict[str, dict[str, float | None]] = {}
    marks = set()
    for (category, modality), row in shown.items():
        estimate = row.partial if is_partial and row.partial is not None else row.correlation
        values.setdefault(category, {})[modality] = estimate.value
        if row.q_value < SIGNIFICANT and is_partial == (row.partial is not None):  # which of both it belongs to
            marks.add((category, modality))
    strengths = {category: max(abs(value or 0) for value in row.values()) for category, row in values.items()}
    ranked = {category: values[category] for category in sorted(values, key=lambda name: -strengths[name])}
    table = _shade(ranked, modalities, max(strengths.values(), default=1.0) or 1.0, marks)
    rows_shaded = table["rows"]
    return {**table, "rows": rows_shaded[:NUM_STRONGEST], "others": rows_shaded[NUM_STRONGEST:]}


def _shade(
    rows: Mapping[str, Mapping[str, float | None]],
    columns: Sequence[str],
    strongest: float,
    marks: Iterable[tuple[str, str]] = (),
) -> dict[str, Any]:
    """A table whose cells are the deeper in colour the farther from zero, the colour being the sign."""
    marks = set(marks)

    def shade_cell(row: str, column: str) -> dict[str, Any]:
        value = rows[row].get(column)
        if value is None:
            return {"text": None}
        sign = "minus" if value < 0 else "plus"
        strength = min(abs(value) / strongest, 1.0)
        return {"text": number(value), "sign": sign, "strength": f"{strength:.2f}", "mark": (row, column) in marks}

    shaded = [(name, [shade_cell(name, column) for column in columns]) for name in rows]
    return {"columns": list(columns), "rows": shaded, "has_gaps": any(not c["text"] for _, row in shaded for c in row)}


def _describe_clusters(found: Categorisation, thumbnails: Thumbnails | None) -> list[dict[str, Any]]:
    axis = _axis(value for cluster in found.clusters for value in cluster.profile.values())
    total = sum(cluster.size for cluster in found.clusters)
    return [
        {
            "findings": cluster,
            "share": cluster.size / total if total else 0.0,
            "plot": bar_plot(f"Profile of {cluster.name}", cluster.profile, axis) if cluster.profile else None,
            "exemplars": _exemplars(cluster.exemplars, thumbnails),
        }
        for cluster in found.clusters
    ]


def _plot_trends(trends: Sequence[Trend]) -> list[tuple[Trend, Markup | None]]:
    """All on the same scale of scores, so that a flat one looks flat."""
    bounds = [bound for trend in trends for bound in (*trend.lows, *trend.highs)]
    axis = Axis.around(bounds) if bounds else None
    return [
        (trend, trend_plot(trend.meaning, trend.centers, trend.means, trend.lows, trend.highs, axis))
        if axis and trend.centers
        else (trend, None)
        for trend in trends
    ]


def _exemplars(image_ids: Sequence[str], thumbnails: Thumbnails | None) -> list[tuple[str, str | None]]:
    """Ids with their pictures as data, where there are any."""
    find = thumbnails.get if isinstance(thumbnails, Mapping) else thumbnails
    pictures = [(image_id, find(image_id) if find else None) for image_id in image_ids]
    return [(image_id, _embed(picture, THUMBNAIL_SIZE)) for image_id, picture in pictures]


def _embed(picture: Image.Image | None, size: int) -> str | None:
    if picture is None:
        return None
    small = convert_to_rgb(picture).copy()
    small.thumbnail((size, size))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
