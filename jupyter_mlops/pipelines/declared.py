"""The parameters that a notebook declares: literal assignments in its ``parameters`` cell.

That cell and its tag are papermill's convention.  The cell is read, never run: an assignment of a
literal gives name, default and type; an annotation gives the type; any other assignment declares a
name whose default is not known here.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotebookError, ParameterError
from ..model.pipeline import Parameter
from .light_notebook import light_notebook
from .names import is_parameter_name
from .parameters import check_parameters

__all__ = [
    "HOW_TO_TAG",
    "DeclaredParameters",
    "declared_parameters",
    "language_of",
    "notebook_values",
    "parameters_in",
    "read_notebook",
]

HOW_TO_TAG = (
    "Put the parameters into a cell of their own and give it the tag 'parameters': in JupyterLab "
    "select the cell, open the Property Inspector (the gears at the right) and add the tag there."
)
_ANNOTATIONS = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "dict": {"type": "object"},
    "None": {"type": "null"},
}
_UNKNOWN = object()


@dataclass(frozen=True, slots=True)
class DeclaredParameters:
    """What a notebook's ``parameters`` cell declares.

    ``opaque`` names those whose default is not a literal: they can be set, and their default is
    whatever the cell computes.  ``tagged`` says whether there is such a cell, ``readable`` whether
    it could be read (other languages than Python cannot).
    """

    parameters: tuple[Parameter, ...] = ()
    opaque: frozenset[str] = frozenset()
    tagged: bool = False
    readable: bool = True

    @property
    def names(self) -> frozenset[str]:
        """All declared names."""
        return frozenset(parameter.name for parameter in self.parameters)


def read_notebook(path: Path, *, whole: bool = False) -> Any:
    """Return the notebook at ``path`` as nbformat 4.  Raises ``NotebookError`` if it is none.

    Unless it is wanted ``whole``, it may be a ``light_notebook``: for who reads cells only.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotebookError(f"{path} does not exist", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise NotebookError(f"{path} is not a notebook: not UTF-8 text", path=str(path)) from error
    except OSError as error:
        raise NotebookError(
            f"{path} cannot be read: {error.strerror or error}", path=str(path)
        ) from error
    light = None if whole else light_notebook(text)
    return _by_nbformat(path, text) if light is None else light


def _by_nbformat(path: Path, text: str) -> Any:
    import warnings

    import nbformat as formats

    nbformat: Any = formats  # its functions are not typed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cells without an id, which older formats lack
            node = nbformat.reads(text, as_version=4)
            nbformat.validate(node)
    except Exception as error:  # whatever nbformat stumbles over in a file that is none
        reason = getattr(error, "message", None) or str(error) or type(error).__name__
        raise NotebookError(
            f"{path} is not a notebook: {str(reason).splitlines()[0]}", path=str(path)
        ) from error
    return node


def language_of(node: Any) -> str:
    """The notebook's language in lower case; ``python`` where it does not say."""
    metadata = node.metadata
    language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get(
        "language", "python"
    )
    return str(language).lower()


def declared_parameters(node: Any, path: Path | str) -> DeclaredParameters:
    """Return what the first cell tagged ``parameters`` declares.

    Raises ``NotebookError`` when it is not valid Python.
    """
    cell = next(
        (
            c
            for c in node.cells
            if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])
        ),
        None,
    )
    if cell is None:
        return DeclaredParameters()
    if language_of(node) not in ("python", "ipython"):
        return DeclaredParameters(tagged=True, readable=False)
    # Magics and shell lines are IPython's, not Python's; blanking them keeps the line numbers.
    source = re.sub(r"(?m)^\s*[%!].*$", "", cell.source)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise NotebookError(
            f"the parameters cell of {path} is not valid Python{where}: {error}", path=str(path)
        ) from error
    found, opaque = _read(source, tree)
    return DeclaredParameters(tuple(found.values()), frozenset(opaque), tagged=True)


def parameters_in(source: str) -> tuple[Parameter, ...]:
    """Return what statements that assign literals declare, as in a ``parameters`` cell.

    Raises ``SyntaxError`` for what is not Python.
    """
    found, _ = _read(source, ast.parse(source))
    return tuple(found.values())


def _read(source: str, tree: ast.Module) -> tuple[dict[str, Parameter], set[str]]:
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    opaque: set[str] = set()
    for statement in tree.body:
        for name, annotation, value in _assignments(statement):
            default = _literal(value)
            schema = _schema(annotation, default)
            opaque.discard(name)
            if default is _UNKNOWN:
                opaque.add(name)
                default = None
            text = comments.get(statement.end_lineno or 0, "")
            found[name] = Parameter(name, default, schema, text)
    return found, opaque


def notebook_values(
    declared: DeclaredParameters, given: Mapping[str, Any], path: Path | str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ``(values to inject, all values that are known)`` for a notebook.

    Raises ``NotebookError`` where parameters are given and no cell declares any, ``ParameterError``
    for unknown names and wrong types.
    """
    if given and not declared.tagged:
        raise NotebookError(
            f"{path} has no cell tagged 'parameters', so {', '.join(given)} cannot be set",
            hint=HOW_TO_TAG,
            path=str(path),
        )
    if not declared.readable:
        for name in given:
            if not is_parameter_name(name):
                raise ParameterError(f"{name!r} cannot name a parameter: it is not an identifier")
        untyped = [Parameter(name, None) for name in given]
        values = check_parameters(untyped, given)
        return values, dict(values)
    values = check_parameters(declared.parameters, given, of=str(path))
    known = {p.name: p.default for p in declared.parameters if p.name not in declared.opaque}
    return values, known | values


def _assignments(statement: ast.stmt) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
    if isinstance(statement, ast.Assign):
        return [
            (target.id, None, statement.value)
            for target in statement.targets
            if isinstance(target, ast.Name)
        ]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [(statement.target.id, statement.annotation, statement.value)]
    return []


def _literal(value: ast.expr | None) -> Any:
    if value is None:
        return _UNKNOWN
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN
    return _as_json(literal)


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_as_json(item) for item in value]
        return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        items = [_as_json(item) for item in value.values()]
        if any(item is _UNKNOWN for item in items):
            return _UNKNOWN
        return dict(zip(value, items, strict=True))
    return _UNKNOWN  # bytes, sets, complex numbers: Python, and not JSON


def _schema(annotation: ast.expr | None, default: Any) -> dict[str, Any]:
    if annotation is not None:
        schema = _annotated(annotation)
        if schema is not None:
            return schema
    if isinstance(default, bool):
        return {"type": "boolean"}
    if isinstance(default, (int, float)):
        # ``alpha = 1`` often means a number; ``n: int = 1`` says that it must be a whole one.
        return {"type": "number"}
    for kind, name in ((str, "string"), (list, "array"), (dict, "object")):
        if isinstance(default, kind):
            return {"type": name}
    return {}


def _annotated(annotation: ast.expr) -> dict[str, Any] | None:
    """The schema of an annotation, ``None`` where we do not know what it means."""
    if isinstance(annotation, ast.Constant):
        if annotation.value is None:
            return {"type": "null"}
        if isinstance(annotation.value, str):
            try:
                return _annotated(ast.parse(annotation.value, mode="eval").body)
            except SyntaxError:
                return None
    if isinstance(annotation, ast.Name):
        known = _ANNOTATIONS.get(annotation.id)
        return None if known is None else dict(known)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _either([annotation.left, annotation.right])
    if isinstance(annotation, ast.Subscript):
        return _subscripted(annotation)
    return None


def _subscripted(annotation: ast.Subscript) -> dict[str, Any] | None:
    base = annotation.value
    name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
    inner = annotation.slice
    arguments = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if name == "Optional":
        return _either([inner, ast.Constant(None)])
    if name == "Union":
        return _either(arguments)
    if name == "Literal":
        values = [_literal(argument) for argument in arguments]
        return None if any(value is _UNKNOWN for value in values) else {"enum": values}
    if name.lower() in ("list", "sequence", "tuple"):
        item = _annotated(arguments[0]) if len(arguments) == 1 else None
        return {"type": "array"} | ({"items": item} if item else {})
    if name.lower() in ("dict", "mapping"):
        return {"type": "object"}
    return None


def _either(options: list[ast.expr]) -> dict[str, Any] | None:
    types: list[str] = []
    for option in options:
        schema = _annotated(option)
        if schema is None or set(schema) != {"type"}:
            return None
        kinds = schema["type"]
        types += [kinds] if isinstance(kinds, str) else kinds
    unique = list(dict.fromkeys(types))
    return {"type": unique[0] if len(unique) == 1 else unique}


def _comments(source: str) -> dict[int, str]:
    """Trailing comments by line number: what papermill takes for a parameter's help."""
    found: dict[int, str] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = token.string.lstrip("#").strip()
    except (tokenize.TokenError, SyntaxError):
        return found
    return found
