"""What a call does: to its receiver, its arguments, files, random state and the process."""

from __future__ import annotations

import ast
from abc import abstractmethod

from . import known_functions as known
from .arguments import MISSING, Arguments
from .heap import EMPTY, Kind, Thing, Value, elements, kinds
from .known_ufuncs import out_position
from .machine import BUILTINS
from .methods import CALM, writes
from .paths import ANY
from .results import Results

__all__ = ["Calls"]

_STATES_LOOKED_AT = {"random.getstate": "$rng:random", "numpy.random.get_state": "$rng:numpy"}


class Calls(Results):
    """Dispatch of calls by what is called."""

    def call_value(self, callee: Value, arguments: Arguments, *, unused: bool = False) -> Value:
        """Call whatever ``callee`` may be."""
        if not callee:
            return self.unknown_call(callee, arguments)
        results: list[Value] = []

        def one(thing: Thing) -> bool:
            results.append(self._call_thing(thing, arguments, unused=unused))
            return True

        if len(callee) == 1:
            one(next(iter(callee)))
        else:
            self.alternatives([lambda t=thing: one(t) for thing in callee])  # type: ignore[misc]
        return EMPTY.union(*results)

    def _call_thing(self, thing: Thing, arguments: Arguments, *, unused: bool) -> Value:
        if thing.kind is Kind.FUNCTION:
            return self.run_function(thing, arguments)
        if thing.kind is Kind.CLASS:
            return self.make_instance(thing, arguments)
        if thing.kind is Kind.METHOD:
            held = frozenset(t for t in thing.holds if t.kind is not Kind.FUNCTION)
            return self.call_method(held, thing.text or "", arguments)
        if thing.kind in (Kind.IMPORTED, Kind.MODULE):
            return self.call_imported(thing, arguments, unused=unused)
        if thing.kind is Kind.INSTANCE and self.instance_member(thing, "__call__"):
            return self.special(frozenset({thing}), "__call__", arguments=arguments)
        return self.unknown_call(frozenset({thing}), arguments)

    def call_imported(self, callee: Thing, arguments: Arguments, *, unused: bool = False) -> Value:
        """Call a function or class by its import path."""
        dotted = callee.dotted
        package = dotted.partition(".")[0]
        builtin = "." not in dotted and dotted in BUILTINS
        if builtin:
            given = self.built_in(dotted, arguments)
            special = self.call_builtin(dotted, arguments)
            if special is not None:
                return special | given
        elif package == "sys" and dotted.startswith("sys.std"):
            return EMPTY  # Output is shown, not kept.
        elif package == "builtins":
            return self.call_imported(self.session.module(dotted[9:]), arguments, unused=unused)
        if dotted in ("importlib.import_module", "importlib.reload"):
            return self._import_by_name(dotted, arguments)
        if not builtin and (name := dotted.rpartition(".")[2]) in ("eval", "sql", "sqldf", "query"):
            self.read_named(f"{name} of a library", arguments)
        stateful, pseudo = known.state_of(dotted)
        if not builtin and package not in known.TAME and not stateful:
            return self.unknown_call(
                frozenset({callee}), arguments, module=self._state(package) if unused else None
            )
        made: Value = EMPTY
        if not builtin:
            self.implicit(arguments.all)
        if dotted in known.WATCHES_END and arguments.positional:
            self.session.finalizers.append((arguments.positional[0], arguments.all))
            if dotted == "weakref.finalize":
                self.mutate_hidden(arguments.positional[0])
        elif dotted not in known.INSPECTS and dotted not in known.LAZY_FUNCTIONS:
            self._use_up(arguments)
        if stateful and pseudo is not None:
            self._affect_option(dotted, pseudo, arguments)
        self._random(dotted, arguments)
        self._files(dotted, arguments)
        self._change_in_place(EMPTY, "", arguments)
        written = out_position(dotted)
        if written is not None:
            self.mutate(arguments.get(written) or EMPTY)
        for position in known.CHANGES_ARGUMENT.get(dotted, ()):
            value = arguments.get(position)
            if value is not None:
                self.mutate(value)
                self.hold(value, arguments.all)
        if dotted.endswith("_") and not dotted.endswith("__"):
            self.mutate(arguments.all)  # torch: in place by convention
        returned = EMPTY
        if dotted not in known.LAZY_FUNCTIONS and dotted != "weakref.finalize":
            returned = self.call_back(arguments.all)
        if package in known.PLOT_PACKAGES:
            self._plot(dotted)
        made = self.made_by(dotted, arguments) | returned
        if package in known.KEEPS_CALLABLES:
            self.hold(made, arguments.all)
        return made

    @abstractmethod
    def imported(self, module: str) -> None:
        """A module is imported: its file is read."""

    def _plot(self, dotted: str) -> None:
        """Draw on the current figure, begin another one, or say how figures look."""
        _, _, rest = dotted.partition(".")
        name = rest.rpartition(".")[2]
        if rest in known.STYLES or name in known.STYLES or rest.endswith(".rcParams.update"):
            self.affect("$style")
            return
        self.depend("$style")
        if name not in known.NEW_FIGURE:
            self.depend("$plot")
            self.affect("$plot")
            return
        self.affect("$plot")
        if self.frame is None:
            self.facts.stored.add("$plot")
            self.defined.add("$plot")

    def _import_by_name(self, dotted: str, arguments: Arguments) -> Value:
        """``importlib.import_module`` and ``reload``."""
        given = arguments.get(0, "name", "module") or EMPTY
        modules = {t.dotted for t in given if t.kind is Kind.MODULE}
        texts = {t.text for t in given if t.kind is Kind.SCALAR}
        for name in modules | {text or ANY for text in texts}:
            self.imported(name)
        if dotted == "importlib.reload":
            self.mutate(given)
            self.affect("$process")
            return given
        found = frozenset(self.session.module(t, Kind.MODULE) for t in texts if t and ANY not in t)
        return found or frozenset({Thing(Kind.UNKNOWN)})

    def _state(self, package: str) -> Thing:
        return self.session.module(package, Kind.MODULE)

    def _affect_option(self, dotted: str, pseudo: str, arguments: Arguments) -> None:
        if dotted == "warnings.filterwarnings" or dotted == "warnings.simplefilter":
            action = arguments.literal("action", 0)
            self.affect("$warnings" if action != "error" else "$process")
        elif pseudo == "$logging" and dotted in ("logging.getLogger",):
            self.depend(pseudo)
        elif dotted in ("pandas.set_option", "pandas.reset_option"):
            names = arguments.nodes[::2]
            literals = [n.value for n in names if isinstance(n, ast.Constant)]
            display = [str(n).startswith(known.DISPLAY_OPTIONS) for n in literals]
            if len(display) != len(names) or not all(display):
                self.affect(pseudo)
        elif dotted.startswith("os.environ.") and dotted.rpartition(".")[2] in CALM:
            self.depend(pseudo)
        elif dotted.startswith(("sys.modules.", "sys.path.")):
            if dotted.rpartition(".")[2] in CALM:
                self.depend(pseudo)
            else:
                self.affect(pseudo)
        else:
            self.affect(pseudo)
            self.depend(pseudo)

    def _random(self, dotted: str, arguments: Arguments) -> None:
        if dotted in known.SEEDS:
            self.seed(known.SEEDS[dotted], known=bool(arguments.positional or arguments.keywords))
            return
        name = dotted.rpartition(".")[2]
        if dotted.startswith("sklearn.") and name in known.RANDOM_SKLEARN:
            if not arguments.given("random_state") and arguments.literal("shuffle") is not False:
                self.draw("$rng:numpy", f"{name}() without random_state")
            return
        if dotted.startswith("sklearn.") and name.startswith(("cross_val", "learning_curve")):
            self._draw_by_estimators(name, arguments)
            return
        if dotted in _STATES_LOOKED_AT:
            self.depend(_STATES_LOOKED_AT[dotted])
        if dotted in known.GENERATORS:
            if not arguments.all and not arguments.positional and "get" not in name:
                self.facts.unseeded.append(f"{name}() without a seed")
            return
        for prefix, generator in known.RANDOM_PREFIXES.items():
            if dotted.startswith(prefix):
                quiet = generator in ("$rng:torch", "$rng:tensorflow")
                self.draw(generator, "" if quiet else f"{dotted}()")

    def _draw_by_estimators(self, name: str, arguments: Arguments) -> None:
        drawing = {t for t in self.reach(arguments.all) if t.random}
        if drawing:
            short = next(iter(drawing)).dotted.rpartition(".")[2] or "an estimator"
            self.draw("$rng:numpy", f"{name}() of {short} without random_state")

    def _files(self, dotted: str, arguments: Arguments) -> None:
        name = dotted.rpartition(".")[2]
        if dotted.startswith(("pandas.read_", "polars.read_", "polars.scan_")):
            value = arguments.get(0, "filepath_or_buffer", "path", "io", "source", "path_or_buf")
            self.file_read([t.text for t in value or EMPTY if t.kind is not Kind.HANDLE] or [None])
            return
        if name.startswith(known.READING) and dotted not in known.FILE_READS:
            self.file_read(_paths_among(arguments))
        if name.startswith(known.WRITING) and dotted not in known.FILE_WRITES:
            self.file_written(_paths_among(arguments))
        if dotted in known.FILE_READS:
            self._file_argument(arguments, known.FILE_READS[dotted], write=False)
        if dotted in known.FILE_WRITES:
            self._file_argument(arguments, known.FILE_WRITES[dotted], write=True)
        if dotted.startswith("sklearn.datasets.load_") and name.endswith(("files", "file")):
            self._file_argument(arguments, 0, write=False)
        if dotted.startswith(("subprocess.", "os.system", "os.popen", "shutil.", "tempfile.")):
            self.file_read([None])
            if dotted.startswith(("subprocess.", "os.system", "os.popen")):
                self.file_written([None])

    def _file_argument(self, arguments: Arguments, position: int, *, write: bool) -> None:
        value = arguments.get(position, "path", "file", "filename", "fname", "f")
        texts = [t.text for t in value or EMPTY if t.kind is not Kind.HANDLE]
        if value is not None and not texts and value:
            return  # An open file: its own thing remembers the path.
        if write:
            self.file_written(texts or [None])
        else:
            self.file_read(texts or [None])

    def call_builtin(self, name: str, arguments: Arguments) -> Value | None:
        """Built-ins with effects of their own; ``None`` for those that compute."""
        if name in ("exec", "eval", "compile", "__import__", "get_ipython"):
            return self.run_dynamic(name, arguments)
        if name == "vars" and arguments.all:
            return arguments.all  # The same attributes.
        if name in ("globals", "locals", "vars") and not arguments.all:
            if self.frame is None or name == "globals":
                self.facts.reads_anything = self.facts.binds_anything = True
            return frozenset({Thing(Kind.DATA)})
        if name == "open":
            return self._open(arguments)
        if name == "next":
            value = arguments.get(0) or EMPTY
            self.mutate(value)
            given = self.consume(value) | self.special(value, "__next__")
            return elements(value) | given | (arguments.get(1) or EMPTY)
        if name in ("setattr", "delattr"):
            target, key = arguments.get(0) or EMPTY, arguments.literal("name", 1)
            value = arguments.get(2) or EMPTY
            if isinstance(key, str):
                self.name_attribute(target, key, value)
            self.set_attribute(target, value, "")
            return EMPTY
        if name == "getattr":
            target, key = arguments.get(0) or EMPTY, arguments.literal("name", 1)
            found = elements(target)
            if isinstance(key, str):
                found |= self.attribute_of(target, key)
            elif kinds(target) & {Kind.INSTANCE, Kind.CONTAINER, Kind.CLASS}:
                found |= {Thing(Kind.UNKNOWN, holds=set(target))}
            return found | (arguments.get(2) or EMPTY)
        if name == "print":
            self.consume(arguments.keywords.get("file", EMPTY))
            return EMPTY
        if name == "type" and len(arguments.positional) == 1:
            return EMPTY.union(*(frozenset(t.bases) for t in arguments.positional[0]))
        if name == "super":
            return self._super()
        return None

    @abstractmethod
    def run_dynamic(self, name: str, arguments: Arguments) -> Value:
        """Call ``exec`` or its kin."""

    @abstractmethod
    def attribute_of(self, value: Value, name: str) -> Value:
        """What ``value.name`` may be."""

    @abstractmethod
    def name_attribute(self, target: Value, name: str, value: Value) -> None:
        """Remember which attribute is stored, and let what hears of it run."""

    @abstractmethod
    def set_attribute(
        self, target: Value, value: Value, dotted: str, *, columns: bool = False
    ) -> None:
        """Store into an object's attribute or element."""

    def _super(self) -> Value:
        """``super()``: the receiver, seen as an instance of its class's bases."""
        frame = self.frame
        function = self.running[-1] if self.running else None
        node = self.function_node(function) if function is not None else None
        if frame is None or node is None or not node.args.args:
            return frozenset({Thing(Kind.UNKNOWN)})
        result: set[Thing] = set()
        for thing in frame.names.get(node.args.args[0].arg, EMPTY):
            parents = tuple(parent for base in thing.bases for parent in base.bases)
            seen = Thing(Kind.INSTANCE, holds=thing.holds, bases=parents, dotted=thing.dotted)
            seen.holds.add(thing)
            result.add(seen)
        return frozenset(result)

    def _open(self, arguments: Arguments) -> Value:
        path = arguments.get(0, "file") or EMPTY
        mode = arguments.literal("mode", 1)
        texts = [t.text for t in path] or [None]
        if mode is MISSING or not writes(mode):
            self.file_read(texts)
            return frozenset({Thing(Kind.HANDLE)})
        self.file_written(texts, whole=isinstance(mode, str) and "w" in mode)
        text = texts[0] if len(texts) == 1 and texts[0] is not None else ANY
        return frozenset({Thing(Kind.HANDLE, text=text)})


def _paths_among(arguments: Arguments) -> list[str]:
    found = {t.text for value in arguments for t in value if t.kind in (Kind.SCALAR, Kind.PATH)}
    return sorted(text for text in found if text and len(text) < 260 and "\n" not in text)
