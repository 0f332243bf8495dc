"""
Star ratings in XMP sidecars beside pictures, where photo programs look for them.

Knows nothing about who rates. A picture itself is never opened for writing.
"""

import os
from pathlib import Path
from typing import Literal
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from ..whole_files import whole_file


Naming = Literal["stem", "file"]
"""`"stem"`: `IMG_1.xmp` for `IMG_1.jpg`; `"file"`: `IMG_1.jpg.xmp`."""

_RDF, _XMP, _XMLNS = (
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://ns.adobe.com/xap/1.0/",
    "http://www.w3.org/2000/xmlns/",
)
_EMPTY = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{_RDF}">
  <rdf:Description rdf:about="" xmlns:xmp="{_XMP}"/>
 </rdf:RDF>
</x:xmpmeta>
"""


class SidecarError(ValueError):
    """A sidecar that cannot be read or changed. The message is one line: the file, what is wrong, what to do."""


def sidecar_path(picture: str | os.PathLike[str], naming: Naming = "stem") -> Path:
    """
    Where the sidecar of a picture lies.

    Programs part over its name. `IMG_1.xmp` is what Lightroom and Bridge write beside `IMG_1.CR3`, and what they read
    where a raw file of that name is there; of a JPEG alone, Lightroom reads the JPEG itself and no file beside it.
    `IMG_1.jpg.xmp` is what darktable and digiKam write; darktable takes in the other one, too, when it imports.

    Args:
        picture (`str` or `os.PathLike`):
            The picture.
        naming (`"stem"` or `"file"`, *optional*, defaults to `"stem"`):
            Which of the two.

    Example:
        >>> sidecar_path("IMG_1.jpg").name, sidecar_path("IMG_1.jpg", "file").name
        ('IMG_1.xmp', 'IMG_1.jpg.xmp')
    """
    path = Path(picture)
    return path.with_suffix(".xmp") if naming == "stem" else path.with_name(f"{path.name}.xmp")


def read_rating(sidecar: str | os.PathLike[str]) -> int | None:
    """
    The rating in a sidecar: 1 to 5 stars, 0 for none, -1 for a rejected picture; `None` where it says nothing.

    Args:
        sidecar (`str` or `os.PathLike`):
            The file.

    Raises:
        SidecarError: If it cannot be read as XMP.
    """
    for description in _descriptions(_parse(Path(sidecar)), Path(sidecar)):
        value = description.getAttributeNS(_XMP, "Rating")
        for element in _rating_elements(description):
            value = value or "".join(node.data for node in element.childNodes if node.nodeType == node.TEXT_NODE)
        if value.strip():
            try:
                return round(float(value))
            except ValueError:
                raise SidecarError(
                    f"{sidecar}: xmp:Rating must be a number, got {value.strip()!r}. Correct or remove the file."
                ) from None
    return None


def write_rating(sidecar: str | os.PathLike[str], rating: int) -> None:
    """
    Writes a rating into a sidecar. Whatever else is in one that exists stays there.

    The file grows under a temporary name and is renamed: who is killed leaves the old one or the new one.

    Args:
        sidecar (`str` or `os.PathLike`):
            The file.
        rating (`int`):
            1 to 5 stars, 0 for none, -1 for a rejected picture.

    Raises:
        SidecarError: If there is one that cannot be read as XMP; it stays as it is.
        OSError: If the file cannot be written.
        ValueError: If the rating is none of these.

    Example:
        >>> sidecar = getfixture("tmp_path") / "IMG_1.xmp"
        >>> write_rating(sidecar, 4)
        >>> read_rating(sidecar)
        4
    """
    if rating not in range(-1, 6):
        raise ValueError(f"`rating` must be -1 or 0 to 5, got {rating}.")
    sidecar = Path(sidecar)
    document = _parse(sidecar) if sidecar.exists() else minidom.parseString(_EMPTY)
    descriptions = _descriptions(document, sidecar)
    for description in descriptions:
        if description.hasAttributeNS(_XMP, "Rating"):
            description.removeAttributeNS(_XMP, "Rating")
        for element in _rating_elements(description):
            description.removeChild(element)
    prefix = _prefix(descriptions[0])
    descriptions[0].setAttributeNS(_XMP, f"{prefix}:Rating", str(rating))
    with whole_file(sidecar) as partial:
        partial.write_bytes(document.toxml(encoding="UTF-8"))


def _parse(path: Path) -> minidom.Document:
    try:
        return minidom.parseString(path.read_bytes())
    except (ExpatError, OSError, ValueError) as error:
        raise SidecarError(f"{path}: cannot be read as XMP ({error}). Correct or remove the file.") from error


def _descriptions(document: minidom.Document, path: Path) -> list[minidom.Element]:
    """What is said of the picture itself; elements inside of it are about something else."""
    found = [
        node
        for rdf in document.getElementsByTagNameNS(_RDF, "RDF")
        for node in rdf.childNodes
        if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (_RDF, "Description")
    ]
    if not found:
        raise SidecarError(f"{path}: expected XMP with an rdf:Description, found none. Correct or remove the file.")
    return found


def _rating_elements(description: minidom.Element) -> list[minidom.Element]:
    """Ratings that are written as elements, as some programs do."""
    return [
        node
        for node in description.childNodes
        if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (_XMP, "Rating")
    ]


def _prefix(description: minidom.Element) -> str:
    """The prefix of the namespace where the element is; one is declared where there is none."""
    node = description
    while node is not None and node.nodeType == node.ELEMENT_NODE:
        for name, value in node.attributes.items():
            if value == _XMP and name.startswith("xmlns:"):
                return name[6:]
        node = node.parentNode
    description.setAttributeNS(_XMLNS, "xmlns:xmp", _XMP)
    return "xmp"
