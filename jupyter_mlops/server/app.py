"""The server extension ``jupyter_mlops``: settings, routes, events, what lives with the server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_events import EventLogger
from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Integer

from .agents import Agents
from .comparisons import Comparisons
from .feed import SCHEMA_ID, ChangeFeed
from .jobs import Job, Jobs
from .notebook_paths import CONTENTS_EVENTS, KERNEL_EVENTS, NotebookPaths
from .routes import routes

__all__ = ["MlopsApp"]


class MlopsApp(ExtensionApp):
    """jupyter_mlops in a Jupyter server: the REST API of the projects below its root folder."""

    name = "jupyter_mlops"
    load_other_extensions = True

    poll_interval = Float(
        0.5, min=0.05, help="Seconds between two looks at what changed in a project."
    ).tag(config=True)
    session_interval = Float(
        2.0, min=0.1, help="Seconds between two looks at which notebooks have kernels."
    ).tag(config=True)
    agent_timeout = Float(
        150.0, min=1.0, help="Seconds to wait for one operation of a project's agent."
    ).tag(config=True)
    max_jobs = Integer(2, min=1, help="Promotions and runs at once; more of them wait.").tag(
        config=True
    )
    project_depth = Integer(
        4, min=0, help="How many folders deep projects are looked for below the root folder."
    ).tag(config=True)
    project_limit = Integer(100, min=1, help="How many projects are listed at most.").tag(
        config=True
    )

    readers: ThreadPoolExecutor
    agents: Agents
    comparisons: Comparisons
    feed: ChangeFeed
    jobs: Jobs
    notebook_paths: NotebookPaths | None = None

    @property
    def events(self) -> EventLogger:
        """The server's event logger."""
        logger: EventLogger = self._server.event_logger
        return logger

    @property
    def _server(self) -> Any:
        if self.serverapp is None:
            raise RuntimeError("jupyter_mlops is not part of a server yet")
        return self.serverapp

    @property
    def root_dir(self) -> str:
        """The folder that contents paths are relative to."""
        return str(self._server.root_dir)

    def initialize_settings(self) -> None:
        """Make what the handlers use, and register the event."""
        self.readers = ThreadPoolExecutor(4, thread_name_prefix="mlops-read")
        self.agents = Agents(self.agent_timeout, self.readers)
        self.comparisons = Comparisons()
        self.feed = ChangeFeed(self.emit, self.readers, self.log, self.poll_interval)
        self.jobs = Jobs(self.max_jobs, self._job_changed, self.log)
        self.events.register_event_schema(Path(__file__).parent / "events" / "change-v1.yaml")

    def initialize_handlers(self) -> None:
        """Add the routes of the REST API."""
        self.handlers.extend(routes())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        gateway = getattr(serverapp, "gateway_config", None)
        if gateway is not None and gateway.gateway_enabled:
            return  # The kernels run on another machine, with a runtime folder of its own.
        manager = serverapp.session_manager

        async def sessions() -> list[dict[str, Any]]:
            listed: list[dict[str, Any]] = await ensure_async(manager.list_sessions())
            return listed

        root = Path(getattr(serverapp.contents_manager, "root_dir", None) or self.root_dir)
        paths = NotebookPaths(sessions, root, self.log, self.session_interval)
        self.events.add_listener(schema_id=CONTENTS_EVENTS, listener=paths.on_contents)
        self.events.add_listener(schema_id=KERNEL_EVENTS, listener=paths.on_kernel)
        paths.start()
        self.notebook_paths = paths

    async def stop_extension(self) -> None:
        """End the jobs and whatever else lives with the server."""
        self.feed.close()
        await self.jobs.close()
        if self.notebook_paths is not None:
            await self.notebook_paths.close()
        self.agents.close()
        self.comparisons.close()
        self.readers.shutdown(wait=False, cancel_futures=True)

    def emit(self, kind: str, action: str, id: str, project: str) -> None:
        """Tell the server's subscribers that something changed."""
        self.events.emit(
            schema_id=SCHEMA_ID,
            data={"kind": kind, "action": action, "id": id[:512], "project": project},
        )

    def _job_changed(self, job: Job, action: str) -> None:
        self.emit("job", action, job.id, job.project.key)
