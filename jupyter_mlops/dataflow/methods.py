"""Method calls: what they do to their receiver and to what they are given."""

from __future__ import annotations

import re
from abc import abstractmethod

from . import known_functions as known
from .arguments import MISSING, Arguments
from .heap import EMPTY, Kind, Thing, Value, elements, kinds, scalar
from .implicit import Implicit
from .known_methods import (
    ACCESSORS,
    DRAWS_RANDOM,
    FITS,
    FRAME_PURE,
    ITERATES,
    LAZY,
    MUTATES,
    PATH_READS,
    PATH_WRITES,
    PLOTS,
    PURE,
    REARRANGES,
    SCALAR,
    SHARES,
    WRITES_FILE,
)
from .paths import ANY
from .protocols import SHOWN

__all__ = ["CALM", "Methods", "writes"]

CALM = SCALAR | SHARES | ITERATES | PURE
_ELEMENT_METHODS = frozenset({"get", "pop", "popitem", "popleft", "setdefault"})
_TABLES = frozenset({Kind.FRAME, Kind.ARRAY})
_WORD = re.compile(r"[^\W\d]\w*")
_LOCAL = re.compile(r"@([^\W\d]\w*)")
# They look names up that stand in their text, among the variables of the notebook.
_NAMING = {"query": _LOCAL, "eval": _LOCAL, "sql": _WORD, "sqldf": _WORD}
_HANDLER_METHODS = ("filter", "handle", "emit", "format")
_PATH_KEYWORDS = (
    "path", "path_or_buf", "buf", "excel_writer", "fname", "file", "filename", "path_or_stream",
)  # fmt: skip


class Methods(Implicit):
    """Dispatch of ``receiver.name(...)`` by what the receiver is."""

    def call_method(
        self,
        receiver: Value,
        name: str,
        arguments: Arguments,
        *,
        accessors: frozenset[str] = frozenset(),
        unused: bool = False,
    ) -> Value:
        """Call ``receiver.name``; ``accessors`` are the attributes just before it."""
        if not receiver:  # A number or a string.
            self.call_back(arguments.all)
            return scalar(ANY)
        self.step(len(receiver))
        result: Value = EMPTY
        for thing in receiver:
            result |= self._method(thing, name, arguments, accessors, unused)
        return result

    def _method(
        self,
        thing: Thing,
        name: str,
        arguments: Arguments,
        accessors: frozenset[str],
        unused: bool,
    ) -> Value:
        one = frozenset({thing})
        if thing.kind in (Kind.MODULE, Kind.IMPORTED):
            dotted = self.session.module(f"{thing.dotted}.{name}")
            return self.call_imported(dotted, arguments, unused=unused)
        if thing.kind is Kind.CLASS:
            members = self.member(thing, name)
            if members:
                return EMPTY.union(*(self.run_member(thing, m, arguments) for m in members))
        if thing.kind is Kind.INSTANCE:
            members = self.instance_member(thing, name)
            if members:
                return EMPTY.union(*(self.run_member(thing, m, arguments) for m in members))
        self._use_up(arguments)
        if thing.dotted == "IPython.shell":
            return self.shell_method(name, arguments)
        if thing.kind is Kind.PLOT:
            return self._plot_method(thing, name, arguments)
        if thing.kind is Kind.HANDLE:
            return self._handle_method(thing, name, arguments)
        if thing.kind is Kind.LOGGER:
            return self._logger_method(thing, name, arguments)
        if thing.kind in (Kind.SCALAR, Kind.PATH):
            return self._fixed_method(thing, name, arguments)
        if thing.kind is Kind.ITERATOR:
            return self.consume(one) | elements(one)
        if thing.kind is Kind.METHOD:
            return self.call_value(one, arguments) if name == "__call__" else EMPTY
        return self._known_method(thing, name, arguments, accessors)

    def _plot_method(self, thing: Thing, name: str, arguments: Arguments) -> Value:
        self.mutate([thing])
        self.affect("$plot")
        self.call_back(arguments.all)
        if name in WRITES_FILE:
            self._write_argument(arguments)
        return frozenset({thing})

    def _logger_method(self, thing: Thing, name: str, arguments: Arguments) -> Value:
        self.depend("$logging")
        if name.startswith(("add", "set", "remove", "propagate")):
            self.mutate([thing])
            self.hold([thing], arguments.all)
            self.affect("$logging")
        else:
            self.implicit(arguments.all)
            self.special(frozenset(self.reach([thing])), *_HANDLER_METHODS)
        return frozenset({thing})

    def _handle_method(self, thing: Thing, name: str, arguments: Arguments) -> Value:
        self.consume([thing])
        self.hold([thing], arguments.all)
        if thing.package in ("numpy", "random", "torch"):
            if name in ("shuffle", "permute"):
                self.mutate(arguments.all)
            return frozenset({Thing(Kind.ARRAY, holds=set(thing.holds))})
        if name.startswith(("read", "fetch", "getvalue")):
            return scalar(ANY) | frozenset({Thing(Kind.DATA)})
        return frozenset({thing})

    def _fixed_method(self, thing: Thing, name: str, arguments: Arguments) -> Value:
        self.call_back(arguments.all)
        if name == "format":
            self.implicit(arguments.all, SHOWN)
        if thing.kind is Kind.PATH:
            if name in PATH_READS:
                mode = arguments.literal("mode", 0)
                written = name == "open" and mode is not MISSING and writes(mode)
                if written:
                    self.file_written([thing.text])
                else:
                    self.file_read([thing.text])
                if name == "open":
                    text = (thing.text or ANY) if written else None
                    return frozenset({Thing(Kind.HANDLE, text=text)})
                return scalar(ANY) | frozenset({Thing(Kind.PATH, text=ANY)})
            if name in PATH_WRITES:
                self.file_written([thing.text], whole=name.startswith("write_"))
                if name in ("rename", "replace"):
                    self._write_argument(arguments)
                return frozenset({Thing(Kind.PATH, text=ANY)})
            if name == "joinpath":
                return frozenset({Thing(Kind.PATH, text=f"{thing.text or ANY}/{ANY}")})
            same = name in ("resolve", "absolute", "expanduser", "as_posix")
            return frozenset({Thing(Kind.PATH, text=thing.text if same else ANY)})
        if name in ("split", "splitlines", "rsplit", "partition", "rpartition", "encode"):
            return frozenset({Thing(Kind.DATA)})
        return scalar(ANY if thing.text is not None else None)

    def _known_method(
        self, thing: Thing, name: str, arguments: Arguments, accessors: frozenset[str]
    ) -> Value:
        one = frozenset({thing})
        given = arguments.all
        if thing.cached:  # ``cache_clear``
            self.mutate_hidden(one)
        self.implicit(given | one if thing.kind is Kind.CONTAINER else given)
        if name in _NAMING:
            self.read_named(name, arguments)
        changed = self._change_in_place(one, name, arguments)
        if name in FITS and thing.kind is not Kind.FRAME:
            return self._fit(thing, name, arguments)
        if name in PLOTS or "plot" in accessors:
            self.affect("$plot")
            return frozenset({Thing(Kind.PLOT)})
        if name in WRITES_FILE:
            self._write_argument(arguments)
            return scalar(ANY)
        tame = thing.kind in (Kind.FRAME, Kind.ARRAY)
        calm = (
            (name in CALM and name not in MUTATES)
            or (thing.kind is Kind.FRAME and name in FRAME_PURE)
            or (accessors & ACCESSORS and thing.kind is not Kind.UNKNOWN)
            or (tame and name.startswith(("to_", "is_")))
        )
        if calm:
            if name in DRAWS_RANDOM and not arguments.given("random_state", "seed"):
                self.draw("$rng:numpy", f".{name}() without random_state")
            if thing.random and name == "split":
                self.draw("$rng:numpy", "a shuffled split without random_state")
            returned = self.call_back(given, one)
            return one if changed else self._method_result(thing, name, arguments) | returned
        if name in MUTATES or (thing.kind is Kind.ESTIMATOR and name.startswith("set_")):
            self.call_back(given, one)
            self.mutate(one, columns=thing.kind is Kind.FRAME and name in ("insert", "pop"))
            self.hold(one, given)
            if name in ("update", "extend", "extendleft"):
                self.hold(one, elements(given))
            if name in _ELEMENT_METHODS:
                return elements(one) | given
            return one if name.startswith("set_") else EMPTY
        if name == "load_model" or name.startswith("load_"):
            self.file_read([t.text for t in given if t.text is not None] or [None])
        return self.unknown_call(one, arguments)

    def read_named(self, name: str, arguments: Arguments) -> None:
        """Variables that an expression or a query names in its text."""
        for value in arguments:
            for thing in value:
                found = _NAMING.get(name, _WORD).findall(thing.text or "")
                for word in sorted(set(found) & self.names.keys()):
                    self.lookup(word)

    def _method_result(self, thing: Thing, name: str, arguments: Arguments) -> Value:
        one = frozenset({thing})
        if name in SCALAR:
            return scalar()
        if name in ITERATES or (thing.kind is Kind.ESTIMATOR and name == "split"):
            return frozenset({Thing(Kind.ITERATOR, holds={thing})})
        if thing.kind in (Kind.CONTAINER, Kind.DATA, Kind.UNKNOWN) and name in _ELEMENT_METHODS:
            return elements(one) | arguments.all
        if thing.kind in (Kind.CONTAINER, Kind.DATA):
            held = set(thing.holds | arguments.all | elements(arguments.all))
            if name in SHARES:  # A view of a dictionary follows it.
                held.add(thing)
            return frozenset({Thing(Kind.CONTAINER, holds=held, opaque=thing.opaque)})
        shares = name in SHARES or arguments.literal("copy") is False
        if shares and not (thing.kind is Kind.FRAME and name in FRAME_PURE):
            if thing.kind in (Kind.FRAME, Kind.ARRAY) and name not in LAZY:
                return frozenset({Thing(thing.kind, holds={thing}, view=True)})
            return one
        kind = {
            Kind.FRAME: Kind.FRAME,
            Kind.ARRAY: Kind.ARRAY,
            Kind.ESTIMATOR: Kind.ARRAY,
        }.get(thing.kind, Kind.DATA)
        return frozenset({Thing(kind)})

    def _fit(self, thing: Thing, name: str, arguments: Arguments) -> Value:
        one = frozenset({thing})
        inside = self.reach(one)
        short = thing.dotted.rpartition(".")[2]
        unknown_class = thing.kind is not Kind.ESTIMATOR
        self.call_back(elements(one) | frozenset(t for t in inside if t.kind is Kind.FUNCTION))
        if short in known.CLONES:
            self.mutate(one)
        else:
            self.mutate(
                t
                for t in inside
                if t is thing or (not t.fixed and t.kind not in (Kind.FRAME, Kind.ARRAY, Kind.DATA))
            )
        if any(t.random for t in inside) or unknown_class:
            what = short or "an estimator"
            self.draw(
                "$rng:numpy", "" if unknown_class else f"{what}.{name}() without random_state"
            )
        if unknown_class or short in known.KEEPS_TRAINING_DATA:
            self.hold(one, arguments.all)
        if name in ("fit", "partial_fit"):
            return one
        return frozenset({Thing(Kind.ARRAY)})

    def _change_in_place(self, receiver: Value, name: str, arguments: Arguments) -> bool:
        """Apply ``inplace=`` and ``out=``; return whether the receiver changed."""
        self.mutate(arguments.keywords.get("out", EMPTY))
        if arguments.literal("inplace") in (MISSING, False, None):
            return False
        self.mutate(receiver, columns=name in REARRANGES and kinds(receiver) == {Kind.FRAME})
        self.hold(receiver, arguments.all)
        return True

    def _use_up(self, arguments: Arguments) -> None:
        for value in arguments:
            self.consume(value)
            spent = [t for t in value if t.kind is Kind.PLOT]
            if spent:
                self.mutate(spent)
                self.affect("$plot")

    def _write_argument(self, arguments: Arguments) -> None:
        target = arguments.get(0, *_PATH_KEYWORDS)
        connection = arguments.get(1, "con", "name")
        if target is None:
            return
        texts = [t.text for t in target if t.kind in (Kind.SCALAR, Kind.PATH)]
        if texts or not target:
            self.file_written(texts or [None], whole=arguments.literal("mode") in (MISSING, "w"))
        self.mutate(t for t in target | (connection or EMPTY) if t.kind is Kind.HANDLE)

    # What the modules above this one know.

    @abstractmethod
    def call_value(self, callee: Value, arguments: Arguments, *, unused: bool = False) -> Value:
        """Call whatever ``callee`` may be."""

    @abstractmethod
    def call_imported(self, callee: Thing, arguments: Arguments, *, unused: bool = False) -> Value:
        """Call a function or class by its import path."""

    @abstractmethod
    def shell_method(self, name: str, arguments: Arguments) -> Value:
        """Call a method of ``get_ipython()``."""


def writes(mode: object) -> bool:
    """Whether ``open`` with this mode may write."""
    return not isinstance(mode, str) or any(letter in mode for letter in "wax+")
