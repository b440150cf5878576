"""What watches a run: resources, outputs, files, inputs, code, environment, MLflow's own calls.

Each probe may fail by itself: its part is then named among what was left out, with the reason, and
neither the cell nor the rest of the run suffers.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..model.events import CellEvent, FileRecord, InputRecord, RunAmended, RunStarted
from .cellcode import CellCode, read_names
from .changing import changing_names
from .seen import Seen
from .warner import Warner, describe

if TYPE_CHECKING:
    from .amendments import Amendments
    from .changes import Changes, CodeState
    from .earlier_reads import EarlierReads
    from .files import FileWatch, Look, Opened
    from .fluent import Adopted, Fluent
    from .inputs import Before, InputCollector
    from .outputs import OutputTap
    from .resources import Meter
    from .seeds import Seeds
    from .session import Session
    from .tracker import Running

__all__ = ["Probes", "Watch"]

_INLINE = 32 * 1024  # Characters of a text that is kept in the journal itself.
_WAIT = 2.0  # Seconds that a session's end waits for what is still being found out.
_FULL = 1.0  # Seconds that a cell may wait for its inputs' digests where capture is full.
_NO_REPOSITORY = "not a git repository"
_WHOLE = 16  # times the limit of an output where capture is full


@dataclass(slots=True)
class Watch:
    """One run that is watched.  ``later`` is what is added to it after its record."""

    session: Session | None = None
    meter: Meter | None = None
    tap: OutputTap | None = None
    code: CodeState | None = None
    files: Look | None = None
    opened: list[Opened] = field(default_factory=list)
    before: Before | None = None
    adopted: Adopted | None = None
    resources: dict[str, float] = field(default_factory=dict)
    outputs: tuple[Any, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    wait_for_code: bool = False
    stopped: bool = False


class Probes:
    """The probes of one tracker.  ``amend`` writes what is known only after a run's end."""

    def __init__(self, shell: Any, warn: Warner, amend: Callable[[RunAmended], None]) -> None:
        self._shell = shell
        self._warn = warn
        self._amend = amend
        self._seeds: Seeds | None = None
        self._files: FileWatch | None = None
        self._inputs: InputCollector | None = None
        self._inputs_session = ""
        self._amendments: Amendments | None = None
        self._at_exit = False
        self.pid = os.getpid()
        self._fluent: Fluent | None = None
        self._code: dict[str, CodeState] = {}
        self._prepared = False
        self.earlier_reads: EarlierReads | None = None

    def note_reads(self, event: CellEvent) -> None:
        """Remember which files a cell has read, for the runs that depend on them."""
        if event.evidence is not None and event.evidence.get("files_read"):
            if self.earlier_reads is None:
                from .earlier_reads import EarlierReads

                self.earlier_reads = EarlierReads()
            self.earlier_reads.note(event)

    def begin(
        self,
        running: Running | None,
        session: Session | None,
        python: str,
        code: CellCode | None,
        namespace: Mapping[str, Any],
        *,
        outputs: bool = True,
    ) -> Watch:
        """Begin to watch a cell or block.  Without ``running`` it may become a run at its end."""
        watch = Watch(session)
        config = session.config if session is not None else Config()
        minimal = config.capture == "minimal"
        if session is not None:
            with self._part(watch, "environment"):
                self._prepare()
            with self._part(watch, "code"):
                watch.code = self._code_of(session)
                watch.code.begin()
        if running is not None and session is not None:
            with self._part(watch, "mlflow"):
                watch.adopted = self._adopt(running, session, python, namespace)
        if config.capture_inputs:
            with self._part(watch, "inputs"):
                if session is not None:
                    changing = changing_names(python, code) & read_names(python, namespace)
                    notebook = running.started.notebook if running is not None else None
                    inputs = self._inputs_of(session, notebook)
                    watch.before = inputs.begin(sorted(changing), namespace)
                watch.files = self.file_watch.begin()
        with self._part(watch, "resources"):
            from .resources import Meter

            watch.meter = Meter()
        if outputs and self._shell is not None and config.capture_outputs and not minimal:
            with self._part(watch, "outputs"):
                from .outputs import OutputTap

                whole = config.capture == "full"
                watch.tap = OutputTap(self._shell, config.output_limit * (_WHOLE if whole else 1))
        # Last, in the order in which they end: what is above is not the cell's.
        if watch.tap is not None:
            with self._part(watch, "outputs"):
                watch.tap.start()
        if watch.meter is not None:
            with self._part(watch, "resources"):
                watch.meter.start()
        return watch

    def install(self) -> None:
        """See from now on where frames come from, also those of cells that are no runs."""
        _ = self.file_watch

    @property
    def seeding(self) -> bool:
        """Whether a cell has set a seed: what depends on it must then be followed."""
        return self._seeds is not None

    def nothing(self, session: Session) -> Watch:
        """The watch of something that has ended already."""
        return Watch(session, stopped=True)

    def stop(self, watch: Watch) -> None:
        """The cell has ended: what comes now is not its own any more."""
        if watch.stopped:
            return
        watch.stopped = True
        if watch.meter is not None:
            with self._part(watch, "resources"):
                watch.resources = watch.meter.stop()
        if watch.files is not None:
            with self._part(watch, "inputs"):
                watch.opened = self.file_watch.end(watch.files)
        if watch.tap is not None:
            with self._part(watch, "outputs"):
                watch.outputs, left_out = watch.tap.stop()
                watch.left_out |= left_out

    def end(
        self,
        watch: Watch,
        started: RunStarted,
        session: Session,
        event: CellEvent,
        python: str,
        namespace: Mapping[str, Any],
        *,
        private: Collection[str] = (),
        events: Sequence[CellEvent] = (),
    ) -> Seen:
        """What was seen of a run that has ended.  Whatever takes longer follows in ``settle``.

        ``private`` are names whose data are not kept: private cells have bound them.  ``events``
        are the cells before this one.
        """
        watch.session = session
        config = session.config
        seen = Seen(resources=watch.resources, left_out=watch.left_out)
        root = session.project.root
        with self._part(watch, "outputs"):
            seen.files = tuple(self._kept(session, item) for item in watch.outputs)
        if config.capture_inputs:
            with self._part(watch, "inputs"):
                seen.inputs = self._collect(
                    watch, started, session, event, python, namespace, private, events
                )
        if config.capture != "minimal":
            with self._part(watch, "environment"):
                from .environment import current_environment

                seen.environment = current_environment(session.id)
        with self._part(watch, "modules"):
            from .modules import imported_modules

            seen.modules = imported_modules(root)
        with self._part(watch, "seeds"):
            self.note_source(python, namespace)
            seen.seeds = self._seeds.current(read_names(python, namespace)) if self._seeds else {}
        with self._part(watch, "code"):
            self._see_code(watch, session, seen)
        if watch.adopted is not None:
            with self._part(watch, "mlflow"):
                values = self.fluent.end(watch.adopted)
                seen.params, seen.metrics = values.params, values.metrics
                seen.adopted = watch.adopted.mlflow_run_id
                if values.error:
                    seen.warnings.append(values.error)
        return seen

    def note_source(self, python: str, namespace: Mapping[str, Any]) -> None:
        """Remember the seeds that a cell sets."""
        if self._seeds is None:
            from .seeds import Seeds

            self._seeds = Seeds()
        self._seeds.note(python, namespace)

    @property
    def file_watch(self) -> FileWatch:
        """What knows which files were read, and which frame came from where."""
        if self._files is None:
            from .files import FileWatch

            self._files = FileWatch()
            self._files.install()
        return self._files

    @property
    def fluent(self) -> Fluent:
        """MLflow's own calls in this kernel."""
        if self._fluent is None:
            from .fluent import Fluent

            self._fluent = Fluent(self._warn)
        return self._fluent

    def close(self) -> None:
        """End what is still going on and take the wrappers away."""
        self.close_inputs()
        for code in self._code.values():
            code.wait(_WAIT)
        if self._files is not None:
            self._files.uninstall()
        self._inputs = self._files = self._amendments = None
        self._code.clear()

    def settle(self, watch: Watch, started: RunStarted) -> None:
        """The run's record is written: what takes longer may be added to it from now on."""
        if self._inputs is not None:
            with self._part(watch, "inputs"):
                self._inputs.settle(started.run_id)
        if watch.wait_for_code and watch.code is not None and watch.session is not None:
            session = watch.session

            def add(changes: Changes) -> None:
                file = self._diff_file(session, changes)
                files = (file,) if file is not None else ()
                tags = _change_tags(changes)
                if files or tags:
                    moment = time.time()
                    self._amend(
                        RunAmended(started.run_id, session.id, moment, files=files, tags=tags)
                    )

            with self._part(watch, "code"):
                watch.code.when_done(add)

    def _inputs_of(self, session: Session, notebook: str | None) -> InputCollector:
        if self._inputs is not None and self._inputs_session != session.id:
            self._inputs.close(0.0)
            self._inputs = self._amendments = None
        if self._inputs is None:
            from .amendments import Amendments
            from .inputs import InputCollector
            from .keeping import Keeper
            from .opening import script_path

            self._inputs_session = session.id
            project = session.project
            if notebook is None and (script := script_path()) is not None:
                notebook = project.relative(script)
            later = self._amendments = Amendments(session.id, self._amend)
            self._inputs = InputCollector(
                self.file_watch,
                lambda path: project.relative(Path(path)),
                later.add,
                keeper=Keeper(project, session.config, session.id, notebook, self._warn.once),
                ended=later.flush,
            )
            if not self._at_exit:
                self._at_exit = True
                _at_exit(_close_inputs, weakref.ref(self))
        return self._inputs

    def close_inputs(self) -> None:
        """Finish with the inputs of runs what can be finished within a short time."""
        if self._inputs is not None:
            self._inputs.close(_WAIT)
        if self._amendments is not None:
            self._amendments.close()

    def _collect(
        self,
        watch: Watch,
        started: RunStarted,
        session: Session,
        event: CellEvent,
        python: str,
        namespace: Mapping[str, Any],
        private: Collection[str],
        events: Sequence[CellEvent],
    ) -> tuple[InputRecord, ...]:
        seconds = event.ended - event.started
        opened = [item.path for item in watch.opened]
        reads = self.earlier_reads
        return self._inputs_of(session, started.notebook).collect(
            started.run_id,
            sorted(read_names(python, namespace)),
            event.bound,
            namespace,
            seconds=seconds,
            before=watch.before,
            files=watch.opened,
            budget=_FULL if session.config.capture == "full" else None,
            keep=(event.options or {}).get("snapshots", True),
            private=private,
            earlier=() if reads is None else reads.unchanged(opened),
            needed=() if reads is None else reads.needed((*events, event)),
        )

    def _prepare(self) -> None:
        """Have the environment read while the session's first cell runs."""
        if not self._prepared:
            from .environment import prepare

            self._prepared = True
            prepare()

    def _adopt(
        self, running: Running, session: Session, python: str, namespace: Mapping[str, Any]
    ) -> Adopted | None:
        """Create the run in MLflow beforehand, where the cell will call MLflow itself."""
        import sys

        if "mlflow" not in sys.modules and "mlflow" not in python:
            return None
        return self.fluent.begin(
            running.started, session.project, session.config, python, running.tags, namespace
        )

    def _code_of(self, session: Session) -> CodeState:
        root = session.project.root
        state = self._code.get(str(root))
        if state is None:
            from .changes import CodeState

            state = self._code[str(root)] = CodeState(root)
        return state

    def _see_code(self, watch: Watch, session: Session, seen: Seen) -> None:
        code = watch.code if watch.code is not None else self._code_of(session)
        if watch.code is None:
            code.begin()
            watch.code = code
        changes = code.end()
        if changes is None:
            from .git import find_repository

            watch.wait_for_code = True
            repository = find_repository(session.project.root)
            if repository is not None:
                head = repository.head()
                seen.git_commit, seen.git_branch = head.commit, head.branch
            return
        if changes.reason and changes.reason != _NO_REPOSITORY:
            seen.left_out["code"] = changes.reason
        seen.git_commit, seen.git_branch = changes.commit, changes.branch
        seen.git_dirty = changes.dirty
        file = self._diff_file(session, changes)
        if file is not None:
            seen.files = (*seen.files, file)

    def _diff_file(self, session: Session, changes: Changes) -> FileRecord | None:
        if not changes.diff or session.config.capture == "minimal":
            return None
        reason = None
        if changes.truncated:
            reason = f"{changes.truncated:,} more bytes were left out"
        return _text_file(session, "code/changes.diff", "code", changes.diff, reason)

    def _kept(self, session: Session, item: Any) -> FileRecord:
        if isinstance(item.data, str):
            return _text_file(session, item.name, item.kind, item.data, None, item.size)
        return FileRecord(item.name, session.blobs.put(item.data), item.size, item.kind)

    @contextlib.contextmanager
    def _part(self, watch: Watch, name: str) -> Iterator[None]:
        """One part of a run: what goes wrong in it leaves it out, and says so."""
        try:
            yield
        except Exception as error:
            watch.left_out.setdefault(name, describe(error)[:300])


def _at_exit(call: Callable[[weakref.ref[Probes]], None], probes: weakref.ref[Probes]) -> None:
    """Have something called while threads can still begin, which ``atexit`` is too late for.

    The module that the store's threads come from cannot be imported then: it registers itself.
    """
    import concurrent.futures.thread  # noqa: F401

    register = getattr(threading, "_register_atexit", atexit.register)
    with contextlib.suppress(RuntimeError):  # It is ending already.
        register(call, probes)


def _close_inputs(probes: weakref.ref[Probes]) -> None:
    """At the interpreter's exit: threads go on until then, and may still finish."""
    found = probes()
    if found is not None and found.pid == os.getpid():
        found.close_inputs()


def _text_file(
    session: Session, name: str, kind: str, text: str, reason: str | None, size: int | None = None
) -> FileRecord:
    """A text beside a run: in the journal itself where it is short, which costs no other fsync."""
    size = len(text.encode("utf-8", "surrogatepass")) if size is None else size
    if len(text) <= _INLINE:
        return FileRecord(name, size=size, kind=kind, text=text, reason=reason)
    data = session.clean(text).encode("utf-8", "replace")
    return FileRecord(name, session.blobs.put(data), size, kind, reason=reason)


def _change_tags(changes: Changes) -> dict[str, str]:
    """What is known of the code as tags, for a run whose record is written already."""
    tags = {
        "mlflow.source.git.commit": changes.commit,
        "mlflow.source.git.branch": changes.branch,
        "mlops.git_dirty": None if changes.dirty is None else str(changes.dirty).lower(),
    }
    return {name: value for name, value in tags.items() if value}
