"""The state of widgets, kept in the notebook as nbclient and papermill keep it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

__all__ = ["Widgets"]

_MIME = "application/vnd.jupyter.widget-state+json"
_OUTPUT = ("@jupyter-widgets/output", "OutputModel")


class Widgets:
    """The front end's side of widgets: their state, and what ``Output`` widgets catch.

    ``send(content, parent)`` sends a ``comm_msg`` to the kernel.
    """

    def __init__(self, send: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
        self._send = send
        self._states: dict[str, dict[str, Any]] = {}
        self._buffers: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self._outputs: dict[str, _Output] = {}
        self._catching: dict[str, list[_Output]] = {}

    def message(self, kind: str, message: dict[str, Any]) -> None:
        """A message of a comm has come: ``kind`` is ``comm_open``, ``comm_msg``, ``comm_close``."""
        content = message["content"]
        name, data = str(content["comm_id"]), content.get("data", {})
        data = data if isinstance(data, dict) else {}  # others than widgets send what they like
        state = data.get("state")
        if isinstance(state, dict):
            self._states.setdefault(name, {}).update(state)
            paths = data.get("buffer_paths") or []
            for path, buffer in zip(paths, message.get("buffers", ()), strict=False):
                text = base64.b64encode(buffer).decode("ascii")
                entry = {"data": text, "encoding": "base64", "path": path}
                self._buffers.setdefault(name, {})[tuple(path)] = entry
        if kind == "comm_open" and content.get("target_name") == "jupyter.widget":
            shown = self._states.get(name, {})
            if (shown.get("_model_module"), shown.get("_model_name")) == _OUTPUT:
                self._outputs[name] = _Output(name, list(shown.get("outputs") or []))
        if kind != "comm_close" and name in self._outputs and isinstance(state, dict):
            self._catch(self._outputs[name], state.get("msg_id"), "msg_id" in state)

    def catches(self, parent: str) -> bool:
        """Whether an ``Output`` widget takes the outputs of this request now."""
        return bool(self._catching.get(parent))

    def caught(self, output: dict[str, Any], parent: dict[str, Any]) -> None:
        """Give an output to the widget that catches."""
        widget = self._catching[parent["msg_id"]][-1]
        if widget.clear_next:
            widget.clear_next, widget.outputs = False, []
        last = widget.outputs[-1] if widget.outputs else {}
        same = last.get("output_type") == output["output_type"] == "stream"
        if same and last["name"] == output["name"]:
            last["text"] += output["text"]
        else:
            widget.outputs.append(output)
        self._sync(widget, parent)

    def clear(self, wait: bool, parent: dict[str, Any]) -> None:
        """``clear_output`` inside of an ``Output`` widget."""
        widget = self._catching[parent["msg_id"]][-1]
        if wait:
            widget.clear_next = True
        else:
            widget.outputs = []
            self._sync(widget, parent)

    def metadata(self) -> dict[str, Any] | None:
        """What goes into the notebook's metadata as ``widgets``; ``None`` without any."""
        if not self._states:
            return None
        state = {}
        for name, values in self._states.items():
            if "_model_name" not in values:
                continue
            entry = {
                "model_name": values.get("_model_name"),
                "model_module": values.get("_model_module"),
                "model_module_version": values.get("_model_module_version"),
                "state": values,
            }
            if self._buffers.get(name):
                entry["buffers"] = list(self._buffers[name].values())
            state[name] = entry
        return {_MIME: {"state": state, "version_major": 2, "version_minor": 0}}

    def _catch(self, widget: _Output, msg_id: Any, named: bool) -> None:
        if not named:
            return
        if msg_id:
            self._catching.setdefault(msg_id, []).append(widget)
        elif widget.msg_id:
            stack = self._catching.get(widget.msg_id, [])
            if widget in stack:
                stack.remove(widget)
        widget.msg_id = msg_id or ""

    def _sync(self, widget: _Output, parent: dict[str, Any]) -> None:
        self._states[widget.name]["outputs"] = widget.outputs
        state = {"outputs": widget.outputs}
        data = {"method": "update", "state": state, "buffer_paths": []}
        self._send({"data": data, "comm_id": widget.name}, parent)


class _Output:
    def __init__(self, name: str, outputs: list[dict[str, Any]]) -> None:
        self.name = name
        self.outputs = outputs
        self.msg_id = ""
        self.clear_next = False
