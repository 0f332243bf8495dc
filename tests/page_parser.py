"""Pages as trees, for tests that read what a page says."""

from html.parser import HTMLParser
from xml.etree import ElementTree


VOID = {"meta", "img", "br", "link", "input", "hr"}


class PageParser(HTMLParser):
    """Builds a tree of a page, and fails where tags do not match."""

    def __init__(self):
        super().__init__()
        self.builder, self.open = ElementTree.TreeBuilder(), []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"
        self.builder.end(tag)

    def handle_data(self, data):
        if self.open:
            self.builder.data(data)


def parse(text: str) -> ElementTree.Element:
    parser = PageParser()
    parser.feed(text)
    assert not parser.open
    return parser.builder.close()


def words(element) -> str:
    return " ".join("".join(element.itertext()).split())
