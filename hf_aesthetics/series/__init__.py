"""Series of one's own: found in a folder, ranked by people or by a scorer, culled.

Knows nothing about networks.
"""

from ..extras import require_extra


require_extra(__name__, "data", "datasets", "pyarrow")
