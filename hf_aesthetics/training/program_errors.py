"""Errors as a program tells them: one line, not a traceback. Knows nothing about programs."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from ..hub_faults import HubPublishError


@contextmanager
def errors_in_one_line() -> Generator[None]:
    """
    Ends a program with one line and status 2 where something is wrong that its user can mend; of other errors, and
    with HF_AESTHETICS_TRACEBACK=1 in the environment, there is the whole traceback.

    Example:
        >>> with errors_in_one_line():
        ...     raise ValueError("Expected a scale. Pass --min_score.")
        Traceback (most recent call last):
        ...
        SystemExit: 2
    """
    try:
        yield
    except (ValueError, OSError, KeyError, ImportError, HubPublishError) as error:
        if os.environ.get("HF_AESTHETICS_TRACEBACK"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
