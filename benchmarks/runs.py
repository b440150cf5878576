"""What a headless run costs, from the start of the command to its exit, beside papermill.

``python benchmarks/runs.py [--rounds N] [--rows 1,20,...] [--only NAME ...] [--with BIN]`` runs
each notebook by each contender, taking turns, and prints the median wall and CPU milliseconds, how
many times less than papermill that is (wall, CPU), and which engine took it.

- ``papermill``: the command of the installed package;
- ``nbclient``: ``jupyter execute``;
- ``ploomber-engine``, where ``BIN`` is the ``bin`` folder of an environment that has it: it runs
  the cells in its own process, without a kernel;
- ``mlops, warm``: ``jupyter-mlops run`` in a project whose agent holds a runner and a process with
  the notebook's modules, idle before each command;
- ``mlops, cold``: the same in a fresh process of a project without an agent.  At its end it starts
  one, for the delivery and for the next run; that one is ended before anything else is measured;
- ``mlops, cold, delivered``: with the agent switched off: it imports MLflow and delivers, too.

All of ours also journal the run, which papermill does not.  CPU counts the command, its kernel, and
what the agent's processes that a fork came from used meanwhile; what they imported ahead, and the
delivery by the agent, are printed by themselves.  The engine is what the executed notebook says:
``fork`` (cells without ZeroMQ), ``warm`` (a forked kernel) or ``cold``.

``--pipeline`` measures a pipeline of ten notebooks with pandas and sklearn, from cold, beside ten
calls of papermill: CPU less the cells' own, which is what the executed notebooks say for ours, and
what the same code takes in a plain Python for papermill.  ``--burst N`` starts N runs at once.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SKLEARN = [
    "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression",
    "frame = pd.DataFrame({'a': [0.0, 1.0, 2.0, 3.0], 'b': [0, 0, 1, 1]})\n"
    "print(LogisticRegression().fit(frame[['a']], frame['b']).score(frame[['a']], frame['b']))",
]
ROWS: dict[str, list[str]] = {
    "1": ["print(1)"],
    "20": [f"x{n} = {n}\nprint(x{n})" for n in range(20)],
    "pandas+sklearn": SKLEARN,
    "200": [f"x{n} = {n}\nprint(x{n})" for n in range(200)],
    "widgets": ["import ipywidgets", "ipywidgets.IntSlider(3)"],
}
BIN = Path(sys.executable).parent
MLOPS = [sys.executable, "-m", "jupyter_mlops"]
TICK = os.sysconf("SC_CLK_TCK")
Env = dict[str, str]


@dataclass
class Contender:
    """A command for a notebook and its output, in a project of its own if it is one of ours."""

    name: str
    command: Callable[[Path, Path], list[str]]
    project: Project | None = None


class Project:
    """A project that runs are made in; ``agent`` is ``warm``, ``none`` yet, or ``off``."""

    def __init__(self, root: Path, env: Env, agent: str) -> None:
        root.mkdir()
        (root / ".mlops").mkdir(mode=0o700)
        self.root = root
        self.agent = agent
        self.env = env | {
            "JUPYTER_MLOPS_AGENT": "off" if agent == "off" else "on",
            # Where processes to fork from are looked for: those of one project only.
            "JUPYTER_RUNTIME_DIR": str(root.with_name(f"r-{agent}")),
        }
        self.ahead = 0.0  # CPU seconds
        if agent == "warm":
            self.mlops("agent", "start")
            self.post("/v1/runner", {"interpreter": sys.executable, "env": self.env})
            self.until(lambda status: any(r["state"] == "ready" for r in status["runners"]))
            self.ahead = sum(map(cpu_of, self.pids()))

    def mlops(self, *words: str) -> None:
        subprocess.run(
            [*MLOPS, *words], cwd=self.root, env=self.env, check=True, capture_output=True
        )

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        from jupyter_mlops.capture import agent_client
        from jupyter_mlops.project import open_project

        return agent_client.call(open_project(self.root, create=False), path, body)

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + 180
        while not condition(self.post("/v1/status")):
            assert time.monotonic() < end, self.post("/v1/status")
            time.sleep(0.1)

    def pids(self) -> list[int]:
        """The processes that runs and kernels are forked from."""
        status = self.post("/v1/status")
        return [one["pid"] for one in [*status["runners"], *status["warm"]]]

    def prepare(self, modules: list[str], *, first: bool) -> None:
        """Before each command: an agent that is warm has nothing to do, others are not there."""
        if self.agent != "warm":
            return
        if first:
            body = {"interpreter": [sys.executable], "modules": modules, "env": self.env}
            before = sum(map(cpu_of, self.pids()))
            self.post("/v1/warm", body)
            self.until(lambda status: all(one["state"] != "starting" for one in status["warm"]))
            self.ahead = sum(map(cpu_of, self.pids())) - before
        self.until(lambda s: not s["delivery"]["waiting"] and not s["delivery"]["running"])

    def tidy(self) -> None:
        """After each command: end the agent that it started."""
        pointer = self.root / ".mlops" / "agent" / "pointer.json"
        if self.agent == "none":
            end = time.monotonic() + 60
            while not pointer.exists() and time.monotonic() < end:
                time.sleep(0.05)
            self.end()

    def end(self) -> None:
        pointer = self.root / ".mlops" / "agent" / "pointer.json"
        if pointer.exists():
            agent = psutil.Process(json.loads(pointer.read_text())["pid"])
            for one in [*agent.children(recursive=True), agent]:
                one.kill()
            pointer.unlink()

    def engine(self) -> str:
        """How the newest run's kernel started, as its notebook says."""
        found = max((self.root / ".mlops" / "runs").glob("*/*.ipynb"), key=os.path.getmtime)
        kernel = json.loads(found.read_text())["metadata"].get("mlops", {}).get("kernel", {})
        return str(kernel.get("start", "cold"))


def contenders(env: Env, folder: Path, other: Path | None) -> list[Contender]:
    def papermill(notebook: Path, output: Path) -> list[str]:
        return [str(BIN / "papermill"), "--no-progress-bar", str(notebook), str(output)]

    def nbclient(notebook: Path, output: Path) -> list[str]:
        return [str(BIN / "jupyter-execute"), str(notebook), f"--output={output}"]

    def mlops(notebook: Path, output: Path) -> list[str]:
        return [*MLOPS, "run", notebook.name]

    found = [Contender("papermill", papermill), Contender("nbclient", nbclient)]
    if other is not None and (other / "ploomber-engine").is_file():
        command = str(other / "ploomber-engine")
        found.append(Contender("ploomber-engine", lambda n, o: [command, str(n), str(o)]))
    else:
        print("ploomber-engine: left out, no --with BIN that has it", flush=True)
    for name, agent in [("warm", "warm"), ("cold", "none"), ("cold, delivered", "off")]:
        project = Project(folder / name.replace(", ", "-"), env, agent)
        found.append(Contender(f"mlops, {name}", mlops, project))
    return found


def entry_points(folder: Path) -> None:
    """Declare this checkout's entry points, whatever the installed package declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    info = folder / "packages" / "mlops_checkout-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlops-checkout\nVersion: 0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in declared.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def measure(command: list[str], env: Env, cwd: Path, beside: list[int]) -> tuple[float, float]:
    """Wall and CPU milliseconds of one command; ``beside``: processes whose forks it uses."""
    before = sum(map(cpu_of, beside))
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    spent = (after.ru_utime - own.ru_utime) + (after.ru_stime - own.ru_stime)
    return wall * 1000, (spent + sum(map(cpu_of, beside)) - before) * 1000


def write(path: Path, sources: list[str]) -> Path:
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source, "outputs": [],
         "execution_count": None}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))
    return path


def bench_row(row: str, rounds: int, chosen: list[Contender], env: Env, folder: Path) -> None:
    from jupyter_mlops.warm import imported_modules

    name = f"n{row.replace('+', '_')}.ipynb"
    figures: dict[str, list[tuple[float, float]]] = {one.name: [] for one in chosen}
    engines: dict[str, set[str]] = {one.name: set() for one in chosen}
    output = folder / "out.ipynb"
    for number in range(rounds):
        for one in chosen:
            project = one.project
            root = folder if project is None else project.root
            notebook = write(root / name, ROWS[row])
            beside: list[int] = []
            if project is not None:
                project.prepare(list(imported_modules(notebook)), first=number == 0)
                beside = project.pids() if project.agent == "warm" else []
            given = env if project is None else project.env
            figures[one.name].append(measure(one.command(notebook, output), given, root, beside))
            if project is not None:
                engines[one.name].add(project.engine())
                project.tidy()
    ahead = [one.project.ahead for one in chosen if one.project and one.project.agent == "warm"]
    print(f"{row}:" + "".join(f" imported ahead in {cpu:.1f} CPU s" for cpu in ahead), flush=True)
    show(figures, engines)


def show(figures: dict[str, list[tuple[float, float]]], engines: dict[str, set[str]]) -> None:
    medians = {
        name: tuple(statistics.median(one[n] for one in got) for n in (0, 1))
        for name, got in figures.items()
    }
    base = medians["papermill"]
    for name, (wall, cpu) in medians.items():
        times = f"({base[0] / wall:.2f}, {base[1] / cpu:.2f})"
        engine = " ".join(sorted(engines.get(name, ())))
        print(f"  {name:<22} {wall:7.0f} / {cpu:6.0f} {times:<16} {engine}", flush=True)


def bench_pipeline(rounds: int, papermill: Contender, project: Project, env: Env) -> None:
    """Ten steps from cold beside ten calls; CPU less the cells' own."""
    folder = project.root / "pipelines" / "ten"
    folder.mkdir(parents=True)
    steps = ["version: 1", "name: ten", "steps:"]
    books = []
    for n in range(10):
        books.append(write(folder / f"s{n}.ipynb", [*SKLEARN, f"print({n})"]))
        steps += [f"  - name: s{n}", f"    notebook: s{n}.ipynb"]
        steps += [f"    needs: [s{n - 1}]"] if n else []
    (folder / "pipeline.yaml").write_text("\n".join(steps) + "\n")
    source = "\n".join([*SKLEARN, "print(1)"])
    plain = statistics.median(
        measure([sys.executable, "-c", source], env, project.root, [])[1]
        - measure([sys.executable, "-c", "pass"], env, project.root, [])[1]
        for _ in range(3)
    )
    theirs, ours = [], []
    for _ in range(rounds):
        one = [
            measure(papermill.command(book, project.root / "out.ipynb"), env, project.root, [])
            for book in books
        ]
        theirs.append((sum(w for w, _ in one), sum(c for _, c in one)))
        wall, cpu = measure([*MLOPS, "run", "ten"], project.env, project.root, [])
        runs = project.root / ".mlops" / "runs"
        newest = max(runs.iterdir(), key=os.path.getmtime)
        executed = [json.loads(path.read_text()) for path in newest.glob("*.ipynb")]
        assert len(executed) == 10
        cells = 1000 * sum(
            c["metadata"]["mlops"]["cpu"] for node in executed for c in node["cells"]
        )  # fmt: skip
        starts = [node["metadata"]["mlops"].get("kernel", {}).get("start") for node in executed]
        ours.append((wall, cpu, cells))
        project.tidy()
    wall, cpu = (statistics.median(one[n] for one in theirs) for n in (0, 1))
    my_wall, my_cpu, my_cells = (statistics.median(one[n] for one in ours) for n in (0, 1, 2))
    beside, mine = cpu - 10 * plain, my_cpu - my_cells
    counts = {str(start): starts.count(start) for start in set(starts)}
    print(f"ten steps, kernels {counts}:")
    print(f"  papermill, ten calls   {wall:7.0f} / {cpu:6.0f}, beside the cells {beside:6.0f}")
    print(
        f"  mlops, cold            {my_wall:7.0f} / {my_cpu:6.0f}, beside the cells {mine:6.0f} "
        f"({wall / my_wall:.1f}, {cpu / my_cpu:.1f}, beside the cells {beside / mine:.1f})",
        flush=True,
    )


def bench_burst(count: int, project: Project) -> None:
    """Many runs at once."""
    write(project.root / "burst.ipynb", ROWS["1"])
    project.prepare([], first=True)
    command = [*MLOPS, "run", "burst.ipynb"]
    began = time.perf_counter()
    clients = [
        subprocess.Popen(
            command, cwd=project.root, env=project.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(count)
    ]  # fmt: skip
    failed = [error for one in clients if (error := one.communicate()[1]) or one.returncode]
    wall = time.perf_counter() - began
    taken = sum(runner["runs"] for runner in project.post("/v1/status")["runners"])
    print(f"{count} at once: {wall:.1f} s, failures {len(failed)}, by the runner so far {taken}")
    for text in failed[:3]:
        print(text[-500:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--only", nargs="*", help="names of contenders; papermill always runs")
    parser.add_argument("--with", dest="other", type=Path, metavar="BIN")
    parser.add_argument("--pipeline", action="store_true")
    parser.add_argument("--burst", type=int, default=0, metavar="N")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlr"))
    chosen: list[Contender] = []
    try:
        entry_points(folder)
        foreign = ("JUPYTER", "JPY", "MLFLOW", "CI")
        env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder / "packages")]),
            "JUPYTER_RUNTIME_DIR": str(folder / "run"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        chosen = [
            one
            for one in contenders(env, folder, options.other)
            if not options.only or one.name in {*options.only, "papermill"}
        ]
        for row in filter(None, options.rows.split(",")):
            bench_row(row, options.rounds, chosen, env, folder)
        projects = {one.name: one.project for one in chosen if one.project}
        if options.pipeline:
            bench_pipeline(options.rounds, chosen[0], projects["mlops, cold"], env)
        if options.burst:
            bench_burst(options.burst, projects["mlops, warm"])
    finally:
        for one in chosen:
            if one.project is not None:
                one.project.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
