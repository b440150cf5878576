"""Whether a person has allowed that data goes to a tracking server that is not on this machine."""

from __future__ import annotations

from ..config import public_uri
from ..project import Project
from .db import StateDB
from .meta import get_meta

__all__ = ["CONSENT", "consented"]

CONSENT = "consent"  # meta: public URI -> when


def consented(project: Project, uri: str) -> bool:
    """Whether consent was given for the server at ``uri``.  Asking makes no ``state.db``."""
    if not (project.exists and project.database.is_file()):
        return False
    with StateDB(project).read() as connection:
        return public_uri(uri) in get_meta(connection, CONSENT, {})
