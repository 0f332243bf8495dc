"""What the page shows, as HTML: numbers and pictures in, markup out. Knows nothing about models or Gradio.

Pictures stand in the markup itself, so that nothing but the upload is ever written to a disk.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape
from PIL import Image

from hf_aesthetics.advice import CropAdvice, EditAdvice
from hf_aesthetics.pipelines import AestheticRecord
from hf_aesthetics.scoring import RankedPicture


MINUS = "\N{MINUS SIGN}"


class Scale(NamedTuple):
    """The ends of a rating scale."""

    low: float
    high: float

    def share(self, score: float) -> float:
        """Where a score lies, in percent from the low end."""
        return 100 * min(max((score - self.low) / (self.high - self.low), 0), 1)


def embed(picture: Image.Image, side: int) -> str:
    """A picture as a `data:` address, `side` pixels at most."""
    if (scale := side / max(picture.size)) < 1:
        width, height = (max(1, round(scale * edge)) for edge in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)


def heading(title: str, notice: str | None) -> str:
    """Name of the page, what it is for, and what has to be said with every score."""
    label = Markup('<p class="notice">{}</p>').format(notice) if notice else ""
    return Markup("<header><h1>{}</h1><p>How would people rate this picture, and why?</p>{}</header>").format(
        title, label
    )


def about(message: str) -> str:
    return Markup('<p class="about">{}</p>').format(message)


def problem(message: str) -> str:
    """What went wrong, in plain words."""
    return Markup('<div class="problem" role="alert">{}</div>').format(message)


def hint(message: str) -> str:
    return Markup('<p class="hint">{}</p>').format(message)


def told(sentences: Iterable[str]) -> str:
    return _join(Markup('<p class="told">{}</p>').format(sentence) for sentence in sentences)


def answer_panel(record: AestheticRecord, scale: Scale, sentences: Sequence[str]) -> str:
    """Score, what may be said of it, bars of the distribution, place among the training pictures."""
    opening, *others = sentences
    words = opening.partition(", ")[2].rstrip(".")
    parts = [
        Markup('<p class="score"><strong>{:.1f}</strong> of {:g}{}</p>').format(
            record["score"], scale.high, Markup("<span>{}</span>").format(words) if words else ""
        )
    ]
    if record["distribution"]:
        parts.append(_bars(record["distribution"], record["score"], scale))
    if record["percentile"] is not None:
        label = f"Higher than {record['percentile']:.0f} % of the training pictures"
        parts.append(
            Markup(
                '<div class="track" role="img" aria-label="{}"><i style="width:{:.1f}%"></i></div>'
                '<p class="ends"><span>lowest of the training pictures</span><span>highest</span></p>'
            ).format(label, record["percentile"])
        )
    parts.append(Markup("<ul>{}</ul>").format(_join(Markup("<li>{}</li>").format(other) for other in others)))
    return Markup('<section class="answer" aria-live="polite">{}</section>').format(_join(parts))


def _bars(distribution: Mapping[str, float], score: float, scale: Scale) -> Markup:
    highest = max(distribution.values())
    told = ", ".join(f"{rating}: {share:.0%}".replace("%", " %") for rating, share in distribution.items())
    bars = _join(
        Markup('<div title="{} % would rate it {}"><i style="height:{:.1f}%"></i><span>{}</span></div>').format(
            f"{100 * share:.0f}", rating, 100 * share / highest, rating
        )
        for rating, share in distribution.items()
    )
    count = len(distribution)
    # the middle of a bar is its rating
    mean = 50 / count + scale.share(score) * (count - 1) / count
    return Markup(
        '<figure class="bars" role="img" aria-label="Predicted shares of the ratings. {}">{}'
        '<b style="left:{:.2f}%" aria-hidden="true"></b></figure>'
        '<p class="ends"><span>share of people a rating, {} to {}</span><span>line: mean</span></p>'
    ).format(told, bars, mean, *(list(distribution)[i] for i in (0, -1)))


def compare_panel(picture: Image.Image, layer: Image.Image, title: str, meaning: str) -> str:
    """A picture under another, with a line between them that is dragged or moved with the arrow keys."""
    width, height = picture.size
    return Markup(
        '<figure class="slide" style="--at:50%;--ratio:{}/{}">'
        '<img src="{}" alt="The picture"><img class="over" src="{}" alt="{}: {}"><hr>'
        '<input type="range" min="0" max="100" value="50" aria-label="How much of the picture covers the map" '
        "oninput=\"this.parentNode.style.setProperty('--at', this.value + '%')\">"
        "<figcaption><span>picture</span><span>{}</span></figcaption></figure>"
        '<p class="hint">{}</p>'
    ).format(width, height, embed(picture, 900), embed(layer, 900), title, meaning, title.lower(), meaning)


class Reading(NamedTuple):
    """What one model says, for a row of the chart: its score, and how far such a model is off."""

    name: str
    score: float | None
    error: float | None
    note: str = ""


def readings_panel(readings: Sequence[Reading], scale: Scale) -> str:
    """Scores of several models on one scale, the whole picture first."""
    rows = []
    for reading in readings:
        if reading.score is None:
            drawn, told = Markup(""), Markup('<span class="quiet">{}</span>').format(reading.note)
        else:
            drawn = Markup("")
            if reading.error is not None:
                low, high = (scale.share(reading.score + sign * reading.error) for sign in (-1, 1))
                drawn += Markup('<i class="span" style="left:{:.1f}%;width:{:.1f}%"></i>').format(low, high - low)
            drawn += Markup('<i class="dot" style="left:{:.1f}%"></i>').format(scale.share(reading.score))
            told = Markup("{:.1f}").format(reading.score)
        rows.append(
            Markup(
                '<tr><th scope="row">{}</th><td class="axis"><div>{}</div></td><td class="value">{}</td></tr>'
            ).format(reading.name, drawn, told)
        )
    return Markup(
        '<table class="readings"><caption>What models expect that see the picture, or one map of it alone; '
        "bands: their mean error</caption>{}"
        '<tfoot><tr><td></td><td class="ends"><span>{:g}</span><span>{:g}</span></td><td></td></tr></tfoot></table>'
    ).format(_join(rows), *scale)


def contributions_panel(base: float, contributions: Sequence[tuple[str, str, float]], score: float) -> str:
    """What named features add to a score: name, meaning and change of each, those that change it most."""
    most = max((abs(value) for _, _, value in contributions), default=1.0) or 1.0
    rows = _join(
        Markup(
            '<tr><th scope="row" title="{}">{}</th>'
            '<td class="axis"><div><i class="{}" style="width:{:.1f}%"></i></div></td>'
            '<td class="value">{}</td></tr>'
        ).format(meaning, name, "up" if value > 0 else "down", 50 * abs(value) / most, signed(value))
        for name, meaning, value in contributions
    )
    return Markup(
        '<table class="parts"><caption>What named features add, on the way from {:.1f}, a usual picture, to {:.1f}, '
        "all of them together</caption>{}</table>"
    ).format(base, score, rows)


def edit_panel(before: Image.Image, after: Image.Image, change: str, scores: tuple[float, float], error: float | None):
    """The changed picture, and what it gets in place of what the picture gets."""
    gain = scores[1] - scores[0]
    if abs(gain) < 0.005:
        verdict = "as before"
    elif error is None:
        verdict = f"{signed(gain)}; how far the model is off is not known"
    elif abs(gain) <= error:
        verdict = f"{signed(gain)}, within the model's error of {error:.2f}: no difference"
    else:
        verdict = f"{signed(gain)}, more than the model's error of {error:.2f}"
    width, height = before.size
    return Markup(
        '<figure class="edited" style="--ratio:{}/{}"><img src="{}" alt="The picture, {}"></figure>'
        '<p class="score" aria-live="polite"><strong>{:.1f}</strong><span>{}</span></p>'
    ).format(width, height, embed(after, 900), change, scores[1], verdict)


def edit_label(advice: EditAdvice) -> str:
    return f"{advice.edit}: {signed(advice.gain)}"


def advice_panel(count: int, error: float | None) -> str:
    """Whether there are edits that are worth a try, and what that means."""
    if error is None:
        return hint("No advice: how far the model is off has not been published with it.")
    if not count:
        return hint(f"No change of light, colour or blur gains more than the model's error of {error:.2f}.")
    what = "This gains" if count == 1 else "These gain"
    return hint(
        f"{what} more than the model's error of {error:.2f}. It is what the model prefers, which people may not."
    )


def crops_panel(picture: Image.Image, crops: Sequence[CropAdvice], error: float | None) -> str:
    """The best frame at each aspect ratio, drawn over the picture."""
    address, (width, height) = embed(picture, 520), picture.size
    figures = []
    for crop in crops:
        left, top, right, bottom = crop.box
        clear = error is not None and crop.gain > error
        told = "the largest frame is best" if crop.gain <= 0 else f"{signed(crop.gain)} by moving the frame"
        figures.append(
            Markup(
                '<figure class="crop{}"><div style="aspect-ratio:{}/{}">'
                '<img src="{}" alt="Best frame at {}: {} of {} by {} of {} pixels">'
                '<b style="left:{:.2f}%;top:{:.2f}%;width:{:.2f}%;height:{:.2f}%"></b></div>'
                "<figcaption><strong>{}</strong> {}</figcaption></figure>"
            ).format(
                " clear" if clear else "",
                width,
                height,
                address,
                crop.ratio,
                right - left,
                width,
                bottom - top,
                height,
                100 * left / width,
                100 * top / height,
                100 * (right - left) / width,
                100 * (bottom - top) / height,
                crop.ratio,
                told,
            )
        )
    bound = "" if error is None else f" Highlighted: gains above the model's error of {error:.2f}."
    return Markup(
        '<div class="crops">{}</div><p class="hint">Each frame is compared with the largest one of its shape in the '
        "middle.{}</p>"
    ).format(_join(figures), bound)


def ranking_panel(
    ranked: Sequence[RankedPicture], pictures: Mapping[str, str], scale: Scale, error: float | None, csv: str
) -> str:
    """Pictures in order, with the places that ties leave open, and the table to take home."""
    cards = []
    for row in ranked:
        if row.score is None:
            cards.append(_failed(row))
            continue
        span = (scale.share(row.score - error), scale.share(row.score + error)) if error is not None else None
        cards.append(
            Markup(
                '<li><div class="thumb"><img loading="lazy" src="{}" alt="{}"><b>{}</b></div>'
                '<div class="axis"><div>{}<i class="dot" style="left:{:.1f}%"></i></div></div>'
                "<p><strong>{:.2f}</strong> {}</p></li>"
            ).format(
                pictures[row.path],
                f"{row.path}, place {row.place}",
                row.place if error is not None else row.rank,
                Markup('<i class="span" style="left:{:.1f}%;width:{:.1f}%"></i>').format(span[0], span[1] - span[0])
                if span
                else "",
                scale.share(row.score),
                row.score,
                row.path,
            )
        )
    told = (
        "How far the model is off is not known, so ties are not marked."
        if error is None
        else f"Bands are the score ± {error:.2f}, the model's mean error. Where bands overlap pictures tie, and a "
        "place such as 2-4 is left open."
    )
    return Markup('<div class="ranking"><p class="hint">{} {}</p><ol>{}</ol></div>').format(
        told, _download(csv), _join(cards)
    )


def comparison_panel(
    ranked: Sequence[RankedPicture], pictures: Mapping[str, str], chances: Mapping[str, Mapping[str, float]], csv: str
) -> str:
    """Pictures in the order in which a model puts them that compares, where it looked closely, and how sure it is."""
    names, cards = list(chances), []
    for row in ranked:
        if row.score is None:
            cards.append(_failed(row))
            continue
        rival = next((name for name in names if name != row.path), None)
        if rival is None:
            told = "alone: there is no other to compare it with"
        else:
            than = "second" if row.rank == 1 else "best"
            told = f"{_percent(chances[row.path][rival])} likely better than the {than}"
        cards.append(
            Markup(
                '<li><div class="look"><img loading="lazy" src="{}" alt="{}"><b>{}</b></div>'
                "<p><strong>{:.2f}</strong> {}</p><p>{}</p></li>"
            ).format(pictures[row.path], f"{row.path}, place {row.place}", row.rank, row.score, row.path, told)
        )
    hint = (
        "Every picture was seen beside every other one. Yellow: where it was looked at closely beside the best one, "
        "and the best beside the second; these are some of the places in which the two differ."
    )
    return Markup('<div class="ranking compared"><p class="hint">{} {}</p><ol>{}</ol>{}</div>').format(
        hint, _download(csv), _join(cards), _chances(names, chances) if len(names) > 2 else ""
    )


def _chances(names: Sequence[str], chances: Mapping[str, Mapping[str, float]]) -> Markup:
    """A table of who is how likely better than whom, best first in both directions."""
    rows = []
    for place, name in enumerate(names, start=1):
        cells = [
            Markup("<td></td>")
            if other == name
            else Markup('<td class="{}" style="--sure:{:.0f}%">{}</td>').format(
                "up" if chances[name][other] > 0.5 else "down",
                100 * abs(2 * chances[name][other] - 1),
                _percent(chances[name][other]),
            )
            for other in names
        ]
        rows.append(
            Markup('<tr><th scope="row" title="{}"><b>{}</b> <span>{}</span></th>{}</tr>').format(
                name, place, name, _join(cells)
            )
        )
    heads = _join(
        Markup('<th scope="col" title="{}">{}</th>').format(name, place) for place, name in enumerate(names, start=1)
    )
    return Markup(
        '<p class="hint">How likely the picture of a row is better than that of a column, by the measure of the model '
        "itself:</p>"
        '<div class="chances" tabindex="0" role="region" aria-label="Who is better than whom"><table>'
        "<thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(heads, _join(rows))


def _percent(chance: float) -> str:
    # as sure as a probability of 0 or 1 sounds, no model is
    return f"{min(max(round(100 * chance), 1), 99)} %"


def _failed(row: RankedPicture) -> Markup:
    return Markup('<li class="failed"><div class="none">not scored</div><p>{}</p><p class="hint">{}</p></li>').format(
        row.path, row.error
    )


def _download(csv: str) -> Markup:
    address = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(csv.encode()).decode()}"
    return Markup('<a class="csv" href="{}" download="ranking.csv">Download as CSV</a>').format(address)


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(escape(part) for part in parts)
