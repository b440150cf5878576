"""MLOps without leaving the notebook.

``%load_ext jupyter_mlops`` turns on ``%%track``; ``jupyter mlops`` is the command line.  Importing
this package imports none of mlflow, pandas, scikit-learn or papermill: names are loaded on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capture.api import track
    from .model.secret import Secret
    from .registry import load_model
    from .snapshots.api import diff, load, snapshot
    from .tracking import load_run

__all__ = [
    "Secret",
    "__version__",
    "diff",
    "load",
    "load_ipython_extension",
    "load_model",
    "load_run",
    "snapshot",
    "track",
    "unload_ipython_extension",
]

# What is loaded on use: name -> the module that has it.
_ON_USE = {
    "Secret": "model.secret",
    "diff": "snapshots.api",
    "load": "snapshots.api",
    "load_model": "registry",
    "load_run": "tracking",
    "snapshot": "snapshots.api",
    "track": "capture.api",
}


def load_ipython_extension(shell: Any) -> None:
    """Called by ``%load_ext jupyter_mlops``."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Called by ``%unload_ext jupyter_mlops``."""
    from .magics import unload

    unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-mlops"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .server.app import MlopsApp

    return [{"module": "jupyter_mlops", "app": MlopsApp}]


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        from importlib import import_module

        return getattr(import_module(f".{_ON_USE[name]}", __name__), name)
    if name == "__version__":
        from ._version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
