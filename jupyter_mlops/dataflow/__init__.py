"""Dataflow of notebook cells, from their text alone: pure, standard library only.

``analyse`` says what one cell does; ``backward_slice`` which executed cells a result needs.
"""

from .flow import CellFlow, analyse
from .machine import Session
from .slicing import Follower, Reason, Slice, backward_slice, flows, goes_on
from .source import strip_tracking, to_python

__all__ = [
    "CellFlow",
    "Follower",
    "Reason",
    "Session",
    "Slice",
    "analyse",
    "backward_slice",
    "flows",
    "goes_on",
    "strip_tracking",
    "to_python",
]
