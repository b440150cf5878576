"""Which integration stands behind each port, loaded by name on first use.

The names of modules are strings here on purpose: nothing imports ``integrations`` statically, so a
kernel that only journals never pays for mlflow, and import-linter can hold that line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

__all__ = ["load_port", "replaced_port"]

_PORTS = {
    "tracking": "jupyter_mlops.integrations.mlflow_tracking:connect",
    "tracking_store": "jupyter_mlops.integrations.mlflow_store:initialise",
    "copy_runs": "jupyter_mlops.integrations.mlflow_adopting:copy_runs",
    "remove_copied": "jupyter_mlops.integrations.mlflow_adopting:remove_copied",
    "fluent": "jupyter_mlops.integrations.mlflow_fluent:open_run",
    "model_builder": "jupyter_mlops.integrations.mlflow_models:build_model",
    "model_loader": "jupyter_mlops.integrations.model_loading:load_stored",
    "cell_forker": "jupyter_mlops.warm.forking:fork_cells",
    "codec": "jupyter_mlops.integrations.skops_codec:codec",
    "executor": "jupyter_mlops.integrations.papermill_executor:executor",
    "mlmodel": "jupyter_mlops.integrations.mlflow_signature:read_mlmodel",
    "search": "jupyter_mlops.integrations.optuna_search:open_search",
    "signature": "jupyter_mlops.integrations.mlflow_signature:read_signature",
    "widget_card": "jupyter_mlops.widgets.card:show",
}
_replaced: dict[str, Callable[..., Any]] = {}


def load_port(name: str) -> Callable[..., Any]:
    """Return the factory behind port ``name``; ``KeyError`` if there is no such port."""
    if name in _replaced:
        return _replaced[name]
    module, _, attribute = _PORTS[name].partition(":")
    factory: Callable[..., Any] = getattr(import_module(module), attribute)
    return factory


@contextlib.contextmanager
def replaced_port(name: str, factory: Callable[..., Any]) -> Iterator[None]:
    """Put ``factory`` behind ``name`` for the duration of a test."""
    before = _replaced.get(name)
    _replaced[name] = factory
    try:
        yield
    finally:
        if before is None:
            del _replaced[name]
        else:
            _replaced[name] = before
