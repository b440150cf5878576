"""Runs: the journal first, then the agent is told, then the card is shown.

A tracked cell, a ``with track(...)`` block and a function under ``@track`` all come this way.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.events import CellEvent, EnvironmentRecord, RunAmended, RunRecord, RunStarted
from .history import History
from .notebook import Notebook, NotebookFinder, kernel_id
from .opening import open_session, script_path
from .options import TrackOptions
from .warner import Warner

if TYPE_CHECKING:
    from ..config import Config
    from .card_updates import CardUpdates
    from .live import LiveCard
    from .probes import Probes, Watch
    from .run import Keep, TrackedCell
    from .runlog import RunLog
    from .seen import Seen
    from .session import Record, Session

__all__ = ["Running", "Tracker"]

_SEEDING = re.compile("seed|random|rng|RandomState", re.IGNORECASE)
_RUNS = 50  # Ended runs that are remembered for their cards' comparison.


@dataclass(slots=True)
class Running:
    """A run that has begun: its record, its open end, and the tags for where it comes from."""

    started: RunStarted
    log: RunLog
    live: LiveCard | None = None
    tags: dict[str, str] = field(default_factory=dict)


class Tracker:
    """Owns the session of one shell, or of a plain Python process (``shell`` is then ``None``).

    ``session`` is ``None`` until the first run.  What is imported here costs tens of milliseconds
    once, so it is imported then and not with the extension.
    """

    def __init__(
        self, shell: Any, history: History, warn: Warner, env: Mapping[str, str] | None = None
    ) -> None:
        self.shell = shell
        self.history = history
        self.warn = warn
        self.env = os.environ if env is None else env
        self.finder = NotebookFinder(shell, self.env) if shell is not None else None
        self.pid = os.getpid()
        self.session: Session | None = None
        self.runs: deque[RunRecord] = deque(maxlen=_RUNS)  # the newest last
        self._probes: Probes | None = None
        self._cards: CardUpdates | None = None

    @property
    def last_run(self) -> RunRecord | None:
        """The newest run of this session."""
        return self.runs[-1] if self.runs else None

    @property
    def probes(self) -> Probes:
        """What watches this tracker's runs."""
        if self._probes is None:
            from .probes import Probes

            self._probes = Probes(self.shell, self.warn, self.amend)
        return self._probes

    def notebook(self) -> Notebook | None:
        """The notebook that is being run, as far as that is known."""
        return self.finder.find() if self.finder is not None else None

    def begin(
        self,
        options: TrackOptions,
        warnings: list[str],
        *,
        kind: str = "cell",
        started: float | None = None,
    ) -> Running:
        """Write that a run begins.  Adds to ``warnings`` what could not be taken as it was meant.

        ``started`` is when it did, if not now.  Raises ``MlopsError`` or ``OSError`` when there is
        no project or it cannot be written.
        """
        from ..model.ids import new_id
        from .run import run_name
        from .runlog import RunLog, current_log

        notebook = self.notebook()
        path = notebook.path if notebook is not None else None
        source = path or script_path()
        moment = time.time() if started is None else started
        if options.dry_run:
            count = self.session.runs if self.session is not None else 0
            name = options.name or run_name(source, Path.cwd().name, count + 1)
            begun = RunStarted(new_id(), "", moment, name, kind=kind)
            return Running(begun, RunLog(begun.run_id, ""))
        session = self._session(notebook, warnings)
        outer = current_log()
        begun = RunStarted(
            run_id=new_id(),
            session=session.id,
            started=moment,
            name=options.name or run_name(source, session.project.name, session.runs + 1),
            experiment=options.experiment,
            kind=kind,
            notebook=session.project.relative(path) if path is not None else None,
            parent=outer.run_id if outer else self.env.get("JUPYTER_MLOPS_PARENT_RUN") or None,
        )
        with contextlib.suppress(OSError):  # It waits in memory; the run's end says so.
            session.write(begun)
        session.runs += 1
        log = RunLog(begun.run_id, session.id, session.write, session.blobs.put)
        running = Running(begun, log, tags=self._tags(begun, session))
        if self.shell is not None and started is None:
            self._go_live(running, session)
        return running

    def note(self, event: CellEvent) -> None:
        """Write a cell that is no run, if there is a session."""
        if self.session is None:
            return  # The history keeps it until there is one.
        try:
            self.session.write(event)
        except OSError as error:
            self.warn.once(
                "cells",
                f"cells cannot be written to {self.session.path}: {error.strerror or error}; "
                "they are kept in memory and written when that works again",
            )

    def end(
        self, cell: TrackedCell, *, note: bool = True, live: LiveCard | None = None
    ) -> RunRecord:
        """Store the models, write the cell and the run, tell the agent, show the card.

        Without ``note`` the cell itself is in the journal already, or is no cell.  The card takes
        the place of ``live``.
        """
        from .run import build_run

        keep, why_not = self._keep(cell)
        run = build_run(cell, self.history, keep, why_not=why_not)
        session = self.session
        if cell.options.dry_run or session is None:
            if note:
                self.note(cell.event)
            self._show(run, dry_run=True)
            return run
        environment = cell.seen.environment if cell.seen is not None else None
        new = environment is not None and environment.digest not in session.environments
        records: list[Record] = [cell.event, run] if note else [run]
        if environment is not None and new:
            records.insert(0, environment)
        try:
            session.write(*records, sync=True)
        except OSError as error:
            self.warn(
                f"this run, {run.name} ({run.run_id}), is not on disk: {session.path} cannot be "
                f"written: {error.strerror or error}; it is kept in memory and written with the "
                "next cell for which that works"
            )
        else:
            if environment is not None:
                session.environments.add(environment.digest)
            self._nudge(session)
        self._show(run, live=live, environment=environment)
        self.runs.append(run)
        return run

    def see(
        self,
        watch: Watch | None,
        running: Running,
        event: CellEvent,
        python: str,
        namespace: Mapping[str, Any],
    ) -> Seen | None:
        """What was watched of a run that has just ended; ``None`` for a dry run."""
        if self.session is None or watch is None:
            return None
        # A secret that only the source gives away must be known before the output is kept.
        self.session.clean(event.source)
        return self.probes.end(
            watch, running.started, self.session, event, python, namespace,
            private=self.history.private, events=tuple(self.history),
        )  # fmt: skip

    def settle(self, watch: Watch | None, running: Running) -> None:
        """The run is in the journal: what takes longer may now be added to it."""
        if watch is not None:
            self.probes.settle(watch, running.started)

    def note_source(self, python: str, namespace: Mapping[str, Any]) -> None:
        """Remember what any cell's source says that a later run depends on (its seeds)."""
        if self.probes.seeding or _SEEDING.search(python):
            with contextlib.suppress(Exception):  # A seed that is not found is not recorded.
                self.probes.note_source(python, namespace)

    def amend(self, amended: RunAmended) -> None:
        """Write what became known of a run after its end.  Called by other threads, too."""
        session = self.session
        if session is None or amended.session != session.id:
            return  # That session is closed; the run says that this was still to come.
        try:
            session.write(amended, sync=True)
        except OSError:
            return  # It waits with the other records.
        if self._cards is not None and amended.inputs:
            self._cards.amend(amended)
        self._nudge(session)

    def close(self) -> None:
        """End the session; a later tracked cell begins another one."""
        if self._probes is not None:
            self._probes.close()
        self._end_session()

    def _end_session(self) -> None:
        if self.session is not None:
            self.session.close()
        self.session = None

    def _tags(self, started: RunStarted, session: Session) -> dict[str, str]:
        """MLflow's tags for where a run comes from."""
        from .git import head_commit
        from .run import source_tags
        from .session import user_name

        folder = session.project.root
        if started.notebook is not None and (folder / started.notebook).parent.is_dir():
            folder = (folder / started.notebook).parent
        script = None if started.notebook else script_path()
        source = started.notebook or (session.project.relative(script) if script else None)
        return source_tags(
            source, user_name(), head_commit(folder), notebook=started.notebook is not None
        )

    def _session(self, notebook: Notebook | None, warnings: list[str]) -> Session:
        """The session; opened at the first run, and anew if its journal has gone."""
        if self.session is not None and not self.session.gone():
            return self.session
        self._end_session()
        path = notebook.path if notebook is not None else script_path()
        session = open_session(
            path if path is not None and path.parent.is_dir() else None,
            self.env,
            warnings,
            notebook=notebook.path if notebook is not None else None,
            kernel_id=kernel_id(self.finder.connection_file) if self.finder is not None else None,
            kind="kernel" if self.shell is not None else "script",
        )
        if self.shell is not None:
            self.history.adopt_earlier(self.shell)
        session.write(*self.history.events(session.id))
        self.session = session
        return session

    def _keep(self, cell: TrackedCell) -> tuple[Keep | None, str]:
        """What stores a model, or why none is stored."""
        session = self.session
        if cell.options.dry_run or session is None:
            return None, "dry run"
        if not cell.options.models:
            return None, "--no-models"
        if session.config.capture == "minimal":
            return None, "the capture level is minimal"
        if cell.event.status == "interrupted":
            return None, "the cell was interrupted"
        from .spool import spool

        blobs, limit = session.blobs, session.config.model_size_limit
        consent = _consent(cell.options, session.config)
        return (
            lambda found, name, rows: spool(found, name, rows, blobs, limit, consent=consent)
        ), ""

    def _nudge(self, session: Session) -> None:
        from .agent_client import nudge

        nudge(session.project, session.config)

    def _go_live(self, running: Running, session: Session) -> None:
        """Show what ``track.log`` says while the cell runs, if it runs for long."""
        from .live import LiveCard

        begun = running.started
        live = LiveCard(
            self.shell,
            begun,
            experiment=begun.experiment or session.config.experiment or session.project.name,
            root=session.project.root,
            redact=session.config.redact,
        )
        clock = time.perf_counter()

        def listen(log: RunLog) -> None:
            live.update(log.series, time.perf_counter() - clock, log.params)

        running.live, running.log.listen = live, listen

    def _show(
        self,
        run: RunRecord,
        *,
        live: LiveCard | None = None,
        environment: EnvironmentRecord | None = None,
        dry_run: bool = False,
    ) -> None:
        from .baseline import find_baseline
        from .card import card_payload, mlflow_link, render_text
        from .card_updates import CardUpdates
        from .display import show_card

        session = self.session
        if session is None:  # A dry run before anything was recorded: there is no project yet.
            card = card_payload(
                run, experiment=run.experiment or "", root=Path.cwd(), first=False, dry_run=True
            )
            show_card(self.shell, card)
            return
        project, config = session.project, session.config
        card = card_payload(
            run,
            experiment=run.experiment or config.experiment or project.name,
            root=project.root,
            first=not dry_run and session.runs == 1,
            dry_run=dry_run,
            baseline=find_baseline(project, run, list(self.runs)),
            environment=environment,
            mlflow=mlflow_link(project, config),
            redact=config.redact,
        )
        if self.shell is None:  # A script: its output is its own.
            with contextlib.suppress(OSError, ValueError):
                print(render_text(card), file=sys.stderr)
            return
        if show_card(self.shell, card, None if dry_run else project, config, live):
            if self._cards is None:
                self._cards = CardUpdates(self.shell)
            self._cards.shown(card, redact=config.redact)


def _consent(options: TrackOptions, config: Config) -> str | None:
    """Who allowed that models are kept as pickles, and where they said so."""
    from .session import user_name

    if options.allow_pickle:
        return f"{user_name() or 'somebody'} by --allow-pickle"
    return f"{user_name() or 'somebody'} by trust_pickle" if config.trust_pickle else None
