"""Data snapshots: digests of frames, arrays, tables and files.

Nothing here imports pandas, NumPy, Arrow, Polars or SciPy: a value brings its library along.
"""

from ..errors import Refused, Undigested
from .digest import Digest, digest, estimate, fingerprint
from .files import digest_file, digest_folder
from .tree import LEAF_ROWS
from .values import Shape, kind_of, shape_of

__all__ = [
    "LEAF_ROWS",
    "Digest",
    "Refused",
    "Shape",
    "Undigested",
    "digest",
    "digest_file",
    "digest_folder",
    "estimate",
    "fingerprint",
    "kind_of",
    "shape_of",
]
