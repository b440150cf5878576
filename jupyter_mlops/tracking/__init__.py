"""Tracking: delivering the journal to MLflow, and what MLflow has of this project."""

from .amending import amended
from .delivery import deliver
from .details import RunDetails, read_run_file, run_details
from .export import export_run
from .loaded import Run, load_run
from .notebook import compare_display, compare_runs, why_display
from .page import document as sections_page
from .page import text as sections_text
from .queries import find_run, list_runs
from .removal import RunChange, delete_run, note_run, rename_run, restore_run
from .report import DeliveryReport
from .sections import Section, comparison_sections, explanation_sections
from .sessions import WaitingRuns, waiting, what_waits
from .shape import details_dict
from .sync import SyncState, refresh, sync_state
from .target import (
    capture_level,
    give_consent,
    open_backend,
    prepare,
    revoke_consent,
    tracking_uri,
    watched_experiments,
)
from .using import SnapshotUse, runs_using
from .why import explain
from .wording import measured, plain

__all__ = [
    "DeliveryReport",
    "Run",
    "RunChange",
    "RunDetails",
    "Section",
    "SnapshotUse",
    "SyncState",
    "WaitingRuns",
    "amended",
    "capture_level",
    "compare_display",
    "compare_runs",
    "comparison_sections",
    "delete_run",
    "deliver",
    "details_dict",
    "explain",
    "explanation_sections",
    "export_run",
    "find_run",
    "give_consent",
    "list_runs",
    "load_run",
    "measured",
    "note_run",
    "open_backend",
    "plain",
    "prepare",
    "read_run_file",
    "refresh",
    "rename_run",
    "restore_run",
    "revoke_consent",
    "run_details",
    "runs_using",
    "sections_page",
    "sections_text",
    "sync_state",
    "tracking_uri",
    "waiting",
    "watched_experiments",
    "what_waits",
    "why_display",
]
