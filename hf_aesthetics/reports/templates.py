"""Templates of the pages, and how numbers stand in them. Knows nothing about what a page shows."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import numbers


def build_environment(autoescape: bool = True) -> Environment:
    """
    Where templates are found; a name that a template does not know is an error.

    Args:
        autoescape (`bool`, *optional*, defaults to `True`):
            As HTML needs it.

    Example:
        >>> build_environment().from_string("{{ 0.624 | percent }}").render()
        '62\\xa0%'
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}  # and leaves the order as it is
    environment.filters |= {
        "figure": numbers.figure,
        "interval": numbers.interval,
        "number": numbers.number,
        "percent": numbers.percent,
        "significance": numbers.significance,
        "count": lambda count: f"{count:,}",
    }
    return environment
