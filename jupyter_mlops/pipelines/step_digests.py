"""What a step was made from, as digests: its code, its parameters, its inputs.

The code is the notebook's code cells, the modules in the pipeline's folder, and those of the
project that either imports.  What is installed is not a part of it: to install what was missing is
a reason to go on with a run, not to begin again.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..capture.redact import redact
from ..journal.signing import sign
from ..warm import imported_modules
from .planned import PlannedStep

__all__ = ["changed", "code_digest", "file_digest", "files_named", "parameters_digest"]

_CHUNK = 1024 * 1024


def file_digest(path: Path) -> str:
    """BLAKE3 of a file's bytes, in hex.  Raises ``OSError``."""
    from blake3 import blake3

    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def code_digest(step: PlannedStep) -> str:
    """Digest of what the step executes."""
    notebook = json.loads(step.notebook.read_text(encoding="utf-8"))
    if "cells" not in notebook:  # a format before 4
        notebook["cells"] = [{"cell_type": "code", "source": json.dumps(notebook)}]
    cells = [
        ["".join(cell["source"]), sorted(cell.get("metadata", {}).get("tags", []))]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]
    kernel = step.kernel or notebook.get("metadata", {}).get("kernelspec", {}).get("name")
    modules = {str(path): file_digest(path) for path in _modules(step)}
    return _digest([cells, kernel, sorted(modules.items())])


def parameters_digest(step: PlannedStep) -> str:
    """Digest of the values that the step gets, without the paths of handed-over files.

    With a secret among them it is signed: nobody without this user's key can try values.
    """
    handed = {*step.inputs, *step.outputs}
    own = {name: value for name, value in step.parameters.items() if name not in handed}
    outputs = {name: path.name for name, path in step.outputs.items()}
    text = _text([sorted(own.items()), sorted(outputs.items())])
    if any(redact(name, value) != value for name, value in own.items()):
        return sign(text.encode("utf-8", "surrogatepass"))
    return _digest(text)


def files_named(step: PlannedStep) -> dict[str, list[int]]:
    """Size and time (ns) of the existing files that the step's own parameters name."""
    found = {}
    for name, value in step.parameters.items():
        if name in step.inputs or name in step.outputs or not isinstance(value, str):
            continue
        try:
            path = step.cwd / value
            known = path.stat() if value and path.is_file() else None
        except (OSError, ValueError):
            continue
        if known is not None:
            found[name] = [known.st_size, known.st_mtime_ns]
    return found


def _modules(step: PlannedStep) -> list[Path]:
    """The modules of the project that the step may run, sorted."""
    folder = step.notebook.parent
    found = set(folder.glob("*.py"))
    pending = list(imported_modules(step.notebook))
    for path in tuple(found):
        pending += _imports(path)
    seen: set[str] = set()
    while pending:
        name = pending.pop().partition(".")[0]
        if name in seen:
            continue
        seen.add(name)
        for path in _of_name(name, (folder, step.cwd)):
            if path not in found:
                found.add(path)
                pending += _imports(path)
    return sorted(found)


def _of_name(name: str, folders: Iterable[Path]) -> list[Path]:
    found = []
    for folder in folders:
        module, package = folder / f"{name}.py", folder / name
        if module.is_file():
            found.append(module)
        if (package / "__init__.py").is_file():
            found += [path for path in package.rglob("*.py") if path.is_file()]
    return found


def _imports(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)


def _digest(value: Any) -> str:
    from blake3 import blake3

    text = value if isinstance(value, str) else _text(value)
    return blake3(text.encode("utf-8", "surrogatepass")).hexdigest()


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What of a step's making differs, in words, or ``None``."""
    words = {
        "code": "its code has changed",
        "parameters": "its parameters have changed",
        "inputs": "its inputs have changed",
        "files": "a file that a parameter names has changed",
    }
    return next((word for key, word in words.items() if before.get(key) != now.get(key)), None)
