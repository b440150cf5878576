"""Tracking: delivering the journal to MLflow, and what MLflow has of this project."""

from .delivery import deliver
from .queries import find_run, list_runs
from .removal import delete_run
from .report import DeliveryReport
from .sessions import WaitingRuns, waiting, what_waits
from .sync import SyncState, refresh, sync_state
from .target import (
    capture_level,
    give_consent,
    open_backend,
    revoke_consent,
    tracking_uri,
    watched_experiments,
)

__all__ = [
    "DeliveryReport",
    "SyncState",
    "WaitingRuns",
    "capture_level",
    "delete_run",
    "deliver",
    "find_run",
    "give_consent",
    "list_runs",
    "open_backend",
    "refresh",
    "revoke_consent",
    "sync_state",
    "tracking_uri",
    "waiting",
    "watched_experiments",
    "what_waits",
]
