"""What a headless run costs, from the start of the command to its exit, beside papermill's.

``python benchmarks/runs.py [--rounds N] [--rows 1,20,...] [--only NAME ...]`` runs each notebook by
each contender, taking turns, and prints the median wall and CPU milliseconds, and how many times
less than papermill that is (wall, CPU).  CPU counts the command, its kernel, and what the zygote
that forked the kernel used meanwhile; importing ahead is paid before, and printed.

- ``papermill``: the command of the installed package;
- ``papermill, warm``: the same command, told to take the provisioner ``mlops-zygote``;
- ``nbclient``: ``jupyter execute``;
- ``ploomber-engine``, where it is installed beside Python or named by ``PLOOMBER_ENGINE``: it runs
  the cells in its own process, without a kernel;
- ``papermill, our engine``: the command with ``--engine jupyter_mlops``;
- ``engine``: what executes notebooks for ``jupyter-mlops run``, without project, journal, delivery;
- the last two with ``, warm``: the same, told to take the provisioner;
- ``mlops``: ``jupyter-mlops run`` without an agent, warm kernels off;
- ``mlops, warm``: ``jupyter-mlops run``, with a zygote as the agent would hold it.  Both also
  record the run: they journal it and deliver it to MLflow, which papermill does not.

How each kernel was really started is counted: the zygote's forks must equal the runs.
"""

from __future__ import annotations

import argparse
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
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

ROWS: dict[str, list[str]] = {
    "1": ["print(1)"],
    "20": [f"x{n} = {n}\nprint(x{n})" for n in range(20)],
    "pandas+sklearn": [
        "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression",
        "frame = pd.DataFrame({'a': [0.0, 1.0, 2.0, 3.0], 'b': [0, 0, 1, 1]})\n"
        "print(LogisticRegression().fit(frame[['a']], frame['b']).score(frame[['a']], frame['b']))",
    ],
    "200": [f"x{n} = {n}\nprint(x{n})" for n in range(200)],
}
BIN = Path(sys.executable).parent
PLOOMBER = Path(os.environ.get("PLOOMBER_ENGINE", BIN / "ploomber-engine"))
ENGINE = """
import sys
from pathlib import Path
from jupyter_mlops.integrations.papermill_executor import executor
notebook, output = map(Path, sys.argv[1:])
done = executor().execute(notebook, output, {}, kernel=None, cwd=Path(), env={})
sys.exit(done.status != "completed")
"""
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Contender:
    """A command for a notebook and where its output goes; ``warm`` if a zygote serves it."""

    name: str
    command: Callable[[Path, Path], list[str]]
    env: dict[str, str] = field(default_factory=dict)
    warm: bool = False


def contenders() -> list[Contender]:
    def papermill(notebook: Path, output: Path) -> list[str]:
        return [str(BIN / "papermill"), "--no-progress-bar", str(notebook), str(output)]

    def mlops(notebook: Path, output: Path) -> list[str]:
        return [sys.executable, "-m", "jupyter_mlops", "run", str(notebook)]

    def nbclient(notebook: Path, output: Path) -> list[str]:
        return [str(BIN / "jupyter-execute"), str(notebook), f"--output={output}"]

    def ours_in_papermill(notebook: Path, output: Path) -> list[str]:
        return [*papermill(notebook, output), "--engine", "jupyter_mlops"]

    def engine(notebook: Path, output: Path) -> list[str]:
        return [sys.executable, "-c", ENGINE, str(notebook), str(output)]

    found = [
        Contender("nbclient", nbclient),
        Contender("papermill, our engine", ours_in_papermill),
        Contender("engine", engine),
    ]
    if PLOOMBER.is_file():
        found.append(Contender("ploomber-engine", lambda n, o: [str(PLOOMBER), str(n), str(o)]))

    take = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "mlops-zygote"}
    return [
        Contender("papermill", papermill),
        Contender("papermill, warm", papermill, take, warm=True),
        *found,
        Contender("papermill, our engine, warm", ours_in_papermill, take, warm=True),
        Contender("engine, warm", engine, take, warm=True),
        Contender("mlops", mlops, {"JUPYTER_MLOPS_WARM": "off"}),
        Contender("mlops, warm", mlops, warm=True),
    ]


def entry_points(folder: Path) -> None:
    """Declare this checkout's entry points, whatever the installed package declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    info = folder / "mlops_checkout-0.dist-info"
    info.mkdir()
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


def measure(command: list[str], env: dict[str, str], cwd: Path, zygote: int) -> tuple[float, float]:
    """Wall and CPU milliseconds of one command."""
    before = cpu_of(zygote)
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    spent = (after.ru_utime - own.ru_utime) + (after.ru_stime - own.ru_stime)
    return wall * 1000, (spent + cpu_of(zygote) - before) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--only", nargs="*", help="names of contenders; papermill always runs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlr"))
    try:
        bench(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bench(options: argparse.Namespace, folder: Path) -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    from jupyter_mlops.warm import client, end_zygotes, ensure_zygote, imported_modules

    project = folder / "project"
    (project / ".mlops").mkdir(mode=0o700, parents=True)
    entry_points(folder)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY", "MLFLOW"))}
    env = kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        "JUPYTER_RUNTIME_DIR": str(folder / "run"),
        "JUPYTER_MLOPS_AGENT": "off",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    os.environ["JUPYTER_RUNTIME_DIR"] = env["JUPYTER_RUNTIME_DIR"]
    chosen = [c for c in contenders() if not options.only or c.name in {*options.only, "papermill"}]
    for row in options.rows.split(","):
        notebook = project / f"{row.replace('+', '_')}.ipynb"
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = new_notebook(cells=[new_code_cell(c) for c in ROWS[row]])
        content.metadata["kernelspec"] = spec
        nbformat.write(content, notebook)
        modules = imported_modules(notebook)
        began = time.perf_counter()
        zygote = ensure_zygote(sys.executable, modules, "benchmark", env=env)
        assert zygote.wait(120), zygote.why
        wall = time.perf_counter() - began
        print(f"{row}: ahead {wall:.1f} s, CPU {cpu_of(zygote.pid):.1f} s", flush=True)
        figures: dict[str, list[tuple[float, float]]] = {c.name: [] for c in chosen}
        output = folder / "out.ipynb"
        for _ in range(options.rounds):
            for one in chosen:
                given = env | one.env
                if "JUPYTER_DEFAULT_PROVISIONER_NAME" in one.env:
                    given["JUPYTER_MLOPS_WARM_MODULES"] = ",".join(modules)
                before = client.ask(zygote.address, "hello")["forks"]
                command = one.command(notebook, output)
                figures[one.name].append(measure(command, given, project, zygote.pid))
                forks = client.ask(zygote.address, "hello")["forks"] - before
                assert forks == int(one.warm), f"{one.name}: {forks} forks"
        medians = {
            name: tuple(statistics.median(one[n] for one in got) for n in (0, 1))
            for name, got in figures.items()
        }
        base = medians["papermill"]
        for name, (wall_ms, cpu_ms) in medians.items():
            times = f"({base[0] / wall_ms:.1f}, {base[1] / cpu_ms:.1f})"
            print(f"  {name:<22} {wall_ms:7.0f} / {cpu_ms:6.0f} {times}", flush=True)
        end_zygotes()


if __name__ == "__main__":
    main()
