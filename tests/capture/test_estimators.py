from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from jupyter_mlops.capture import model_requirements
from jupyter_mlops.capture.cellcode import read_cell
from jupyter_mlops.capture.estimators import Found, choose, example, find_estimators, stamps
from jupyter_mlops.capture.model_requirements import requirements
from jupyter_mlops.capture.namespace import Namespace, bound_names
from jupyter_mlops.capture.spool import left_out, spool
from jupyter_mlops.journal import BlobStore, verify
from jupyter_mlops.project import Project

IMPORTS = {
    c.__name__: c
    for c in (
        ColumnTransformer, FunctionTransformer, GradientBoostingClassifier, GridSearchCV,
        HashingVectorizer, KMeans, LogisticRegression, OneHotEncoder, RandomForestClassifier,
        StandardScaler, TfidfVectorizer,
    )
} | {"make_pipeline": make_pipeline, "np": np, "pd": pd}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    X, y = load_iris(return_X_y=True, as_frame=True)
    return {"X": X, "y": y, "A": X.to_numpy(), "df": X.assign(target=y)}


@pytest.fixture
def cell(data: dict[str, Any]) -> Callable[..., list[Found]]:
    """Execute cells in one namespace; return what was found in the last."""
    namespace: dict[str, Any] = {**IMPORTS, **data}

    def run(*sources: str) -> list[Found]:
        found: tuple[Found, ...] = ()
        for source in sources:
            code = read_cell(source)
            before, marks = Namespace(namespace), stamps(list(namespace), namespace)
            exec(source, namespace)
            namespace.pop("__builtins__", None)
            bound = bound_names(before, namespace, code, hidden={}, finished=True)
            found = find_estimators(namespace, bound, code, marks)
        run.namespace, run.code = namespace, code  # type: ignore[attr-defined]
        return list(found)

    return run


def names(found: list[Found]) -> list[str]:
    return [item.name for item in found]


@pytest.mark.parametrize(
    ("sources", "found", "chosen"),
    [
        (["m = LogisticRegression(max_iter=500).fit(X, y)"], ["m"], "m"),
        (["m = LogisticRegression(max_iter=500)\nm.fit(X, y)"], ["m"], "m"),
        (["m = LogisticRegression()"], [], None),
        (["m = LogisticRegression(max_iter=500)", "m.fit(X, y)"], ["m"], "m"),
        (["m = LogisticRegression(max_iter=500).fit(X, y)", "m.fit(X, y)"], ["m"], "m"),
        (["m = LogisticRegression(max_iter=500).fit(X, y)", "p = m.predict(X)"], [], None),
        (["m = LogisticRegression(max_iter=500).fit(X, y)",
          "def go(e): e.C = 1; e.fit(X, y)\ngo(m)"], ["m"], "m"),
        (["s = StandardScaler()\nZ = s.fit_transform(X)\nm = LogisticRegression().fit(Z, y)"],
         ["s", "m"], "m"),
        (["m = LogisticRegression(max_iter=500).fit(X, y)\ns = StandardScaler().fit(X)"],
         ["m", "s"], "m"),
        (["s = StandardScaler().fit(X)"], ["s"], "s"),
        (["s = StandardScaler()\nm = LogisticRegression()\np = make_pipeline(s, m).fit(X, y)"],
         ["p"], "p"),
        (["g = GridSearchCV(LogisticRegression(max_iter=500), {'C': [1, 2]}, cv=2).fit(X, y)\n"
          "best = g.best_estimator_"], ["g"], "g"),
        (["rf = RandomForestClassifier(5).fit(X, y)\ntree = rf.estimators_[0]"], ["rf"], "rf"),
        (["gb = GradientBoostingClassifier(n_estimators=2).fit(X, y)\nt = gb.estimators_[0, 0]"],
         ["gb"], "gb"),
        (["ct = ColumnTransformer([('s', StandardScaler(), list(X.columns))]).fit(X)\n"
          "inner = ct.named_transformers_['s']"], ["ct"], "ct"),
        (["a = LogisticRegression(max_iter=500).fit(X, y)\nb = a"], ["a"], "a"),
        (["for m in [KMeans(2, n_init=1), LogisticRegression(max_iter=500)]:\n    m.fit(X, y)"],
         ["m"], "m"),
        (["for m in [LogisticRegression(max_iter=500)]:\n    m.fit(X, y)\nlast = m"],
         ["last"], "last"),
        (["a = LogisticRegression(max_iter=500).fit(X, y)\n"
          "for m in [KMeans(2, n_init=1)]: m.fit(X)"], ["a", "m"], "a"),
        (["_m = LogisticRegression(max_iter=500).fit(X, y)"], [], None),
        (["v = HashingVectorizer()\nf = FunctionTransformer()"], [], None),
        (["v = HashingVectorizer(n_features=8)\nZ = v.fit_transform(['a b', 'c'])"], ["v"], "v"),
        (["Model = LogisticRegression"], [], None),
    ],
)  # fmt: skip
def test_which_estimators_a_cell_fitted(
    cell: Callable[..., list[Found]], sources: list[str], found: list[str], chosen: str | None
) -> None:
    result = cell(*sources)
    assert names(result) == found
    picked = choose(result)
    assert (picked.name if picked else None) == chosen


def test_looking_for_models_imports_no_library() -> None:
    code = (
        "import sys\n"
        "from jupyter_mlops.capture import estimators, hyperparameters, spool\n"
        "before = set(sys.modules)\n"
        "space = {'a': 1, 'b': [2], 'c': object(), 'd': sys}\n"
        "assert estimators.find_estimators(space, list(space), None, {}) == ()\n"
        "assert estimators.stamps(list(space), space) == {}\n"
        "assert set(sys.modules) == before\n"
        "libraries = {'sklearn', 'numpy', 'pandas', 'xgboost', 'lightgbm', 'statsmodels'}\n"
        "assert not libraries & before, libraries & before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_estimator_of_the_persons_own_may_misbehave() -> None:
    class Rude(BaseEstimator):
        def fit(self, X: object) -> Rude:
            self.done_ = True
            return self

        def __sklearn_is_fitted__(self) -> bool:
            raise RuntimeError("rude")

        @property
        def predict(self) -> object:
            raise ValueError("no")

    assert find_estimators({"m": Rude().fit(1)}, ["m"], None, {}) == ()


@pytest.mark.parametrize(
    ("source", "model", "name", "kind"),
    [
        ("m = LogisticRegression(max_iter=500).fit(X, y)", "m", "X", pd.DataFrame),
        ("m = LogisticRegression(max_iter=500)\nm.fit(X=X, y=y)", "m", "X", pd.DataFrame),
        ("m = LogisticRegression(max_iter=500).fit(A, y)", "m", "A", np.ndarray),
        ("m = LogisticRegression(max_iter=500).fit(df.drop(columns='target'), y)", "m", None,
         pd.DataFrame),
        ("c = list(X.columns)[:2]\nm = LogisticRegression(max_iter=500).fit(df[c], y)", "m", None,
         pd.DataFrame),
        ("m = LogisticRegression(max_iter=500).fit(A[:, :4], y)", "m", None, np.ndarray),
        ("Q = X\nm = LogisticRegression(max_iter=500).fit(Q, y)\nQ = X[list(X.columns)[:2]]", "m",
         None, pd.DataFrame),
        ("texts = ['aa bb', 'bb cc', 'cc dd'] * 5\n"
         "m = make_pipeline(TfidfVectorizer(), KMeans(2, n_init=1))\nm.fit(texts)", "m", "texts",
         list),
        ("texts = pd.Series(['aa bb', 'bb cc'] * 9)\nm = TfidfVectorizer().fit(texts)", "m",
         "texts", pd.Series),
        ("m = StandardScaler()\nm.fit(X)\nB = m.transform(X)", "m", "X", pd.DataFrame),
    ],
)  # fmt: skip
def test_the_example_is_the_head_of_what_was_fitted_on(
    cell: Callable[..., list[Found]], source: str, model: str, name: str | None, kind: type
) -> None:
    (found,) = cell(source)
    assert found.name == model
    namespace, code = cell.namespace, cell.code  # type: ignore[attr-defined]
    found_name, rows = example(found, namespace, code)
    assert found_name == name
    assert isinstance(rows, kind)
    assert len(rows) == 5
    if found.predictor:
        found.model.predict(rows)
    else:
        found.model.transform(rows)


def test_an_example_of_sparse_rows(cell: Callable[..., list[Found]]) -> None:
    (found,) = cell("from scipy.sparse import csr_matrix\nS = csr_matrix(A)\n"
                    "m = LogisticRegression(max_iter=500).fit(S, y)")  # fmt: skip
    name, rows = example(found, cell.namespace, cell.code)  # type: ignore[attr-defined]
    assert name == "S"
    assert isinstance(rows, csr_matrix)
    assert rows.shape == (5, 4)


def test_no_example_where_nothing_fits(cell: Callable[..., list[Found]]) -> None:
    (found,) = cell("m = KMeans(2, n_init=1).fit([[1.0] * 7, [2.0] * 7])")
    assert example(found, cell.namespace, cell.code) == (None, None)  # type: ignore[attr-defined]


def test_proxies_are_not_asked_for_columns(cell: Callable[..., list[Found]]) -> None:
    class Proxy:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"asked for {name}")

    (found,) = cell("m = LogisticRegression(max_iter=500).fit(df.drop(columns='target'), y)")
    namespace = {"proxy": Proxy(), **cell.namespace}  # type: ignore[attr-defined]
    assert example(found, namespace, None)[1] is not None


def test_the_example_holds_on_to_nothing_else(data: dict[str, Any]) -> None:
    big = pd.DataFrame({"a": np.arange(1e6), "s": [str(i) for i in range(1_000_000)]})
    model = StandardScaler().fit(big[["a"]])
    _, rows = example(Found("m", model, False), {"big": big}, None)
    assert len(pickle.dumps(rows, 5)) < 5_000


@pytest.fixture
def blobs(project: Project) -> BlobStore:
    return BlobStore(project.journal)


def test_a_spooled_model_is_signed_and_comes_back(blobs: BlobStore, data: dict[str, Any]) -> None:
    model = LogisticRegression(max_iter=500).fit(data["X"], data["y"])
    record = spool(Found("m", model, True), "X", data["X"].head(), blobs, 10**7)
    assert (record.name, record.class_name, record.format) == ("m", "LogisticRegression", "pickle5")
    assert record.example_name == "X"
    assert record.blob is not None
    spooled = blobs.get(record.blob)
    assert len(spooled) == record.size
    assert verify(spooled, record.signature)
    assert not verify(spooled + b"x", record.signature)
    loaded = pickle.loads(spooled)
    assert list(loaded["model"].predict(data["X"])) == list(model.predict(data["X"]))
    pd.testing.assert_frame_equal(loaded["example"], data["X"].head())


def test_a_record_says_what_the_model_needs_and_who_consented(
    blobs: BlobStore, data: dict[str, Any]
) -> None:
    model = LogisticRegression(max_iter=500).fit(data["X"], data["y"])
    found = Found("m", model, True, flavor="sklearn")
    record = spool(found, "X", data["X"].head(), blobs, 10**7, consent="trust_pickle")
    assert record.consent == "trust_pickle"
    assert spool(found, None, None, blobs, 10**7).consent is None
    wanted = [("numpy", np), ("pandas", pd), ("scikit-learn", sklearn)]
    assert record.requirements == tuple(f"{name}=={m.__version__}" for name, m in wanted)


def test_pins_are_what_an_index_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_requirements, "_pins", {})
    monkeypatch.setattr(
        model_requirements.metadata, "version", {"my.Net": "2.0+cpu", "pillow": "11.1"}.__getitem__
    )
    assert requirements(["my.Net", "PIL", "os", "nowhere", "__main__"]) == (
        "my-net==2.0", "pillow==11.1",
    )  # fmt: skip


def test_a_lambda_of_an_installed_package_goes_by_value(blobs: BlobStore) -> None:
    inner = eval("lambda x: x + 1", {"__name__": "sklearn.preprocessing"})
    record = spool(Found("m", FunctionTransformer(inner), False), None, None, blobs, 10**6)
    assert record.format == "cloudpickle"
    assert pickle.loads(blobs.get(str(record.blob)))["model"].transform(3) == 4


NOTEBOOK = """
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

class Mine(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = [0, 1]
        return self
    def predict(self, X):
        return [1 for _ in X]

def double(x):
    return x * 2
"""


@pytest.mark.parametrize(
    "expression",
    ["Mine().fit(0, 0)", "make_pipeline(FunctionTransformer(lambda x: x), Mine().fit(0, 0))",
     "FunctionTransformer(double)"],
)  # fmt: skip
def test_classes_and_functions_of_the_notebook_go_by_value(
    blobs: BlobStore, expression: str
) -> None:
    notebook: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, notebook)
    record = spool(Found("m", eval(expression, notebook), True), None, None, blobs, 10**6)
    assert record.format == "cloudpickle"
    assert record.blob is not None
    model = pickle.loads(blobs.get(record.blob))["model"]  # There is no such class in our __main__.
    if hasattr(model, "predict"):
        assert list(model.predict(np.zeros((2, 1)))) == [1, 1]
    else:
        assert model.transform(3) == 6


def test_a_model_that_is_too_large_is_named_with_the_reason(blobs: BlobStore) -> None:
    model = StandardScaler().fit(np.zeros((2, 100_000)))
    record = spool(Found("m", model, False), None, None, blobs, 10_000)
    assert record.blob is None
    assert "10,000 bytes" in (record.reason or "")
    assert list(blobs.folder.iterdir()) == []


def test_a_model_that_cannot_be_pickled_is_named_with_the_reason(blobs: BlobStore) -> None:
    model = StandardScaler().fit(np.zeros((2, 1)))
    model.lock_ = threading.Lock()
    record = spool(Found("m", model, False), None, None, blobs, 10**6)
    assert record.blob is None
    assert "cannot be pickled: TypeError" in (record.reason or "")


@pytest.mark.parametrize("rows", [[b"x" * 2**21], [threading.Lock()]], ids=["huge", "odd"])
def test_a_bad_example_does_not_cost_the_model(blobs: BlobStore, rows: Any) -> None:
    model = StandardScaler().fit(np.zeros((2, 1)))
    record = spool(Found("m", model, False), "X", rows, blobs, 10**7)
    assert record.blob is not None
    assert record.example_name is None
    assert pickle.loads(blobs.get(record.blob))["example"] is None


def test_a_model_left_out_has_only_its_name() -> None:
    class Tuned(LogisticRegression, ClassifierMixin):
        pass

    record = left_out(Found("m", Tuned(), True), "because")
    assert (record.name, record.class_name, record.blob) == ("m", "Tuned", None)
    assert record.reason == "because"
