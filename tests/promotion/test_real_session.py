"""A session as a person has it, in a real kernel with real ``%%track``, promoted and run again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ReplayDiffersError
from jupyter_mlops.pipelines import load_pipeline, load_policy
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote
from tests.capture.conftest import start_kernel
from tests.capture.drivers import Kernel

# The notebook as it stands at the end, in document order.
CELLS = {
    "imports": "%load_ext jupyter_mlops\nimport numpy as np\nimport pandas as pd\n"
    "from sklearn.datasets import load_breast_cancer",
    "load": "data = load_breast_cancer(as_frame=True)\ndf = data.frame\ndf.head()",
    "look": "df.describe()",
    "groups": 'df.groupby("target")["mean area"].agg(["mean", "std"])',
    "loop": "for column in df.columns[:3]:\n    print(column, df[column].nunique())",
    "share": "test_share = 0.3  # of all rows",
    "dead": 'small = df[df["mean area"] < 500].copy()\nsmall["log"] = np.log(small["mean area"])\n'
    "small.log.mean()",
    "ratio": 'def add_ratio(frame):\n    frame["ratio"] = frame["mean area"] / frame["mean radius"]'
    "\n    return frame",
    "split": "from sklearn.model_selection import train_test_split\n"
    'X = add_ratio(df.drop(columns="target"))\ny = df["target"]\n'
    "X_train, X_test, y_train, y_test = train_test_split(\n"
    "    X, y, test_size=test_share, random_state=seed\n)",
    "dummy": "from sklearn.dummy import DummyClassifier\n"
    "DummyClassifier().fit(X_train, y_train).score(X_test, y_test)",
    "train": "%%track --register tumours\nfrom sklearn.linear_model import LogisticRegression\n"
    "from sklearn.pipeline import make_pipeline\n"
    "from sklearn.preprocessing import StandardScaler\n"
    "C = 0.5\nmodel = make_pipeline(StandardScaler(), LogisticRegression(C=C))\n"
    "model.fit(X_train, y_train)\naccuracy = model.score(X_test, y_test)\n"
    "positives = int(model.predict(X_test).sum())",
}


@pytest.fixture
def kernel(project: Project) -> Iterator[Kernel]:
    (project.root / "work").mkdir()
    with start_kernel(
        project.root / "work", JPY_SESSION_NAME=str(project.root / "work" / "tumours.ipynb")
    ) as kernel:
        yield kernel


def write(path: Path, cells: dict[str, str]) -> Path:
    notebook = new_notebook(cells=[new_markdown_cell("# Tumours")])
    for name, source in cells.items():
        if name == "split":
            notebook.cells.append(new_markdown_cell("## Split\nby rows"))
        cell = new_code_cell(source)
        cell["id"] = name
        notebook.cells.append(cell)
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(notebook, path)
    return path


def run(kernel: Kernel, name: str, source: str | None = None, *, fails: bool = False) -> None:
    outcome = kernel.run(CELLS[name] if source is None else source, {"cellId": name})
    assert (outcome.ename is not None) == fails, outcome.traceback


def test_a_session_out_of_order_with_edits_and_deletions(project: Project, kernel: Kernel) -> None:
    notebook = write(project.root / "work" / "tumours.ipynb", CELLS)
    for name in ("imports", "load", "look", "groups", "loop"):
        run(kernel, name)
    run(kernel, "gone", "seed = 4")  # deleted from the notebook afterwards
    run(kernel, "ratio", "def add_ratio(frame):\n    return frame.assign(ratio=1.0)")
    run(kernel, "dead")
    run(kernel, "split", fails=True)  # test_share is not there yet
    run(kernel, "share")
    run(kernel, "split")
    run(kernel, "dummy")
    run(kernel, "ratio")  # edited, and run again
    run(kernel, "split")
    run(kernel, "train")
    (tracked,) = kernel.runs
    assert tracked.status == "FINISHED"

    promotion = promote(project, Config(), notebook)
    assert promotion.verdict == "equal"
    assert promotion.metrics == tracked.metrics
    assert set(promotion.metrics) >= {"accuracy", "positives"}
    assert promotion.model == "tumours"
    assert not promotion.warnings

    document = nbformat.read(promotion.folder / "train.ipynb", as_version=4)
    nbformat.validate(document)
    text = "\n".join(c.source for c in document.cells if c.cell_type == "code")
    for dropped in ("describe", "agg(", "nunique", "small", "Dummy", "assign(ratio", "%%track"):
        assert dropped not in text, dropped
    assert text.count("def add_ratio") == 1
    assert text.count("train_test_split(") == 1
    assert "## Split\nby rows" in [c.source for c in document.cells]
    pipeline = load_pipeline(promotion.folder)
    assert {p.name: p.default for p in pipeline.parameters} == {
        "seed": 4, "test_share": 0.3, "C": 0.5,
    }  # fmt: skip
    types = {p.name: p.schema["type"] for p in pipeline.parameters}
    assert types == {"seed": "integer", "test_share": "number", "C": "number"}
    (gate,) = load_policy(promotion.folder).gates
    assert (gate.metric, gate.not_worse_than) == ("accuracy", "champion")
    policy = promotion.folder / "policy.yaml"
    example = policy.read_text()
    # The threshold stands there as a comment: taking the marks off makes it a gate.
    policy.write_text(example.replace("#  ", "  "))
    floor = load_policy(promotion.folder).gates[-1]
    assert (floor.metric, floor.min) == ("accuracy", round(tracked.metrics["accuracy"], 3))

    proof = json.loads((promotion.folder / "proof.json").read_text())
    assert proof["metrics"]["accuracy"]["tracked"] == proof["metrics"]["accuracy"]["replayed"]
    assert not proof["widened"]
    assert proof["model"] == {"rows": 5, "equal": True}
    assert str(project.root) not in json.dumps(proof)
    assert "interpreter" not in proof["environment"]
    assert {"scikit-learn", "pandas"} <= set(proof["environment"]["packages"])

    # Under plain papermill, from another folder, without our package on the path.
    out = project.root / "out"
    out.mkdir()
    paths = {name: str(out / file) for name, file in pipeline.steps[0].outputs.items()}
    given = [word for name, path in paths.items() for word in ("-p", name, path)]
    subprocess.run(
        [Path(sys.executable).with_name("papermill"), promotion.folder / "train.ipynb",
         out / "run.ipynb", "-p", "C", "50.0", *given, "--no-progress-bar"],
        cwd=out, check=True, capture_output=True,
    )  # fmt: skip
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["accuracy"] != tracked.metrics["accuracy"]
    import pandas as pd
    import skops.io

    file = out / "model.skops"
    model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    assert len(model.predict(pd.read_parquet(out / "example.parquet"))) == 5


def test_unseeded_randomness_is_named(project: Project, kernel: Kernel) -> None:
    cells = {
        "a": "%load_ext jupyter_mlops\nfrom sklearn.datasets import load_wine\n"
        "from sklearn.ensemble import RandomForestClassifier\n"
        "X, y = load_wine(return_X_y=True)",
        "b": "%%track\nforest = RandomForestClassifier(n_estimators=3, max_depth=2).fit(X, y)\n"
        "spread = float(forest.feature_importances_[0])",
    }
    notebook = write(project.root / "work" / "tumours.ipynb", cells)
    for name, source in cells.items():
        run(kernel, name, source)
    with pytest.raises(ReplayDiffersError) as caught:
        promote(project, Config(), notebook)
    assert "spread: tracked" in str(caught.value)
    assert "RandomForestClassifier.fit() without random_state" in (caught.value.hint or "")
    assert not project.pipelines.exists()


def test_another_python_is_said(project: Project) -> None:
    from jupyter_mlops.promotion.environment import ReplayEnvironment, replay_environment

    found = replay_environment("python3", {"pandas", "nothing_like_this"})
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert list(found.packages) == ["pandas"]
    assert found.differs_from(found.executable, found.python) is None
    assert "3.8.1 then" in (found.differs_from(found.executable, "3.8.1") or "")
    assert "/elsewhere/python then" in (found.differs_from("/elsewhere/python", None) or "")
    assert replay_environment("no-such-kernel", ()) == ReplayEnvironment()
