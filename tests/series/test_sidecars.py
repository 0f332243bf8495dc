"""Ratings in sidecars as several programs write them: read again, changed, and everything else left as it was."""

import os
import xml.etree.ElementTree as ElementTree

import pytest

from hf_aesthetics.series.sidecars import SidecarError, read_rating, sidecar_path, write_rating


RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
XMP = "{http://ns.adobe.com/xap/1.0/}"

FROM_A_RAW_CONVERTER = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <!-- by hand -->
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:CreatorTool="Camera 1.0" xmp:Rating="2" crs:Exposure2012="+0.35">
   <dc:subject><rdf:Bag><rdf:li>Käse &amp; Brot</rdf:li><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
AS_ELEMENT = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:format>image/jpeg</dc:format></rdf:Description>
<rdf:Description rdf:about="" xmlns:xap="http://ns.adobe.com/xap/1.0/"><xap:Rating>3</xap:Rating></rdf:Description>
</rdf:RDF></x:xmpmeta>"""


def facts(path) -> set:
    """Everything that a sidecar says but the rating, by a reader that is not the one under test."""
    found = set()
    for element in ElementTree.parse(path).iter():
        found |= {(element.tag, name, value) for name, value in element.items() if name != f"{XMP}Rating"}
        if element.tag != f"{XMP}Rating" and (element.text or "").strip():
            found.add((element.tag, element.text.strip()))
    return found


def independent_rating(path) -> list[str]:
    tree = ElementTree.parse(path)
    of_attributes = [e.get(f"{XMP}Rating") for e in tree.iter(f"{RDF}Description") if e.get(f"{XMP}Rating")]
    return of_attributes + [e.text for e in tree.iter(f"{XMP}Rating")]


@pytest.mark.parametrize("rating", [-1, 0, 1, 5])
def test_a_new_sidecar_is_xmp_with_one_rating(tmp_path, rating):
    write_rating(tmp_path / "a.xmp", rating)
    assert independent_rating(tmp_path / "a.xmp") == [str(rating)]
    assert read_rating(tmp_path / "a.xmp") == rating
    assert os.listdir(tmp_path) == ["a.xmp"]


@pytest.mark.parametrize(("text", "before"), [(FROM_A_RAW_CONVERTER, 2), (AS_ELEMENT, 3)])
def test_all_else_stays(tmp_path, text, before):
    path = tmp_path / "a.xmp"
    path.write_text(text, encoding="utf-8")
    known = facts(path)
    assert read_rating(path) == before
    write_rating(path, 5)
    assert independent_rating(path) == ["5"] and read_rating(path) == 5
    assert facts(path) == known
    if text is FROM_A_RAW_CONVERTER:
        written = path.read_text(encoding="utf-8")
        for kept in ("<!-- by hand -->", "<?xpacket end", "crs:Exposure2012", "Käse &amp; Brot"):
            assert kept in written


def test_a_sidecar_without_a_rating_says_nothing(tmp_path):
    path = tmp_path / "a.xmp"
    path.write_text(AS_ELEMENT.replace("<xap:Rating>3</xap:Rating>", ""))
    assert read_rating(path) is None
    write_rating(path, 4)
    assert read_rating(path) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.xmp: cannot be read as XMP"),
        (FROM_A_RAW_CONVERTER.encode()[:400], "a.xmp: cannot be read as XMP"),
        (b"<html><body/></html>", "a.xmp: expected XMP with an rdf:Description"),
    ],
)
def test_what_is_no_xmp_is_refused_and_stays(tmp_path, content, message):
    path = tmp_path / "a.xmp"
    path.write_bytes(content)
    with pytest.raises(SidecarError, match=message):
        write_rating(path, 3)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["a.xmp"]


def test_ratings_that_no_program_knows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="-1 or 0 to 5, got 6"):
        write_rating(tmp_path / "a.xmp", 6)
    (tmp_path / "b.xmp").write_text(FROM_A_RAW_CONVERTER.replace('"2"', '"good"'), encoding="utf-8")
    with pytest.raises(SidecarError, match="xmp:Rating must be a number, got 'good'"):
        read_rating(tmp_path / "b.xmp")


def test_names_with_dots_and_without_endings():
    assert sidecar_path("a/b.c.jpg").name == "b.c.xmp"
    assert sidecar_path("a/b.c.jpg", "file").name == "b.c.jpg.xmp"
