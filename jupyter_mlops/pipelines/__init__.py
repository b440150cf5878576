"""Pipelines: their files, their parameters, and running them headless."""

from .cancelling import CancelledRun, cancel_run
from .data import data_parameters, materialise
from .declared import (
    DeclaredParameters,
    declared_parameters,
    parameters_in,
    read_notebook,
)
from .files import (
    PIPELINE_FILE,
    POLICY_FILE,
    load_pipeline,
    load_policy,
    save_pipeline,
    save_policy,
)
from .interrupts import exit_code_of, sigterm_raises
from .lookup import BrokenPipeline, find_pipeline, find_target, list_pipelines, scan_pipelines
from .names import is_parameter_name
from .outcome import RunOutcome, StepOutcome, StepProgress
from .parameter_injection import check_pipeline_parameters
from .parameters import check_parameters, effective_parameters, expected
from .recording import RunnerJournal, journal_errors, shown_parameters, source_tags
from .runner import run_pipeline
from .running_lock import pipeline_lock
from .warm import warm_run

__all__ = [
    "PIPELINE_FILE",
    "POLICY_FILE",
    "BrokenPipeline",
    "CancelledRun",
    "DeclaredParameters",
    "RunOutcome",
    "RunnerJournal",
    "StepOutcome",
    "StepProgress",
    "cancel_run",
    "check_parameters",
    "check_pipeline_parameters",
    "data_parameters",
    "declared_parameters",
    "effective_parameters",
    "exit_code_of",
    "expected",
    "find_pipeline",
    "find_target",
    "is_parameter_name",
    "journal_errors",
    "list_pipelines",
    "load_pipeline",
    "load_policy",
    "materialise",
    "parameters_in",
    "pipeline_lock",
    "read_notebook",
    "run_pipeline",
    "save_pipeline",
    "save_policy",
    "scan_pipelines",
    "shown_parameters",
    "sigterm_raises",
    "source_tags",
    "warm_run",
]
