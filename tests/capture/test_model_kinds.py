"""What is a model, is it fitted, and when it was fitted again."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jupyter_mlops.capture.cellcode import read_cell
from jupyter_mlops.capture.estimators import Found, example, find_estimators, stamps
from jupyter_mlops.capture.model_kinds import flavor_of
from jupyter_mlops.capture.namespace import Namespace, bound_names

CLASSES = """
class Mean:
    def __init__(self, shift=0.0):
        self.shift = shift
        self.mean = None
    def fit(self, X, y):
        self.mean = float(np.mean(y)) + self.shift
        return self
    def predict(self, X):
        return np.full(len(X), self.mean)

class Fits:
    def fit(self, X):
        return self

class Rude:
    def __getattr__(self, name):
        raise RuntimeError(name)
    fit = predict = property(lambda self: 1 / 0)
"""
Cell = Callable[..., list[Found]]


@pytest.fixture
def cell() -> Cell:
    """Execute cells in one namespace; return what was found in the last."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(60, 3)), columns=list("abc"))
    space: dict[str, Any] = {
        "__name__": "__main__", "np": np, "X": X, "y": (X["a"] > 0).astype(int),
        "A": X.to_numpy(), "LogisticRegression": LogisticRegression,
        "StandardScaler": StandardScaler, "make_pipeline": make_pipeline,
    }  # fmt: skip
    exec(CLASSES, space)

    def run(*sources: str, **more: Any) -> list[Found]:
        space.update(more)
        found: tuple[Found, ...] = ()
        for source in sources:
            code = read_cell(source)
            before, marks = Namespace(space), stamps(list(space), space)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(source, space)
            space.pop("__builtins__", None)
            bound = bound_names(before, space, code, hidden={}, finished=True)
            found = find_estimators(space, bound, code, marks)
        run.space, run.code = space, code  # type: ignore[attr-defined]
        return list(found)

    return run


def names(found: list[Found]) -> list[tuple[str, str]]:
    return [(item.name, item.flavor) for item in found]


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        (["m = Mean().fit(X, y)"], ["m"]),
        (["m = Mean()\nm.fit(X, y)"], ["m"]),
        (["m = Mean()"], []),
        (["m = Mean()", "m.fit(X, y)"], ["m"]),
        (["m = Mean().fit(X, y)", "p = m.predict(X)"], []),
        (["m = Mean().fit(X, y)", "def go(e): e.shift = 2.5; e.fit(X, y)\ngo(m)"], ["m"]),
        (["def make():\n    m = Mean(); m.coef_ = 2; return m\nm = make()"], ["m"]),
        (["m = Fits().fit(X)"], []),
        (["m = Rude()"], []),
        (["M = Mean"], []),
        (["m = Mean().fit(X, y)\nm.inner = LogisticRegression().fit(X, y)\ninner = m.inner"],
         ["m"]),
    ],
)  # fmt: skip
def test_anything_with_fit_and_predict(cell: Cell, sources: list[str], wanted: list[str]) -> None:
    assert names(cell(*sources)) == [(name, "python") for name in wanted]


def test_a_pipeline_that_a_function_fits_again_is_found(cell: Cell) -> None:
    source = "p = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)"
    again = "def go(e):\n    e.fit(X.abs(), y)\ngo(p)"
    assert names(cell(source, again)) == [("p", "sklearn")]
    assert cell("p.predict(X)") == []


def test_xgboost(cell: Cell) -> None:
    xgboost = pytest.importorskip("xgboost")
    found = cell("m = xgboost.XGBClassifier(n_estimators=2).fit(X, y)\nb = m.get_booster()",
                 xgboost=xgboost)  # fmt: skip
    assert names(found) == [("m", "xgboost")]
    assert cell("p = m.predict(X)") == []
    found = cell("d = xgboost.DMatrix(X, label=y)\nb = xgboost.train({}, d, 2)")
    assert names(found) == [("b", "xgboost")]
    assert found[0].predictor
    _, rows = example(found[0], cell.space, cell.code, ["X"])  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(rows, cell.space["X"].head())  # type: ignore[attr-defined]
    assert names(cell("def more(e):\n    e.update(d, 2)\nmore(b)")) == [("b", "xgboost")]
    assert cell("q = b.predict(d)") == []


def test_lightgbm(cell: Cell) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    found = cell("m = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(A, y)",
                 lightgbm=lightgbm)  # fmt: skip
    assert names(found) == [("m", "lightgbm")]
    found = cell("b = lightgbm.train({'verbose': -1}, lightgbm.Dataset(A, label=y), 2)")
    assert names(found) == [("b", "lightgbm")]
    _, rows = example(found[0], cell.space, cell.code, ["A"])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(rows, cell.space["A"][:5])  # type: ignore[attr-defined]


def test_statsmodels(cell: Cell) -> None:
    pytest.importorskip("statsmodels")
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    found = cell("model = sm.OLS(y, sm.add_constant(X))\nr = model.fit()", sm=sm)
    assert names(found) == [("r", "statsmodels")]
    _, rows = example(found[0], cell.space, cell.code)  # type: ignore[attr-defined]
    assert list(rows.columns) == ["const", "a", "b", "c"]
    found = cell("r = smf.ols('y ~ a', X.assign(y=y)).fit()\ntable = r.summary()", smf=smf)
    assert names(found) == [("r", "statsmodels")]
    _, rows = example(found[0], cell.space, cell.code)  # type: ignore[attr-defined]
    assert list(rows.columns) == ["a", "b", "c", "y"]
    assert cell("p = r.predict(X)") == []


def test_torch(cell: Cell) -> None:
    torch = pytest.importorskip("torch")
    make = (
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.one = torch.nn.Linear(3, 4)\n        self.two = torch.nn.Linear(4, 1)\n"
        "    def forward(self, x): return self.two(self.one(x))\n"
        "net, T = Net(), torch.tensor(A, dtype=torch.float32)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)"
    )
    train = "for _ in range(2):\n    net(T).square().sum().backward()\n    optimizer.step()"
    assert cell(make, torch=torch) == []
    found = cell(train)
    assert names(found) == [("net", "pytorch")]
    _, rows = example(found[0], cell.space, cell.code)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(rows, cell.space["T"][:5].numpy())  # type: ignore[attr-defined]
    assert cell("with torch.no_grad(): p = net(T)") == []
    hidden = "def fit(e):\n    e(T).sum().backward(); optimizer.step()\nfit(net)"
    assert names(cell(hidden)) == [("net", "pytorch")]
    assert names(cell(make + "\n" + train + "\nfirst = net.one\nloss = torch.nn.MSELoss()")) == [
        ("net", "pytorch")
    ]
    fused = "o = torch.optim.Adam(net.parameters(), fused=True)"
    step = "o.zero_grad()\nnet(T).sum().backward()\no.step()"
    assert names(cell(fused, step)) == [("net", "pytorch")]
    assert names(cell(step)) == [("net", "pytorch")]


@pytest.mark.filterwarnings("ignore")  # Keras' own, about NumPy
def test_keras(cell: Cell) -> None:
    keras = pytest.importorskip("keras")
    make = (
        "m = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])\n"
        "m.compile('sgd', 'mse')"
    )
    assert cell(make, keras=keras) == []
    found = cell("h = m.fit(A, y, verbose=0)")
    assert names(found) == [("m", "keras")]
    name, rows = example(found[0], cell.space, cell.code)  # type: ignore[attr-defined]
    assert name == "A"
    assert rows.shape == (5, 3)
    assert cell("p = m.predict(A, verbose=0)") == []
    assert names(cell("def more(e):\n    e.fit(A, y, verbose=0)\nmore(m)")) == [("m", "keras")]


def test_classes_may_misbehave() -> None:
    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Raises(type):
        @property
        def __module__(cls) -> str:  # type: ignore[override]
            raise RuntimeError

    for meta in (Unhashable, Raises):
        model = meta("Odd", (), {"fit": print, "predict": print})()
        assert flavor_of(model) is None
        assert find_estimators({"m": model}, ["m"], None, {}) == ()
        assert stamps(["m"], {"m": model}) == {}


def test_the_flavor_is_that_of_the_library_itself() -> None:
    class BaseEstimator:
        def fit(self) -> None: ...

    BaseEstimator.__module__ = "sklearn.base"
    assert flavor_of(BaseEstimator()) is None
    assert flavor_of(LogisticRegression()) == "sklearn"
    assert flavor_of(LogisticRegression) is None
    assert [flavor_of(v) for v in (1, None, "x", [], {}, len, np, pd.DataFrame())] == [None] * 8


def test_marks_of_two_hundred_names_take_well_under_a_millisecond(cell: Cell) -> None:
    cell(
        "m = Mean().fit(X, y)\np = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)"
    )
    space = cell.space | {f"x{i}": v for i, v in enumerate([1, "a", [], {}, 2.0] * 38)}  # type: ignore[attr-defined]
    space |= {f"m{i}": LogisticRegression().fit(space["X"], space["y"]) for i in range(10)}
    assert len(space) > 200
    taken = []
    for _ in range(30):
        start = time.thread_time()
        stamps(list(space), space)
        taken.append(time.thread_time() - start)
    assert min(taken) < 0.5e-3
