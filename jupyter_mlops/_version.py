"""The installed version, read when it is asked for (reading metadata costs milliseconds)."""

from __future__ import annotations

from functools import cache

__all__ = ["version"]


@cache
def version() -> str:
    """Return the installed distribution's version, ``0.0.0`` if there is none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("jupyter-mlops")
    except PackageNotFoundError:
        return "0.0.0"
