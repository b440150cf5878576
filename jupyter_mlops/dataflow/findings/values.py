"""What the expressions of a session are: tables, estimators, lists of columns.

``Values.of`` works an expression out, as far as the leakage rules need it, and tells ``seen`` of
every split, fit, transformation and evaluation in it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

from .columns import column_names, given_columns, literal
from .estimators import (
    COMBINED,
    CROSS_VALIDATION,
    FIGURES,
    KEEPS_COLUMNS,
    KEEPS_ROWS,
    PACKAGES,
    RESAMPLERS,
    TRANSFORMERS,
)
from .tables import ColumnNames, Data, Estimator, Learned

__all__ = ["Value", "Values", "tail"]

Single = Data | Estimator | ColumnNames | None
Value = Single | tuple[Single, ...]
Seen = Callable[[str, ast.Call, "Value", "list[Value]"], None]

_READERS = ("read_", "load_", "fetch_")
_STACKS = frozenset({"concat", "vstack", "concatenate", "append", "r_"})
_BESIDE = frozenset({"hstack", "column_stack", "c_"})
_WRAPS = frozenset({"DataFrame", "Series", "array", "asarray", "csr_matrix", "get_dummies"})
_EVALUATES = frozenset({"predict", "predict_proba", "decision_function", "score"})
_NOT_COLUMNS = frozenset(
    {"columns", "index", "shape", "dtypes", "size", "ndim", "T", "loc", "iloc", "at", "iat", "str",
     "dt", "cat", "plot", "empty", "axes", "style"}
)  # fmt: skip


def tail(function: ast.expr) -> str:
    """The last part of a called name: ``split`` of ``model_selection.split``."""
    return str(getattr(function, "attr", getattr(function, "id", "")))


class Values:
    """The values of names while statements are gone through."""

    def __init__(self, seen: Seen) -> None:
        self.names: dict[str, Data | Estimator | ColumnNames] = {}
        self.imports: dict[str, str] = {}
        self.run = 0
        self._seen = seen
        self._count = 0
        # base -> column -> (the columns that it was computed from, when)
        self._made_of: dict[int, dict[str, tuple[frozenset[str], int]]] = {}

    def of(self, node: ast.AST | None) -> Value:
        """What an expression is; ``None`` where that is not known."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp)):
            return self._computed(node)
        if isinstance(node, (ast.Tuple, ast.List)):
            names = column_names(node, self.names)
            if names is not None:
                return names
            parts = [self.of(e) for e in node.elts]
            return tuple(p for p in parts if not isinstance(p, tuple)) if parts else None
        if isinstance(node, (ast.ListComp, ast.Constant)):
            return column_names(node, self.names)
        if isinstance(node, (ast.Await, ast.NamedExpr, ast.Starred)):
            return self.of(node.value)
        if isinstance(node, (ast.JoinedStr, ast.FormattedValue, ast.Dict, ast.Set, ast.IfExp)):
            for child in ast.iter_child_nodes(node):  # for what happens in it
                self.of(child)
        return None

    # What statements do.

    def store(self, target: ast.Subscript | ast.Attribute, value: Value, node: ast.expr) -> None:
        """``frame[columns] = value``: note what the columns were made of."""
        root = target.value
        if isinstance(root, ast.Attribute) and root.attr in ("loc", "iloc"):
            root = root.value
        frame = self.of(root)
        if not isinstance(frame, Data) or not isinstance(root, ast.Name):
            return
        keys = target.slice if isinstance(target, ast.Subscript) else None
        if isinstance(keys, ast.Tuple) and len(keys.elts) == 2:
            keys = keys.elts[1]
        names = column_names(keys, self.names) if keys is not None else None
        if names is None or names.all_but:
            return
        self._count += 1
        if frame.base is not None:
            sources = self._sources(node, frame.base)
            for name in names.names:
                known = self._made_of.setdefault(frame.base, {})
                known[name] = (sources - {name}, self._count)
        learned = value.learned if isinstance(value, Data) else ()
        kept = tuple(x for x in frame.learned if x.columns is None or not x.columns <= names.names)
        only = None if frame.only is None else frame.only | names.names
        minus = None if frame.minus is None else frame.minus - names.names
        new = tuple(replace(x, columns=names.names) for x in learned)
        self.names[root.id] = replace(
            frame, only=only, minus=minus, learned=(*kept, *new), step=self._count
        )

    def delete(self, target: ast.expr) -> None:
        """``del name`` or ``del frame["column"]``."""
        if isinstance(target, ast.Name):
            self.names.pop(target.id, None)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            frame, names = self.of(target.value), column_names(target.slice, self.names)
            if isinstance(frame, Data) and names is not None and not names.all_but:
                self.names[target.value.id] = frame.without(names.names)

    def forget(self, node: ast.AST) -> None:
        """Whatever a statement binds that is not followed is not known any more."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                self.names.pop(part.id, None)
            elif isinstance(part, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                self.names.pop(part.name, None)

    def reveals(self, features: Data, target: str) -> str | None:
        """A column of ``features`` that is the target or computed from it; ``None`` if none is."""
        if features.only is None and features.minus is None:
            return None
        if _has(features, target):
            return target
        known = self._made_of.get(features.base or 0, {})
        for name, (_, made) in known.items():
            taken = made <= features.step and name != target and _has(features, name)
            if taken and target in self._origin(name, known):
                return name
        origin, _ = known.get(target, (frozenset(), 0))
        if len(origin) == 1:  # the logarithm of a price, with the price among the features
            (source,) = origin
            return source if _has(features, source) else None
        return None

    def _origin(self, name: str, known: dict[str, tuple[frozenset[str], int]]) -> frozenset[str]:
        found: set[str] = set()
        todo = [name]
        while todo:
            for source in known.get(todo.pop(), (frozenset(), 0))[0]:
                if source not in found:
                    found.add(source)
                    todo.append(source)
        return frozenset(found)

    def _sources(self, node: ast.expr, base: int) -> frozenset[str]:
        """The columns of a table that an expression mentions."""
        found: set[str] = set()
        for part in ast.walk(node):
            if isinstance(part, (ast.Subscript, ast.Attribute)):
                value = self._subscript(part) if isinstance(part, ast.Subscript) else None
                if isinstance(part, ast.Attribute):
                    value = self._attribute(part)
                if isinstance(value, Data) and value.base == base and value.only is not None:
                    found |= value.only
                elif value is None and isinstance(part, ast.Subscript):
                    # df.groupby("town")["price"].transform("mean")
                    root = self.of(_root(part))
                    names = column_names(part.slice, self.names)
                    if isinstance(root, Data) and root.base == base and names is not None:
                        found |= names.names
        return frozenset(found)

    # Expressions.

    def _subscript(self, node: ast.Subscript) -> Value:
        located = isinstance(node.value, ast.Attribute) and node.value.attr in ("loc", "iloc")
        frame = self.of(node.value.value if located else node.value)  # type: ignore[attr-defined]
        if not isinstance(frame, Data):
            return None
        key = node.slice
        if located and isinstance(key, ast.Tuple) and len(key.elts) == 2:
            rows, columns = key.elts
            taken = self._rows(frame, rows)
            names = column_names(columns, self.names)
            everything = isinstance(columns, ast.Slice) and columns.lower is columns.upper
            if everything:
                return taken
            return self._take(taken, names) if names is not None else taken.plain()
        names = None if located else column_names(key, self.names)
        return self._take(frame, names) if names is not None else self._rows(frame, key)

    def _take(self, frame: Data, names: ColumnNames) -> Data:
        frame = replace(frame, step=self._count)
        return frame.without(names.names) if names.all_but else frame.taking(names.names)

    def _rows(self, frame: Data, key: ast.expr) -> Data:
        if isinstance(key, ast.Slice):
            if key.lower is None and key.upper is None:
                return frame
            low, high = literal(key.lower), literal(key.upper)
            if _plain(key.lower, low) and _plain(key.upper, high) and key.step is None:
                return frame.part(("slice", low or 0, float("inf") if high is None else high))
        return frame.part(("some", self.run, ast.dump(key)))

    def _attribute(self, node: ast.Attribute) -> Value:
        frame = self.of(node.value)
        if not isinstance(frame, Data) or node.attr in _NOT_COLUMNS:
            return None
        if node.attr in ("values", "frame"):  # a data set of scikit-learn's has its `frame`
            return frame
        if frame.base is None or frame.only is not None:
            return None
        return frame.taking(frozenset({node.attr}))

    def _computed(self, node: ast.expr) -> Value:
        parts = [self.of(child) for child in ast.iter_child_nodes(node)]
        data = [part for part in parts if isinstance(part, Data)]
        if not data:
            return None
        found = _together(data)
        scaled = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Sub, ast.Div))
        if scaled and isinstance(node, ast.BinOp) and self._figure_of(node.right, data):
            found = found.knowing(self._learned("figures", "a figure of the column", node, found))
        return found

    def _figure_of(self, node: ast.expr, data: list[Data]) -> bool:
        """Whether an expression is a figure, such as the mean, of the same rows."""
        for part in ast.walk(node):
            if not (isinstance(part, ast.Call) and tail(part.func) in FIGURES):
                continue
            of = self.of(part.func.value) if isinstance(part.func, ast.Attribute) else None
            if of is None and part.args:
                of = self.of(part.args[0])  # np.mean(x)
            if isinstance(of, Data) and any(of.rows == d.rows for d in data):
                return True
        return False

    def _learned(self, kind: str, by: str, node: ast.expr, data: Data) -> Learned:
        return Learned(kind, by, self.run, node.lineno, node.col_offset + 1, data.rows)

    # Calls.

    def _call(self, node: ast.Call) -> Value:
        name, function = tail(node.func), node.func
        if isinstance(function, ast.Attribute):
            subject = self.of(function.value)
            if isinstance(subject, Estimator):
                return self._estimator_call(node, name, subject)
            if isinstance(subject, Data):
                return self._frame_call(node, name, subject)
        given = [self.of(argument) for argument in node.args]
        for keyword in node.keywords:
            given.append(self.of(keyword.value) if keyword.arg in ("X", "y", "data") else None)
        if not self._is_library(function):
            return None
        if name == "train_test_split":
            return self._split(node, given)
        if name in CROSS_VALIDATION:
            self._seen("split", node, None, given[1:])
            return None
        if name in TRANSFORMERS | COMBINED | RESAMPLERS or self._is_class(function):
            return Estimator(name)
        if name.startswith(_READERS):
            table = self._table()
            if any(k.arg == "return_X_y" and literal(k.value) is True for k in node.keywords):
                target = frozenset({"target"})
                return table.without(target), table.taking(target)
            return table
        flat = [v for value in given for v in (value if isinstance(value, tuple) else [value])]
        data = [value for value in flat if isinstance(value, Data)]
        if not data:
            return self._table() if name == "DataFrame" else None
        if name in _STACKS:
            beside = any(
                k.arg == "axis" and literal(k.value) in (1, "columns") for k in node.keywords
            )
            return _together(data) if beside else _stacked(data)
        if name == "resample":
            made = [d.knowing(self._learned("rows", "resample()", node, d)) for d in data]
            return tuple(made) if len(made) > 1 else made[0]
        if name in _WRAPS and len(data) == 1:
            return data[0]
        if name in _BESIDE or self._dotted(function).startswith("numpy"):
            return _together(data)
        return None

    def _table(self) -> Data:
        self._count += 1
        return Data(
            frozenset({(self._count,)}), base=self._count, minus=frozenset(), step=self._count
        )

    def _dotted(self, function: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(function, ast.Attribute):
            parts.append(function.attr)
            function = function.value
        if not isinstance(function, ast.Name):
            return ""
        return ".".join([self.imports.get(function.id, ""), *reversed(parts)])

    def _is_library(self, function: ast.expr) -> bool:
        """Whether a function is imported: what the notebook defines may do anything."""
        return bool(self._dotted(function).partition(".")[0])

    def _is_class(self, function: ast.expr) -> bool:
        package = self._dotted(function).partition(".")[0]
        return package in PACKAGES and tail(function)[:1].isupper()

    def _split(self, node: ast.Call, given: list[Value]) -> Value:
        data = [value if isinstance(value, Data) else None for value in given]
        data = data[: len(node.args)]
        self._seen("split", node, None, list(data))
        self._count += 1
        parts: list[Single] = []
        for value in data:
            for role in ("train", "test"):
                step = ("split", self._count, role)
                parts.append(None if value is None else value.part(step))
        return tuple(parts)

    def _estimator_call(self, node: ast.Call, name: str, subject: Estimator) -> Value:
        given = [self.of(argument) for argument in node.args]
        given += [self.of(k.value) for k in node.keywords if k.arg in ("X", "y")]
        first = next((g for g in given[:1] if isinstance(g, Data)), None)
        if name == "split":
            self._seen("split", node, subject, given)
            return None
        if name in ("fit", "fit_transform", "fit_predict", "partial_fit"):
            subject.rows = first.rows if first is not None else frozenset()
            if first is not None:
                subject.fitted = self._learned("fit", subject.name, node, first)
            self._seen("fit", node, subject, given)
            if name == "fit":
                return subject
            return self._transformed(subject, first)
        if name == "fit_resample":
            made = [g for g in given if isinstance(g, Data)]
            again = [g.knowing(self._learned("rows", subject.name, node, g)) for g in made]
            return tuple(again)
        if name == "transform":
            self._seen("transform", node, subject, given)
            return self._transformed(subject, first)
        if name in _EVALUATES:
            self._seen("evaluate", node, subject, given)
        return subject if name in ("set_params", "set_output") else None

    def _transformed(self, subject: Estimator, data: Data | None) -> Value:
        if data is None:
            return None
        found = data if subject.name in KEEPS_COLUMNS else data.plain()
        if subject.fitted is not None and subject.name in TRANSFORMERS | COMBINED:
            found = found.knowing(subject.fitted)
        return found

    def _frame_call(self, node: ast.Call, name: str, frame: Data) -> Value:
        inplace = any(
            k.arg == "inplace" and isinstance(k.value, ast.Constant) and k.value.value is True
            for k in node.keywords
        )
        result = self._frame_method(node, name, frame)
        root = node.func.value if isinstance(node.func, ast.Attribute) else None
        if inplace and isinstance(root, ast.Name):
            if isinstance(result, Data):
                self.names[root.id] = result
            else:
                self.names.pop(root.id, None)
            return None
        return result

    def _frame_method(self, node: ast.Call, name: str, frame: Data) -> Value:
        root = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name == "pop" and node.args:
            names = column_names(node.args[0], self.names)
            if names is None:
                return None
            if isinstance(root, ast.Name):
                self.names[root.id] = frame.without(names.names)
            return frame.taking(names.names)
        if name == "drop":
            columns = given_columns(node, self.names)
            if columns is not None:
                return replace(frame.without(columns), step=self._count)
            return self._rest(node, frame)
        if name == "sample":
            self._count += 1
            if any(k.arg == "replace" and literal(k.value) is True for k in node.keywords):
                return frame.knowing(self._learned("rows", "sample(replace=True)", node, frame))
            if any(k.arg == "frac" and literal(k.value) == 1 for k in node.keywords):
                return frame
            return frame.part(("split", self._count, "train"))
        if name in KEEPS_ROWS:
            figures = name == "fillna" and any(
                self._figure_of(a, [frame]) for a in (*node.args, *(k.value for k in node.keywords))
            )
            found = replace(frame, step=self._count)
            if name == "assign":
                added = [self.of(k.value) for k in node.keywords]
                found = found.plain().knowing(
                    *(x for value in added if isinstance(value, Data) for x in value.learned)
                )
            if figures:
                found = found.knowing(
                    self._learned("figures", "fillna() with a figure", node, frame)
                )
            return found
        if name in ("select_dtypes", "filter", "rename", "pipe"):
            return frame.plain()
        if name in ("query", "head", "tail", "nlargest", "nsmallest"):
            return frame.part(("some", self.run, ast.dump(node)))
        return None

    def _rest(self, node: ast.Call, frame: Data) -> Value:
        """``frame.drop(train.index)``: the rows that a sample has left."""
        index = node.args[0] if node.args else None
        taken = self.of(index.value) if isinstance(index, ast.Attribute) else None
        if not isinstance(taken, Data) or len(taken.rows) != 1:
            return None
        (rows,) = taken.rows
        last = rows[-1]
        if isinstance(last, tuple) and last[0] == "split" and frozenset({rows[:-1]}) == frame.rows:
            return replace(frame, rows=frozenset({(*rows[:-1], ("split", last[1], "test"))}))
        return None


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


def _has(features: Data, name: str) -> bool:
    if features.only is not None:
        return name in features.only
    return features.minus is not None and name not in features.minus


def _plain(node: ast.expr | None, value: object) -> bool:
    return node is None or (isinstance(value, int) and value >= 0)


def _together(data: list[Data]) -> Data:
    """Computed of several, row by row."""
    bases = {d.base for d in data}
    only: frozenset[str] | None = None
    if len(bases) == 1 and all(d.only is not None for d in data):
        only = frozenset().union(*(d.only or () for d in data))
    learned = tuple(dict.fromkeys(x for d in data for x in d.learned))
    base = data[0].base if only is not None else None
    return Data(data[0].rows, base, only, None, learned, max(d.step for d in data))


def _stacked(data: list[Data]) -> Data:
    rows = frozenset().union(*(d.rows for d in data))
    same = len({(d.base, d.only, d.minus) for d in data}) == 1
    learned = tuple(dict.fromkeys(x for d in data for x in d.learned))
    first = data[0] if same else data[0].plain()
    return replace(first, rows=rows, learned=learned)
