"""MLOps without leaving the notebook.

``%load_ext jupyter_mlops`` turns on ``%%track``; ``jupyter mlops`` is the command line.  Importing
this package imports none of mlflow, pandas, scikit-learn or papermill: names are loaded on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registry import load_model

__all__ = ["__version__", "load_ipython_extension", "load_model", "unload_ipython_extension"]


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
    if name == "load_model":
        from .registry import load_model

        return load_model
    if name == "__version__":
        from ._version import version

        return version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
