"""Reads code for what no evidence at run time can show: clocks, processes, unseeded randomness.

Python's audit hooks tell of files, processes and sockets; they do not tell of a clock, of the
environment's variables or of a generator that seeds itself.  These are looked for in the code of
the person (cells and the project's own modules), by name, and rather too often than not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from .findings import Findings, Source
from .names import Aliases, chain

__all__ = ["address_in", "find_hazards", "refer_to_secret"]

_CLOCK = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
          "process_time", "process_time_ns", "thread_time", "thread_time_ns", "localtime", "gmtime",
          "ctime", "asctime", "strftime", "clock_gettime", "clock_gettime_ns"}  # fmt: skip
_PROCESS = {"getpid", "getppid", "getlogin", "getuid", "geteuid", "getgid", "getpgid", "getsid",
            "getloadavg", "times", "uname", "getrandom", "statvfs", "get_terminal_size", "getxattr",
            "readlink", "access", "fork", "popen"}  # fmt: skip
# Whatever they are asked of.
_BY_NAME = {
    **dict.fromkeys(("now", "utcnow", "today"), "the clock"),
    **dict.fromkeys(
        ("st_mtime", "st_ctime", "st_atime", "st_mtime_ns", "st_ctime_ns", "st_atime_ns", "st_ino",
         "getmtime", "getctime", "getatime"), "times of files"),
    **dict.fromkeys(("islink", "is_symlink", "lexists", "ismount", "samefile", "readlink", "lstat"),
                    "what links lead to"),
    **dict.fromkeys(("urandom", "token_bytes", "token_hex", "token_urlsafe", "uuid1", "uuid4",
                     "getnode", "SystemRandom", "getrandbits_system"), "unseeded randomness"),
    **dict.fromkeys(("gethostname", "getfqdn", "getuser", "getlogin"), "who or where it is"),
}  # fmt: skip
_BUILTINS = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "code that is made while it runs"),
    **dict.fromkeys(("id", "hash"), "what differs in every process"),
    **dict.fromkeys(("input", "get_ipython"), "the session"),
}
_GENERATORS = {"default_rng", "RandomState", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937",
               "Philox", "SFC64", "Random"}  # fmt: skip
# Read files, reach servers or draw numbers where nothing of it is seen.
_UNSEEN = {"ctypes", "cffi", "dbm", "shelve", "duckdb", "psycopg2", "psycopg", "pycurl", "grpc",
           "pyodbc", "oracledb", "cx_Oracle", "adbc_driver_manager", "snowflake", "ray", "pyspark",
           "psutil", "resource", "getpass", "pwd", "numba", "cupy", "shared_memory",
           "_posixsubprocess", "secrets", "gc", "posix", "nt", "tkinter", "pty"}  # fmt: skip
# Open files by themselves: what a path is made from decides whether that is seen.
_NATIVE = {"read_parquet", "read_feather", "read_orc", "read_table", "read_hdf", "read_pandas",
           "ParquetFile", "ParquetDataset", "ORCFile", "memory_map", "OSFile", "dataset", "imread",
           "DMatrix", "QuantileDMatrix", "open_dataset", "open_csv", "InferenceSession",
           "read_file",
           "File", "HDFStore", "open_file", "read_ipc", "read_ndjson", "read_avro", "read_image",
           "load_model", "open_dataarray", "open_zarr", "VideoCapture"}  # fmt: skip
_MODULES = {"time", "os", "random", "uuid", "numpy.random", "importlib", "builtins"}
_MOMENTS = {"Timestamp", "to_datetime", "datetime64", "date_range", "bdate_range", "Period"}
_OURS = {"jupyter_mlops", "jupyter_mlops.load", "jupyter_mlops.Secret"}
_SECRET = re.compile(r"(env|file|keyring):(\S+)")
_ADDRESS = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://")
_PINNED = re.compile(r"snapshot://[^@\s]+@\d+(?:[./].*)?")
_VERSION = re.compile(r"[^@\s]+@\d+")
_LONGEST = 4096  # characters of a text that may be a path


def find_hazards(sources: Iterable[Source], findings: Findings, *, hash_seed: bool) -> None:
    """Add to ``findings`` what the sources hold; cells share their names, modules do not.

    ``hash_seed`` says that hashes of texts are the same in every process (``PYTHONHASHSEED``).
    """
    every = list(sources)
    shared = Aliases()
    for source in every:
        if source.cell is not None:
            shared.read(source.tree)
    for source in every:
        aliases = shared
        if source.cell is None:
            aliases = Aliases()
            aliases.read(source.tree)
        _Reader(source, aliases, findings, hash_seed).read()


def address_in(text: str) -> str | None:
    """The scheme of an address that is not a snapshot's by version; ``None`` for other texts."""
    found = _ADDRESS.match(text)
    if found is None or _PINNED.fullmatch(text.strip()):
        return None
    return found[1].lower()


def refer_to_secret(text: str, findings: Findings) -> None:
    """Have a variable that holds a secret count; other places of secrets are not compared."""
    found = _SECRET.fullmatch(text)
    if found is None:
        return
    if found[1] == "env":
        findings.variables.add(found[2])
    else:
        findings.refuse(f"a secret comes from where it cannot be compared ({found[1]}:...)")


class _Reader:
    def __init__(
        self, source: Source, aliases: Aliases, findings: Findings, hash_seed: bool
    ) -> None:
        self._source = source
        self._aliases = aliases
        self._findings = findings
        self._hash_seed = hash_seed

    def read(self) -> None:
        tree = self._source.tree
        inner: set[int] = set()  # names and attributes that are part of a longer chain
        fine: set[int] = set()  # uses of the environment that are known by name
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                inner.add(id(node.value))
            self._environment(node, fine)
        docstrings = set(_docstrings(tree))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
            elif isinstance(node, (ast.Attribute, ast.Name)):
                self._name(node, id(node) in inner, id(node) in fine)
            elif isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Constant):
                text = "" if id(node) in docstrings else node.value
                if isinstance(text, str):
                    self._text(text)
        self._seeds()

    def _refuse(self, what: str, name: str) -> None:
        self._findings.refuse(f"{self._source.name} uses {what} ({name})")

    def _environment(self, node: ast.AST, fine: set[int]) -> None:
        """Variables that are named: ``os.environ[NAME]``, ``.get(NAME)``, ``NAME in``, getenv."""
        holder: ast.expr | None = None
        name: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            holder, name = node.value, node.slice
        elif isinstance(node, ast.Call) and node.args:
            name = node.args[0]
            if self._dotted(node.func) == {"os.getenv"}:
                holder = node.func
            elif isinstance(node.func, ast.Attribute) and node.func.attr in (
                "get", "setdefault", "pop", "__getitem__",
            ):  # fmt: skip
                holder = node.func.value
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            holder, name = node.comparators[0], node.left
        if holder is None or not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            return
        if self._dotted(holder) & {"os.environ", "os.getenv"}:
            fine.add(id(holder))
            self._findings.variables.add(name.value)

    def _dotted(self, node: ast.AST) -> set[str]:
        return self._aliases.dotted(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        found = self._findings
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.level:
            return  # inside a package, which is read whole
        else:
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")]
            if any(alias.name == "*" for alias in node.names) and base in _MODULES:
                self._refuse("names that cannot be followed", f"from {base} import *")
        found.imports.update(names)
        for name in names:
            parts = set(name.split("."))
            if parts & _UNSEEN:
                self._refuse("what cannot be seen", name)
            if "jupyter_mlops" in parts and name not in _OURS:
                self._refuse("the project's own state", name)

    def _name(self, node: ast.Attribute | ast.Name, inner: bool, fine: bool) -> None:
        dotted = self._dotted(node)
        if isinstance(node, ast.Attribute) and node.attr in _BY_NAME:
            self._refuse(_BY_NAME[node.attr], chain(node))
        for name in sorted(dotted):
            module, _, last = name.rpartition(".")
            if module == "time" and last in _CLOCK:
                self._refuse("the clock", name)
            elif module == "os" and last in _PROCESS:
                self._refuse("what differs in every process", name)
            elif module in ("platform", "socket") and last in ("node", "uname", "gethostname"):
                self._refuse("who or where it is", name)
            elif name in ("os.environ", "os.getenv", "os.environb", "os.getenvb") and not fine:
                self._refuse("environment variables that are not named", name)
            elif isinstance(node, ast.Name) and last in _BY_NAME and not inner:
                self._refuse(_BY_NAME[last], name)
            elif name in _MODULES and not inner and isinstance(node, ast.Name):
                self._refuse("a module in a way that cannot be followed", name)
        builtin = isinstance(node, ast.Name) and not dotted and node.id in _BUILTINS
        if builtin and not (chain(node) == "hash" and self._hash_seed):
            self._refuse(_BUILTINS[chain(node)], chain(node))
        if isinstance(node, ast.Name) and node.id == "jupyter_mlops" and not inner:
            self._refuse("the project's own state", node.id)

    def _call(self, node: ast.Call) -> None:
        last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        dotted = self._dotted(node.func)
        names = {name.rpartition(".")[2] for name in dotted} | {last}
        given = [*node.args, *(word.value for word in node.keywords)]
        seeded = bool(given) and not (isinstance(given[0], ast.Constant) and given[0].value is None)
        if names & _GENERATORS and not seeded:
            self._refuse("a random generator without a seed", chain(node.func))
        if dotted & {"random.seed", "numpy.random.seed"} and not seeded:
            self._refuse("unseeded randomness", chain(node.func))
        polars = any(name.partition(".")[0] == "polars" for name in self._aliases.modules())
        if polars and names & {"sample", "shuffle"} and not _has(node, "seed"):
            self._refuse("a random sample without a seed", chain(node.func))
        if names & _MOMENTS and any(
            isinstance(one, ast.Constant) and one.value in ("now", "today") for one in given
        ):
            self._refuse("the clock", chain(node.func))
        native = names & _NATIVE or last.startswith("scan_") or (polars and "read_" in last)
        if native and not (given and isinstance(given[0], (ast.Name, ast.Constant))):
            self._findings.native.append(f"{self._source.name} ({chain(node.func)})")
        if names & {"home", "expanduser", "gettempdir"}:
            self._findings.elsewhere = True
        if dotted & {"importlib.import_module"}:
            if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
                self._findings.imports.add(given[0].value)
            else:
                self._refuse("a module that is not named", chain(node.func))
        if dotted & {"dir_fd"} or _has(node, "dir_fd"):
            self._refuse("files by a folder's descriptor", chain(node.func))
        if any(name.startswith("jupyter_mlops.") for name in dotted):
            self._load(node, dotted)

    def _load(self, node: ast.Call, dotted: set[str]) -> None:
        first = node.args[0] if node.args else None
        text = first.value if isinstance(first, ast.Constant) else None
        secrets = {"jupyter_mlops.Secret.from_env", "jupyter_mlops.Secret.from_reference"}
        if dotted <= secrets and isinstance(text, str):
            refer_to_secret(text if ":" in text else f"env:{text}", self._findings)
        elif dotted == {"jupyter_mlops.load"} and _VERSION.fullmatch(str(text)):
            self._findings.loads = True
        else:
            self._refuse("the project's own state", chain(node.func))

    def _text(self, text: str) -> None:
        scheme = address_in(text)
        if scheme is not None:
            what = "a snapshot without its version" if scheme == "snapshot" else "an address"
            self._refuse(what, f"{scheme}://...")
        elif text.startswith("snapshot://"):
            self._findings.loads = True
        elif text.startswith(("/proc/", "/dev/", "/sys/")):
            self._refuse("the system's state", text[:40])
        elif 0 < len(text) <= _LONGEST and not {"\n", "\0"} & set(text):
            self._findings.texts.add(text)

    def _seeds(self) -> None:
        cell = self._source.cell
        if cell is None:
            return
        seeding = self._aliases.seeding
        safe = {"random": True, "numpy": True}
        for at, statement in enumerate(self._source.tree.body):
            call = statement.value if isinstance(statement, ast.Expr) else None
            for library, name in (("random", "random.seed"), ("numpy", "numpy.random.seed")):
                if isinstance(call, ast.Call) and safe[library]:
                    called = call.func.id if isinstance(call.func, ast.Name) else ""
                    if name in self._dotted(call.func) or library in seeding.get(called, ()):
                        self._findings.seeds.setdefault(library, []).append((cell, at))
                safe[library] = safe[library] and (_inert(statement) or _seeds_only(call, self))

    def seeds(self, call: ast.Call) -> bool:
        """Whether a call does nothing but seed."""
        return bool(self._dotted(call.func) & {"random.seed", "numpy.random.seed"})


def _seeds_only(call: ast.expr | None, reader: _Reader) -> bool:
    return isinstance(call, ast.Call) and reader.seeds(call)


def _inert(statement: ast.stmt) -> bool:
    """Whether a statement cannot draw a random number: no call is in what it executes."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)):
        return True
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        held = [*statement.decorator_list, *statement.args.defaults]
        held += [one for one in statement.args.kw_defaults if one is not None]
        return not any(isinstance(node, ast.Call) for part in held for node in ast.walk(part))
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr, ast.ClassDef)):
        return not any(isinstance(node, (ast.Call, ast.Await)) for node in ast.walk(statement))
    return False


def _has(node: ast.Call, keyword: str) -> bool:
    return any(word.arg == keyword for word in node.keywords)


def _docstrings(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
