"""Which environment variables were read while modules were imported.

A kernel may be forked only if it asked for the same values.  Reads through ``os.environ`` are seen
here; native libraries read the environment by themselves, so what they are known to read is always
compared.  The rest of the environment is free to differ.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["Reads", "first_difference", "is_native"]

# Read by the interpreter, the C library, or native numerical libraries when they are loaded.
_NATIVE = (
    "PYTHON", "LD_", "LC_", "LANG", "LANGUAGE", "TZ", "MALLOC_", "GLIBC_", "OMP_", "GOMP_", "KMP_",
    "OPENBLAS_", "GOTO_", "BLIS_", "FLEXIBLAS", "MKL_", "NUMEXPR_", "VECLIB_", "OPENSSL_", "CUDA_",
    "NVIDIA_", "HIP_", "ROCR_", "HSA_", "TF_", "XLA_", "JAX_", "TORCH", "PYTORCH_", "NPY_",
    "ARROW_", "JE_", "POLARS_", "RAYON_", "HOME", "VIRTUAL_ENV", "CONDA_PREFIX",
)  # fmt: skip
# Differ from run to run and steer nothing at import.
_VOLATILE = (
    "JPY_", "JUPYTER_MLOPS_", "PAPERMILL_", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_",
)  # fmt: skip
# Read while a kernel's own modules are imported, and free to differ: whose kernel it is (the fork
# sets what that steers), the size of a terminal that a kernel does not have, and whether a debugger
# warns of frozen modules (nbclient sets that).
_IGNORED = {
    "JPY_PARENT_PID", "JPY_INTERRUPT_EVENT", "COLUMNS", "LINES", "PYDEVD_DISABLE_FILE_VALIDATION",
}  # fmt: skip
# Ours, by definition: nothing of this package reads them when it is imported.
_OWN = ("JUPYTER_MLOPS_",)
_WHOLE = {
    ("os", "copy"), ("os", "__repr__"), ("os", "__or__"), ("os", "__ror__"),
    ("collections.abc", "__iter__"), ("_collections_abc", "__iter__"),  # items() and values()
}  # fmt: skip


class Reads:
    """Notes which variables are read while it is installed; ``whole`` if somebody took all."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.whole = False
        self._original: Any = None

    def install(self) -> None:
        """Begin to note reads of ``os.environ`` by Python code."""
        kind: Any = type(os.environ)
        original = self._original = kind.__getitem__

        def getitem(environ: Any, key: Any) -> Any:
            code = sys._getframe(1)
            caller = (str(code.f_globals.get("__name__")), code.f_code.co_name)
            if caller in _WHOLE:
                self.whole = True
            else:
                self.names.add(os.fsdecode(key) if isinstance(key, (str, bytes)) else str(key))
            return original(environ, key)

        kind.__getitem__ = getitem

    def remove(self) -> None:
        """Stop."""
        kind: Any = type(os.environ)
        kind.__getitem__ = self._original


def is_native(name: str) -> bool:
    """Whether native code may read this variable when it is loaded."""
    return name.startswith(_NATIVE)


def first_difference(
    mine: Mapping[str, str], asked: Mapping[str, str], names: set[str], whole: bool
) -> str | None:
    """The first variable that acted at import and that was asked for with another value."""
    for name in sorted({*mine, *asked}):
        if mine.get(name) == asked.get(name) or name in _IGNORED or name.startswith(_OWN):
            continue
        if name in names or is_native(name):
            return name
        if whole and not name.startswith(_VOLATILE):
            return name
    return None
