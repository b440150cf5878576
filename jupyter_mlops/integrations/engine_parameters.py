"""papermill's rules for parameters, without the cost of importing papermill for Python's.

What is injected is exactly papermill's (its ``translators`` and ``parameterize`` modules; a test
compares them).  Other languages, and code that ``black`` is to format, are left to papermill.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

from ..model.python_value import python_code

__all__ = ["ERROR_TAG", "inject", "known_language", "mark_error", "remove_error_marks"]

ERROR_TAG = "papermill-error-cell-tag"
_STYLE = (
    'style="color:red; font-family:Helvetica Neue, Helvetica, Arial, sans-serif; font-size:2em;"'
)
_HEAD = (
    f"<span {_STYLE}>An Exception was encountered at "
    "'<a href=\"#papermill-error-cell\">In [%s]</a>'.</span>"
)
_ANCHOR = (
    f'<span id="papermill-error-cell" {_STYLE}>'
    "Execution using papermill encountered an exception here and stopped:</span>"
)


def known_language(kernel: str, language: str) -> bool:
    """Whether papermill can write parameters in the language of a kernel."""
    if language == "python":
        return True
    from papermill.exceptions import PapermillException
    from papermill.translators import papermill_translators

    try:
        papermill_translators.find_translator(kernel, language)
    except PapermillException:
        return False
    return True


def inject(
    notebook: dict[str, Any], parameters: Mapping[str, Any], kernel: str, language: str
) -> None:
    """Put parameters into a notebook (in place), where papermill would.

    That is in place of the cell tagged ``injected-parameters``, else after the one tagged
    ``parameters``, else at the top.
    """
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": uuid4().hex[:8],
        "metadata": {"tags": ["injected-parameters"]},
        "outputs": [],
        "source": _code(dict(parameters), kernel, language),
    }
    cells = notebook["cells"]
    injected = _tagged(cells, "injected-parameters")
    declared = _tagged(cells, "parameters")
    if injected is not None:
        cells[injected] = cell
    elif declared is not None:
        cells.insert(declared + 1, cell)
    else:
        cells.insert(0, cell)
    notebook["metadata"]["papermill"]["parameters"] = dict(parameters)


def mark_error(notebook: dict[str, Any], index: int) -> None:
    """Add papermill's marks: a link at the top, and an anchor before the cell that failed."""
    count = notebook["cells"][index].get("execution_count")
    notebook["cells"].insert(index, _mark(_ANCHOR))
    notebook["cells"].insert(0, _mark(_HEAD % count))


def remove_error_marks(notebook: dict[str, Any]) -> None:
    """Remove the marks that an earlier execution has left."""
    notebook["cells"] = [
        cell for cell in notebook["cells"] if ERROR_TAG not in cell["metadata"].get("tags", [])
    ]


def _mark(source: str) -> dict[str, Any]:
    metadata = {"tags": [ERROR_TAG]}
    return {"cell_type": "markdown", "id": uuid4().hex[:8], "metadata": metadata, "source": source}


def _tagged(cells: list[dict[str, Any]], tag: str) -> int | None:
    return next((i for i, c in enumerate(cells) if tag in c["metadata"].get("tags", [])), None)


def _code(parameters: dict[str, Any], kernel: str, language: str) -> str:
    # papermill asks for the kernel's name first; its Scala kernels alone matter there.
    ours = any(python_code(value) is not None for value in parameters.values())
    if language != "python" or (find_spec("black") is not None and not ours):
        from papermill.translators import translate_parameters

        logging.getLogger("papermill").addHandler(logging.NullHandler())
        return str(translate_parameters(kernel, language, parameters, "Parameters"))
    lines = [f"{name} = {_python(value)}\n" for name, value in parameters.items()]
    return "".join(["# Parameters\n", *lines])


def _python(value: Any) -> str:
    """A value as papermill's PythonTranslator writes it, or by its own code."""
    code = python_code(value)
    if code is not None:
        return code
    if value is None or isinstance(value, (bool, int)):
        return f"{value}"
    if isinstance(value, float):
        if math.isfinite(value):
            return f"{value}"
        return "float('nan')" if math.isnan(value) else f"float('{'-' if value < 0 else ''}inf')"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_escaped(k)}: {_python(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    return _escaped(value)


def _escaped(value: Any) -> str:
    if isinstance(value, str):
        value = value.encode("unicode_escape").decode("utf-8").replace('"', r"\"")
    return f'"{value}"'
