"""Models of every kind: kept by a kernel, stored by delivery, loaded again in another process."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.capture.cellcode import read_cell
from jupyter_mlops.capture.estimators import example, find_estimators
from jupyter_mlops.capture.spool import spool
from jupyter_mlops.errors import UntrustedError, UsageError
from jupyter_mlops.integrations.mlflow_signature import read_mlmodel, read_signature
from jupyter_mlops.integrations.model_formats import HOW_TO_CONSENT
from jupyter_mlops.integrations.model_predictions import predict
from jupyter_mlops.journal import BlobStore
from jupyter_mlops.model.events import ModelRecord
from jupyter_mlops.model.ports import BuiltModel
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.registry.load import load_folder
from jupyter_mlops.serving.bundle import read_bundle
from jupyter_mlops.tracking.building import ModelBuilders

from .notebook_models import (
    ESTIMATORS,
    NOTEBOOK,
    OTHERS,
    PROBES,
    STORED,
    libraries,
    needed,
    predicted_elsewhere,
    there,
)


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    """What is there when a cell runs."""
    import sklearn
    from sklearn import (
        compose,
        ensemble,
        linear_model,
        model_selection,
        neighbors,
        pipeline,
        preprocessing,
        svm,
        tree,
    )

    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(80, 3)), columns=list("abc"))
    y = (X["a"] + X["b"] * X["c"] > 0).astype(int)
    space: dict[str, Any] = {
        "__name__": "__main__", "np": np, "pd": pd, "sklearn": sklearn, "compose": compose,
        "ensemble": ensemble, "linear_model": linear_model, "model_selection": model_selection,
        "neighbors": neighbors, "pipeline": pipeline, "preprocessing": preprocessing, "svm": svm,
        "tree": tree, "X": X, "y": y, "F": X.assign(town=random.choice(["u", "v"], 80)),
    }  # fmt: skip
    exec(NOTEBOOK, space)
    return space


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("project")
    (root / ".mlops").mkdir()
    return open_project(root)


@pytest.fixture(scope="module")
def keep(notebook: dict[str, Any], project: Project) -> Any:
    """Execute a cell as `%%track` does; return its model, its example and the spooled record."""

    def run(source: str, consent: str | None = None, **more: Any) -> tuple[Any, Any, ModelRecord]:
        space = dict(notebook, **more)
        exec(source, space)
        code = read_cell(source)
        (found,) = find_estimators(space, ["m"], code, {})
        name, rows = example(found, space, code, ["X", "F"])
        record = spool(found, name, rows, BlobStore(project.journal), 10**8, consent=consent)
        return found.model, rows, record

    return run


@pytest.fixture(scope="module")
def build(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Any:
    builders = ModelBuilders(
        BlobStore(project.journal), tmp_path_factory.mktemp("building") / "models"
    )

    def run(record: ModelRecord) -> BuiltModel:
        return builders.build(record, None, isolate=False)

    yield run
    builders.close()


@dataclass(frozen=True)
class Case:
    model: Any
    rows: Any
    record: ModelRecord
    built: BuiltModel
    probe: Any
    elsewhere: Any


@pytest.fixture(scope="module")
def cases(
    keep: Any, build: Any, notebook: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Case]:
    """All models whose library is there, stored, and what they predict in another process."""
    folder = tmp_path_factory.mktemp("predictions")
    made: dict[str, tuple[Any, Any, ModelRecord, BuiltModel, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What the libraries say of each other.
        for name, source in (ESTIMATORS | OTHERS).items():
            if not all(map(there, needed(name))):
                continue
            kept = keep(source, "--allow-pickle", **libraries(name))
            probe = PROBES.get(name, notebook["X"])
            if isinstance(probe, str):
                probe = notebook[probe]
            made[name] = (*kept, build(kept[2]), probe)
    questions = [(name, m[3].folder, m[2].flavor, m[4]) for name, m in made.items()]
    answers = predicted_elsewhere(questions, folder)
    return {name: Case(*m, answers[name]) for name, m in made.items()}


@pytest.mark.filterwarnings("ignore")  # What the libraries say of each other is not the subject.
@pytest.mark.parametrize("name", [*ESTIMATORS, *OTHERS])
def test_a_model_is_stored_and_predicts_the_same_in_another_process(
    name: str, cases: dict[str, Case]
) -> None:
    if name not in cases:
        pytest.skip(f"{needed(name)} is not installed")
    case = cases[name]
    flavor, form = STORED[name]
    assert case.record.flavor == flavor
    assert case.built.format == form
    assert case.built.consent == ("--allow-pickle" if form == "pickle" else None)
    assert "are equal" in case.built.verified
    note = read_mlmodel(case.built.folder)["metadata"]["mlops"]
    assert note["format"] == form
    assert ("consent" in note) == (form == "pickle")
    if name != "ARIMA":  # predicts a span of time
        assert case.rows is not None
        assert read_signature(case.built.folder) is not None
    wanted = np.asarray(predict(case.model, flavor, case.probe))
    np.testing.assert_array_equal(case.elsewhere, wanted)


def test_nine_of_the_eleven_are_skops_files(cases: dict[str, Case]) -> None:
    formats = [cases[name].built.format for name in ESTIMATORS]
    assert (len(formats), formats.count("skops")) == (11, 9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "said"),
    [("FunctionTransformer", "__main__.log_all"), ("NotebookTransformer", "__main__.Scale")],
)
def test_the_other_two_are_left_out_without_consent(
    name: str, said: str, keep: Any, build: Any
) -> None:
    with pytest.raises(UntrustedError) as caught:
        build(keep(ESTIMATORS[name])[2])
    assert said in caught.value.message
    assert caught.value.fields["types"] == [said]
    hint = caught.value.hint or ""
    assert "`trust_pickle = true` under [tool.jupyter-mlops]" in hint
    assert "`%%track --allow-pickle`" in hint


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["OLS", "Mean"])
def test_kinds_that_only_a_pickle_holds_are_left_out_without_consent(
    name: str, keep: Any, build: Any
) -> None:
    _, _, record = keep(OTHERS[name], **libraries(name))
    with pytest.raises(UntrustedError, match=name if name == "Mean" else "statsmodels") as caught:
        build(record)
    assert caught.value.hint == HOW_TO_CONSENT
    assert caught.value.fields["types"]


@pytest.mark.filterwarnings("ignore")
def test_a_pickle_is_loaded_only_while_it_is_what_this_user_stored(
    keep: Any, build: Any, notebook: dict[str, Any]
) -> None:
    folder = build(keep(OTHERS["Mean"], "trust_pickle")[2]).folder
    assert len(load_folder(folder).predict(notebook["X"])) == 80
    path = folder / "python_model.pkl"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UntrustedError, match="can run any code"):
        load_folder(folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", ["consent", "signature"])
def test_a_pickle_without_consent_or_signature_is_never_opened(
    part: str, keep: Any, build: Any
) -> None:
    import yaml

    folder = build(keep(OTHERS["Mean"], "trust_pickle")[2]).folder
    data = read_mlmodel(folder)
    del data["metadata"]["mlops"][part]
    (folder / "MLmodel").write_text(yaml.safe_dump(data))
    with pytest.raises(UntrustedError, match="can run any code"):
        load_folder(folder)


@pytest.mark.filterwarnings("ignore")
def test_what_xgboost_and_lightgbm_read_themselves_needs_no_signature(
    cases: dict[str, Case], tmp_path: Path
) -> None:
    import yaml

    for name in ("XGBClassifier", "XGBBooster", "LGBMBooster", "LGBMClassifier"):
        if name not in cases:
            pytest.skip(f"{needed(name)} is not installed")
        folder = tmp_path / name
        shutil.copytree(cases[name].built.folder, folder)
        data = read_mlmodel(folder)
        del data["metadata"]
        (folder / "MLmodel").write_text(yaml.safe_dump(data))
        assert type(load_folder(folder)) is type(cases[name].model)
        for wrong in ("subprocess.Popen", "xgboost.spark.SparkXGBClassifier"):
            if "xgboost" in data["flavors"]:
                data["flavors"]["xgboost"]["model_class"] = wrong
                (folder / "MLmodel").write_text(yaml.safe_dump(data))
                with pytest.raises(UntrustedError, match=wrong):
                    load_folder(folder)


@pytest.mark.filterwarnings("ignore")
def test_plain_mlflow_opens_them_too(keep: Any, build: Any, notebook: dict[str, Any]) -> None:
    import mlflow

    for name in ("Mean", "NotebookTransformer", "XGBClassifier", "LGBMBooster"):
        more = libraries(name)
        model, _, record = keep((ESTIMATORS | OTHERS)[name], "trust_pickle", **more)
        folder = build(record).folder
        if name == "NotebookTransformer":
            found = mlflow.sklearn.load_model(str(folder)).transform(notebook["X"])
            wanted = model.transform(notebook["X"])
        else:
            found = mlflow.pyfunc.load_model(str(folder)).predict(notebook["X"])
            wanted = model.predict(notebook["X"])
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


@pytest.mark.filterwarnings("ignore")
def test_the_requirements_are_those_of_what_is_inside(keep: Any, build: Any) -> None:
    name = "XGBPipeline"
    _, _, record = keep(OTHERS[name], **libraries(name))
    pins = {pin.partition("==")[0] for pin in record.requirements}
    assert {"scikit-learn", "numpy", "pandas"} <= pins
    assert any(pin.startswith("xgboost") for pin in pins)
    text = (build(record).folder / "requirements.txt").read_text()
    for pin in (*record.requirements, "skops"):
        assert pin in text
    assert "cloudpickle" not in text


@pytest.mark.filterwarnings("ignore")
def test_serving_says_which_kinds_it_serves(keep: Any, build: Any) -> None:
    folder = build(keep(OTHERS["XGBClassifier"], **libraries("XGB"))[2]).folder
    with pytest.raises(UsageError, match="xgboost, and deployments serve no others"):
        read_bundle(folder)
    folder = build(keep(OTHERS["XGBPipeline"], **libraries("XGB"))[2]).folder
    assert read_bundle(folder).method == "predict"


def test_a_class_of_a_module_beside_the_notebook_goes_by_value(
    keep: Any, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    notebook: dict[str, Any],
) -> None:  # fmt: skip
    (tmp_path / "beside_it.py").write_text(NOTEBOOK)
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("beside_it")
    _, _, record = keep("m = beside_it.Mean(2.0).fit(X, y)", "trust_pickle", beside_it=module)
    assert record.format == "cloudpickle"
    monkeypatch.delitem(sys.modules, "beside_it")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    folder = build(record).folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = predicted_elsewhere([("m", folder, "python", notebook["X"])], elsewhere)["m"]
    assert set(found) == {notebook["y"].mean() + 2.0}


TORCH = """
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 8)
        self.second = torch.nn.Linear(8, 1)
    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

m = Net()
T = torch.tensor(X.to_numpy(), dtype=torch.float32)
t = torch.tensor(y.to_numpy(), dtype=torch.float32)
optimizer = torch.optim.Adam(m.parameters(), lr=0.05)
for epoch in range(5):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(m(T).squeeze(), t)
    loss.backward()
    optimizer.step()
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["pt2", "pickle"])
def test_a_torch_module_of_the_notebook(
    form: str, keep: Any, build: Any, notebook: dict[str, Any], tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    source = TORCH
    if form == "pickle":  # what depends on the values cannot be exported as a graph
        source = source.replace("return self", "return self.first(x) * 2 if x.sum() > 0 else self")
    if form == "pickle":
        with pytest.raises(UntrustedError, match="cannot be exported"):
            build(keep(source, torch=torch)[2])
    model, rows, record = keep(source, "trust_pickle", torch=torch)
    assert (record.flavor, record.format) == ("pytorch", "cloudpickle")
    assert any(pin.startswith("torch==") for pin in record.requirements)
    assert rows.shape == (5, 3)
    built = build(record)
    assert built.format == form
    assert "predictions of 5 rows are equal" in built.verified
    T = notebook["X"].to_numpy().astype("float32")
    wanted = model(torch.from_numpy(T)).detach().numpy()
    found = predicted_elsewhere([("m", built.folder, "pytorch", T)], tmp_path)["m"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_network_with_several_outputs(keep: Any, build: Any) -> None:
    torch = pytest.importorskip("torch")
    source = (
        "m = torch.nn.LSTM(3, 4, batch_first=True)\nS = torch.randn(7, 5, 3)\n"
        "out = m(S)\nout[0].sum().backward()\ndel out"
    )
    built = build(keep(source, torch=torch)[2])
    assert built.format == "pt2"
    assert "are equal" in built.verified
    signature = read_signature(built.folder)
    assert signature is not None
    assert signature.tensors[0].shape == (-1, 5, 3)


@pytest.mark.filterwarnings("ignore")
def test_a_keras_model(keep: Any, build: Any, notebook: dict[str, Any], tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    source = (
        "m = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4), "
        "keras.layers.Dense(1)])\nm.compile('adam', 'mse')\nm.fit(X, y, verbose=0)"
    )
    model, _, record = keep(source, keras=keras)
    assert record.flavor == "keras"
    built = build(record)
    assert built.format == "keras"
    assert "predictions of 5 rows are equal" in built.verified
    A = notebook["X"].to_numpy()
    found = predicted_elsewhere([("m", built.folder, "keras", A)], tmp_path)["m"]
    np.testing.assert_allclose(found, model.predict(A, verbose=0), rtol=1e-5, atol=1e-6)


def test_what_stays_json(keep: Any) -> None:
    """The record goes through the journal."""
    _, _, record = keep("m = Mean(1.0)\nm.fit(X, y)", "trust_pickle")
    wire: Mapping[str, Any] = json.loads(json.dumps(record.to_dict()))
    assert ModelRecord.from_dict(wire) == record
