"""Notebooks as plain JSON: read, checked and written without the cost of importing nbformat.

``import nbformat`` costs a second and more where jsonschema has all its format checkers, several
times a whole run.  What is read here is checked for what an execution relies on; whatever is not
plain version 4 goes to nbformat, which upgrades it or says what is wrong.  What is written equals
what ``nbformat.write`` writes (a test compares them).
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import NotebookError

__all__ = ["assemble", "cell_text", "is_valid", "name_cells", "notebook_text", "read_notebook"]

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SPLIT = ("application/javascript", "image/svg+xml")
_OUTPUTS: dict[str, dict[str, type]] = {
    "stream": {"name": str, "text": str},
    "error": {"ename": str, "evalue": str, "traceback": list},
    "display_data": {"data": dict, "metadata": dict},
    "execute_result": {"data": dict, "metadata": dict},
}


def read_notebook(path: Path) -> dict[str, Any]:
    """Read a notebook, upgraded to version 4.5; ``NotebookError`` for what is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotebookError(f"{path} does not exist", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(f"{path} cannot be read: {error}", path=str(path)) from error
    try:
        node: dict[str, Any] = json.loads(text)
        if not _joined(node) or not is_valid(node):
            node = _by_nbformat(text)
    except Exception as error:  # whatever nbformat stumbles over in a file that is none
        reason = getattr(error, "message", None) or str(error) or type(error).__name__
        raise NotebookError(
            f"{path} is not a notebook: {str(reason).splitlines()[0]}", path=str(path)
        ) from error
    name_cells(node)
    return node


def is_valid(node: Any) -> bool:
    """Whether a notebook is what the schema of version 4.5 wants, ids of cells aside."""
    return (
        isinstance(node, dict)
        and set(node) == {"nbformat", "nbformat_minor", "metadata", "cells"}
        and node["nbformat"] == 4
        and isinstance(node["nbformat_minor"], int)
        and 0 <= node["nbformat_minor"] <= 5
        and _valid_metadata(node["metadata"])
        and isinstance(node["cells"], list)
        and all(map(_valid_cell, node["cells"]))
    )


def notebook_text(node: Mapping[str, Any]) -> str:
    """A notebook as ``nbformat.write`` writes it, with the line break at its end."""
    cells = [cell_text(cell) for cell in node["cells"]]
    return assemble(node, cells)


def cell_text(cell: Mapping[str, Any]) -> str:
    """One cell of ``assemble``, indented as there."""
    return _dump(_split(cell)).replace("\n", "\n  ")


def assemble(node: Mapping[str, Any], cells: list[str]) -> str:
    """The text of a notebook whose cells are texts already."""
    body = "[]" if not cells else "[\n  " + ",\n  ".join(cells) + "\n ]"
    hidden = ("orig_nbformat", "orig_nbformat_minor", "signature")
    metadata = {key: value for key, value in node["metadata"].items() if key not in hidden}
    rest = _dump(metadata).replace("\n", "\n ")
    return (
        f'{{\n "cells": {body},\n "metadata": {rest},\n "nbformat": 4,\n "nbformat_minor": 5\n}}\n'
    )


def _dump(value: Any) -> str:
    return json.dumps(
        value, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "), default=str
    )


def _split(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with texts as lists of lines, and without what is not to be stored."""
    copy = dict(cell)
    copy["source"] = copy["source"].splitlines(True)
    copy["metadata"] = {k: v for k, v in copy["metadata"].items() if k != "trusted"}
    if "attachments" in copy:
        attachments = copy["attachments"].items()
        copy["attachments"] = {name: _split_bundle(bundle) for name, bundle in attachments}
    if "outputs" in copy:
        copy["outputs"] = [_split_output(output) for output in copy["outputs"]]
    return copy


def _split_output(output: Mapping[str, Any]) -> dict[str, Any]:
    if output["output_type"] == "stream":
        return {**output, "text": output["text"].splitlines(True)}
    return {**output, "data": _split_bundle(output["data"])} if "data" in output else dict(output)


def _split_bundle(bundle: Mapping[str, Any]) -> dict[str, Any]:
    return {
        mime: value.splitlines(True)
        if isinstance(value, str) and (mime.startswith("text/") or mime in _SPLIT)
        else value
        for mime, value in bundle.items()
    }


def _by_nbformat(text: str) -> dict[str, Any]:
    import nbformat

    nbformat_: Any = nbformat  # its functions are not typed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ids that the upgrade adds
        node = nbformat_.reads(text, as_version=4)
        node = nbformat_.v4.upgrade(node) or node
        nbformat_.validate(node)
    plain: dict[str, Any] = json.loads(json.dumps(node))
    return plain


def name_cells(node: dict[str, Any]) -> None:
    """Give each cell an id, as version 4.5 wants, and what papermill's readers expect."""
    seen: set[str] = set()
    for cell in node["cells"]:
        if not isinstance(cell.get("id"), str) or cell["id"] in seen:
            cell["id"] = uuid4().hex[:8]
        seen.add(cell["id"])
        cell["metadata"].setdefault("tags", [])
    node["nbformat_minor"] = 5


def _joined(node: Any) -> bool:
    """Join lists of lines in place; whether it is a notebook at all."""
    if not isinstance(node, dict) or not isinstance(node.get("cells"), list):
        return False
    for cell in node["cells"]:
        if not isinstance(cell, dict):
            return False
        _join(cell, "source")
        bundles = [*_dicts(cell.get("attachments"))]
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            if not isinstance(output, dict):
                return False
            _join(output, "text")
            bundles.append(output.get("data"))
        for bundle in bundles:
            for mime in bundle if isinstance(bundle, dict) else ():
                if not _is_json(mime):
                    _join(bundle, mime)
    return True


def _dicts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []


def _join(holder: dict[str, Any], key: str) -> None:
    value = holder.get(key)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        holder[key] = "".join(value)


def _is_json(mime: str) -> bool:
    return mime == "application/json" or (
        mime.startswith("application/") and mime.endswith("+json")
    )


def _valid_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("source"), str):
        return False
    metadata, kind, name = cell.get("metadata"), cell.get("cell_type"), cell.get("id", "none")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        return False
    if not _valid_metadata(metadata):
        return False
    allowed = {"id", "cell_type", "metadata", "source"}
    if kind == "code":
        count = cell.get("execution_count", "")
        return (
            set(cell) <= allowed | {"outputs", "execution_count"}
            and (count is None or (isinstance(count, int) and not isinstance(count, bool)))
            and isinstance(cell.get("outputs"), list)
            and all(map(_valid_output, cell["outputs"]))
        )
    return kind in ("markdown", "raw") and set(cell) <= allowed | {"attachments"}


def _valid_metadata(metadata: Any) -> bool:
    if not isinstance(metadata, dict):
        return False
    tags = metadata.get("tags", [])
    kernel = metadata.get("kernelspec", {})
    language = metadata.get("language_info", {})
    return (
        isinstance(tags, list)
        and all(isinstance(tag, str) and "," not in tag and tag for tag in tags)
        and isinstance(kernel, dict)
        and isinstance(language, dict)
        and isinstance(metadata.get("papermill", {}), dict)
    )


def _valid_output(output: Any) -> bool:
    if not isinstance(output, dict):
        return False
    wanted = _OUTPUTS.get(output.get("output_type", ""))
    if wanted is None or not all(isinstance(output.get(k), t) for k, t in wanted.items()):
        return False
    bundle: dict[str, Any] = output.get("data", {})
    return all(isinstance(value, str) or _is_json(mime) for mime, value in bundle.items())
