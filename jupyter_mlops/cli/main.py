"""The ``jupyter mlops`` command: verbs are loaded when they are called."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Any

import click

from ..errors import MlopsError
from .output import show_error

__all__ = ["VERBS", "cli", "main"]

# verb -> (module, attribute, one line of help): the help page needs none of the modules.
VERBS: dict[str, tuple[str, str, str]] = {
    "promote": ("promote", "promote", "Turn a tracked notebook into a pipeline, proven by replay."),
    "check": ("check", "check", "Find hidden state and leakage in notebooks."),
    "run": ("run", "run", "Execute a pipeline or a notebook headless and record the run."),
    "tune": ("tune", "tune", "Search the parameters with the best metric."),
    "test": ("test", "test", "Run pipelines and compare the results with their proofs."),
    "gate": ("gate", "gate", "Ask the gates of a policy.yaml about a result."),
    "ci": ("ci", "ci", "Set up continuous integration, and comment on pull requests."),
    "reproduce": ("reproduce", "reproduce", "Execute a run again and compare the result."),
    "runs": ("runs", "runs", "List, show, change and export runs."),
    "compare": ("compare", "compare", "Show what differs between two runs."),
    "why": ("compare", "why", "Say what changed since a run was best."),
    "snapshots": ("snapshots", "snapshots", "List, show, check, export and send snapshots."),
    "diff": ("diff", "diff", "Show what differs between two snapshots."),
    "models": ("models", "models", "List models, register versions, move and revert aliases."),
    "pipelines": ("pipelines", "pipelines", "List and show pipelines."),
    "cache": ("cache", "cache", "Show and clear the step cache, and say why steps run."),
    "schedule": ("schedule", "schedule", "Run pipelines by a cron expression."),
    "deploy": ("deploy", "deploy", "Serve a model version on this machine."),
    "deployments": ("deploy", "deployments", "List, show and stop deployments."),
    "agent": ("agent", "agent", "Start, stop and inspect the background agent."),
    "status": ("status", "status", "Show the project and what waits for delivery."),
    "sync": ("status", "sync", "Deliver everything that waits, now."),
    "consent": ("status", "consent", "Allow full capture on a tracking server that is not local."),
    "adopt": ("adopt", "adopt", "List executed notebooks and another MLflow's runs at once."),
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        command: click.Command = getattr(import_module(f"jupyter_mlops.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, _, text) in VERBS.items()])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jupyter-mlops", prog_name="jupyter mlops")
def cli() -> None:
    """MLOps without leaving the notebook.

    Exit codes: 0 done; 1 the notebook, step or job failed; 2 usage or bad input; 3 a gate said no;
    4 a replay differed; 5 a service that the verb needs did not answer; 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit with its code."""
    # A command lives for seconds and allocates much at once: collecting as often as a server does
    # costs a tenth of its time.
    gc.set_threshold(50_000, 20, 50)
    try:
        code = cli.main(arguments, prog_name="jupyter mlops", standalone_mode=False)
    except MlopsError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
