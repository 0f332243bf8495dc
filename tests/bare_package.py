"""
Programs that need a few modules alone: the package itself takes seconds to import, because of all its models.

    Forks(bare("hf_aesthetics") + "from hf_aesthetics.labelling import Labelling")
"""

from pathlib import Path


ROOT = Path(__file__).parents[1]


def bare(*packages: str) -> str:
    """The begin of a program in which these packages are as if their `__init__.py` were empty; outer ones first."""
    return f"""
import sys, types
for name in {packages!r}:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [{str(ROOT)!r} + "/" + name.replace(".", "/")]
"""
