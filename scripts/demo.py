"""``make demo``: the whole loop, headless, on the taxi example, in a folder of its own.

Each step is a command that a person would type; it is shown, then run.  Nothing is faked: if a
step does not end as said here, the demo fails.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / ".demo"
PYTHON = sys.executable
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("MLFLOW_", "JUPYTER_MLOPS_"))
} | {"PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
STRICT_POLICY = """\
version: 1
gates:
  - name: useful at all
    metric: auc
    min: 0.66
  - name: not worse than champion
    metric: auc
    not_worse_than: champion
"""


def say(title: str) -> None:
    print(f"\n\033[1m== {title}\033[0m" if sys.stdout.isatty() else f"\n== {title}", flush=True)


def mlops(*arguments: str, expect: int = 0, quiet: bool = False) -> str:
    """Run ``jupyter mlops ...``, show it, and insist on its exit code; return what it printed."""
    words = ["jupyter", "mlops", *arguments]
    print("$ " + " ".join(f'"{w}"' if " " in w else w for w in words), flush=True)
    command = [PYTHON, "-m", "jupyter_mlops", *arguments]
    with subprocess.Popen(
        command, cwd=FOLDER, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            if not quiet:
                print("  " + line, end="", flush=True)
    if child.returncode != expect:
        sys.exit(f"the demo stops: this should have ended with {expect}, not {child.returncode}")
    return "".join(lines)


def ask(*arguments: str) -> dict:
    """Run a command with ``--json`` and return what it says."""
    return json.loads(mlops(*arguments, "--json", quiet=True))


def score(url: str, token: str, rows: list[dict]) -> list:
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(
        f"{url}/invocations",
        body,
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["predictions"]


@contextlib.contextmanager
def fresh_folder() -> Iterator[None]:
    """A project of its own; whatever an earlier demo left running there is ended first."""
    if (FOLDER / ".mlops").exists():
        subprocess.run(
            [PYTHON, "-m", "jupyter_mlops", "agent", "stop", "--all"],
            cwd=FOLDER,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
        )
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(
        REPOSITORY / "example_notebooks",
        FOLDER,
        ignore=shutil.ignore_patterns(".ipynb_checkpoints", ".mlops", "pipelines"),
    )
    try:
        yield
    finally:
        mlops("agent", "stop", "--all")


def demo_rows(count: int) -> list[dict]:
    """A few trips the model has not seen, as a client would send them."""
    numbers = ("fare", "trip_miles", "trip_seconds")
    hours = ("trip_start_hour", "trip_start_day", "trip_start_month")
    rows = []
    with (FOLDER / "data/chicago_taxi_eval.csv").open(newline="") as file:
        for trip in csv.DictReader(file):
            if trip["payment_type"] != "Credit Card" or not trip["trip_seconds"]:
                continue
            row: dict = {name: float(trip[name]) for name in numbers}
            row |= {name: int(trip[name]) for name in hours}
            row["company"] = trip["company"] or "unknown"
            row["pickup_community_area"] = trip["pickup_community_area"]
            # The notebook reads this column as a number before it makes text of it: "8.0".
            row["dropoff_community_area"] = str(float(trip["dropoff_community_area"] or "nan"))
            rows.append(row)
            if len(rows) == count:
                break
    return rows


def main() -> None:
    with fresh_folder():
        say("1. Execute the notebook: its %%track cell records a run and registers version 1")
        mlops("run", "taxi_tips.ipynb")
        mlops("runs", "ls")

        say("2. Promote: keep the cells that the result needs, prove it by replay")
        mlops("promote", "taxi_tips.ipynb", "--name", "taxi-tips")

        say("3. Run the pipeline headless, as it is and with other parameters")
        first = ask("run", "taxi-tips")
        better = ask("run", "taxi-tips", "-p", "n_trees", "150")
        worse = ask("run", "taxi-tips", "-p", "n_trees", "1", "-p", "max_depth", "1")
        for outcome in (first, better, worse):
            version = outcome["versions"][0]
            print(f"  version {version['version']}: auc {outcome['metrics']['auc']:.4f}")

        say("4. A gate decides who may be champion")
        (FOLDER / "pipelines/taxi-tips/policy.yaml").write_text(STRICT_POLICY)
        mlops("models", "set", f"taxi-tips@{first['versions'][0]['version']}", "champion")
        mlops("models", "set", f"taxi-tips@{worse['versions'][0]['version']}", "champion", expect=3)
        mlops("models", "ls")

        say("5. Schedule it, and fire once now")
        schedule = ask(
            "schedule", "add", "taxi-tips", "--cron", "0 6 * * *", "--tz", "Europe/Berlin"
        )
        mlops("schedule", "fire", schedule["id"])
        mlops("schedule", "ls")

        say("6. Deploy the champion and score three trips")
        deployment = ask("deploy", "taxi-tips@champion")
        token = mlops("deployments", "token", deployment["id"], quiet=True).strip()
        print(f"  POST {deployment['url']}/invocations")
        print(f"  tipped well: {score(deployment['url'], token, demo_rows(3))}")
        mlops("deployments", "ls")
        mlops("deployments", "stop", deployment["id"])

        say("7. Where everything is")
        mlops("status")
        print(f"  pipeline            {FOLDER / 'pipelines/taxi-tips'}")
        print(
            f"  MLflow's own UI     mlflow ui --backend-store-uri sqlite:///{FOLDER}/.mlops/mlflow.db"
        )
        print("  the panel           make lab")


if __name__ == "__main__":
    main()
