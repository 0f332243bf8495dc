"""Numbers as a report prints them. Knows nothing about what they mean."""

from typing import Any

from markupsafe import Markup, escape

from ..analysis.findings import Estimate


MINUS = "\N{MINUS SIGN}"


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """
    A number with a true minus sign, and no minus before zero.

    Example:
        >>> number(-0.004), number(0.1234, 3, sign=True)
        ('0.00', '+0.123')
    """
    digits = f"{value:+z.{decimals}f}" if sign else f"{value:z.{decimals}f}"
    return digits.replace("-", MINUS)


def percent(share: float) -> str:
    """
    A share of one in percent.

    Example:
        >>> percent(0.625).split()
        ['62', '%']
    """
    return f"{number(100 * share, 0)}\N{NO-BREAK SPACE}%"


def significance(value: float) -> str:
    """
    A p- or q-value.

    Example:
        >>> significance(0.0004), significance(0.0312)
        ('< 0.001', '0.031')
    """
    return "< 0.001" if value < 0.001 else number(value, 3)


def interval(estimate: Estimate, decimals: int = 2, sign: bool = False) -> str:
    """
    The 95 % interval of an estimate.

    Example:
        >>> interval(Estimate(0.58, 0.498, 0.651))
        '[0.50, 0.65]'
    """
    return f"[{number(estimate.low, decimals, sign)}, {number(estimate.high, decimals, sign)}]"


def figure(value: Any, reason: str, decimals: int = 2, sign: bool = False) -> Markup:
    """
    A table cell: a number, or an estimate with its interval in brackets; `None` is undefined, for a reason.

    Example:
        >>> print(figure(Estimate(0.58, 0.498, 0.651), "votes are constant"))
        0.58 <span class="interval">[0.50, 0.65]</span>
        >>> print(figure(None, "votes are constant"))
        <abbr class="undefined" title="undefined: votes are constant">undefined</abbr>
    """
    if value is None:
        return Markup('<abbr class="undefined" title="undefined: {}">undefined</abbr>').format(reason)
    if isinstance(value, Estimate):
        bounds = Markup('<span class="interval">{}</span>').format(interval(value, decimals, sign))
        return escape(number(value.value, decimals, sign)) + " " + bounds
    return escape(number(value, decimals, sign))
