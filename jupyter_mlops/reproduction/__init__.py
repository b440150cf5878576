"""Reproduction: a recorded run executed again from its own lock, data and code, and compared."""

from .service import Reproduction, reproduce
from .session import CellFailed
from .verdict import Verdict

__all__ = ["CellFailed", "Reproduction", "Verdict", "reproduce"]
