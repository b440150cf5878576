"""Putting the run card below the cell, in the form that the front end can show."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ..config import Config
from ..errors import ServiceError
from ..model.wiring import load_port
from ..project import Project
from .card import bundle
from .card_updates import display_id
from .frontend import in_vscode
from .live import LiveCard

__all__ = ["register_run", "show_card"]


def show_card(
    shell: Any,
    card: Mapping[str, Any],
    project: Project | None = None,
    config: Config | None = None,
    live: LiveCard | None = None,
) -> bool:
    """Display a card: by our renderer, as HTML or as text; in VS Code as a widget.

    It takes the place of ``live`` where that was shown.  Without a project (a dry run) there is
    nothing to register, and so no widget either.  Returns whether the display can be replaced by
    its ``card_updates.display_id``.
    """
    data = bundle(card)

    named = project is not None and getattr(shell, "kernel", None) is not None
    name = {"transient": {"display_id": display_id(str(card["run_id"]))}} if named else {}

    def publish(shown: Mapping[str, Any]) -> None:
        if live is None or not live.finish(shown):
            shell.display_pub.publish(data=dict(shown), metadata={}, **name)

    if project is not None and config is not None and in_vscode(shell):
        try:
            show = load_port("widget_card")

            def register(name: str, model: str | None) -> Mapping[str, Any]:
                return register_run(project, config, str(card["run_id"]), name, model)

            show(card, data, register, publish)
            return False
        except Exception:  # noqa: S110  No ipywidgets, or a broken one: the plain card does as well.
            pass
    publish(data)
    return named


def register_run(
    project: Project, config: Config, run_id: str, name: str, model: str | None
) -> Mapping[str, Any]:
    """Ask the agent to make a model version of a run's model; return the version.

    Blocks for as long as that takes.  Raises ``MlopsError``.
    """
    from . import agent_client

    if not agent_client.ensure(project, config):
        words = ["jupyter", "mlops", "models", "register", run_id, name]
        words += ["--model", model] if model is not None else []
        raise ServiceError("the background agent is turned off", hint=f"Run: {shlex.join(words)}")
    result = agent_client.call_op(
        project, "register", {"run": run_id, "name": name, "model": model}
    )
    return result if isinstance(result, Mapping) else {}
