"""Arrow's memory for what lives as long as one step.

Arrow's own allocator gives every large block pages that were never touched, and takes them from it
again soon after: to encode 65,536 strings the kernel clears some 2 MB of memory each time, which
takes longer than the work.  What the C library's allocator gets back it hands out again.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

__all__ = ["dictionary_encode", "distinct", "scratch", "unique"]


@cache
def scratch() -> Any:
    """The memory pool for arrays that are made, read and dropped."""
    import pyarrow

    return pyarrow.system_memory_pool()


def dictionary_encode(array: Any) -> Any:
    """``array.dictionary_encode()``, in such memory."""
    from pyarrow import compute

    return compute.call_function("dictionary_encode", [array], memory_pool=scratch())


def unique(array: Any) -> Any:
    """``array.unique()``, in such memory."""
    from pyarrow import compute

    return compute.call_function("unique", [array], memory_pool=scratch())


def distinct(words: Any) -> int:
    """How many different words an array of unsigned integers has.

    By Arrow's table of hashes where Arrow is loaded: six times faster than to sort them.
    """
    numpy: Any = sys.modules["numpy"]
    if "pyarrow.compute" in sys.modules:
        pyarrow: Any = sys.modules["pyarrow"]
        return len(unique(pyarrow.array(words)))
    ordered = numpy.sort(words)
    return int((ordered[1:] != ordered[:-1]).sum()) + 1 if len(ordered) else 0
