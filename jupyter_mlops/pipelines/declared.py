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
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import NotebookError, ParameterError
from ..model.pipeline import Parameter
from .light_notebook import light_notebook
from .names import is_parameter_name
from .parameter_annotations import UNKNOWN, default_of, kind_of_parameter
from .parameter_kinds import Kind, schema_of
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


@dataclass(frozen=True, slots=True)
class DeclaredParameters:
    """What a notebook's ``parameters`` cell declares.

    ``opaque`` names those whose default is not a literal: they can be set, and their default is
    whatever the cell computes.  ``required`` are those that the cell only annotates: ``n: int``.
    ``kinds`` says what each is in Python.  ``tagged`` says whether there is such a cell,
    ``readable`` whether it could be read (other languages than Python cannot).
    """

    parameters: tuple[Parameter, ...] = ()
    opaque: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
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
    return _read(source, tree)


def parameters_in(source: str) -> tuple[Parameter, ...]:
    """Return what statements that assign literals declare, as in a ``parameters`` cell.

    Raises ``SyntaxError`` for what is not Python.
    """
    return _read(source, ast.parse(source)).parameters


def _read(source: str, tree: ast.Module) -> DeclaredParameters:
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    kinds: dict[str, Kind] = {}
    opaque: set[str] = set()
    bare: set[str] = set()
    for statement in tree.body:
        for name, annotation, value in _assignments(statement):
            text = comments.get(statement.end_lineno or 0, "")
            if annotation is None:
                annotation, text = _type_comment(text)
            default, told = default_of(value)
            kinds[name] = kind_of_parameter(annotation, told)
            opaque.discard(name)
            if value is None:
                bare.add(name)
            if default is UNKNOWN:
                opaque.add(name)
                default = None
            found[name] = Parameter(name, default, schema_of(kinds[name]), text)
    stored = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in bare)
    counts = Counter(node.id for node in stored if isinstance(node.ctx, ast.Store))
    required = frozenset(name for name in bare if counts[name] == 1)
    return DeclaredParameters(
        tuple(found.values()), frozenset(opaque), required, kinds, tagged=True
    )


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
    missing = [p.name for p in declared.parameters if p.name in declared.required - values.keys()]
    if missing:
        raise ParameterError(
            f"{path} needs a value for {', '.join(map(repr, missing))}: its cell gives no default",
            hint=f"Give it with -p {missing[0]} VALUE.",
            parameter=missing[0],
        )
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


def _type_comment(text: str) -> tuple[ast.expr | None, str]:
    """papermill's other way to give a type: ``n = 5  # type: int how many``."""
    match = re.match(r"type:\s*([\w.]+(?:\[[^#]*\])?)\s*(.*)", text)
    if match is None:
        return None, text
    try:
        return ast.parse(match[1], mode="eval").body, match[2]
    except (SyntaxError, ValueError):
        return None, text


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
