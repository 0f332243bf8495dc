"""Says which extra to install where an optional package is missing. Knows nothing about what it is needed for."""

from importlib.util import find_spec


def require_extra(module: str, extra: str, *packages: str) -> None:
    """
    Refuses to go on without the packages of an extra.

    Args:
        module (`str`):
            What needs them.
        extra (`str`):
            The extra of this package that brings them.
        *packages (`str`):
            Names as they are imported.

    Raises:
        ImportError: If one is not installed.

    Example:
        >>> require_extra("hf_aesthetics.sky", "sun", "numpy", "sunshine")
        Traceback (most recent call last):
        ...
        ImportError: `hf_aesthetics.sky` needs sunshine, which is not installed. Run: pip install "hf_aesthetics[sun]"
    """
    for package in packages:
        if find_spec(package) is None:
            raise ImportError(
                f'`{module}` needs {package}, which is not installed. Run: pip install "hf_aesthetics[{extra}]"'
            )
