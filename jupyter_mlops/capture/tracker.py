"""Runs of tracked cells: the journal first, then the agent is told, then the card is shown."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..model.events import CellEvent, RunRecord, RunStarted
from .history import History
from .notebook import Notebook, NotebookFinder, kernel_id
from .options import TrackOptions
from .warner import Warner

if TYPE_CHECKING:
    from .run import Keep, TrackedCell
    from .session import Session

__all__ = ["Tracker"]


class Tracker:
    """Owns the session of one shell.

    ``session`` is ``None`` until the first tracked cell.  What is imported here costs tens of
    milliseconds once, so it is imported then and not with the extension.
    """

    def __init__(
        self, shell: Any, history: History, warn: Warner, env: Mapping[str, str] | None = None
    ) -> None:
        self.shell = shell
        self.history = history
        self.warn = warn
        self.env = os.environ if env is None else env
        self.finder = NotebookFinder(shell, self.env)
        self.session: Session | None = None
        self.last_run: RunRecord | None = None

    def begin(self, options: TrackOptions, warnings: list[str]) -> RunStarted:
        """Write that a run begins.  Adds to ``warnings`` what could not be taken as it was meant.

        Raises ``MlopsError`` or ``OSError`` when there is no project or it cannot be written.
        """
        from ..model.ids import new_id
        from .run import run_name

        notebook = self.finder.find()
        path = notebook.path if notebook is not None else None
        if options.dry_run:
            count = self.session.runs if self.session is not None else 0
            name = options.name or run_name(path, Path.cwd().name, count + 1)
            return RunStarted(new_id(), "", time.time(), name)
        session = self._session(notebook, warnings)
        started = RunStarted(
            run_id=new_id(),
            session=session.id,
            started=time.time(),
            name=options.name or run_name(path, session.project.name, session.runs + 1),
            experiment=options.experiment,
            notebook=session.project.relative(path) if path is not None else None,
            parent=self.env.get("JUPYTER_MLOPS_PARENT_RUN") or None,
        )
        session.write(started)
        session.runs += 1
        return started

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

    def end(self, cell: TrackedCell) -> None:
        """Store the models, write the cell and the run, tell the agent, show the card."""
        from .run import build_run

        keep, why_not = self._keep(cell)
        run = build_run(cell, self.history, keep, why_not=why_not)
        session = self.session
        if cell.options.dry_run or session is None:
            self.note(cell.event)
            self._show(run, dry_run=True)
            return
        try:
            session.write(cell.event, run, sync=True)
        except OSError as error:
            self.warn(
                f"this run is not on disk: {session.path} cannot be written: "
                f"{error.strerror or error}; it is kept in memory and written with the next cell "
                "for which that works"
            )
        else:
            self._nudge(session)
        self.last_run = run
        self._show(run)

    def tags(self, started: RunStarted) -> dict[str, str]:
        """MLflow's tags for where a run comes from."""
        from .git import head_commit
        from .run import source_tags
        from .session import user_name

        folder = self.session.project.root if self.session is not None else Path.cwd()
        if started.notebook is not None and (folder / started.notebook).parent.is_dir():
            folder = (folder / started.notebook).parent
        return source_tags(started.notebook, user_name(), head_commit(folder))

    def close(self) -> None:
        """End the session; a later tracked cell begins another one."""
        if self.session is not None:
            self.session.close()
        self.session = None

    def _session(self, notebook: Notebook | None, warnings: list[str]) -> Session:
        """The session; opened at the first tracked cell, and anew if its journal has gone."""
        if self.session is not None and not self.session.gone():
            return self.session
        from ..config import Config, load_config
        from ..project import open_project
        from .session import Session

        self.close()
        folder = notebook.path if notebook is not None and notebook.path.parent.is_dir() else None
        project = open_project(folder, env=self.env)
        try:
            config = load_config(project.root, self.env)
        except UsageError as error:
            warnings.append(f"{error.message}; recorded with the default settings")
            config = Config()
        session = Session(
            project,
            config,
            notebook=project.relative(notebook.path) if notebook is not None else None,
            kernel_id=kernel_id(self.finder.connection_file),
        )
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
        return (lambda found, name, rows: spool(found, name, rows, blobs, limit)), ""

    def _nudge(self, session: Session) -> None:
        from .agent_client import nudge

        nudge(session.project, session.config)

    def _show(self, run: RunRecord, *, dry_run: bool = False) -> None:
        from .card import card_payload
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
        )
        show_card(self.shell, card, None if dry_run else project, config)
