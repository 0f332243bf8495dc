"""A report is one well-formed page that says what the findings say, to people and to machines."""

import base64
import io
import re
from dataclasses import asdict, replace
from xml.etree import ElementTree

import pytest
from page_parser import parse, words
from PIL import Image
from sample_findings import bare_findings, full_findings

from hf_aesthetics.analysis.findings import Estimate
from hf_aesthetics.reports import read_verdict, write_report


SECTIONS = "verdict modalities agreement additions pictures categories groups trends method limits".split()


def part(page, name: str, study: int = 1) -> ElementTree.Element:
    return page.find(f".//*[@id='c{study}-{name}']")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, full_findings())
    return path


@pytest.fixture(scope="module")
def page(written):
    return parse(written.read_text())


def test_machines_read_the_verdict_that_was_found(tmp_path):
    studies = [full_findings(), bare_findings()]
    write_report(tmp_path / "report.html", studies)
    verdicts = read_verdict(tmp_path / "report.html")
    for study, verdict in zip(studies, verdicts, strict=True):
        shares = {name: Estimate(**share) for name, share in verdict.pop("shares").items()}
        explained = Estimate(**verdict.pop("explained"))
        facts = {name: verdict.pop(name) for name in ("collection", "num_pictures", "num_groups", "scale")}
        assert replace(study.verdict, shares={}) == type(study.verdict)(**verdict, shares={}, explained=explained)
        assert shares == study.verdict.shares and list(shares) == list(study.verdict.shares)
        assert facts == {name: asdict(study)[name] for name in facts}


def test_people_find_every_section_in_order_and_every_figure_with_its_interval(page):
    assert [section.get("id") for section in page.iter("section")] == [f"c1-{name}" for name in SECTIONS]
    assert full_findings().verdict.sentence in words(part(page, "verdict"))
    rows = {row[0].text: [words(cell) for cell in row] for row in part(page, "modalities").iterfind(".//tbody/tr")}
    assert rows["depth"][1:3] == ["0.58 [0.52, 0.63]", "0.35 [0.31, 0.38]"]
    assert rows["depth"][5:] == ["0.006 [0.000, 0.011]", "org/depth-network@0123abc"]
    orders = [words(item) for item in part(page, "modalities").iterfind(".//li")]
    assert "depth ahead of blur: SRCC +0.27 [+0.21, +0.32] with the least clear of 2 pairs of extractors" in orders
    assert any(
        order.startswith("No order of saliency and blur: SRCC +0.05 [\N{MINUS SIGN}0.01, +0.10]") for order in orders
    )
    targets = {link.get("href") for link in page.iterfind(".//nav//a")}
    assert targets == {f"#c1-{name}" for name in SECTIONS}


def test_the_page_needs_nothing_from_elsewhere(written, page):
    links = [value for element in page.iter() for name in ("src", "href") if (value := element.get(name))]
    assert all(re.match(r"#|data:image/jpeg;base64,|https://huggingface\.co/papers/", link) for link in links)
    assert not re.search(r"url\(|@import|\bon\w+=", written.read_text())
    assert [script.get("type") for script in page.iter("script")] == ["application/json"]


@pytest.mark.parametrize("findings", [full_findings(), bare_findings()], ids=["full", "bare"])
def test_no_figure_is_nan_none_or_infinite(tmp_path, findings):
    write_report(tmp_path / "report.html", findings)
    page = parse((tmp_path / "report.html").read_text())
    values = [value for element in page.iter() for value in element.attrib.values()]
    assert not re.search(r"\b(nan|NaN|-?inf|None)\b", " ".join([words(page.find("body")), *values]))


def test_what_is_undefined_says_why(tmp_path):
    write_report(tmp_path / "report.html", bare_findings())
    page = parse((tmp_path / "report.html").read_text())
    assert "Cue that is named: none" in words(part(page, "verdict"))
    assert "Where SRCC is undefined: the forecasts or the votes are all the same." in words(part(page, "modalities"))
    assert "12 pictures are too few" in words(part(page, "groups"))
    for name in ("verdict", "agreement", "additions", "pictures", "categories", "trends"):
        assert re.search(r"undefined(:| )", words(part(page, name)), re.IGNORECASE), name


def test_the_strongest_twenty_of_many_categories_come_first_and_the_others_fold(page):
    system, section = full_findings().systems[0], part(page, "categories")
    strength = {}
    for row in system.rows:
        if row.partial is not None:
            strength[row.category] = max(strength.get(row.category, 0), abs(row.partial.value))
    ranked = sorted(strength, key=lambda name: -strength[name])
    shown = section.find("div[@class='scroll']/table")
    assert [row[0].text for row in shown.iterfind("tbody/tr")] == ranked[:20]
    folded = section.find("details/div/table")
    assert [row[0].text for row in folded.iterfind("tbody/tr")] == ranked[20:] and len(ranked) == 66
    assert "comet: 1 member, at least 2 are needed" in words(section)


def test_cells_have_the_colour_of_their_sign_and_a_star_where_chance_is_unlikely(page):
    rows = {(row.category, row.modality): row for row in full_findings().systems[0].rows}
    table = part(page, "categories").find("div[@class='scroll']/table")
    modalities = [words(head) for head in table.iterfind("thead/tr/th")]
    for line in table.iterfind("tbody/tr"):
        for modality, cell in zip(modalities, line[1:], strict=True):
            row = rows[line[0].text, modality]
            assert cell.text.replace("−", "-") == f"{row.partial.value:z.2f}"
            assert cell.get("class") == ("minus" if row.partial.value < 0 else "plus")
            assert (words(cell)[-1] == "*") == (row.q_value < 0.05)


def test_examples_are_small_pictures_where_there_are_any_and_ids_elsewhere(tmp_path):
    pictures = {"depth-000": Image.new("RGB", (800, 400), "red"), "saliency-001": Image.new("LA", (30, 90), (9, 99))}
    sheet = Image.new("RGB", (2000, 500))
    write_report(tmp_path / "report.html", full_findings(), pictures, {"Made-up parks": sheet})
    page = parse((tmp_path / "report.html").read_text())
    assert pictures["depth-000"].size == (800, 400)  # untouched
    embedded = [base64.b64decode(image.get("src").split(",")[1]) for image in page.iter("img")]
    opened = [Image.open(io.BytesIO(image)) for image in embedded]
    assert [image.size for image in opened] == [(1600, 400), (160, 80), (30, 90), (160, 80), (30, 90)]
    assert {image.format for image in opened} == {"JPEG"} and opened[1].getpixel((80, 40))[0] > 240
    assert [image.get("alt") for image in page.iter("img")][1:3] == ["picture depth-000", "picture saliency-001"]
    assert "blur-003" in [item.text for item in page.iterfind(".//li[@class='id']")]


def test_collections_stand_side_by_side_and_each_has_its_own_sections_and_pictures(tmp_path):
    studies = [full_findings(), bare_findings(), full_findings("Made-up harbours", -0.08)]
    red, blue = (Image.new("RGB", (160, 160), color) for color in ("red", "blue"))
    write_report(tmp_path / "report.html", studies, [lambda _: red, None, {"depth-000": blue}])
    page = parse((tmp_path / "report.html").read_text())
    table = page.find(".//*[@id='together']/div[@class='scroll']/table")
    assert [words(head) for head in table.iterfind("thead/tr/th[@class='group']")] == [s.collection for s in studies]
    rows = {row[0].text: [words(cell) for cell in row[1:]] for row in table.iterfind("tbody/tr")}
    assert rows["depth"][::3] == ["0.58 [0.52, 0.63]", "undefined", "0.50 [0.44, 0.55]"]
    assert rows["saliency"][3] == "not studied" and list(rows)[-2:] == ["gray", "constant"]
    ids = [section.get("id") for section in page.iter("section")]
    assert ids == ["together", *(f"c{study}-{name}" for study in (1, 2, 3) for name in SECTIONS)]
    third = base64.b64decode(part(page, "pictures", 3).find(".//img").get("src").split(",")[1])
    assert Image.open(io.BytesIO(third)).getpixel((80, 80))[2] > 240


def test_hostile_names_stay_names(tmp_path):
    evil = "</script><script>alert(1)</script>\"'&amp;"
    findings = full_findings(evil)
    findings = replace(
        findings,
        modalities=[
            replace(row, modality=evil, source=evil) if row.modality == "blur" else row for row in findings.modalities
        ],
        verdict=replace(findings.verdict, sentence=evil, cause=evil, shares={evil: Estimate(1.0, 0.9, 1.0)}),
        agreement={evil: {evil: 0.5}},
        dominance=replace(findings.dominance, counts={evil: 3}, exemplars={evil: [evil]}),
        trends=[replace(trend, meaning=evil, descriptor=evil) for trend in findings.trends],
        method={evil: evil},
        limits=[evil],
    )
    write_report(tmp_path / "report.html", findings, lambda _: Image.new("RGB", (9, 9)))
    page = parse((tmp_path / "report.html").read_text())
    assert len(list(page.iter("script"))) == 1
    assert read_verdict(tmp_path / "report.html")[0]["cause"] == evil
    for name in ("verdict", "modalities", "agreement", "pictures", "trends", "method", "limits"):
        assert evil in words(part(page, name)), name


def luminance(color: str) -> float:
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_words_are_large_and_dark_enough_in_both_schemes(page):
    style = page.find(".//style").text
    assert all(float(size) >= 12 for size in re.findall(r"font(?:-size)?: (\d+)px", style))
    schemes = [
        dict(re.findall(r"--(\w[\w-]*): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]
    assert len(schemes) == 2
    for colors in schemes:
        for ground in ("page", "card"):
            for name, least in {"ink": 7, "quiet": 4.5, "link": 4.5, **{f"series-{i}": 3 for i in range(4)}}.items():
                light, dark = sorted([luminance(colors[name]), luminance(colors[ground])], reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= least, (name, ground)


@pytest.mark.parametrize(
    ("findings", "thumbnails", "message"),
    [
        ([], None, r"Expected findings of one collection or of several with different names, got \[\]"),
        ([bare_findings(), bare_findings()], None, r"got \['Made-up snow', 'Made-up snow'\]"),
        ([bare_findings()], [None, None], r"Expected thumbnails for all of \['Made-up snow'\] or for each, got 2"),
        (replace(bare_findings(), ceiling=float("nan")), None, r"findings\.ceiling must be a finite number, got nan"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_an_older_report_stays(tmp_path, findings, thumbnails, message):
    path = tmp_path / "report.html"
    path.write_text("older")
    with pytest.raises(ValueError, match=message):
        write_report(path, findings, thumbnails)
    assert path.read_text() == "older" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(
        ValueError, match=r'Expected a report with <script id="verdict">, found none in .*report\.html'
    ):
        read_verdict(path)
