"""Image aesthetic assessment for the Hugging Face ecosystem: predict, explain and publish how people rate pictures.

Importing the package registers its models with transformers' Auto classes, and does nothing else. In the command line,
which answers `--help` before torch is there, that waits until a command runs or a model is asked for.
"""

import sys
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Any


__version__ = "0.1.0"


def _is_command_line() -> bool:
    """Whether the process is `hf-aesthetics` or `python -m hf_aesthetics.cli`, and not one of its workers."""
    # what follows the interpreter's own options; workers get a copy of `sys.argv`, but not of this
    program = sys.orig_argv[-len(sys.argv) :][0] if sys.orig_argv else ""
    return program == f"{__name__}.cli" or PurePath(program).stem == "hf-aesthetics"


if TYPE_CHECKING or not _is_command_line():
    from .registration import *  # noqa: F403
    from .registration import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        registration = import_module(f"{__name__}.registration")
        if name == "__all__" or name in registration.__all__:
            return getattr(registration, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
