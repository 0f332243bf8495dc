"""What the page asks of the models: a picture in, markup of `panels.py` out. Knows nothing about Gradio."""

import csv
import io
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import panels
from huggingface_hub import RepoCard
from panels import Reading, Scale
from PIL import Image

from hf_aesthetics.advice import Edit, apply_edit, best_crops, score_edits, suggest_edits
from hf_aesthetics.advice.edits import shrink_to_work
from hf_aesthetics.explain import (
    Explanation,
    Prediction,
    covering_cost,
    draw_close_looks,
    explain_prediction,
    overlay,
    place_in_picture,
)
from hf_aesthetics.extraction import ModalityExtractor
from hf_aesthetics.images import read_image
from hf_aesthetics.models.image_features import IMAGE_FEATURES
from hf_aesthetics.models.modality_maps import MODALITIES
from hf_aesthetics.scoring import (
    AestheticScorer,
    OwnScore,
    PictureScore,
    RankedPicture,
    Reliability,
    describe_companions,
    describe_score,
    find_companions,
    rank,
    rank_pictures,
    score_pictures,
    write_scores,
)


MAX_PIXELS = 60_000_000
MAX_PICTURES, MAX_COMPARED = 50, 12  # 12 are 66 pairs
HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "outputs" / "demo" / "nima"
HEAT = "what raises the score"
CLOSED_FORM = ("saliency", "blur")  # maps that are shown though no model of them is there


def plain(told: str) -> str:
    """An error in one line, for people who have a browser: no name of a temporary file, no name of an argument."""
    told = " ".join(told.split()).partition(" If you trust the file")[0]
    told = re.sub(r", got content that starts with b.*(?=\. Save it)", "", told)
    return f"This picture cannot be read: {told.partition(': ')[2]}" if told.startswith("Cannot read ") else told


def choose_model() -> str:
    """
    The checkpoint to ask: `MODEL_ID`, else the first of `models` in the README, else that of the demonstration.

    Raises:
        FileNotFoundError: If there is none of these.
    """
    models = RepoCard.load(HERE / "README.md").data.to_dict().get("models") or []
    if named := os.environ.get("MODEL_ID") or next(iter(models), None):
        return named
    if not DEMO.is_dir():
        raise FileNotFoundError(
            "Expected a checkpoint in MODEL_ID, or that of the demonstration in outputs/demo/nima, found neither. "
            "Run `make demo` first, or `make space MODEL_ID=<folder or repository>`."
        )
    return str(DEMO)


class Ranking(NamedTuple):
    """
    Pictures in order, best first.

    Args:
        rows (`list[RankedPicture]`):
            Those without a score last.
        chances (`dict[str, dict[str, float]]`, *optional*):
            How likely each is better than each other one; of a model that compares.
    """

    rows: list[RankedPicture]
    chances: dict[str, dict[str, float]] | None


@dataclass(frozen=True)
class Answers:
    """
    A scorer, those of single maps that belong to it, and everything that is asked of them.

    Args:
        scorer ([`AestheticScorer`]):
            Sees the picture.
        reliability ([`Reliability`], *optional*):
            What its evaluation says.
        companions (`dict[str, tuple[AestheticScorer, Reliability | None]]`):
            By modality, in the order of the page.
    """

    scorer: AestheticScorer
    reliability: Reliability | None
    companions: dict[str, tuple[AestheticScorer, Reliability | None]]

    @classmethod
    def load(cls, checkpoint: str) -> "Answers":
        """
        Loads a checkpoint and what lies beside it.

        Raises:
            OSError, ValueError: If it cannot be loaded, or is no scorer.
        """
        scorer = AestheticScorer.from_pretrained(checkpoint)
        companions = {}
        for name, other in find_companions(checkpoint).items():
            loaded = AestheticScorer.from_pretrained(other)
            companions[name] = loaded, Reliability.of_scorer(loaded)
        return cls(scorer, Reliability.of_scorer(scorer), companions)

    @property
    def scale(self) -> Scale:
        return Scale(self.scorer.model.config.min_score, self.scorer.model.config.max_score)

    @property
    def error(self) -> float | None:
        return None if self.reliability is None else self.reliability.error

    @property
    def compares(self) -> bool:
        """Whether the scorer sees pictures beside each other."""
        return hasattr(self.scorer.processor, "preprocess_series")

    @property
    def max_pictures(self) -> int:
        """How many are ranked at once."""
        return MAX_COMPARED if self.compares else MAX_PICTURES

    @property
    def layers(self) -> list[str]:
        """What can be laid over the picture."""
        of_models = [name for name in self.companions if name in MODALITIES]
        closed_form = [name for name in CLOSED_FORM if name not in of_models]
        heat = [HEAT] if getattr(self.scorer.model, "supports_spatial_explanation", False) else []
        return heat + of_models + closed_form

    def score(self, path: str) -> dict[str, Any]:
        """Score, spread, percentile and shares of one picture, and what gave them."""
        [record] = self.scorer.score([self._read(path)])
        sentences = describe_score(record, self.scorer.model.config, self.reliability)
        about = {"scorer": self.scorer.id, "notice": self.scorer.notice}
        return {**record, "in_words": " ".join(sentences), **about}

    def answer(self, path: str) -> str:
        """The score with all that may be said of it."""
        [record] = self.scorer.score([self._read(path)])
        return panels.answer_panel(
            record, self.scale, describe_score(record, self.scorer.model.config, self.reliability)
        )

    def layer(self, path: str, name: str) -> str:
        """The picture beside a map of it."""
        picture = shrink_to_work(self._read(path))
        if name == HEAT:
            drawn, meaning = self._draw_heat(picture), "orange raises the score, blue lowers it (Grad-CAM)"
        else:
            drawn, meaning = self._draw_map(picture, name), f"bright: {MODALITIES[name].meaning}"
        return panels.compare_panel(picture, drawn, name.capitalize(), meaning)

    def why(self, path: str) -> str:
        """One sentence, what models of single maps say, and what named features add."""
        picture = shrink_to_work(self._read(path))
        [record] = self.scorer.score([picture])
        readings, own_scores, parts = [Reading("picture", record["score"], self.error)], {}, ""
        for name, (scorer, reliability) in self.companions.items():
            outputs = scorer.predict([picture])
            score, error = outputs.score.item(), None if reliability is None else reliability.error
            if name in MODALITIES:
                own_scores[name] = OwnScore(score, error)
                readings.append(Reading(f"{name.replace('_', ' ')} alone", score, error))
            else:
                parts = self._draw_contributions(scorer, outputs)
        sentences = [describe_companions(record["score"], own_scores)]
        if HEAT in self.layers:
            prediction = Prediction(self.scorer.model, self.scorer.preprocess([picture]))
            sentences.append(str(covering_cost(prediction, explain_prediction(prediction))))
        told = panels.told([sentence for sentence in sentences if sentence])
        chart = panels.readings_panel(readings, self.scale) if len(readings) > 1 else ""
        return told + chart + parts

    def edit(self, path: str, edit: Edit) -> str:
        """The picture with an edit, and what it gets."""
        picture = shrink_to_work(self._read(path))
        before, after = score_edits(self.scorer, picture, [Edit(), edit])
        return panels.edit_panel(picture, apply_edit(picture, edit), str(edit), (before, after), self.error)

    def advise(self, path: str) -> tuple[str, list[tuple[str, Edit]]]:
        """What there is to be said of edits that gain more than the model's error, and these with their gains."""
        found = [] if self.error is None else suggest_edits(self.scorer, self._read(path), self.error)
        return panels.advice_panel(len(found), self.error), [(panels.edit_label(each), each.edit) for each in found]

    def crop(self, path: str) -> str:
        """The best frames."""
        picture = self._read(path)
        return panels.crops_panel(picture, best_crops(self.scorer, picture), self.error)

    def rank(
        self, files: Sequence[tuple[str | bytes, str]], look: Callable[[str, Image.Image], None] | None = None
    ) -> Ranking:
        """
        Ranks pictures: by their scores, or, with a model that compares, by comparing every one with every other.

        Args:
            files (`Sequence[tuple[str | bytes, str]]`):
                Where each lies, or its content, and what it is called.
            look (`Callable`, *optional*):
                Is shown each picture under its name, by the thread that has read it.

        Raises:
            ValueError: If there are fewer than 2 or more than `max_pictures`.
        """
        if not 2 <= len(files) <= self.max_pictures:
            raise ValueError(f"Choose 2 to {self.max_pictures} pictures, not {len(files)}.")
        names = _distinct([name for _, name in files])

        def read(name: str, path: str | bytes) -> Image.Image:
            picture = self._read(path)
            if look is not None:
                look(name, picture)
            return picture

        waiting = [partial(read, name, path) for name, (path, _) in zip(names, files, strict=True)]
        if not self.compares:
            rows = map(_named, names, score_pictures(self.scorer, waiting))
            return Ranking(rank_pictures(rows, self.error or 0.0), None)
        ranked = rank(self.scorer, waiting)
        ranked = replace(ranked, rows=list(map(_named, names, ranked.rows)))
        chances = {
            names[one]: {
                names[other]: float(ranked.probabilities[one, other]) for other in ranked.order if other != one
            }
            for one in ranked.order
        }
        return Ranking(ranked.in_order(), chances)

    def compare(self, files: list[tuple[str, str]]) -> str:
        """Several pictures in order."""
        if self.compares:
            return self._compare_closely(files)
        thumbnails: dict[str, str] = {}

        def look(name: str, picture: Image.Image) -> None:
            thumbnails[name] = panels.embed(picture, 320)

        ranked = self.rank(files, look).rows
        with tempfile.TemporaryDirectory() as folder:
            write_scores(ranked, Path(folder, "ranking.csv"))
            table = Path(folder, "ranking.csv").read_text(encoding="utf-8")
        return panels.ranking_panel(ranked, thumbnails, self.scale, self.error, table)

    def _compare_closely(self, files: list[tuple[str, str]]) -> str:
        pictures: dict[str, Image.Image] = {}
        rows, chances = self.rank(files, pictures.__setitem__)
        looks = draw_close_looks(self.scorer.processor, [pictures[name] for name in chances or {}], 720)
        drawn = {name: panels.embed(look, 720) for name, look in zip(chances or {}, looks, strict=True)}
        return panels.comparison_panel(rows, drawn, chances or {}, _chances_table(rows, chances or {}))

    def _read(self, path: str | bytes) -> Image.Image:
        return read_image(path, max_pixels=MAX_PIXELS)

    def _draw_heat(self, picture: Image.Image) -> Image.Image:
        prediction = Prediction(self.scorer.model, self.scorer.preprocess([picture]))
        heat = place_in_picture(explain_prediction(prediction), picture.size, self.scorer.processor)
        return overlay(picture, Explanation(heat, "grad_cam", 0.0))

    def _draw_map(self, picture: Image.Image, name: str) -> Image.Image:
        extractor = None
        if name in self.companions:
            extractor = self.companions[name][0].extractor
        extractor = extractor or ModalityExtractor(name, device=self.scorer.device)
        return extractor.make_maps([picture])[0]

    def _draw_contributions(self, scorer: AestheticScorer, outputs: Any, num_parts: int = 6) -> str:
        base, contributions = scorer.model.feature_contributions(outputs.features.to(scorer.device))
        rows = [
            (name.replace("_", " "), feature.meaning, value)
            for (name, feature), value in zip(IMAGE_FEATURES.items(), contributions[0].tolist(), strict=True)
        ]
        rows.sort(key=lambda row: -abs(row[2]))
        return panels.contributions_panel(base.item(), rows[:num_parts], outputs.score.item())


def _named(name: str, row: PictureScore) -> PictureScore:
    return replace(row, path=name, error=row.error and plain(row.error))


def _chances_table(rows: list[RankedPicture], chances: dict[str, dict[str, float]]) -> str:
    """Ranks, scores, and how likely each picture is better than each other one, as CSV."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "rank", "score", *(f"better than {name}" for name in chances), "error", "scorer"])
    for row in rows:
        of_row = chances.get(row.path, {})
        writer.writerow([row.path, row.rank, row.score, *map(of_row.get, chances), row.error, row.scorer])
    return table.getvalue()


def _distinct(names: list[str]) -> list[str]:
    """Names of files, numbered where two are called alike."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct
