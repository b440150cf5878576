"""Random edits of a pipeline of four steps, each followed by a run with the cache and one without.

The results of both must be the same.  A step that ran although nothing that it depends on had
changed since a kept run ran in vain: what it depends on is told here by the test's own model.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from jupyter_mlops.model.ports import NotebookExecutor
from jupyter_mlops.project import Project

from .conftest import write_notebook, write_pipeline
from .lab import Lab, outputs

PIPELINE = """\
version: 1
name: fuzz
parameters:
  scale:
    default: 2
  label:
    default: a
  source:
    default: data/main.txt
steps:
  - name: load
    notebook: load.ipynb
    outputs:
      rows_path: rows.json
  - name: clean
    notebook: clean.ipynb
    needs:
      - load
    inputs:
      rows_path: load.rows_path
    outputs:
      clean_path: clean.json
  - name: stats
    notebook: stats.ipynb
    needs:
      - load
    inputs:
      rows_path: load.rows_path
    outputs:
      stats_path: stats.json
  - name: report
    notebook: report.ipynb
    needs:
      - clean
      - stats
    inputs:
      clean_path: clean.clean_path
      stats_path: stats.stats_path
    outputs:
      report_path: report.txt
"""


@dataclass
class World:
    """Everything that the pipeline is made of; each value is edited on its own."""

    values: dict[str, Any] = field(
        default_factory=lambda: {
            "data": 3, "extra": 1, "listed": 2, "flag": False, "shared": 1, "deep": 5, "unused": 0,
            "load": 1, "clean": 1, "stats": 1, "report": 1, "scale": 2, "label": "a",
            "source": "data/main.txt", "chosen": "x", "seed": 1, "comment": 0, "spacing": 0,
            "text": 0, "irrelevant": 0, "package": 1,
        }
    )  # fmt: skip

    # What each step's result depends on, by the values above; inputs are followed separately.
    NEEDS: ClassVar[dict[str, tuple[str, ...]]] = {
        "load": ("data", "extra", "listed", "load", "source", "flag"),
        "clean": ("shared", "deep", "clean", "scale"),
        "stats": ("stats", "seed", "chosen", "shared", "deep", "package"),
        "report": ("report", "label"),
    }

    def state(self, step: str) -> tuple[Any, ...]:
        """What a step's result is decided by."""
        own = tuple(self.values[name] for name in self.NEEDS[step])
        above = {"clean": ("load",), "stats": ("load",), "report": ("clean", "stats")}
        return (*own, *(self.state(need) for need in above.get(step, ())))


EDITS: dict[str, Callable[[Any, random.Random], Any]] = {
    **dict.fromkeys(("data", "extra", "shared", "deep", "seed"), lambda _, r: r.randrange(4)),
    **dict.fromkeys(("load", "clean", "stats", "report"), lambda _, r: r.randrange(3)),
    **dict.fromkeys(
        ("comment", "spacing", "text", "irrelevant", "unused"), lambda _, r: r.randrange(100)
    ),
    "listed": lambda _, r: r.randrange(1, 4),
    "flag": lambda old, _: not old,
    "scale": lambda _, r: r.randrange(3),
    "label": lambda _, r: r.choice(["a", "b"]),
    "source": lambda _, r: r.choice(["data/main.txt", "data/other.txt"]),
    "chosen": lambda _, r: r.choice(["x", "y"]),
    "package": lambda _, r: r.randrange(1, 4),
}


def write(project: Project, world: World, site: Path) -> None:
    """Bring the project's files to what the world says; files that are right stay untouched."""
    v = world.values
    root = project.root
    note = f"# note {v['comment']}\n"
    space = " " * (v["spacing"] % 5 + 1)
    files: dict[str, str | None] = {
        "data/main.txt": f"{v['data']}\n" * 4,
        "data/other.txt": f"{v['data'] + 10}\n" * 3,
        "more/part.txt": f"{v['extra']}",
        "shared.py": f"{note}from deep import base\n\ndef shared(x):\n    return x * "
        f"{v['shared']}{space}+ base()\n",
        "deep.py": f"def base():\n    return{space}{v['deep']}\n",
        "unused.py": f"VALUE = {v['unused']}\n",
        "README.md": f"{v['irrelevant']}\n",
    }
    for number in range(1, 4):
        files[f"many/{number}.txt"] = "x" if number <= v["listed"] else None
    files["more/flag.txt"] = "on" if v["flag"] else None
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if text is None:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_text() != text:
            path.write_text(text)
    folder = write_pipeline(project, "fuzz", PIPELINE)
    write_notebook(
        folder / "load.ipynb",
        "source = 'data/main.txt'\nrows_path = 'rows.json'",
        f"{note}import json, os\nrows = [int(line) for line in open(source)]\n"
        f"rows.append(int(open('more/' + 'part.txt').read()))\nrows.append({v['load']})",
        f"rows.append(len(os.listdir('many')))\nif{space}os.path.exists('more/fl' + 'ag.txt'):\n"
        "    rows.append(99)",
        "with open(rows_path, 'w') as file:\n    json.dump(rows, file)\nprint(rows)",
        tags={0: "parameters"},
    )
    write_notebook(
        folder / "clean.ipynb",
        "scale = 2\nrows_path = 'rows.json'\nclean_path = 'clean.json'",
        f"import json\nfrom shared import shared\n{note}"
        f"rows = [shared(x) *{space}scale + {v['clean']} for x in json.load(open(rows_path))]",
        "with open(clean_path, 'w') as file:\n    json.dump(rows, file)\nrows[0]",
        tags={0: "parameters"},
    )
    write_notebook(
        folder / "stats.ipynb",
        "rows_path = 'rows.json'\nstats_path = 'stats.json'",
        f"import json, os, random\nimport shared as s, fuzzpackage\nrandom.seed({v['seed']})",
        f"rows = json.load(open(rows_path))\nfound = [sum(rows), {v['stats']}, random.random(),\n"
        f"    os.environ.get('FUZZ_CHOICE'),{space}s.shared(1), fuzzpackage.VERSION]",
        "with open(stats_path, 'w') as file:\n    json.dump(found, file)",
        tags={0: "parameters"},
    )
    write_notebook(
        folder / "report.ipynb",
        "label = 'a'\nclean_path = 'c'\nstats_path = 's'\nreport_path = 'r'",
        f"{note}print(label)\ntext = label + open(clean_path).read() + open(stats_path).read()",
        f"with open(report_path, 'w') as file:\n    file.write(text +{space}str({v['report']}))",
        tags={0: "parameters"},
    )
    for old in site.glob("fuzzpackage*"):
        if old.is_dir() and old.name != f"fuzzpackage-{v['package']}.0.dist-info":
            (old / "METADATA").unlink()
            old.rmdir()
    info = site / f"fuzzpackage-{v['package']}.0.dist-info"
    if not info.exists():
        info.mkdir()
        (info / "METADATA").write_text(f"Name: fuzzpackage\nVersion: {v['package']}.0\n")
        (site / "fuzzpackage.py").write_text(f"VERSION = {v['package']}\n")
    os.environ["FUZZ_CHOICE"] = v["chosen"]
    os.environ["SSH_CONNECTION"] = str(v["irrelevant"])


@dataclass
class Figures:
    """What came of it: of ``steps`` that were looked up, how many were hits, and ran in vain."""

    edits: int = 0
    steps: int = 0
    hits: int = 0
    needless: int = 0
    why: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for people."""
        share = self.needless / max(1, self.steps)
        return (
            f"{self.edits} edits, {self.steps} steps: {self.hits} hits, {self.needless} ran in "
            f"vain ({share:.2%})"
        )


def edit_and_compare(
    project: Project, executor: NotebookExecutor, site: Path, edits: int, seed: int
) -> Figures:
    """Make ``edits`` edits; raises ``AssertionError`` where the cache gave another result."""
    chance = random.Random(seed)
    world = World()
    lab = Lab(project, executor, "fuzz")
    figures = Figures()
    kept: dict[str, set[tuple[Any, ...]]] = {}
    for number in range(edits):
        made = []
        for _ in range(chance.choice([1, 1, 1, 2])):
            name = chance.choice(sorted(EDITS))
            world.values[name] = EDITS[name](world.values[name], chance)
            made.append(name)
        write(project, world, site)
        given = {name: world.values[name] for name in ("scale", "label", "source")}
        cached, folder = lab.run(given)
        plain, other = lab.run(given, use=False)
        assert [step.status for step in plain] == ["finished"] * 4, plain
        assert outputs(folder) == outputs(other), (seed, number, made, cached)
        figures.edits += 1
        for step in cached:
            figures.steps += 1
            state = world.state(step.name)
            assert step.cache is not None
            if step.status == "cached":
                figures.hits += 1
            elif state in kept.setdefault(step.name, set()):
                figures.needless += 1
                reason = step.cache["why"][0]
                figures.why[reason] = figures.why.get(reason, 0) + 1
            if not any("not kept" in reason for reason in step.cache["why"]):
                kept.setdefault(step.name, set()).add(state)
    return figures
