"""The pinned requirements of a model, from the packages that its classes come from."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import metadata

__all__ = ["requirements"]

# Where the distribution is called otherwise than the module.  The first that is installed counts.
_DISTRIBUTIONS = {
    "PIL": ("pillow",),
    "category_encoders": ("category-encoders",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "imblearn": ("imbalanced-learn",),
    "lightgbm": ("lightgbm",),
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "umap": ("umap-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
}
_pins: dict[str, str | None] = {}


def requirements(modules: Iterable[str]) -> tuple[str, ...]:
    """Return ``name==version`` of each top-level module's distribution, sorted by name.

    Modules of the standard library, and those whose distribution has another name that is not known
    here, are left away: a search through all that is installed takes longer than a cell may.
    """
    found = {_pin(name) for name in modules}
    return tuple(sorted(pin for pin in found if pin is not None))


def _pin(module: str) -> str | None:
    if module not in _pins:
        _pins[module] = None
        if module not in sys.stdlib_module_names and module != "__main__":
            for name in _DISTRIBUTIONS.get(module, (module,)):
                version = _version(name)
                if version is not None:
                    # Without a local part ("+cpu"): no index has a file by that name, and the
                    # pin matches one that is installed all the same (PEP 440).
                    _pins[module] = f"{_canonical(name)}=={version.partition('+')[0]}"
                    break
    return _pins[module]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except Exception:  # not found, or metadata that cannot be read
        return None


def _canonical(name: str) -> str:
    """A distribution's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
