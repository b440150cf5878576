"""Secrets, taken out of an executed notebook before it is written.

The kernel gets the values of parameters; the cell that papermill injects, its metadata and whatever
was printed must not.  Which parameters are secrets is told by their names; everything else is the
redactor's.  Best effort: a secret that was cut into pieces is not found.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..capture.redact import REDACTED, redact
from ..journal import Redactor
from ..model.python_value import python_code
from .files import write_atomic

__all__ = ["cleaner", "hide_secrets", "text_cleaner"]

_SHORTEST = 4  # characters: a shorter text is in too many innocent places


def hide_secrets(notebook: Path, parameters: Mapping[str, Any], redactor: Redactor | None) -> None:
    """Take the secrets out of an executed notebook, as ``cleaner`` does.

    The file is left alone when there are none.  ``OSError`` when it cannot be rewritten.
    """
    data = json.loads(notebook.read_text(encoding="utf-8"))
    cleaned = cleaner(parameters, redactor)(data)
    if cleaned == data:
        return
    text = json.dumps(cleaned, ensure_ascii=False, indent=1)
    write_atomic(notebook, text.encode("utf-8", "backslashreplace") + b"\n")


def cleaner(
    parameters: Mapping[str, Any], redactor: Redactor | None
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what takes secrets out of a notebook (its JSON, which is not changed).

    The values of secretly named parameters become ``***``, wherever they are; ``redactor`` finds
    the others (``None``: they stay).
    """
    # A reference to a secret is none: the kernel looks it up, and only the name is written.
    names = [
        name
        for name, value in parameters.items()
        if redact(name, value) != value and ".Secret.from_reference(" not in str(python_code(value))
    ]
    values = [value for name in names for value in _texts(parameters[name])]
    # The longest first: a value may be the beginning of another.
    values = sorted(set(values), key=len, reverse=True)

    def clean(notebook: dict[str, Any]) -> dict[str, Any]:
        if names:
            notebook = _without_parameters(copy.deepcopy(notebook), names)
            notebook = _replaced(notebook, values)
        return notebook if redactor is None else redactor.redact_notebook(notebook)

    return clean


def text_cleaner(parameters: Mapping[str, Any], redactor: Redactor | None) -> Callable[[str], str]:
    """The same for a text that is shown."""
    secret = [value for name, value in parameters.items() if redact(name, value) != value]
    values = sorted({text for value in secret for text in _texts(value)}, key=len, reverse=True)

    def clean(text: str) -> str:
        for value in values:
            text = text.replace(value, REDACTED)
        return text if redactor is None else redactor.redact_text(text)

    return clean


def _without_parameters(data: dict[str, Any], names: list[str]) -> dict[str, Any]:
    known = data.get("metadata", {}).get("papermill", {}).get("parameters", {})
    known.update({name: REDACTED for name in names if name in known})
    for cell in data.get("cells", []):
        if "injected-parameters" in cell.get("metadata", {}).get("tags", []):
            source = "".join(cell["source"])
            for name in names:
                source = re.sub(rf"(?m)^{name} = .*$", f'{name} = "{REDACTED}"', source)
            cell["source"] = source
    return data


def _texts(value: Any) -> list[str]:
    """The texts in a value, as they are and as ``repr`` writes them."""
    if isinstance(value, str):
        shown = repr(value)[1:-1]
        return [text for text in {value, shown} if len(text) >= _SHORTEST]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    return []


def _replaced(data: Any, values: list[str]) -> Any:
    if isinstance(data, str):
        for value in values:
            data = data.replace(value, REDACTED)
        return data
    if isinstance(data, list):
        return [_replaced(item, values) for item in data]
    if isinstance(data, dict):
        return {key: _replaced(item, values) for key, item in data.items()}
    return data
