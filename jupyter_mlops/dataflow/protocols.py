"""Which methods of a class an operator or a built-in function calls."""

from __future__ import annotations

import ast

__all__ = ["AUGMENTED", "BINARY", "BUILTIN", "COMPARED", "OUTSIDE", "SHOWN", "TRUTH", "UNARY"]

# operator -> (method of the left side, method of the right side)
BINARY: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("__add__", "__radd__"),
    ast.Sub: ("__sub__", "__rsub__"),
    ast.Mult: ("__mul__", "__rmul__"),
    ast.MatMult: ("__matmul__", "__rmatmul__"),
    ast.Div: ("__truediv__", "__rtruediv__"),
    ast.FloorDiv: ("__floordiv__", "__rfloordiv__"),
    ast.Mod: ("__mod__", "__rmod__"),
    ast.Pow: ("__pow__", "__rpow__"),
    ast.LShift: ("__lshift__", "__rlshift__"),
    ast.RShift: ("__rshift__", "__rrshift__"),
    ast.BitOr: ("__or__", "__ror__"),
    ast.BitXor: ("__xor__", "__rxor__"),
    ast.BitAnd: ("__and__", "__rand__"),
}
AUGMENTED = {kind: f"__i{names[0][2:]}" for kind, names in BINARY.items()}
UNARY: dict[type[ast.unaryop], tuple[str, ...]] = {
    ast.USub: ("__neg__",),
    ast.UAdd: ("__pos__",),
    ast.Invert: ("__invert__",),
    ast.Not: ("__bool__", "__len__"),
}
TRUTH = ("__bool__", "__len__")
COMPARED: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Eq: ("__eq__",),
    ast.NotEq: ("__ne__", "__eq__"),
    ast.Lt: ("__lt__", "__gt__"),
    ast.Gt: ("__gt__", "__lt__"),
    ast.LtE: ("__le__", "__ge__"),
    ast.GtE: ("__ge__", "__le__"),
    ast.In: ("__contains__", "__iter__", "__next__", "__getitem__", "__eq__", "__hash__"),
    ast.NotIn: ("__contains__", "__iter__", "__next__", "__getitem__", "__eq__", "__hash__"),
}
SHOWN = ("__repr__", "__str__", "__format__")
_ORDERED = ("__lt__", "__gt__", "__iter__", "__next__", "__getitem__", "__len__")
_GONE_OVER = ("__iter__", "__next__", "__getitem__", "__len__", "__length_hint__")
_NUMBER = ("__int__", "__float__", "__index__", "__complex__", "__trunc__")
BUILTIN: dict[str, tuple[str, ...]] = {
    "abs": ("__abs__",),
    "all": (*_GONE_OVER, *TRUTH),
    "any": (*_GONE_OVER, *TRUTH),
    "ascii": SHOWN,
    "bin": _NUMBER,
    "bool": TRUTH,
    "bytes": ("__bytes__", *_GONE_OVER),
    "callable": (),
    "complex": _NUMBER,
    "dict": (*_GONE_OVER, "keys", "__hash__", "__eq__"),
    "dir": ("__dir__",),
    "divmod": ("__divmod__", "__rdivmod__"),
    "enumerate": _GONE_OVER,
    "filter": _GONE_OVER,
    "float": _NUMBER,
    "format": SHOWN,
    "frozenset": (*_GONE_OVER, "__hash__", "__eq__"),
    "hasattr": ("__getattr__", "__getattribute__"),
    "hash": ("__hash__",),
    "id": (),
    "int": _NUMBER,
    "isinstance": ("__instancecheck__",),
    "issubclass": ("__subclasscheck__",),
    "iter": ("__iter__",),
    "len": ("__len__",),
    "list": _GONE_OVER,
    "map": _GONE_OVER,
    "max": _ORDERED,
    "min": _ORDERED,
    "pow": ("__pow__", "__rpow__"),
    "print": SHOWN,
    "repr": SHOWN,
    "reversed": ("__reversed__", "__len__", "__getitem__"),
    "round": ("__round__",),
    "set": (*_GONE_OVER, "__hash__", "__eq__"),
    "sorted": _ORDERED,
    "str": SHOWN,
    "sum": (*_GONE_OVER, "__add__", "__radd__"),
    "tuple": _GONE_OVER,
    "type": (),
    "zip": _GONE_OVER,
}
# Of these, the ones that do not look at what is inside.
OUTSIDE = frozenset(
    {
        "abs", "bool", "callable", "complex", "dir", "divmod", "enumerate", "filter", "float",
        "hasattr", "hash", "id", "int", "isinstance", "iter", "len", "map", "reversed", "round",
        "type", "zip",
    }
)  # fmt: skip
