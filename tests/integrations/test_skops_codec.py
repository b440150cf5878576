"""Our own list decides what a model file may hold; everything else is refused unopened."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.errors import CorruptError, MlopsError, UntrustedError
from jupyter_mlops.integrations.skops_codec import SkopsCodec, is_allowed
from jupyter_mlops.model.events import ModelRecord

CODEC = SkopsCodec()


def estimators() -> dict[str, Any]:
    import numpy as np
    from sklearn import ensemble, linear_model, neighbors, svm, tree
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler

    logistic = linear_model.LogisticRegression(max_iter=500)
    return {
        "logistic": logistic,
        "forest": ensemble.RandomForestClassifier(3, random_state=0),
        "hist boosting": ensemble.HistGradientBoostingClassifier(max_iter=3),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=3),
        "tree": tree.DecisionTreeClassifier(random_state=0),
        "neighbours": neighbors.KNeighborsClassifier(algorithm="kd_tree"),
        "grid": GridSearchCV(logistic, {"C": [0.1, 1.0]}, cv=StratifiedKFold(2), scoring="f1"),
        "numpy function": make_pipeline(FunctionTransformer(np.log1p), logistic),
        "svm": svm.SVC(),
        "network": MLPClassifier((3,), max_iter=400, tol=1e-2, random_state=0),
        "calibrated": CalibratedClassifierCV(svm.LinearSVC(), cv=2),
        "voting": ensemble.VotingClassifier(
            [("a", logistic), ("b", tree.DecisionTreeClassifier())]
        ),
        "splines": make_pipeline(SplineTransformer(), logistic),
        "selected": make_pipeline(SelectKBest(f_classif, k=2), logistic),
        "columns": make_pipeline(
            make_column_transformer((StandardScaler(), make_column_selector())), logistic
        ),
        "isolation": ensemble.IsolationForest(n_estimators=3, random_state=0),
    }


NAMES = (
    "logistic", "forest", "hist boosting", "boosting", "tree", "neighbours", "grid",
    "numpy function", "svm", "network", "calibrated", "voting", "splines", "selected", "columns",
    "isolation",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_first_party_models_come_back_equal(name: str) -> None:
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(1)
    X = pd.DataFrame(random.random((60, 4)), columns=list("abcd"))
    y = (X["a"] + X["b"] > 1).astype(int)
    model = estimators()[name].fit(X, y)
    loaded = CODEC.load(CODEC.dump(model))
    assert type(loaded) is type(model)
    assert np.array_equal(loaded.predict(X), model.predict(X))


def own_function(x: Any) -> Any:
    return x


def test_a_function_of_ones_own_is_refused_by_name() -> None:
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(UntrustedError, match=r"own_function.*could run any code") as caught:
        CODEC.dump(FunctionTransformer(own_function))
    assert caught.value.fields["types"] == [f"{__name__}.own_function"]
    assert caught.value.hint


def test_a_local_class_is_refused() -> None:
    from sklearn.base import BaseEstimator

    class Mine(BaseEstimator):  # type: ignore[misc]
        pass

    with pytest.raises(UntrustedError):
        CODEC.dump(Mine())


@pytest.mark.parametrize(
    "name",
    [
        "sklearn.tree._tree.Tree",
        "sklearn.metrics._classification.f1_score",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "scipy.stats._distn_infrastructure.rv_continuous_frozen",
        "scipy.interpolate._bsplines.BSpline",
        "numpy.dtype",
        "numpy.mean",
        "numpy.log1p",
        "functools.partial",
    ],
)
def test_what_estimators_are_made_of_is_allowed(name: str) -> None:
    assert is_allowed(name)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "posix.system",
        "joblib.load",
        "cloudpickle.loads",
        "numpy.load",
        "numpy.save",
        "numpy.memmap",
        "numpy.testing.runstring",
        "numpy.f2py.compile",
        "numpy.lib._datasource.DataSource",
        "scipy.io.loadmat",
        "scipy.io._netcdf.netcdf_file",
        "sklearn.datasets._openml.fetch_openml",
        "sklearn.externals.array_api_compat.numpy.asarray",
        "sklearn.utils._testing.SkipTest",
        "sklearn.metrics.pairwise.attrgetter",  # somebody else's, only imported there
        "sklearn.metrics._scorer.partial",
        "sklearn.base.BaseEstimator.fit",  # a method
        "sklearn.metrics._classification.__builtins__",
        "sklearn",
        "sklearn.",
        "sklearn..x",
        "",
    ],
)
def test_what_reads_writes_or_runs_is_not(name: str) -> None:
    assert not is_allowed(name)


class Canary:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("canary"),)


@pytest.mark.parametrize("form", ["pickle", "joblib", "text", "empty"])
def test_other_formats_are_refused_unopened(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import joblib

    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    if form == "pickle":
        pickle.dump(Canary(), buffer)
    elif form == "joblib":
        joblib.dump(Canary(), buffer)
    elif form == "text":
        buffer.write(b"{}")
    with pytest.raises(CorruptError):
        CODEC.load(buffer.getvalue())
    assert not Path("canary").exists()


def crafted(schema: Any, files: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", schema if isinstance(schema, str) else json.dumps(schema))
        for name, data in (files or {}).items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_crafted_file_cannot_name_a_foreign_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import skops.io

    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(len))) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema |= {"__module__": "posix", "__class__": "system", "trusted": ["posix.system"]}
    with pytest.raises(UntrustedError, match=r"posix\.system"):
        CODEC.load(crafted(schema))


@pytest.mark.parametrize("schema", ["[" * 100_000, "[]", "{}", "null", '{"protocol": 2}'])
def test_a_broken_schema_is_damage(schema: str) -> None:
    with pytest.raises(CorruptError):
        CODEC.load(crafted(schema))


def test_a_file_that_unpacks_to_far_more_is_refused() -> None:
    bomb = crafted({}, {"x.npy": bytes(80 * 1024 * 1024)})
    assert len(bomb) < 200_000
    with pytest.raises(CorruptError, match="unpacks to"):
        CODEC.load(bomb)


def test_a_spooled_pickle_gives_model_and_example() -> None:
    data = pickle.dumps({"model": [1], "example": [2]})
    assert CODEC.load_record(ModelRecord("m", "list"), data) == ([1], [2])


@pytest.mark.parametrize(
    ("record", "data", "kind"),
    [
        (ModelRecord("m", "x"), b"no pickle", MlopsError),
        (ModelRecord("m", "x"), pickle.dumps([]), CorruptError),
        (ModelRecord("m", "x", format="onnx"), b"", CorruptError),
        (ModelRecord("m", "x", format="skops"), b"", CorruptError),
    ],
    ids=["bytes", "no model", "format", "skops"],
)
def test_a_spooled_model_that_cannot_be_read(
    record: ModelRecord, data: bytes, kind: type[MlopsError]
) -> None:
    with pytest.raises(kind):
        CODEC.load_record(record, data)


def test_the_examples_of_pipelines() -> None:
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    model = CODEC.dump(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    parquet, npy = io.BytesIO(), io.BytesIO()
    frame.to_parquet(parquet)
    np.save(npy, frame.to_numpy())
    for form, data in (("parquet", parquet.getvalue()), ("npy", npy.getvalue())):
        record = ModelRecord("m", "LinearRegression", format="skops", example_format=form)
        _, example = CODEC.load_record(record, model, data)
        assert example.shape == (2, 1)
        with pytest.raises(CorruptError):
            CODEC.load_record(record, model, data[:20])
    objects = io.BytesIO()
    np.save(objects, np.array([Canary()], dtype=object), allow_pickle=True)
    with pytest.raises(CorruptError):
        CODEC.load_record(record, model, objects.getvalue())


def test_boosters_are_allowed_exactly() -> None:
    pytest.importorskip("xgboost")
    pytest.importorskip("lightgbm")
    assert is_allowed("xgboost.sklearn.XGBClassifier")
    assert is_allowed("lightgbm.basic.Booster")
    for name in (
        "xgboost.core.DMatrix",
        "xgboost.sklearn.XGBModel",
        "xgboost.callback.TrainingCallback",
        "xgboost.train",
        "xgboost.tracker.RabitTracker",
        "lightgbm.basic.Dataset",
        "lightgbm.train",
        "lightgbm.dask.DaskLGBMClassifier",
        "lightgbm.sklearn._EvalFunctionWrapper",
    ):
        assert not is_allowed(name)
