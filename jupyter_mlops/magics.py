"""The magics: ``%%track`` and the short ones beside it.

``%%track`` itself is an input transformer and a hook pair (``capture.recorder``); the magic of that
name exists for help and completion.  What needs MLflow runs in a child process, never in the
kernel.
"""

from __future__ import annotations

import os
import time
from html import escape
from typing import Any
from weakref import WeakKeyDictionary

from .capture.hosts import set_host
from .capture.options import OPTIONS
from .capture.recorder import Recorder
from .capture.warner import describe
from .snapshot_magics import SnapshotMagics, stored_names
from .snapshot_magics import complete as complete_snapshot

__all__ = ["NAMES", "VERBS", "Magics", "load", "unload"]

NAMES = (
    "%%track", "%track", "%snapshot", "%restore", "%diff", "%runs", "%promote", "%check", "%mlops",
)  # fmt: skip
_loaded: WeakKeyDictionary[Any, Magics] = WeakKeyDictionary()
_TRACK_WORDS = ("on", "off", "last")
_PROMOTE_VALUES = ("--name", "--steps", "--from", "--run", "--data", "--edits")
_CHECK_VALUES = ("--select", "--ignore", "--format")
# The command line's verbs, for completion: a test holds them equal.
VERBS = (
    "promote", "check", "run", "tune", "test", "gate", "ci", "reproduce", "runs", "compare",
    "why", "snapshots", "diff", "models", "pipelines", "cache", "schedule", "deploy",
    "deployments", "agent", "status", "sync", "consent", "adopt",
)  # fmt: skip
# Verbs that show more than text in a notebook.
_SHOWN = ("compare", "why")
_AS_TEXT = frozenset({"--json", "--html", "--help", "-h"})


def load(shell: Any) -> None:
    """Turn on tracking in a shell; doing so twice is harmless."""
    if shell in _loaded:
        return
    magics = Magics(shell)
    magics.register()
    _loaded[shell] = magics


def unload(shell: Any) -> None:
    """Take everything away again."""
    magics = _loaded.pop(shell, None)
    if magics is not None:
        magics.unregister()


class Magics:
    """The magics of one shell and its recorder."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.recorder = Recorder(shell)
        self.snapshots = SnapshotMagics(shell, self._project)
        self._registered: list[tuple[str, str]] = []

    def register(self) -> None:
        """Register what is free; a name that another extension has taken stays its own."""
        taken = []
        for kind, name, function in (
            ("cell", "track", self.track),
            ("line", "track", self.track),
            ("line", "%track", self.misplaced),  # `%%track` below the first line of a cell
            ("line", "snapshot", self.snapshots.snapshot),
            ("line", "restore", self.snapshots.restore),
            ("line", "diff", self.snapshots.diff),
            ("line", "runs", self.runs),
            ("line", "promote", self.promote),
            ("line", "check", self.check),
            ("line", "mlops", self.mlops),
        ):
            if name in self.shell.magics_manager.magics[kind]:
                taken.append(("%%" if kind == "cell" else "%") + name.lstrip("%"))
                continue
            self.shell.register_magic_function(function, kind, name)
            self._registered.append((kind, name))
        self.recorder.start(transform=("cell", "track") in self._registered)
        set_host(self.recorder.tracker)
        _Completion(self.shell).register()
        if taken:
            text = f"{', '.join(taken)} belongs to another extension and was not replaced"
            if "%%track" in taken:
                text += "; tag a cell `track` to track it"
            self.recorder.warn(text)

    def unregister(self) -> None:
        """Remove magics, hooks and completion."""
        set_host(None)
        self.recorder.stop()
        _Completion(self.shell).unregister()
        for kind, name in self._registered:
            self.shell.magics_manager.magics[kind].pop(name, None)
        self._registered.clear()

    def misplaced(self, line: str) -> None:
        """Belongs on the first line of a cell."""
        from IPython.core.error import UsageError

        raise UsageError("%%track must be the first line of its cell.")

    def track(self, line: str, cell: str | None = None) -> None:
        """Record this cell as a run: its parameters, metrics and fitted models.

        ``%%track [--register NAME] [--experiment E] [--name N] [--param NAME]...
        [--metric EXPR]... [--tag K=V]... [--no-models] [--no-snapshots]
        [--allow-pickle] [--dry-run]``

        --register NAME  make a version of the registered model NAME from this cell's model
        --experiment E   MLflow experiment of the run; the default is the project's name
        --name N         name of the run
        --param NAME     record this variable as a parameter; may be given several times
        --metric EXPR    record the value of EXPR, or NAME=EXPR, after the cell; several times
        --tag K=V        a tag of the run; may be given several times
        --no-models      do not keep the fitted models
        --no-snapshots   do not keep the data that the cell reads
        --allow-pickle   keep models that only a pickle can hold: loading one runs its code
        --dry-run        show what would be recorded, and record nothing

        Parameters are literal assignments and what fitted models say of themselves; metrics are
        the numbers that the cell computes, dictionaries of numbers, its last expression, and what
        ``track.log(loss=0.3, step=7)`` says (``from jupyter_mlops import track``).  The cell runs
        exactly as without the line.  The cell tag ``track`` means the same as a plain ``%%track``;
        the tag ``private`` keeps a cell's source and output from being recorded.

        With one %:

        ``%track``           shows what is recorded in this session
        ``%track on``, ``off``  make every cell that fits a model a run, or no longer
        ``%track last [N]``  make runs of the last N cells (1 unless told otherwise)
        """
        if cell is not None:
            # Reached only by a call of the magic: in a cell the transformer comes first.
            self.recorder.warn("%%track records whole cells of a notebook: this was not recorded")
            if cell.strip():
                self.shell.run_cell(cell)
            return
        words = line.split()
        if words in (["on"], ["off"]):
            self.recorder.auto = words == ["on"]
            meaning = "is recorded as a run" if self.recorder.auto else "needs its own %%track"
            undo = "off" if self.recorder.auto else "on"
            print(f"From now on every cell that fits a model {meaning} (undo: %track {undo}).")
            return
        if words[:1] == ["last"] and len(words) < 3 and all(w.isdecimal() for w in words[1:]):
            self._track_last(int(words[1]) if words[1:] else 1)
            return
        if words:
            self.recorder.warn(
                f"%track takes on, off or last [N], not {line.strip()!r}; options belong to %%track"
            )
            return
        print(self._state())

    def _track_last(self, count: int) -> None:
        from .capture.afterwards import track_last

        try:
            runs = track_last(self.recorder.tracker, count)
        except Exception as error:
            self.recorder.warn(f"the cells were not recorded: {describe(error)}")
            return
        if len(runs) < count:
            found = f"only {len(runs)} of {count}" if runs else "none"
            print(f"Cells that can become a run: {found} (tracked ones are runs already).")

    def runs(self, line: str) -> None:
        """List the project's newest runs.

        ``%runs [N]`` shows the newest N, 20 unless told otherwise, also those that have not been
        delivered yet.
        """
        word = line.strip()
        if word and not (word.isdecimal() and int(word) > 0):
            self.recorder.warn(f"%runs takes the number of runs to show, not {word!r}")
            return
        try:
            found = self._list_runs(int(word or 20))
        except Exception as error:
            self.recorder.warn(f"the runs cannot be listed: {describe(error)}")
            return
        if not found:
            print("No runs yet. Put %%track at the top of a cell and run it.")
            return
        data = {"text/html": _runs_html(found), "text/plain": _runs_text(found)}
        self.shell.display_pub.publish(data=data, metadata={})

    def promote(self, line: str) -> None:
        """Turn this notebook's tracked result into a pipeline, proven by a replay.

        ``%promote [TARGET...] [--name N] [--steps auto|one|headings] [--from RUN]`` is ``jupyter
        mlops promote`` for the notebook that this kernel runs, or for the one that is named first
        (``.ipynb``).  It reads what was executed, so the file need not be saved.
        """
        words = _split(line)
        if not _names_notebook(words):
            notebook = self.recorder.tracker.notebook()
            if notebook is None:
                self.recorder.warn(
                    "which notebook this kernel runs is unknown here: write %promote NOTEBOOK"
                )
                return
            words.insert(0, str(notebook.path))
        self._command(["promote", *words])

    def check(self, line: str) -> None:
        """Find hidden state and leakage in this notebook.

        ``%check [--select RULES] [--ignore RULES]`` goes by what this kernel has executed, compared
        with the notebook's file: save it first.  ``%check NOTEBOOK...`` is ``jupyter mlops check``.
        """
        from .check_magic import check_kernel

        words = _split(line)
        if _has_positional(words, _CHECK_VALUES):
            self._command(["check", *words])
            return
        try:
            data = check_kernel(self.recorder, self._project, words)
        except Exception as error:
            self.recorder.warn(f"%check: {describe(error)}")
            return
        self.shell.display_pub.publish(data=data, metadata={})

    def mlops(self, line: str) -> None:
        """Run the command line: ``%mlops VERB ...`` is ``jupyter mlops VERB ...``.

        ``%mlops --help`` lists the verbs.
        """
        words = _split(line) or ["--help"]
        if words[0] == "check" and not (
            _has_positional(words[1:], _CHECK_VALUES) or _AS_TEXT.intersection(words)
        ):
            self.check(line.strip().removeprefix("check"))
        elif words[0] in _SHOWN and not _AS_TEXT.intersection(words):
            self._show(words)
        else:
            self._command(words)

    def _show(self, words: list[str]) -> None:
        """Show a verb's result as the notebook can: it is read from the journal, without MLflow."""
        try:
            from .tracking.notebook import display

            data = display(self._project(), words)
        except Exception as error:
            self.recorder.warn(f"%mlops {' '.join(words)}: {describe(error)}")
            return
        self.shell.display_pub.publish(data=data, metadata={})

    def _command(self, words: list[str]) -> None:
        from .capture.child import run_verb

        run_verb(words)

    def _list_runs(self, limit: int) -> list[Any]:
        from .tracking import list_runs

        return list(list_runs(self._project(), limit=limit))

    def _project(self) -> Any:
        from .project import open_project

        session = self.recorder.tracker.session
        if session is not None:
            return session.project
        notebook = self.recorder.tracker.notebook()
        known = notebook is not None and notebook.path.parent.is_dir()
        return open_project(notebook.path if known and notebook else None, create=False)

    def _state(self) -> str:
        tracker = self.recorder.tracker
        session = tracker.session
        notebook = tracker.notebook()
        lines = [
            "Put %%track at the top of a cell to record it as a run. %%track? shows the options."
        ]
        if self.recorder.auto:
            lines.append("Every cell that fits a model is recorded, too (%track off).")
        if session is None:
            lines.append(
                f"No run in this session yet; {len(self.recorder.history)} cells are remembered."
            )
        else:
            lines += [
                f"Project   {session.project.root}",
                f"Session   {session.id}: {session.runs} runs, {len(self.recorder.history)} cells",
            ]
            if tracker.last_run is not None:
                lines.append(f"Last run  {tracker.last_run.name} ({tracker.last_run.run_id})")
            if session.unwritten:
                lines.append(f"Unwritten {session.unwritten} records wait for a disk to take them")
            waiting = self._waiting(session.project)
            if waiting is not None:
                lines.append(f"Waiting   {waiting} runs not yet delivered (%mlops sync)")
        lines.append(f"Notebook  {notebook.path if notebook is not None else 'unknown'}")
        return "\n".join(lines)

    def _waiting(self, project: Any) -> int | None:
        try:
            from .tracking import waiting

            return int(waiting(project))
        except Exception:  # The rest of the state is worth showing without it.
            return None


class _Completion:
    """Completes verbs after ``%mlops``, options after the others, and names of snapshots."""

    _KEYS = ("%mlops", "%%track", "%track", "%promote", "%check", "%snapshot", "%restore", "%diff")

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def register(self) -> None:
        for key in self._KEYS:
            self.shell.set_hook("complete_command", complete, str_key=key)

    def unregister(self) -> None:
        dispatch = self.shell.strdispatchers.get("complete_command")
        for key in self._KEYS:
            chain = getattr(dispatch, "strs", {}).get(key)
            if chain is not None:
                chain.chain = [e for e in chain.chain if getattr(e[1], "__func__", 0) != complete]


def complete(_shell: Any, event: Any) -> list[str]:
    """IPython's ``complete_command`` hook: the words that may follow."""
    words = event.line.split()
    first = words[0] if words else ""
    if first == "%%track":
        return list(OPTIONS)
    if first == "%track":
        return list(_TRACK_WORDS)
    if first == "%promote":
        return list(_PROMOTE_VALUES)
    if first == "%check":
        return list(_CHECK_VALUES[:2])
    if first in ("%snapshot", "%restore", "%diff"):
        return complete_snapshot(words, event.symbol, _snapshot_names)
    return list(VERBS) if len(words) < 2 or (len(words) == 2 and event.symbol) else []


def _snapshot_names() -> list[str]:
    from .project import open_project

    return stored_names(open_project(create=False))


def _has_positional(words: list[str], values: tuple[str, ...] = _PROMOTE_VALUES) -> bool:
    position = 0
    while position < len(words):
        if words[position] in values:
            position += 1
        elif not words[position].startswith("-"):
            return True
        position += 1
    return False


def _names_notebook(words: list[str]) -> bool:
    """Whether the first word that is no option is a notebook, rather than a variable."""
    values = dict(zip(words[1:], words, strict=False))
    plain = (w for w in words if not w.startswith("-") and values.get(w) not in _PROMOTE_VALUES)
    return next(plain, "").endswith(".ipynb")


def _split(line: str) -> list[str]:
    import shlex

    try:
        return shlex.split(line, posix=os.name != "nt")
    except ValueError:  # unbalanced quotes
        return line.split()


def _row(run: Any) -> tuple[str, ...]:
    seconds = None if run.ended is None else run.ended - run.started
    metrics = [f"{name}={value:.5g}" for name, value in list(run.metrics.items())[:3]]
    return (
        run.run_id[:10],
        run.name,
        run.status.lower(),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started)),
        "" if seconds is None else f"{seconds:.3g} s",
        ", ".join(metrics),
        run.registered or "",
        "yes" if run.mlflow_run_id else "waiting",
    )


_HEAD = ("run", "name", "status", "started", "took", "metrics", "registers", "delivered")


def _runs_text(runs: list[Any]) -> str:
    rows = [_HEAD, *(_row(run) for run in runs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _runs_html(runs: list[Any]) -> str:
    style = 'style="text-align:left;padding:2px 10px 2px 0"'
    head = "".join(f"<th {style}>{name}</th>" for name in _HEAD)
    body = "".join(
        "<tr>" + "".join(f"<td {style}>{escape(cell)}</td>" for cell in _row(run)) + "</tr>"
        for run in runs
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
