"""A server extension for the tests: says from inside a running server what its routes are.

It is loaded by the servers that the tests start, never by anyone else's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from jupyter_server.auth import Authorizer
from jupyter_server.base.handlers import APIHandler
from tornado import web

HEAVY = ("mlflow", "pandas", "sklearn", "papermill", "skops")


class RecordingAuthorizer(Authorizer):
    """Writes down what it is asked, and says no while a file called ``deny`` exists."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Record ``[method, path, action, resource]``."""
        folder = Path(os.environ["MLOPS_PROBE"])
        with (folder / "asked.jsonl").open("a") as file:
            request = handler.request
            file.write(json.dumps([request.method, request.path, action, resource]) + "\n")
        return not (folder / "deny").exists()


class ModulesHandler(APIHandler):
    """Which heavy modules this process has imported."""

    @web.authenticated
    def get(self) -> None:
        """Answer their names."""
        self.finish(json.dumps([name for name in HEAVY if name in sys.modules]))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "mlops_probe"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.web_app.add_handlers(".*$", [(f"{serverapp.base_url}mlops-probe", ModulesHandler)])

    def write() -> None:
        path = Path(os.environ["MLOPS_PROBE"]) / "routes.json"
        path.with_suffix(".tmp").write_text(json.dumps(_routes(serverapp.web_app.default_router)))
        path.with_suffix(".tmp").replace(path)

    # Once the loop runs, every extension has added its routes.
    serverapp.io_loop.add_callback(write)


def _routes(router: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rule in router.rules:
        target, pattern = rule.target, getattr(rule.matcher, "regex", None)
        if hasattr(target, "rules"):
            found += _routes(target)
        elif isinstance(target, type) and pattern is not None:
            methods = [
                method
                for method in web.RequestHandler.SUPPORTED_METHODS
                if getattr(target, method.lower()) is not web.RequestHandler._unimplemented_method
            ]
            found.append(
                {"pattern": pattern.pattern, "handler": target.__qualname__, "methods": methods}
            )
    return found
