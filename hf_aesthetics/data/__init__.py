"""Rated collections of pictures as typed `datasets`, one file a data set. Knows nothing about models."""

from ..extras import require_extra


require_extra(__name__, "data", "datasets", "pyarrow")
