"""Schedules: pipelines that run by a cron expression, each slot once."""

from ..model.schedule import Schedule, Slot, slot_text
from .cron import Cron
from .firing import Tick, fire, give_up, overdue, process_of, tick
from .launch import cancel, end_process_tree, running_slots, start_worker, worker_log
from .schedules import (
    add_schedule,
    find_schedule,
    get_slot,
    list_schedules,
    list_slots,
    local_timezone,
    next_firings,
    remove_schedule,
)

__all__ = [
    "Cron",
    "Schedule",
    "Slot",
    "Tick",
    "add_schedule",
    "cancel",
    "end_process_tree",
    "find_schedule",
    "fire",
    "get_slot",
    "give_up",
    "list_schedules",
    "list_slots",
    "local_timezone",
    "next_firings",
    "overdue",
    "process_of",
    "remove_schedule",
    "running_slots",
    "slot_text",
    "start_worker",
    "tick",
    "worker_log",
]
