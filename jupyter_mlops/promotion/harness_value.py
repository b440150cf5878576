"""What a value is, as text that two processes can compare.

This module is executed from its source inside the kernel whose value is asked for, so it imports
the standard library only and nothing of this package.  ``described`` walks a value in full: numbers
bit by bit, tables and arrays by their content, objects by what pickle would keep, functions by
their code, iterators by what is left in them (they are used up: the kernel ends afterwards).
Where nothing but a ``repr`` tells, addresses in it are masked and ``complete`` is false.
"""

import collections.abc
import hashlib
import io
import itertools
import json
import re
import struct
import sys
import types
from typing import Any

_NODES = 3_000_000
_LEFT = 100_000  # elements taken from an iterator
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_PLAIN = (type(None), bool, int, str, bytes, complex, type(...), type(NotImplemented), range, slice)
_DUNDERS = frozenset(
    {
        "__annotate__", "__annotate_func__", "__annotations_cache__", "__dict__", "__doc__",
        "__firstlineno__", "__module__", "__qualname__", "__static_attributes__", "__weakref__",
    }
)  # fmt: skip


def described(space: dict[str, Any], expression: str) -> str:
    """Return JSON: ``kind``, ``digest``, ``complete``, ``shown``; or ``error`` as text.

    ``expression`` is evaluated in the namespace ``space``.  Never raises.
    """
    try:
        value = eval(expression, space)  # noqa: S307 - the person's own name
    except BaseException as problem:
        return json.dumps({"error": f"{type(problem).__name__}: {problem}"})
    try:
        shown = _ADDRESS.sub("0x", repr(value))[:200]
    except BaseException as problem:
        shown = f"<no repr: {type(problem).__name__}>"
    walk = _Walk()
    try:
        walk.feed(value)
    except BaseException as problem:
        walk.complete = False
        walk.add("broken", type(problem).__name__, shown)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return json.dumps(
        {
            "kind": kind,
            "digest": walk.hash.hexdigest(),
            "complete": walk.complete,
            "shown": shown,
        }
    )


class _Walk:
    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=16)
        self.seen: dict[int, int] = {}
        self.keep: list[
            Any
        ] = []  # An object made while walking must not lend its address to another.
        self.complete = True
        self.nodes = 0

    def add(self, *parts: Any) -> None:
        for part in parts:
            data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
            self.hash.update(b"%d:" % len(data) + data)

    def feed(self, value: Any) -> None:
        self.nodes += 1
        if self.nodes > _NODES:
            raise OverflowError("too large")
        kind = type(value)
        if kind in _PLAIN:
            self.add(kind.__name__, repr(value) if kind is not bytes else value)
            return
        if kind is float:
            self.add("float", "nan" if value != value else struct.pack("<d", value))
            return
        if kind is tuple:
            self.add("tuple", len(value))
            for item in value:
                self.feed(item)
            return
        if id(value) in self.seen:
            self.add("again", self.seen[id(value)])
            return
        self.seen[id(value)] = len(self.seen)
        self.keep.append(value)
        self.compound(value, kind)

    def compound(self, value: Any, kind: Any) -> None:
        self.add(kind.__module__, kind.__qualname__)
        if kind is list:
            self.items(value)
        elif kind is dict:
            self.pairs(value)
        elif kind in (set, frozenset):
            self.unordered(value)
        elif kind is bytearray:
            self.add(bytes(value))
        elif isinstance(value, types.FunctionType):
            self.function(value)
        elif isinstance(value, types.CodeType):
            self.code(value)
        elif isinstance(value, (types.BuiltinFunctionType, types.ModuleType)):
            self.add(getattr(value, "__qualname__", ""), getattr(value, "__name__", ""))
        elif isinstance(value, types.MethodType):
            self.feed(value.__func__)
            self.feed(value.__self__)
        elif isinstance(value, type):
            self.type(value)
        elif not self.known(value, kind) and not self.special(value, kind):
            self.reduced(value, kind)

    def items(self, values: Any) -> None:
        self.add(len(values))
        for item in values:
            self.feed(item)

    def pairs(self, values: Any) -> None:
        self.add(len(values))
        for key, item in values.items():
            self.feed(key)
            self.feed(item)

    def unordered(self, values: Any) -> None:
        digests = []
        for item in values:
            inner = _Walk()
            inner.feed(item)
            self.complete &= inner.complete
            digests.append(inner.hash.digest())
        self.add(len(digests), *sorted(digests))

    def function(self, value: Any) -> None:
        self.add(value.__qualname__)
        self.code(value.__code__)
        self.feed(value.__defaults__)
        self.feed(value.__kwdefaults__)
        self.feed(value.__dict__)
        for cell in value.__closure__ or ():
            try:
                self.feed(cell.cell_contents)
            except ValueError:
                self.add("empty")

    def code(self, value: Any) -> None:
        self.add(value.co_name, value.co_code, *value.co_names, *value.co_varnames)
        for constant in value.co_consts:
            if isinstance(constant, types.CodeType):
                self.code(constant)
            else:
                self.feed(constant)

    def type(self, value: Any) -> None:
        self.add(value.__module__, value.__qualname__)
        if value.__module__ == "__main__":
            for base in value.__bases__:
                self.feed(base)
            for name, member in vars(value).items():
                if name not in _DUNDERS and not name.startswith(("_abc_", "__dataclass")):
                    self.add(name)
                    self.feed(getattr(member, "__func__", member))

    def known(self, value: Any, kind: Any) -> bool:
        """Tables, arrays and generators of random numbers of libraries that are loaded."""
        package = kind.__module__.partition(".")[0]
        name = kind.__name__
        if package == "numpy":
            return self.numpy(value, name)
        if package == "pandas":
            return self.pandas(value, name)
        if package == "polars" and name in ("DataFrame", "Series", "LazyFrame"):
            table = value.collect() if name == "LazyFrame" else value
            self.add(str(getattr(table, "schema", None) or table.dtype), getattr(value, "name", ""))
            self.feed(table.rows() if name != "Series" else table.to_list())
            return True
        if package == "pyarrow" and hasattr(value, "to_pylist"):
            self.add(str(getattr(value, "schema", None) or value.type))
            self.feed(value.to_pylist())
            return True
        if package == "torch" and hasattr(value, "detach"):
            self.feed(value.detach().cpu().numpy())
            return True
        return False

    def numpy(self, value: Any, name: str) -> bool:
        numpy: Any = sys.modules["numpy"]
        if isinstance(value, numpy.ndarray):
            self.add(str(value.dtype), *value.shape)
            if value.dtype.hasobject:
                self.feed(value.ravel().tolist())
            else:
                self.add(numpy.ascontiguousarray(value).tobytes())
            mask = getattr(value, "mask", None)
            if mask is not None:
                self.feed(numpy.asarray(mask))
            return True
        if isinstance(value, numpy.generic):
            self.add(str(value.dtype), value.tobytes())
            return True
        if name in ("Generator", "RandomState"):
            self.feed(value.bit_generator.state if name == "Generator" else value.get_state())
            return True
        return False

    def pandas(self, value: Any, name: str) -> bool:
        if name == "DataFrame":
            self.feed(value.columns)
            self.feed(value.index)
            self.feed(dict(value.attrs))
            for position in range(value.shape[1]):
                column = value.iloc[:, position]
                self.add(str(column.dtype))
                self.feed(column.to_numpy())
            return True
        if name == "Series" or name.endswith("Index"):
            self.add(str(value.dtype))
            self.feed(list(getattr(value, "names", [])) or value.name)
            if name == "Series":
                self.feed(value.index)
                self.feed(dict(value.attrs))
            self.feed(value.to_numpy())
            return True
        return False

    def special(self, value: Any, kind: Any) -> bool:
        """What pickle does not take."""
        if isinstance(value, io.StringIO | io.BytesIO):
            self.feed(value.getvalue())
            self.add(value.tell())
        elif isinstance(value, io.IOBase):
            self.add(str(getattr(value, "name", "")), str(getattr(value, "mode", "")), value.closed)
            self.add(value.tell() if not value.closed and value.seekable() else "")
        elif kind.__module__ == "weakref" or kind.__name__ == "ReferenceType":
            self.feed(value() if callable(value) else dict(value))
        elif isinstance(value, re.Pattern):
            self.add(str(value.pattern), value.flags)
        elif kind.__module__ == "sqlite3" and hasattr(value, "iterdump"):
            self.items(list(value.iterdump()))
        elif isinstance(value, types.MappingProxyType):
            self.pairs(value)
        elif isinstance(value, collections.abc.Iterator):
            left = list(itertools.islice(value, _LEFT))
            self.items(left)
        else:
            return False
        return True

    def reduced(self, value: Any, kind: Any) -> None:
        """The parts that pickle would keep, without making pickle's bytes."""
        try:
            parts = value.__reduce_ex__(4)
        except Exception:
            parts = None
        if not isinstance(parts, tuple):
            if not isinstance(parts, str):
                self.complete = False
            self.add("shown", _ADDRESS.sub("0x", repr(value)))
            return
        function, arguments, state, listed, paired = (*parts, None, None, None, None)[:5]
        self.add(getattr(function, "__qualname__", ""))
        for argument in arguments:
            self.feed(argument)
        if isinstance(state, dict):
            # Attributes in whichever order they were set.
            state = {key: state[key] for key in sorted(state, key=str)}
        self.feed(state)
        self.items(list(listed) if listed is not None else [])
        self.items(list(paired) if paired is not None else [])
