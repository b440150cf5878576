from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from jupyter_mlops.capture.estimators import Found
from jupyter_mlops.capture.hyperparameters import hyperparameters
from jupyter_mlops.capture.model_kinds import flavor_of

X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0] * 5, "t": ["u", "v"] * 10})
Y = [0, 1] * 10


def of(model: Any) -> dict[str, Any]:
    flavor = flavor_of(model)
    assert flavor is not None
    found = hyperparameters([Found("m", model, True, False, flavor)])
    json.dumps(found, allow_nan=False)
    return found


def pipeline() -> Pipeline:
    prepare = ColumnTransformer([("num", StandardScaler(), ["a"]), ("cat", OneHotEncoder(), ["t"])])
    return Pipeline([("prepare", prepare), ("clf", LogisticRegression(C=0.5))])


def test_the_names_are_scikit_learns() -> None:
    model = pipeline().fit(X, Y)
    found = of(model)
    assert set(found) == set(model.get_params(deep=True))
    assert found["clf__C"] == 0.5
    assert found["prepare__num__with_mean"] is True
    assert found["clf"] == "LogisticRegression"
    assert found["steps"] == [["prepare", "ColumnTransformer"], ["clf", "LogisticRegression"]]
    assert found["prepare__cat__dtype"] == "numpy.float64"


def test_a_search_says_what_it_found_best() -> None:
    found = of(GridSearchCV(pipeline(), {"clf__C": [0.1, 1.0]}, cv=2).fit(X, Y))
    assert found["best_params.clf__C"] in (0.1, 1.0)
    assert found["param_grid"] == {"clf__C": [0.1, 1.0]}
    assert found["estimator__clf__max_iter"] == 100
    assert found["estimator"] == "Pipeline"


def test_several_models_are_told_apart_by_name() -> None:
    models = [Found("a", LogisticRegression(C=2.0), True), Found("b", StandardScaler(), False)]
    found = hyperparameters(models)
    assert found["a.C"] == 2.0
    assert found["b.with_std"] is True
    assert "C" not in found


def double(x: Any) -> Any:
    return x * 2


def test_what_is_not_plain_is_described() -> None:
    found = of(FunctionTransformer(double, kw_args={"a": np.arange(3), "b": np.zeros((50, 4))}))
    assert found["func"] == f"{__name__}.double"
    assert found["kw_args"] == {"a": [0, 1, 2], "b": "ndarray(50×4)"}
    weights = dict.fromkeys(range(100), 1.0)
    found = of(RandomForestClassifier(max_depth=np.int64(3), class_weight=weights,
                                      random_state=np.random.RandomState(0)))  # fmt: skip
    assert found["max_depth"] == 3
    assert type(found["max_depth"]) is int
    assert found["class_weight"] == "dict of 100"
    assert found["random_state"] == "RandomState"


def test_they_are_bounded_and_never_raise() -> None:
    class Odd:
        def __init__(self, values: dict[str, Any]) -> None:
            self.values = values

        def get_params(self) -> dict[str, Any]:
            return self.values

        def fit(self) -> None: ...
        def predict(self) -> None: ...

    found = of(Odd({f"p{i}": "x" * 2000 for i in range(500)}))
    assert len(found) == 200
    assert max(len(value) for value in found.values()) == 500
    found = of(Odd({"lock": threading.Lock(), "nan": float("nan"), "big": 10**40}))
    assert found == {"lock": "lock", "nan": "nan", "big": str(10**40)}

    class Rude(Odd):
        def get_params(self) -> dict[str, Any]:
            raise RuntimeError

    assert of(Rude({})) == {}
    loop: list[Any] = []
    loop.append(loop)
    assert of(Odd({"loop": loop}))["loop"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
def test_every_plain_value_becomes_bounded_json(value: Any) -> None:
    class Any_:
        def get_params(self) -> dict[str, Any]:
            return {"value": value}

        def fit(self) -> None: ...
        def predict(self) -> None: ...

    assert len(json.dumps(of(Any_()), ensure_ascii=False)) < 1200


def test_a_class_of_the_notebook_shows_what_it_was_given() -> None:
    class Mean:
        def __init__(self, shift: float, name: str = "x") -> None:
            self.shift, self.name, self.other = shift, name, 1

        def fit(self) -> None: ...
        def predict(self) -> None: ...

    assert of(Mean(2.0)) == {"shift": 2.0, "name": "x"}


def test_xgboost_and_lightgbm() -> None:
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    data = X[["a"]]
    found = of(xgboost.XGBClassifier(n_estimators=2, max_depth=3).fit(data, Y))
    assert found["max_depth"] == 3
    assert found["n_estimators"] == 2
    assert None not in found.values()
    found = of(xgboost.train({"max_depth": 4, "eta": 0.5}, xgboost.DMatrix(data, label=Y), 3))
    assert (found["max_depth"], found["eta"], found["num_boost_round"]) == (4, 0.5, 3)
    assert found["objective"] == "reg:squarederror"
    found = of(lightgbm.LGBMClassifier(num_leaves=7, verbose=-1).fit(data, Y))
    assert found["num_leaves"] == 7
    found = of(lightgbm.train({"verbose": -1, "eta": 0.5}, lightgbm.Dataset(data, label=Y), 3))
    assert (found["eta"], found["num_iterations"]) == (0.5, 3)


@pytest.mark.filterwarnings("ignore")
def test_statsmodels() -> None:
    pytest.importorskip("statsmodels")
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    data = X.assign(y=Y)
    found = of(smf.glm("y ~ a", data, family=sm.families.Poisson()).fit())
    assert found["formula"] == "y ~ a"
    assert (found["family"], found["link"], found["class"]) == ("Poisson", "Log", "GLM")
    assert found["cov_type"] == "nonrobust"


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    net[0].weight.requires_grad_(False)
    found = of(net)
    assert (found["parameters"], found["trainable_parameters"]) == (11, 5)
    assert found["layers"] == "Linear x 2, ReLU"


@pytest.mark.filterwarnings("ignore")  # Keras' own, about NumPy
def test_keras() -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.25), "mse")
    found = of(model)
    assert (found["parameters"], found["layers"], found["loss"]) == (8, "Dense", "mse")
    assert found["optimizer.learning_rate"] == 0.25
