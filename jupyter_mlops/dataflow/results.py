"""What well-known functions and classes return."""

from __future__ import annotations

from . import known_functions as known
from .arguments import MISSING, Arguments
from .heap import EMPTY, Kind, Thing, Value, elements, kinds, scalar, text_of
from .implicit import USED_UP
from .known_methods import words
from .methods import Methods
from .paths import ANY, join

__all__ = ["Results"]

_ITERATOR_MAKERS = frozenset(
    {"finditer", "iglob", "walk", "scandir", "reader", "DictReader", "iterdir"}
)
_HANDLE_PACKAGES = words("io shelve dbm sqlite3 queue socket gzip bz2 lzma zipfile")
_DRAWING_PACKAGES = frozenset({"sklearn", "imblearn"})


class Results(Methods):
    """Kinds of results, and what they share with the arguments."""

    def made_by(self, dotted: str, arguments: Arguments) -> Value:
        """What a call of a well-known function or class returns."""
        package, _, rest = dotted.partition(".")
        name = dotted.rpartition(".")[2]
        given = arguments.all
        if not rest:
            return self._made_by_builtin(dotted, given)
        if dotted in ("random.getstate", "numpy.random.get_state"):
            return frozenset({Thing(Kind.DATA)})
        if dotted in known.GENERATORS:
            return frozenset({Thing(Kind.HANDLE, dotted=dotted)})
        if dotted in ("copy.copy", "copy.deepcopy"):
            copies = {
                Thing(
                    t.kind,
                    set(t.holds),
                    t.opaque,
                    t.dotted,
                    t.text,
                    t.late,
                    t.random,
                    bases=t.bases,
                )
                for t in given
            }
            if name == "deepcopy":
                for thing in copies:
                    thing.holds = {h for h in thing.holds if h.fixed}
                    thing.opaque = True  # It has copies of the rest inside.
            return frozenset(copies)
        if dotted in known.SHARES_ARGUMENT:
            kind = {"numpy": Kind.ARRAY, "pandas": Kind.FRAME}.get(package, Kind.DATA)
            if package in ("functools", "joblib", "tqdm", "operator"):
                kind = Kind.UNKNOWN if name != "tqdm" else Kind.DATA
            if package == "tqdm" and kinds(given) & USED_UP:
                kind = Kind.ITERATOR
            if dotted == "types.MethodType":
                kind = Kind.UNKNOWN
            made = Thing(kind, dotted=dotted if package in ("pandas", "collections") else "")
            # Writing to it writes to what it was made from.
            made.view = package == "numpy" or name in ("ChainMap", "proxy")
            if name == "memmap":  # Writing to it writes to its file.
                made.text = text_of(arguments.get(0, "filename") or EMPTY) or ANY
            self.hold([made], given | elements(given))
            return frozenset({made})
        if package == "pathlib" and name in ("Path", "PurePath", "PosixPath", "home", "cwd"):
            text = ANY if name in ("home", "cwd") else _joined(arguments)
            return frozenset({Thing(Kind.PATH, text=text)})
        if dotted == "os.path.join":
            return scalar(_joined(arguments))
        if dotted.startswith("os.path.") or dotted in ("os.getcwd", "os.getenv", "os.environ.get"):
            return scalar(ANY)
        if package in known.SCALAR_PACKAGES:
            return scalar(ANY if package in ("time", "datetime", "uuid") else None)
        if package in known.PLOT_PACKAGES:
            return frozenset({Thing(Kind.PLOT)})
        if dotted == "logging.getLogger":
            return frozenset({self.session.module("logging.Logger", Kind.LOGGER)})
        if package in known.ESTIMATOR_PACKAGES and name[:1].isupper():
            return self._estimator(dotted, name, arguments)
        if dotted.startswith("sklearn.pipeline.make_") or name == "make_column_transformer":
            made = Thing(Kind.ESTIMATOR, dotted=dotted)
            self.hold([made], given | elements(given))
            return frozenset({made})
        if package == "sklearn":
            if dotted == "sklearn.base.clone":
                return frozenset(
                    Thing(t.kind, set(), t.opaque, t.dotted, None, t.late, t.random, bases=t.bases)
                    for t in given
                )
            scores = dotted.startswith("sklearn.metrics.") and name.endswith(("_score", "_error"))
            return scalar() if scores else frozenset({Thing(Kind.FRAME, bundle=True)})
        if package == "itertools" or name in _ITERATOR_MAKERS:
            kept = given | frozenset(t for t in elements(given) if t.kind is not Kind.METHOD)
            made = Thing(Kind.ITERATOR)
            self.hold([made], kept)
            return frozenset({made})
        if package in _HANDLE_PACKAGES or name in ("new_file", "new_stream", "ParquetWriter"):
            first = text_of(
                arguments.get(0, "file", "filename", "database", "sink", "where") or EMPTY
            )
            made = Thing(Kind.HANDLE, text=first if package != "io" else None)
            self.hold([made], given)
            return frozenset({made})
        if dotted.startswith("pandas.read_") and arguments.given("chunksize", "iterator"):
            return frozenset({Thing(Kind.ITERATOR)})
        if package == "numpy":
            return frozenset({Thing(Kind.ARRAY, bundle=True)})
        if package in known.FRAME_PACKAGES:
            handle = name in ("ExcelWriter", "HDFStore", "ExcelFile")
            made = Thing(Kind.HANDLE if handle else Kind.FRAME, bundle=not handle)
            made.text = text_of(arguments.get(0, "path") or EMPTY) if handle else None
            return frozenset({made})
        if name.endswith("Queue"):
            return self._holding(Kind.HANDLE, given)
        if package in ("torch", "tensorflow", "keras", "concurrent", "asyncio", "threading"):
            return self._holding(Kind.UNKNOWN, given)
        if dotted in ("csv.writer", "csv.DictWriter"):
            return self._holding(Kind.HANDLE, given)
        return self._holding(Kind.DATA, given)

    def _holding(self, kind: Kind, value: Value) -> Value:
        made = Thing(kind)
        self.hold([made], value | elements(value))
        return frozenset({made})

    def _estimator(self, dotted: str, name: str, arguments: Arguments) -> Value:
        made = Thing(Kind.ESTIMATOR, dotted=dotted)
        self.hold([made], arguments.all | elements(arguments.all))
        made.holds |= {t for t in self.reach(arguments.all) if t.kind is Kind.FUNCTION}
        seeded = arguments.given("random_state", "seed")
        if name in known.SPLITTERS:
            made.random = arguments.literal("shuffle") not in (MISSING, False) and not seeded
        elif name in known.NO_RANDOM:
            drawn = {
                arguments.literal(k)
                for k in ("solver", "selection", "svd_solver")
                if isinstance(arguments.literal(k), str)
            }
            made.random = bool(drawn & known.SOLVERS_THAT_DRAW) and not seeded
        elif dotted.partition(".")[0] in _DRAWING_PACKAGES:
            made.random = not seeded
        return frozenset({made})

    def _made_by_builtin(self, name: str, given: Value) -> Value:
        if name in known.CONTAINERS:
            kind = Kind.ITERATOR if name in known.ITERATORS else Kind.CONTAINER
            inner = {t for t in elements(given) if t.kind is not Kind.SCALAR or t.text is not None}
            if kind is Kind.ITERATOR:  # Going on with it goes on with these.
                lasting = (*USED_UP, Kind.FUNCTION, Kind.METHOD, Kind.INSTANCE)
                inner |= {t for t in given if t.kind in lasting}
                over = {t for t in given if t.kind is Kind.CONTAINER}
                return frozenset({Thing(kind, holds=inner, opaque=False, over=over)})
            return frozenset({Thing(kind, holds=inner, opaque=False)})
        if name == "iter":
            own = self.special(given, "__iter__")
            return frozenset({Thing(Kind.ITERATOR, holds=set(given | elements(given)))}) | own
        if name in ("min", "max"):
            return given | elements(given)
        if name == "str":
            return scalar(next((t.text for t in given if t.text is not None), ANY))
        if name in ("object", "bytearray", "memoryview", "slice", "property"):
            return frozenset({Thing(Kind.DATA, holds=set(given), view=name == "memoryview")})
        return scalar()


def _joined(arguments: Arguments) -> str:
    parts = [text_of(value) for value in arguments.positional]
    known_parts = [ANY if part is None else part for part in parts]
    return join(*known_parts) if known_parts else "."
