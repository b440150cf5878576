"""What a replay's kernel is asked about its values.

The text of this module is executed in the kernel that replays, which may be another Python without
this package: it uses the standard library, and pandas, NumPy, pyarrow and skops only where they are
needed.  Nothing of it is in a written pipeline.

``probe`` says of variables what they are, their canonical digest, in which format they come back
exactly, and which of them share objects.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import struct
import types
from typing import Any

_FIXED = (
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType,
    str, bytes, int, float, complex, bool, type(None), range, types.MethodType,
)  # fmt: skip
_MOST = 200_000  # Objects looked at for what two values share.


Seen = dict[int, tuple[int, Any]]  # number and object: as long as it is here, no id is used twice


class NoDigest(Exception):
    """A value has no canonical form."""


def digest(value: Any) -> str | None:
    """SHA-256 of a value's canonical form: types, order, index and bits; ``None`` if it has none.

    What differs only in how it lies in memory is equal; ``-0.0`` and ``0.0`` are not.
    """
    state = hashlib.sha256()
    try:
        _feed(state, value, {}, 0)
    except (NoDigest, RecursionError):
        return None
    return "sha256:" + state.hexdigest()


def _feed(state: Any, value: Any, seen: Seen, depth: int) -> None:
    kind = type(value)
    if depth > 200:
        raise NoDigest("nested too deeply")

    def say(*words: object) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")
            state.update(struct.pack("<q", len(data)) + data)

    if value is None or kind in (bool, int, str, bytes, complex):
        say(kind.__name__, value if kind is bytes else repr(value))
        return
    if kind is float:
        say("float", struct.pack("<d", value))
        return
    if id(value) in seen:
        say("again", seen[id(value)][0])  # one object in two places is not two equal ones
        return
    if not isinstance(value, _FIXED) and kind is not tuple:
        seen[id(value)] = (len(seen), value)
    module = kind.__module__ or ""
    # A class of the notebook's own is the same one in ``lib.py``.
    name = ("" if module in ("__main__", "lib") else module + ".") + kind.__qualname__
    say(name)
    if isinstance(value, (list, tuple)) and kind in (list, tuple):
        say(len(value))
        for item in value:
            _feed(state, item, seen, depth + 1)
        return
    if kind is dict:
        say(len(value))
        for key, item in value.items():
            _feed(state, key, seen, depth + 1)
            _feed(state, item, seen, depth + 1)
        return
    if kind in (set, frozenset):
        parts = []
        for item in value:
            inner = hashlib.sha256()
            _feed(inner, item, dict(seen), depth + 1)
            parts.append(inner.digest())
        say(*sorted(parts))
        return
    home = module.partition(".")[0]
    if home == "numpy" and _feed_numpy(say, state, value, seen, depth):
        return
    if home == "pandas" and _feed_pandas(say, state, value, seen, depth):
        return
    if isinstance(value, _FIXED):
        say(getattr(value, "__module__", ""), getattr(value, "__qualname__", repr(value)))
        return
    _feed_object(say, state, value, seen, depth)


def _feed_numpy(say: Any, state: Any, value: Any, seen: Seen, depth: int) -> bool:
    import numpy

    if isinstance(value, numpy.dtype):
        say(value.str if value.names is None else repr(value))
        return True
    if isinstance(value, numpy.random.RandomState):
        _feed(state, value.get_state(legacy=False), seen, depth + 1)
        return True
    if isinstance(value, numpy.random.Generator):
        _feed(state, value.bit_generator.state, seen, depth + 1)
        return True
    if not isinstance(value, (numpy.ndarray, numpy.generic)):
        return False
    if type(value).__name__ in ("memmap", "MaskedArray"):
        raise NoDigest(type(value).__name__)
    array = numpy.asarray(value)
    say(array.dtype.str if array.dtype.names is None else repr(array.dtype), array.shape)
    if array.dtype.names is not None:  # what pads the fields is not data
        for field in array.dtype.names:
            _feed(state, numpy.ascontiguousarray(array[field]), {}, depth + 1)
    elif array.dtype.hasobject:
        for item in array.ravel().tolist():
            _feed(state, item, seen, depth + 1)
    else:
        say(array.tobytes())  # in C order, however it lies
    return True


def _feed_pandas(say: Any, state: Any, value: Any, seen: Seen, depth: int) -> bool:
    import pandas

    def again(part: Any) -> None:
        _feed(state, part, {}, depth + 1)  # what the parts of a frame share is its own business

    if isinstance(value, pandas.DataFrame):
        again(value.columns)
        again(value.index)
        again(dict(value.attrs))
        for number in range(value.shape[1]):
            again(_parts(value.iloc[:, number].array))
        return True
    if isinstance(value, pandas.Series):
        again(value.name)
        again(value.index)
        again(_parts(value.array))
        return True
    if isinstance(value, pandas.RangeIndex):
        again([value.start, value.stop, value.step, value.name])
        return True
    if isinstance(value, pandas.MultiIndex):
        again(list(value.names))
        for level in range(value.nlevels):
            again(_parts(value.get_level_values(level).array))
        return True
    if isinstance(value, pandas.Index):
        again([value.name, str(getattr(value, "freqstr", None))])
        again(_parts(value.array))
        return True
    if isinstance(value, (pandas.Timestamp, pandas.Timedelta, pandas.Interval, pandas.Period)):
        say(repr(value), getattr(value, "unit", ""))
        return True
    if isinstance(value, type(pandas.NA)):
        return True
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        again(_parts(value))
        return True
    return False


def _parts(array: Any) -> Any:
    """An extension array as plain parts: its type, and NumPy arrays of what is in it."""
    import numpy
    import pandas

    kind = str(array.dtype)
    if isinstance(array, pandas.Categorical):
        return [kind, bool(array.ordered), list(array.categories), numpy.asarray(array.codes)]
    if kind.startswith(("datetime64", "timedelta64")):
        return [kind, numpy.asarray(array.asi8)]
    data = array.to_numpy()
    return [kind, data.tolist() if data.dtype.hasobject else data]


def _feed_object(say: Any, state: Any, value: Any, seen: Seen, depth: int) -> None:
    if isinstance(value, os.PathLike):
        say(os.fspath(value))
        return
    try:
        reduced = value.__reduce_ex__(4)
    except Exception as error:
        raise NoDigest(str(error)) from None
    if isinstance(reduced, str):
        say(reduced)
        return
    for part in reduced[:3]:
        _feed(state, part, seen, depth + 1)
    for part in reduced[3:5]:
        _feed(state, None if part is None else list(part), seen, depth + 1)


def round_trip(value: Any, path: str, allow_pickle: bool) -> dict[str, Any]:
    """Find the format in which a value comes back exactly.

    Returns ``{"format", "trusted"}`` or ``{"reason"}``; the file is at ``path`` afterwards.
    """
    wanted = digest(value)
    if wanted is None and not allow_pickle:
        return {"reason": f"a {_name(type(value))} has no form that can be compared"}
    tried: list[str] = []
    for form in _forms(value, allow_pickle):
        try:
            trusted = write(value, path, form)
            back = read(path, form, trusted, getattr(value, "name", None))
        except Exception as error:
            tried.append(f"{form}: {type(error).__name__}: {str(error)[:120]}")
            continue
        if digest(back) == wanted and type(back) is type(value):
            return {"format": form, "trusted": trusted}
        tried.append(f"{form}: it does not come back exactly")
    hint = "; ".join(tried) or "no format holds it"
    return {"reason": f"a {_name(type(value))} cannot be handed over ({hint})"}


def _forms(value: Any, allow_pickle: bool) -> list[str]:
    kind = type(value)
    home = (kind.__module__ or "").partition(".")[0]
    forms: list[str]
    if home == "pandas" and kind.__name__ == "DataFrame":
        forms = ["parquet", "feather"]
    elif home == "pandas" and kind.__name__ == "Series":
        forms = ["series"]
    elif home == "numpy" and kind.__name__ != "dtype" and hasattr(value, "dtype"):
        forms = ["npy" if kind.__name__ == "ndarray" else "npy-scalar", "skops"]
    elif kind in (dict, list, str, int, float, bool, type(None)):
        forms = ["json", "skops"]
    else:
        forms = ["skops"]
    return [*forms, "pickle"] if allow_pickle else forms


def write(value: Any, path: str, form: str) -> list[str]:
    """Write a value; return the types that reading it must trust (skops)."""
    if form == "parquet":
        value.to_parquet(path)
    elif form == "feather":
        value.to_feather(path)
    elif form == "series":
        if not (value.name is None or isinstance(value.name, str)):
            raise TypeError("the name of a series must be a text")
        value.to_frame("value").to_parquet(path)
    elif form in ("npy", "npy-scalar"):
        with open(path, "wb") as file:
            importlib.import_module("numpy").save(file, value, allow_pickle=False)
    elif form == "json":
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
    elif form == "pickle":
        import pickle

        with open(path, "wb") as file:
            pickle.dump(value, file)
    else:
        skops: Any = importlib.import_module("skops.io")
        with open(path, "wb") as file:
            file.write(skops.dumps(value))
        return sorted(skops.get_untrusted_types(file=path))
    return []


def read(path: str, form: str, trusted: list[str], name: str | None = None) -> Any:
    """Read what ``write`` wrote; ``name`` is that of a series."""
    if form in ("parquet", "feather", "series"):
        pandas: Any = importlib.import_module("pandas")
        found = pandas.read_feather(path) if form == "feather" else pandas.read_parquet(path)
        return found["value"].rename(name) if form == "series" else found
    if form in ("npy", "npy-scalar"):
        found = importlib.import_module("numpy").load(path, allow_pickle=False)
        return found[()] if form == "npy-scalar" else found
    if form == "json":
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    if form == "pickle":
        import pickle

        with open(path, "rb") as stream:
            return pickle.load(stream)  # noqa: S301  (written by this kernel a moment ago)
    skops: Any = importlib.import_module("skops.io")
    return skops.load(path, trusted=trusted)


def sharing(values: dict[str, Any]) -> list[list[str]]:
    """Groups of names whose values reach one object that can change."""
    owners: dict[int, set[str]] = {}
    keep: list[Any] = []  # so that no id is used twice
    for name, value in values.items():
        seen: set[int] = set()
        pending = [value]
        while pending and len(seen) < _MOST:
            thing = pending.pop()
            if id(thing) in seen or isinstance(thing, _FIXED):
                continue
            seen.add(id(thing))
            if isinstance(thing, dict) and "__builtins__" in thing:
                continue  # a module's globals
            if not isinstance(thing, (tuple, frozenset)):
                owners.setdefault(id(thing), set()).add(name)
                keep.append(thing)
            if _copies_on_write(thing):
                continue  # a change of one frame is seen in no other
            if type(thing).__module__.partition(".")[0] == "numpy":
                if type(thing).__name__ == "dtype":
                    owners.pop(id(thing), None)
                    continue
                base = getattr(thing, "base", None)
                if base is not None:
                    pending.append(base)
            pending += gc.get_referents(thing)
    groups = {frozenset(names) for names in owners.values() if len(names) > 1}
    return sorted(sorted(group) for group in groups)


def _copies_on_write(value: Any) -> bool:
    if type(value).__module__.partition(".")[0] != "pandas":
        return False
    import pandas

    if int(pandas.__version__.partition(".")[0]) >= 3:
        return True
    return bool(getattr(pandas.options.mode, "copy_on_write", False))


def probe(
    namespace: dict[str, Any], names: list[str], folder: str, report: str, allow_pickle: bool,
    tries: bool = True,
) -> None:  # fmt: skip
    """Write what is known of ``names`` into the JSON file ``report``.

    ``{"values": {name: {"type", "digest", "number", "name", "predicts", "format" | "reason"}},
    "shared": [...]}``; names that are not bound are left out.
    """
    values = {name: namespace[name] for name in names if name in namespace}
    found: dict[str, Any] = {}
    for number, (name, value) in enumerate(values.items()):
        about: dict[str, Any] = {
            "type": _name(type(value)),
            "digest": digest(value),
            "number": _number(value),
            "predicts": callable(getattr(value, "predict", None)),
        }
        if about["type"].endswith(".Series"):
            about["name"] = value.name if isinstance(value.name, str) else None
        if tries:
            path = os.path.join(folder, f"probe{number}")
            about |= round_trip(value, path, allow_pickle)
            about["size"] = os.path.getsize(path) if os.path.exists(path) else 0
        found[name] = about
    data = {"values": found, "shared": sharing(values) if tries else []}
    with open(report, "w", encoding="utf-8") as file:
        json.dump(data, file)


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str, bytes)):
        return None
    if type(value) in (int, float) or (
        type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
        and getattr(getattr(value, "dtype", None), "kind", "") in "iuf"
    ):  # fmt: skip
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _name(kind: type) -> str:
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"
