"""What there is to score: files, folders, archives, tables and URLs, cut into the same units on every machine."""

from .discovery import PathList, units
from .unit import Unit


__all__ = ["PathList", "Unit", "units"]
