"""The run card as an ipywidget: the card's HTML, a box for a name and a Register button.

Loaded by ``wiring.load_port("widget_card")``, and only where it is shown.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets

from ..errors import MlopsError
from ..model.registry import check_model_name

__all__ = ["Card", "show"]

# name, model variable -> the new version; blocks, raises MlopsError
Register = Callable[[str, str | None], Mapping[str, Any]]
# Puts a MIME bundle below the cell.
Publish = Callable[[Mapping[str, Any]], None]


def show(
    card: Mapping[str, Any], data: Mapping[str, Any], register: Register, publish: Publish
) -> Card:
    """Display the card below the cell; ``data`` is its MIME bundle, which stays as the fallback."""
    widget = Card(card, str(data["text/html"]), register)
    publish({**data, **widget.box._repr_mimebundle_()})
    return widget


class Card:
    """One card.  ``box`` is the widget; ``button``, ``name`` and ``outcome`` are parts of it."""

    def __init__(self, card: Mapping[str, Any], html: str, register: Register) -> None:
        self._model: str | None = card.get("registered_model")
        self._register = register
        self.outcome = ipywidgets.HTML()
        self.name = ipywidgets.Text(value=_suggestion(card), placeholder="name of the model")
        self.button = ipywidgets.Button(
            description="Register", tooltip=f"Make a model version of {self._model}"
        )
        self.button.on_click(self._clicked)
        self.name.on_msg(self._submitted)
        parts: list[Any] = [ipywidgets.HTML(html + _words(card))]
        if _can_register(card):
            parts += [ipywidgets.HBox([self.name, self.button]), self.outcome]
        self.box = ipywidgets.VBox(parts)
        self.thread: threading.Thread | None = None

    def _submitted(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, Mapping) and content.get("event") == "submit":
            self._clicked(None)

    def _clicked(self, _button: Any) -> None:
        name = self.name.value.strip()
        try:
            check_model_name(name)
        except MlopsError as error:
            self._say(f"{error.message}. {error.hint}" if name else "Give the model a name.")
            return
        if self.button.disabled:
            return
        self.button.disabled = True
        self._say(f"Registering {name} ...")
        # The agent delivers the run first, which takes seconds: not in the kernel's main thread.
        self.thread = threading.Thread(target=self._run, args=(name,), daemon=True)
        self.thread.start()

    def _run(self, name: str) -> None:
        try:
            version = self._register(name, self._model)
        except MlopsError as error:
            self._say(f"{error.message}. {error.hint}" if error.hint else error.message)
            self.button.disabled = False
        except Exception as error:
            self._say(f"Not registered: {type(error).__name__}: {error}")
            self.button.disabled = False
        else:
            number = version.get("version")
            self._say(f"Registered {name}" + (f" as version {number}." if number else "."))

    def _say(self, text: str) -> None:
        self.outcome.value = f'<span role="status">{escape(text)}</span>'


def _words(card: Mapping[str, Any]) -> str:
    """What to write for the rest: VS Code runs none of our buttons' code in the server."""
    lines = []
    other = (card.get("baseline") or {}).get("run_id")
    if other:
        lines.append(
            f"compare: <code>%mlops compare {escape(other)} {escape(card['run_id'])}</code>"
        )
    if card["notebook"] and card["status"] == "FINISHED":
        lines.append("make the notebook a pipeline: <code>%promote</code>")
    text = " &middot; ".join(lines)
    return f'<div style="opacity:.75;font-size:90%">{text}</div>' if lines else ""


def _can_register(card: Mapping[str, Any]) -> bool:
    kept = any(m["kept"] and m["name"] == card["registered_model"] for m in card["models"])
    return bool(kept and not card["register"] and card["status"] == "FINISHED")


def _suggestion(card: Mapping[str, Any]) -> str:
    """A name for the model from the run's own: ``taxi tips #3`` becomes ``taxi-tips``."""
    name = str(card["name"]).partition(" #")[0].lower()
    return re.sub(r"[^0-9a-z_.-]+", "-", name).strip("-") or "model"
