"""``state.db``: schedules, deployments, leases, the audit log and the read model, in SQLite."""

from .changes import Change, changes_after, last_change, record_change
from .db import StateDB
from .leases import Lease, acquire, is_held, release, renew

__all__ = [
    "Change",
    "Lease",
    "StateDB",
    "acquire",
    "changes_after",
    "is_held",
    "last_change",
    "record_change",
    "release",
    "renew",
]
