"""What the page says, without a browser or Gradio: the markup around the answers of models that are known."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from planted_scorer import planted_scorer
from space_models import save_comparing_model, save_models, save_pictures

from hf_aesthetics.scoring import rank


SPACE = Path(__file__).parents[2] / "spaces" / "image_aesthetics"


@pytest.fixture(scope="module", autouse=True)
def space_on_the_path():
    sys.path.insert(0, str(SPACE))
    yield
    sys.path.remove(str(SPACE))


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    from answers import Answers

    return Answers.load(str(save_models(tmp_path_factory.mktemp("models"))))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    return save_pictures(tmp_path_factory.mktemp("pictures"), 3)


class Outline(HTMLParser):
    """Texts and tags of markup, and whether every tag is closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(markup))
        assert self.open == [], markup

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "input", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def test_everything_that_is_said_is_well_formed_and_has_words_for_pictures(answers, pictures):
    from hf_aesthetics.advice import Edit

    path = str(pictures[0])
    said = [answers.answer(path), answers.why(path), answers.edit(path, Edit(blur=1)), answers.advise(path)[0]]
    said += [answers.crop(path), answers.compare([(str(each), each.name) for each in pictures])]
    said += [answers.layer(path, name) for name in answers.layers]
    for markup in said:
        for tag, attributes in Outline(markup).tags:
            assert tag != "img" or (attributes["alt"] and str(attributes["src"]).startswith("data:image/jpeg;base64,"))


def test_names_of_files_are_text_and_never_markup(answers, pictures, tmp_path):
    (tmp_path / "bad").write_text("no picture")
    files = [(str(pictures[0]), "<b onmouseover=alert(1)>.jpg"), (str(tmp_path / "bad"), "<script>.jpg")]
    outline = Outline(answers.compare(files))
    assert "<b onmouseover=alert(1)>.jpg" in outline.text and "<script>.jpg" in outline.text
    assert not [tag for tag, attributes in outline.tags if tag == "script" or "onmouseover" in attributes]


def test_pictures_of_one_name_stay_two(answers, pictures):
    seen: dict[str, Image.Image] = {}
    rows, chances = answers.rank([(str(path), "IMG_0001.jpg") for path in pictures[:2]], seen.__setitem__)
    assert chances is None
    assert {row.path for row in rows} == {"IMG_0001.jpg", "IMG_0001.jpg (2)"}
    assert {name: picture.size for name, picture in seen.items()} == {
        "IMG_0001.jpg": Image.open(pictures[0]).size,
        "IMG_0001.jpg (2)": Image.open(pictures[1]).size,
    }


@pytest.fixture(scope="module")
def comparing(tmp_path_factory):
    from answers import Answers

    return Answers.load(str(save_comparing_model(tmp_path_factory.mktemp("comparing"))))


def test_a_model_that_compares_ranks_by_its_comparisons(comparing, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    files = [(str(path), path.name) for path in (*pictures, tmp_path / "bad.jpg")]
    rows, chances = comparing.rank(files)
    expected = rank(comparing.scorer, pictures)
    order = [pictures[place].name for place in expected.order]
    assert [row.path for row in rows] == [*order, "bad.jpg"] and list(chances) == order
    assert [row.place for row in rows] == ["1", "2", "3", "-"] and "/" not in rows[-1].error
    told = [[chances[a].get(b, 0.5) for b in order] for a in order]
    assert told == pytest.approx(expected.probabilities[expected.order][:, expected.order])
    markup = Outline(comparing.compare(files))
    best = round(100 * chances[order[0]][order[1]])
    assert f"{best} % likely better than the second" in markup.text and "bad.jpg" in markup.text
    cells = re.findall(r"(\d+) %(?! likely)", markup.text)
    assert cells == [str(round(100 * chances[a][b])) for a in order for b in order if a != b]
    with pytest.raises(ValueError, match="Choose 2 to 12 pictures, not 13"):
        comparing.compare(13 * files[:1])


def test_one_readable_picture_is_compared_with_nothing(comparing, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    text = Outline(comparing.compare([(str(pictures[0]), "0.png"), (str(tmp_path / "bad.jpg"), "bad.jpg")])).text
    assert "there is no other to compare it with" in text and "bad.jpg" in text


def test_layers_are_the_heat_map_then_maps_with_a_model_then_those_without(answers):
    assert answers.layers == ["what raises the score", "blur", "saliency"]


def test_without_an_evaluation_nothing_is_advised_and_no_tie_is_marked(pictures):
    from answers import Answers

    scorer = planted_scorer(lambda pixels: 10 * pixels.mean(dim=(1, 2, 3)))
    alone = Answers(scorer, None, {})
    told, edits = alone.advise(str(pictures[0]))
    assert "has not been published" in told and edits == []
    assert "ties are not marked" in alone.compare([(str(path), path.name) for path in pictures])
    assert alone.layers == ["saliency", "blur"]
    assert "has not been published" in alone.answer(str(pictures[0])) and "table" not in alone.why(str(pictures[0]))


def test_bars_are_in_the_order_of_the_ratings_and_the_line_is_at_the_mean():
    from panels import Scale, answer_panel

    record = {"score": 3.0, "score_std": 1.0, "percentile": None, "distribution": {str(i): 0.2 for i in range(1, 6)}}
    markup = answer_panel(record, Scale(1, 5), ["3.0 of 5, people disagree much.", "Other."])
    assert re.findall(r"<span>(\d+)</span>", markup) == ["1", "2", "3", "4", "5"]
    assert "left:50.00%" in markup and "people disagree much" in markup


def test_the_model_is_the_one_that_is_named(monkeypatch):
    from answers import choose_model

    monkeypatch.setenv("MODEL_ID", "org/nima-tiny-rgb-parks")
    assert choose_model() == "org/nima-tiny-rgb-parks"


def test_a_picture_of_too_many_pixels_is_refused(answers, tmp_path):
    Image.new("1", (20_000, 4_000)).save(tmp_path / "wide.png")
    with pytest.raises(ValueError, match="at most 60,000,000 pixels"):
        answers.answer(str(tmp_path / "wide.png"))
