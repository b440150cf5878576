"""``checks``: what is wrong with a notebook as it is in front of a person."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tornado import web

from ...checking import Checked, check_cells, check_notebook
from ...dataflow.findings import NotebookCell
from ...errors import ProjectError
from ...project import Project
from .base import MlopsHandler, authorized, notebook_path

__all__ = ["ROUTES"]


class ChecksHandler(MlopsHandler):
    """Checking a notebook; nothing is changed and nothing is kept."""

    @web.authenticated
    @authorized("read", "mlops:notebooks")
    async def post(self) -> None:
        """Answer ``Check`` for the cells that were sent, else for the file."""
        body = self.body("NewCheck")
        notebook = await self.read(partial(notebook_path, self.root_folder, body["path"]))
        project: Project | None
        try:
            project = await self.project(body["path"])
        except ProjectError:
            project = None
        await self.answer(partial(_check, project, notebook, body.get("cells")))


def _check(
    project: Project | None, notebook: Path, sent: list[dict[str, Any]] | None
) -> dict[str, Any]:
    found: Checked
    if sent is None:
        found = check_notebook(project, notebook)
    else:
        cells = [
            NotebookCell(cell["position"], cell["source"], cell["id"], cell["count"])
            for cell in sorted(sent, key=lambda cell: int(cell["position"]))
        ]
        found = check_cells(project, notebook, cells)
    return {
        "session": found.session,
        "findings": [finding.to_dict() for finding in found.findings],
    }


ROUTES = [(r"checks", ChecksHandler)]
