"""From messages of a kernel to what a notebook holds."""

from __future__ import annotations

from typing import Any

__all__ = ["add_error", "output_of", "timestamp", "traceback_of"]


def output_of(kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
    """The notebook's form of a message's output; ``None`` for what is none."""
    if kind in ("display_data", "execute_result"):
        data = {
            mime: value if isinstance(value, str) or mime.endswith("json") else str(value)
            for mime, value in content.get("data", {}).items()
        }
        output = {"output_type": kind, "data": data, "metadata": content.get("metadata", {})}
        if kind == "execute_result":
            output["execution_count"] = content.get("execution_count")
        return output
    if kind == "error":
        traceback = [str(line) for line in content.get("traceback", [])]
        names = {key: str(content.get(key, "")) for key in ("ename", "evalue")}
        return {"output_type": "error", **names, "traceback": traceback}
    if kind == "stream":
        return {"output_type": "stream", "name": content["name"], "text": content["text"]}
    return None


def timestamp(message: dict[str, Any]) -> str:
    """When the kernel sent a message, as nbclient notes it."""
    return str(message["header"]["date"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def traceback_of(cell: dict[str, Any]) -> list[str]:
    """The lines of a cell's last error, empty without one."""
    for output in reversed(cell["outputs"]):
        if output["output_type"] == "error":
            return [str(line) for line in output["traceback"]]
    return []


def add_error(cell: dict[str, Any], ename: str, evalue: str) -> None:
    """Add an error, before those of the kernel: papermill reports the first of a cell."""
    outputs = cell["outputs"]
    first = (i for i, output in enumerate(outputs) if output["output_type"] == "error")
    error: dict[str, Any] = {"output_type": "error", "ename": ename, "evalue": evalue}
    error["traceback"] = [f"{ename}: {evalue}"]
    outputs.insert(next(first, len(outputs)), error)
