"""load_run gives a run's own objects back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotFoundError, UntrustedError, UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import deliver, load_run

from .rich import PNG, pair
from .sessions import Session


@pytest.fixture(autouse=True)
def _inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)


def test_values_and_files(project: Project) -> None:
    runs = pair(project)
    run = load_run(runs.a.run_id[:22])
    assert (run.id, run.name, run.status, run.note) == (
        runs.a.run_id, "taxi #1", "FINISHED", None
    )  # fmt: skip
    assert run.params["rate"] == 0.1
    assert run.hyperparameters["model.C"] == 1.0
    assert run.metrics["accuracy"] == 0.9
    assert run.series["loss"][-1] == [2.0, 0.3, 3.0]
    assert run.inputs["trips"].rows == 100
    assert run.models == {"model": "Ridge"}
    assert run.source is not None
    assert run.source.startswith("%%track")
    assert run.environment is not None
    assert run.environment.lock.startswith("numpy==2.1.0")
    assert run.files == ("output.txt", "figures/fit.png")
    assert run.figure() == run.figure("figures/fit.png") == run.file("figures/fit.png") == PNG
    assert run.tags["mlflow.user"] == "me"
    assert run.details.origin == "journal"
    for call in (run.figure, run.file):
        with pytest.raises(NotFoundError, match="nothing"):
            call("nothing")
    with pytest.raises(NotFoundError, match="too large"):
        run.model()
    with pytest.raises(NotFoundError, match="no model 'other'"):
        run.model("other")
    assert load_run().id == load_run("-1").id == runs.b.run_id
    # What is changed in the answers changes nothing here.
    run.params["rate"] = 9
    assert run.params["rate"] == 0.1


def test_how_it_shows_itself(project: Project) -> None:
    pair(project)
    run = load_run("-2")
    assert repr(run).startswith("<Run 'taxi #1' 0")
    assert "accuracy=0.9" in repr(run)
    html = run._repr_html_()
    assert "<img" not in html
    assert "run.model(&#x27;model&#x27;)" in html
    ElementTree.fromstring(html)


def test_a_model_before_and_after_delivery(
    mlflow_project: Project, forest: Any, iris: tuple[Any, Any]
) -> None:
    session = Session(mlflow_project)
    models = (session.model(forest, name="forest"), session.model(forest, name="twin"))
    session.run("forest", models=models)
    waiting = load_run()
    with pytest.raises(UsageError, match="several models: forest, twin"):
        waiting.model()
    rows = iris[0]
    expected = forest.predict_proba(rows)
    assert (waiting.model("forest").predict_proba(rows) == expected).all()
    assert deliver(mlflow_project, Config()).delivered == 1
    assert not list((mlflow_project.journal / "blobs").iterdir())
    assert (load_run().model("twin").predict_proba(rows) == expected).all()
    session.path.unlink()
    assert (load_run().model("twin").predict_proba(rows) == expected).all()


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("canary"),))


def test_a_model_that_nobody_here_signed_is_not_unpickled(project: Project) -> None:
    session = Session(project)
    data = pickle.dumps({"model": Trap(), "example": None}, protocol=5)
    forged = session.model(1, blob=session.blobs.put(data))  # the signature of other bytes
    session.run("forged", models=(forged,))
    with pytest.raises(UntrustedError):
        load_run().model()
    renamed = session.model(1, blob=session.blobs.put(data), format="skops", signature=None)
    session.run("renamed", models=(renamed,))
    with pytest.raises(Exception, match=r"(?i)skops|zip"):
        load_run().model()
    assert not Path("canary").exists()
