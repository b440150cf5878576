"""What tests of digests digest: a frame, plain values, and more rows than a leaf has."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from jupyter_mlops.snapshots import LEAF_ROWS, digest

__all__ = ["BASE", "N", "ident", "plain"]

N = LEAF_ROWS + 77  # More than a leaf, and no multiple of anything.

BASE: dict[str, Any] = {"a": [1, 2, 3], "b": [1.0, 2.0, 3.0], "c": ["x", "y", "z"]}

plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=8),
    st.decimals(allow_nan=False), st.dates(), st.datetimes(), st.timedeltas(), st.uuids(),
)  # fmt: skip


def ident(value: Any) -> str:
    """The id of a value's digest."""
    return digest(value).id
