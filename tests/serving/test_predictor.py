from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.pipeline

from jupyter_mlops.errors import CorruptError, NotFoundError, RunError, UntrustedError, UsageError
from jupyter_mlops.model.signature import Signature
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.serving.bundle import Bundle, open_pinned, pin_bundle, read_bundle
from jupyter_mlops.serving.predictor import Predictor, _encode

# As in the child: columns are matched by name before the model sees them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def load(folder: Path, rows: int = 1000) -> Predictor:
    return Predictor.load(read_bundle(folder), rows)


def score(predictor: Predictor, body: Any) -> Any:
    answer, rows = predictor.score_json(json.dumps(body).encode())
    predictions = json.loads(answer)["predictions"]
    assert len(predictions) == rows
    return predictions


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Any:
    return lambda name: Path(shutil.copytree(models / name, tmp_path / name))


# --- the model folder ---------------------------------------------------------------------------


def test_a_bundle(models: Path) -> None:
    bundle = read_bundle(models / "proba")
    assert bundle.method == "predict_proba"
    assert bundle.signature is not None
    assert bundle.signature.names == ("a", "b", "c", "d")
    assert [p.name for p in bundle.files] == [
        "MLmodel",
        "model.skops",
        "serving_input_example.json",
    ]


def test_formats_that_run_code_are_refused(models: Path, copy: Any, tmp_path: Path) -> None:
    with pytest.raises(UntrustedError, match="cloudpickle, which runs code on load"):
        read_bundle(models / "joblib")
    # A pickle under the other name is no skops file, and nothing in it is run.
    folder = copy("numeric")
    (folder / "model.skops").write_bytes(
        b"cposix\nsystem\n(S'touch " + str(tmp_path / "canary").encode() + b"'\ntR."
    )
    with pytest.raises(CorruptError):
        load(folder)
    assert not (tmp_path / "canary").exists()


def test_types_off_our_list_are_refused_whatever_the_model_says(copy: Any) -> None:
    folder = copy("numeric")
    text = (folder / "MLmodel").read_text()
    trusted = "skops_trusted_types:\n    - os.system"
    (folder / "MLmodel").write_text(text.replace("skops_trusted_types: null", trusted))
    with zipfile.ZipFile(folder / "model.skops") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files["schema.json"])
    schema["__class__"], schema["__module__"] = "system", "os"
    files["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(UntrustedError, match=r"os\.system"):
        load(folder)


@pytest.mark.parametrize("name", ["../array/model.skops", "/etc/passwd", "nothing.skops", "link"])
def test_files_outside_the_folder_are_not_read(copy: Any, name: str) -> None:
    copy("array")
    folder = copy("numeric")
    (folder / "link").symlink_to("/etc/passwd")
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("model.skops", name))
    with pytest.raises(CorruptError, match="not in the folder"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("  sklearn:", "  lightgbm:", UsageError, "no scikit-learn model"),
        ("predict_fn: predict", "predict_fn: __class__", UsageError, "cannot call '__class__'"),
        ('"type": "double"', '"type": "array"', UsageError, "nested"),
        ("serialization_format: skops", "serialization_format: null", UntrustedError, "None"),
        ("signature:", "signature: [", CorruptError, "YAML"),
    ],
)
def test_models_that_cannot_be_served(
    copy: Any, old: str, new: str, error: type[Exception], message: str
) -> None:
    folder = copy("numeric")
    text = (folder / "MLmodel").read_text()
    assert old in text
    (folder / "MLmodel").write_text(text.replace(old, new))
    with pytest.raises(error, match=message):
        read_bundle(folder)


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_bundle(tmp_path / "nothing")


def test_pinning(models: Path, tmp_path: Path) -> None:
    bundle = read_bundle(models / "numeric")
    name = pin_bundle(bundle, tmp_path / "models", 3)
    assert name.startswith("3-")
    assert pin_bundle(bundle, tmp_path / "models", 3) == name
    assert [p.name for p in (tmp_path / "models").iterdir()] == [name]
    pinned = open_pinned(tmp_path / "models" / name)
    assert pinned.signature == bundle.signature
    assert Predictor.load(pinned, 10).takes == "array"
    assert pin_bundle(read_bundle(models / "proba"), tmp_path / "models", 3) != name
    with pinned.model.open("r+b") as file:
        file.seek(100)
        file.write(b"\0")
    with pytest.raises(CorruptError, match="damaged"):
        open_pinned(pinned.folder)
    with pytest.raises(CorruptError, match="missing"):
        open_pinned(tmp_path / "models" / "4-0")


# --- what the model is given --------------------------------------------------------------------


def test_models_get_what_they_were_fitted_on(models: Path) -> None:
    assert load(models / "array").takes == "array"
    assert load(models / "mixed").takes == "frame"
    assert load(models / "bare").takes == "array"


def test_a_frame_is_left_out_only_where_that_is_proven(models: Path, copy: Any) -> None:
    assert load(models / "numeric").takes == "array"
    folder = copy("numeric")
    text = (folder / "MLmodel").read_text()
    start, end = text.index("saved_input_example_info:"), text.index("signature:")
    (folder / "MLmodel").write_text(text[:start] + text[end:])
    predictor = load(folder)  # nothing to prove it by
    assert predictor.takes == "frame"
    assert predictor.notes == (
        "stored without an input example: nothing was replayed before serving",
    )
    row = {"dataframe_split": {"columns": list("abcd"), "data": [[6.0, 3.0, 5.0, 2.0]]}}
    assert score(predictor, row) == score(load(models / "numeric"), row) == [2]


def test_a_pipeline_s_steps_are_called_one_by_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [load(models / name) for name in ("mixed", "proba")]

    def fail(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the pipeline itself was called")

    for method in ("predict", "predict_proba"):
        monkeypatch.setattr(sklearn.pipeline.Pipeline, method, fail)
    trip = {"distance": 9.0, "passengers": 1, "borough": "Queens", "night": True}
    assert score(quick[0], {"inputs": trip}) == ["yes"]
    row = score(quick[1], {"inputs": {"a": 5, "b": 3, "c": 2, "d": 1}})
    assert sum(row[0]) == pytest.approx(1)
    with pytest.raises(RunError, match="the pipeline itself was called"):
        load(models / "mixed")  # which is asked first


class OwnEstimator:
    """Reads a name, which no array has: not one of scikit-learn's."""

    feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)

    def fit(self) -> None: ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def predict(self, X: pd.DataFrame) -> Any:
        return X["a"].to_numpy() * 2


class OneModel:
    """A codec that has one model, whatever the file."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def load(self, data: bytes) -> Any:
        return self.model


def test_an_estimator_that_reads_names_gets_them(models: Path) -> None:
    with replaced_port("codec", lambda: OneModel(OwnEstimator())):
        predictor = load(models / "numeric")
    assert predictor.takes == "frame"
    row = {"instances": [{"a": 1.5, "b": 0, "c": 0, "d": 0}]}
    assert score(predictor, row) == [3.0]


def test_the_example_is_replayed(models: Path, copy: Any) -> None:
    folder = copy("numeric")
    request = {"dataframe_records": [{"a": 1.0}]}
    (folder / "serving_input_example.json").write_text(json.dumps(request))
    with pytest.raises(RunError, match="own input example: required columns missing: 'b', 'c'"):
        load(folder)
    (folder / "serving_input_example.json").write_text("{")
    with pytest.raises(CorruptError, match="not valid JSON"):
        load(folder)

    class Broken(OwnEstimator):
        def predict(self, X: Any) -> Any:
            raise AttributeError("lost in another version")

    with (
        replaced_port("codec", lambda: OneModel(Broken())),
        pytest.raises(RunError, match="lost in another version") as caught,
    ):
        load(models / "numeric")
    assert "scikit-learn" in str(caught.value.hint)


def test_a_model_without_a_signature(models: Path) -> None:
    predictor = load(models / "bare")
    assert isinstance(score(predictor, {"inputs": [[1, 2, 3, 4]]})[0], float)
    with pytest.raises(UsageError, match=r"the model takes \(any, 4\)"):
        score(predictor, {"inputs": [[1, 2, 3]]})
    bundle = Bundle(Path(), Path(), "predict", None, None, None)
    named = Predictor(OwnEstimator(), bundle, 10)
    assert score(named, {"inputs": {"a": 2, "b": 0, "c": 0, "d": 0}}) == [4]
    nameless = OwnEstimator()
    nameless.feature_names_in_ = None  # type: ignore[assignment]
    with pytest.raises(UsageError, match="without a signature"):
        Predictor(nameless, bundle, 10)


def test_a_server_imports_no_mlflow(models: Path) -> None:
    code = (
        "import sys, pathlib, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from jupyter_mlops.serving import child, bundle, predictor\n"
        "assert 'numpy' not in sys.modules\n"
        "model = bundle.read_bundle(pathlib.Path(sys.argv[1]))\n"
        "predictor.Predictor.load(model, 10).score_json(model.example_request())\n"
        "assert 'sklearn' in sys.modules and 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(models / "mixed")], check=True)


def test_another_scikit_learn_is_told(copy: Any) -> None:
    folder = copy("numeric")
    with zipfile.ZipFile(folder / "model.skops") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    version = sklearn.__version__.encode()
    assert version in files["schema.json"]
    files["schema.json"] = files["schema.json"].replace(version, b"1.2.3")
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    (note, *_) = load(folder).notes
    assert "from version 1.2.3 when using version" in note


def test_rows_have_a_limit(models: Path) -> None:
    predictor = load(models / "array", rows=2)
    assert len(score(predictor, {"inputs": [[1, 2, 3, 4]] * 2})) == 2
    with pytest.raises(UsageError) as caught:
        score(predictor, {"inputs": [[1, 2, 3, 4]] * 3})
    assert caught.value.fields["status"] == 413


def test_a_model_that_refuses_its_input(models: Path) -> None:
    predictor = load(models / "bare")
    with pytest.raises(UsageError, match="the model cannot score this input: Input X contains NaN"):
        score(predictor, {"inputs": [[1, 2, 3, None]]})


# --- what the model returns ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (np.array([1.5, np.nan, np.inf, -np.inf]), [1.5, None, None, None]),
        (np.array([[1.0], [np.nan]], dtype="float32"), [[1.0], [None]]),
        (np.array([1, 2]), [1, 2]),
        (np.array([True]), [True]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", None, np.nan, np.int64(3)], dtype=object), ["a", None, None, 3]),
        (np.array(["2026-01-02"], dtype="datetime64[D]"), ["2026-01-02"]),
        ([np.array([1]), np.float64("nan")], [[1], None]),
        (pd.Series([1, 2], name="y"), [{"y": 1}, {"y": 2}]),
        (pd.DataFrame({"y": [1.0, np.nan]}), [{"y": 1.0}, {"y": None}]),
        ({"a": (1, pd.Timestamp("2026-01-02"))}, {"a": [1, "2026-01-02T00:00:00"]}),
    ],
)
def test_predictions_are_json(result: Any, expected: Any) -> None:
    assert json.loads(_encode(result)) == {"predictions": expected}
    assert b"NaN" not in _encode(result)


def test_predictions_that_are_not_json() -> None:
    with pytest.raises(RunError, match="a complex, which is not JSON"):
        _encode([1j])


def test_the_signature_decides_over_the_estimator(models: Path) -> None:
    bundle = read_bundle(models / "array")
    assert isinstance(bundle.signature, Signature)
    predictor = Predictor(OwnEstimator(), bundle, 10)
    assert predictor.takes == "array"  # a tensor has no names to give
