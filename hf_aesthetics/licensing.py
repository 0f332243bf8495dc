"""
What may be passed on to others, as data: a permission says so, and whose terms it rests on.

Knows nothing about data sets, models or the Hub, and is no legal advice. Where nobody has said, nothing is given.
"""

from dataclasses import dataclass


# identifiers of the Hub; with all of them others may have a copy, and what is made of it
OPEN_LICENSES = frozenset(
    {
        *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "wtfpl"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("odc-by", "pddl", "odbl", "cdla-permissive-1.0", "cdla-permissive-2.0", "openrail"),
    }
)


@dataclass(frozen=True)
class Permission:
    """
    Whether something may be passed on to others.

    Args:
        is_given (`bool`, *optional*):
            `None` where nobody has said.
        terms (`str`):
            Whose terms they are and what they say, as a sentence would go on after a colon.
        license (`str`, *optional*):
            Identifier of the licence on the Hub, where there is one.

    Example:
        >>> Permission(False, "the terms of AVA ask not to pass on pictures or data").is_given
        False
    """

    is_given: bool | None
    terms: str
    license: str | None = None


NOT_STATED = Permission(None, "nobody has said under which terms")


def license_permission(license: str | None) -> Permission:
    """
    What a licence permits, by its identifier on the Hub.

    Args:
        license (`str`, *optional*):
            Such as `"cc-by-4.0"`. Licences of another name may permit it too, but a person has to read them.

    Example:
        >>> license_permission("CC-BY-4.0")
        Permission(is_given=True, terms='published under cc-by-4.0', license='cc-by-4.0')
        >>> license_permission("research only").terms
        "'research only' is no licence that is known to allow it"
    """
    if not license:
        return NOT_STATED
    identifier = license.strip().lower()
    if identifier in OPEN_LICENSES:
        return Permission(True, f"published under {identifier}", identifier)
    return Permission(None, f"{license!r} is no licence that is known to allow it")
