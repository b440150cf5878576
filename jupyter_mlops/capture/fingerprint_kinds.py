"""How values of a type are read for a fingerprint: functions, classes, objects, and what is opaque.

``handler_of`` decides once for a type.  An object is read whole where its classes are Python's own
(statements, ``__slots__``, the builtin containers): the sizes that the interpreter gives tell
whether an extension type hides more than its attributes say.
"""

from __future__ import annotations

import collections
import datetime
import functools
import gc
import io
import pathlib
import random
import re
import threading
import types
import uuid
import weakref
from array import array
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .fingerprints import BASIC, Handler, Walk, class_vars, inherits, module_of, mro_of

__all__ = ["ATTRIBUTES", "handler_of", "is_own", "plain_object"]

# As in `fingerprints`: a metaclass may say anything of its classes.
_qualname = type.__dict__["__qualname__"].__get__
_flags = type.__dict__["__flags__"].__get__
_base = type.__dict__["__base__"].__get__
_size = type.__dict__["__basicsize__"].__get__
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_WORD = 8
_OWN = "__main__"
# Attributes of a class that are not what the person wrote.
_NO_ATTRIBUTES = frozenset(
    {"__dict__", "__weakref__", "__doc__", "_abc_impl", "__abstractmethods__", "__module__",
     "__firstlineno__", "__static_attributes__", "__annotations_cache__"}
)  # fmt: skip
# Packages whose extension types say what they hold by `__reduce_ex__`, quickly and completely.
_REDUCED = ("sklearn.", "scipy.", "numpy.")
_OPAQUE = ("matplotlib.", "mpl_toolkits.")


def is_own(cls: type) -> bool:
    """Whether a class was defined in the notebook."""
    return module_of(cls) == _OWN


def handler_of(kind: type) -> Handler:
    """Return what reads values of this type."""
    found = _EXACT.get(id(kind))
    if found is not None:
        return found
    if inherits(kind, type):
        return _class
    if inherits(kind, weakref.ref):
        return _reference
    module = module_of(kind)
    if module.startswith(_OPAQUE):
        return _opaque
    package = module.partition(".")[0]
    from .fingerprint_libraries import library_handler

    if (known := library_handler(kind, package)) is not None:
        return known
    if inherits(kind, io.IOBase) or _is_foreign_iterator(kind):
        return _consumed
    if (parts := _parts_of(kind)) is not None:
        return _object_handler(kind, parts)
    if module.startswith(_REDUCED):
        return _reduced
    return _linked


ATTRIBUTES = types.GetSetDescriptorType


def plain_object(walk: Walk, value: Any, parts: list[Callable[[Any], Any]], name: str) -> None:
    """An object as its attributes and slots, read by the descriptors in ``parts``."""
    walk.emit(b"o")
    walk.text(name)
    for part in parts:
        try:
            held = part(value)
        except AttributeError:  # A slot that is not set.
            walk.emit(b"-")
            continue
        if type(held) is dict:
            walk.reaches(held)  # `vars(x)` is another way to it.
            walk.items(list(held.values()), b"v")
            walk.items(list(held), b"k")
        else:
            walk.push(held)


def _object_handler(kind: type, parts: list[Callable[[Any], Any]]) -> Handler:
    name = _name(kind)
    own = is_own(kind)

    def handler(walk: Walk, value: Any) -> None:
        if walk.first(value):
            if own:
                walk.apart(kind, name)
            plain_object(walk, value, parts, name)

    return handler


def _parts_of(kind: type) -> list[Callable[[Any], Any]] | None:
    """What reads all that an object of this type holds; ``None`` if some of it cannot be read."""
    parts: list[Callable[[Any], Any]] = []
    for cls in mro_of(kind):
        if cls is object:
            continue
        contents = _CONTENTS.get(id(cls))
        if contents is not None:
            parts.append(contents)
            if cls is not BaseException:
                continue
        elif not _flags(cls) & _HEAP:
            if not inherits(cls, BaseException):
                return None
            parts.append(_builtin_error)
        own = class_vars(cls)
        slots = [d for d in own.values() if type(d) is types.MemberDescriptorType]
        attributes = own.get("__dict__")
        if contents is None and _flags(cls) & _HEAP:
            base = _base(cls)
            extra = _size(cls) - (_size(base) if base is not None else 0)
            known = len(slots) + ("__weakref__" in own) + (attributes is not None)
            if extra > _WORD * known:
                return None
        parts.extend(slot.__get__ for slot in slots)
        if type(attributes) is ATTRIBUTES:
            parts.append(attributes.__get__)
    return parts


def _is_foreign_iterator(kind: type) -> bool:
    """Whether its ``__next__`` is no Python code: what it has still to give is not to be seen."""
    for cls in mro_of(kind):
        if "__next__" in class_vars(cls):
            return type(class_vars(cls)["__next__"]) is not types.FunctionType
    return False


def _name(cls: type) -> str:
    return f"{module_of(cls)}.{_qualname(cls)}"


def _class(walk: Walk, value: Any) -> None:
    if not is_own(value):
        walk.emit(b"C")
        walk.text(_name(value))
        return
    if not walk.first(value):
        return
    walk.emit(b"C")
    walk.text(_name(value))
    for base in mro_of(value)[1:]:
        if is_own(base):
            walk.apart(base, _name(base))
        else:
            walk.text(_name(base))
    attributes = {k: v for k, v in class_vars(value).items() if k not in _NO_ATTRIBUTES}
    names = list(attributes)
    walk.items(list(map(attributes.__getitem__, names)), b"v")
    walk.items(names, b"k")


def _function(walk: Walk, value: types.FunctionType) -> None:
    own = value.__globals__ is walk.prints.namespace
    if not walk.first(value, mutable=own):
        return
    walk.emit(b"F")
    walk.text(value.__qualname__)
    if own:
        walk.push(value.__code__)
    else:
        walk.text(str(value.__module__))
    for held in (value.__defaults__, value.__kwdefaults__, value.__dict__ or None):
        walk.push(held)
    closure = value.__closure__ or ()
    walk.emit(b"%d|" % len(closure))
    walk.push(*closure)


def _code(walk: Walk, value: types.CodeType) -> None:
    if walk.first(value, mutable=False):
        walk.emit(b"X")
        walk.push(value.co_consts, value.co_names, value.co_varnames, value.co_code)


def _cell(walk: Walk, value: types.CellType) -> None:
    if walk.first(value):
        walk.emit(b"*")
        try:
            walk.push(value.cell_contents)
        except ValueError:  # Not bound yet.
            walk.emit(b"-")


def _method(walk: Walk, value: types.MethodType) -> None:
    walk.emit(b"M")
    walk.push(value.__self__, value.__func__)


def _builtin(walk: Walk, value: types.BuiltinFunctionType) -> None:
    walk.emit(b"B")
    walk.text(str(value.__qualname__))
    if type(value.__self__) is not types.ModuleType:
        walk.push(value.__self__)


def _partial(walk: Walk, value: functools.partial[Any]) -> None:
    if walk.first(value):
        walk.emit(b"P")
        walk.push(value.args, value.keywords, value.func)


def _cached(walk: Walk, value: Any) -> None:
    """A function under ``lru_cache``: what it remembers is nothing that it would not say again."""
    attributes = object.__getattribute__(value, "__dict__")
    walk.emit(b"L")
    if "__wrapped__" in attributes:
        walk.push(attributes["__wrapped__"])
    else:
        walk.cannot(value)


def _property(walk: Walk, value: property) -> None:
    walk.emit(b"p")
    walk.push(value.fdel, value.fset, value.fget)


def _wrapper(walk: Walk, value: Any) -> None:
    walk.emit(b"w")
    walk.push(value.__func__)


def _proxy(walk: Walk, value: types.MappingProxyType[Any, Any]) -> None:
    walk.emit(b"x")
    walk.push(*gc.get_referents(value))


def _named(walk: Walk, value: Any) -> None:
    """Something of a builtin type that holds no state, or only its name."""
    walk.emit(b"n")
    walk.text(type(value).__qualname__)
    if id(type(value)) in _DESCRIPTORS:
        walk.text(value.__name__)


def _reference(walk: Walk, value: weakref.ref[Any]) -> None:
    """A weak reference: what it means is not its own, but whether that still lives is its state."""
    if not walk.first(value):
        return
    meant = weakref.ref.__call__(value)
    walk.emit(b"-" if meant is None else b"&")
    if meant is not None:
        walk.reaches(meant)


def _deque(walk: Walk, value: collections.deque[Any]) -> None:
    if walk.first(value):
        walk.emit(b"D")
        walk.push(value.maxlen)
        walk.items(list(value), b"l")


def _array(walk: Walk, value: array[Any]) -> None:
    if walk.first(value):
        walk.text(value.typecode)
        walk.emit(b"A%d|" % len(value))
        walk.buffer(memoryview(value).cast("B"), len(value) * value.itemsize)


def _view(walk: Walk, value: memoryview) -> None:
    walk.emit(b"V")
    if value.contiguous and value.format in ("B", "b", "c"):
        walk.push(*(r for r in gc.get_referents(value) if type(r) in (bytes, bytearray)))
        walk.buffer(value, value.nbytes)
    else:
        walk.cannot(value, linked=False)


def _random(walk: Walk, value: random.Random) -> None:
    if walk.first(value):
        walk.emit(b"R")
        walk.content(random.Random.getstate(value))


def _pattern(walk: Walk, value: re.Pattern[Any]) -> None:
    walk.emit(b"e")
    walk.push(value.flags, value.pattern)


def _by_text(walk: Walk, value: Any) -> None:
    walk.emit(b"=")
    walk.text(_name(type(value)))
    walk.text(str(value))


def _time(walk: Walk, value: Any) -> None:
    walk.emit(b"@")
    walk.text(type(value).__name__)
    for part in value.__reduce__()[1]:
        walk.push(part)


def _ordered(walk: Walk, value: Any) -> None:
    if walk.first(value):
        walk.emit(b"G")
        walk.text(type(value).__qualname__)
        walk.push(getattr(value, "default_factory", None))
        walk.items(list(dict.values(value)), b"v")
        walk.items(list(value), b"k")


def _reduced(walk: Walk, value: Any) -> None:
    """An extension type of a library that pickles it completely."""
    if not walk.first(value):
        return
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:
        walk.opaque = walk.linked = True
        return
    walk.emit(b"~")
    walk.text(_name(type(value)))
    walk.content(reduced[1:] if type(reduced) is tuple else reduced)


def _consumed(walk: Walk, value: Any) -> None:
    walk.cannot(value, consumed=True, linked=False)


def _opaque(walk: Walk, value: Any) -> None:
    walk.opaque = True
    walk.reaches(value)


def _linked(walk: Walk, value: Any) -> None:
    walk.cannot(value)


def _builtin_error(value: Any) -> Any:
    """An exception's arguments; what OSError and its like keep apart is made of them."""
    return BaseException.args.__get__(value)  # type: ignore[attr-defined]


# What a builtin container holds beside the attributes of a class derived from it.
_CONTENTS: dict[int, Callable[[Any], Any]] = {
    id(dict): lambda value: (tuple(dict.keys(value)), tuple(dict.values(value))),
    id(list): lambda value: tuple(list.__iter__(value)),
    id(tuple): lambda value: tuple(tuple.__iter__(value)),
    id(set): lambda value: frozenset(set.__iter__(value)),
    id(frozenset): lambda value: frozenset(frozenset.__iter__(value)),
    id(str): lambda value: str.encode(value, "utf-8", "surrogatepass"),
    id(bytes): lambda value: bytes.__getitem__(value, slice(None)),
    id(bytearray): lambda value: bytes(memoryview(value)),
    id(int): lambda value: int.__add__(value, 0),
    id(float): lambda value: float.__add__(value, 0.0),
    id(complex): lambda value: complex.__add__(value, 0j),
    id(collections.deque): lambda value: tuple(collections.deque.__iter__(value)),
    id(collections.defaultdict): lambda value: class_vars(collections.defaultdict)[
        "default_factory"
    ].__get__(value),
    id(collections.OrderedDict): lambda value: tuple(collections.OrderedDict.__iter__(value)),
    id(BaseException): _builtin_error,
}

_EXACT: dict[int, Handler] = {
    **BASIC,
    id(types.FunctionType): _function,
    id(types.CodeType): _code,
    id(types.CellType): _cell,
    id(types.MethodType): _method,
    id(types.BuiltinFunctionType): _builtin,
    id(types.MappingProxyType): _proxy,
    id(functools.partial): _partial,
    id(type(functools.lru_cache(lambda: None))): _cached,
    id(property): _property,
    id(staticmethod): _wrapper,
    id(classmethod): _wrapper,
    id(collections.deque): _deque,
    id(collections.OrderedDict): _ordered,
    id(collections.defaultdict): _ordered,
    id(array): _array,
    id(memoryview): _view,
    id(random.Random): _random,
    id(re.Pattern): _pattern,
    id(Decimal): _by_text,
    id(uuid.UUID): _by_text,
    id(datetime.date): _time,
    id(datetime.datetime): _time,
    id(datetime.time): _time,
    id(datetime.timedelta): _time,
    id(datetime.timezone): _time,
    id(weakref.ProxyType): _opaque,
    id(weakref.CallableProxyType): _opaque,
}
_DESCRIPTORS = {
    id(kind)
    for kind in (types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType,
                 types.ClassMethodDescriptorType, types.GetSetDescriptorType,
                 types.MemberDescriptorType)
}  # fmt: skip
for _kind in (pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath,
              pathlib.PureWindowsPath):  # fmt: skip
    _EXACT[id(_kind)] = _by_text
_STATELESS: tuple[Any, ...] = (
    object, types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType,
    types.ClassMethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.GenericAlias, types.UnionType, type(threading.Lock()), type(threading.RLock()),
)  # fmt: skip
_EXACT |= {id(kind): _named for kind in _STATELESS}
