"""From a spooled model to a folder that MLflow, and our own loader, open."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.errors import MlopsError, UntrustedError
from jupyter_mlops.integrations import mlflow_models
from jupyter_mlops.integrations.mlflow_models import build_model
from jupyter_mlops.integrations.mlflow_signature import read_mlmodel, read_signature
from jupyter_mlops.model.events import ModelRecord
from jupyter_mlops.model.ports import BuiltModel
from jupyter_mlops.model.signature import Column, Signature, Tensor


def build(folder: Path, model: Any, example: Any = None) -> BuiltModel:
    data = pickle.dumps({"model": model, "example": example}, protocol=5)
    return build_model(ModelRecord("model", type(model).__name__), data, None, folder / "model")


def classifier(rows: Any, columns: list[str]) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier

    encode = make_column_transformer(
        (OneHotEncoder(), [c for c in columns if c == "town"]),
        ("drop", [c for c in columns if c == "when"]),
        remainder="passthrough",
    )
    return make_pipeline(encode, DecisionTreeClassifier()).fit(rows[columns], rows["late"])


def test_a_frame_gives_a_signature_without_a_warning(tmp_path: Path, rows: Any) -> None:
    built = build(tmp_path, classifier(rows, list(rows)), rows.head())
    assert built.warnings == ()
    assert built.class_name == "Pipeline"
    assert built.verified == "predictions of 5 rows are equal"
    signature = read_signature(built.folder)
    assert signature is not None
    assert signature.columns == (
        Column("amount", "double"),
        Column("count", "long"),
        Column("small", "integer"),
        Column("share", "float"),
        Column("late", "boolean"),
        Column("town", "string"),
        Column("when", "datetime"),
        Column("score", "double", required=bool(rows["score"].head().notna().all())),
    )
    assert signature.output_tensors == (Tensor(None, "bool", (-1,)),)
    data = read_mlmodel(built.folder)
    flavor = data["flavors"]["sklearn"]
    assert flavor["serialization_format"] == "skops"
    assert "sklearn.tree._tree.Tree" in flavor["skops_trusted_types"]
    assert data["saved_input_example_info"]["serving_input_path"]
    requirements = (built.folder / "requirements.txt").read_text()
    for name in ("mlflow", "scikit-learn", "skops", "numpy", "pandas"):
        assert f"{name}==" in requirements


def test_only_whole_numbers(tmp_path: Path, rows: Any) -> None:
    columns = ["count", "small"]
    built = build(tmp_path, classifier(rows, columns), rows[columns].head())
    assert built.warnings == ()
    assert read_signature(built.folder).columns == (  # type: ignore[union-attr]
        Column("count", "long"),
        Column("small", "integer"),
    )


def test_arrays_give_tensors(tmp_path: Path, rows: Any) -> None:
    from sklearn.linear_model import LinearRegression

    X = rows[["amount", "share"]].to_numpy()
    built = build(tmp_path, LinearRegression().fit(X, rows["count"]), X[:3])
    assert read_signature(built.folder) == Signature(
        tensors=(Tensor(None, "float64", (-1, 2)),),
        output_tensors=(Tensor(None, "float64", (-1,)),),
    )


def test_texts_have_no_signature_that_would_make_a_table_of_them(tmp_path: Path) -> None:
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = pd.Series(["good day", "bad day", "good food", "bad food"])
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    for example in (texts.head(2), list(texts[:2])):
        built = build(tmp_path / type(example).__name__, model, example)
        assert read_signature(built.folder) is None
        assert built.verified == "predictions of 2 rows are equal"
        assert built.warnings == ()


def test_a_sparse_example(tmp_path: Path, rows: Any) -> None:
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression

    X = scipy.sparse.csr_matrix(rows[["amount", "count"]].to_numpy())
    built = build(tmp_path, LogisticRegression().fit(X, rows["late"]), X[:3])
    assert built.verified == "predictions of 3 rows are equal"


def test_without_an_example_rows_are_made_up(tmp_path: Path, rows: Any) -> None:
    from sklearn.linear_model import LinearRegression

    built = build(tmp_path, LinearRegression().fit(rows[["amount"]], rows["count"]))
    assert built.verified == "predictions of 8 made-up rows are equal"
    assert read_signature(built.folder) is None


def test_an_example_that_does_not_fit_is_said(tmp_path: Path, rows: Any) -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(rows[["amount"]], rows["count"])
    built = build(tmp_path, model, rows[["town"]].head())
    assert "cannot score its own example" in built.warnings[0]
    assert built.verified.startswith("loads; ")


def test_a_transformer_is_kept_too(tmp_path: Path, rows: Any) -> None:
    from sklearn.preprocessing import StandardScaler

    built = build(tmp_path, StandardScaler().fit(rows[["amount"]]), rows[["amount"]].head())
    assert built.verified == "predictions of 5 rows are equal"
    assert "python_function" not in read_mlmodel(built.folder)["flavors"]


def test_plain_mlflow_loads_and_enforces_it(tmp_path: Path, rows: Any) -> None:
    import warnings

    built = build(tmp_path, classifier(rows, ["count", "town"]), rows[["count", "town"]].head())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        model = mlflow.pyfunc.load_model(str(built.folder))
        assert model.predict(rows[["count", "town"]]).shape == (40,)
        with pytest.raises(mlflow.exceptions.MlflowException):
            model.predict(rows[["count"]])


def test_foreign_code_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(UntrustedError):
        build(tmp_path, FunctionTransformer(Path.touch))
    assert not (tmp_path / "model").exists()


def test_a_copy_that_predicts_something_else_is_not_called_stored(
    tmp_path: Path, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LinearRegression

    X = rows[["amount"]]
    other = LinearRegression().fit(X, rows["share"])
    monkeypatch.setattr(mlflow_models.SkopsCodec, "load", lambda self, data: other)
    with pytest.raises(MlopsError, match="predicts something else"):
        build(tmp_path, LinearRegression().fit(X, rows["count"]), X.head())
    assert not (tmp_path / "model").exists()


def test_the_environment_is_left_as_it_was(
    tmp_path: Path, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from sklearn.linear_model import LinearRegression

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    before = dict(os.environ)
    build(tmp_path, LinearRegression().fit(rows[["amount"]], rows["count"]))
    assert dict(os.environ) == before
