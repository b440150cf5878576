"""Models of many kinds as a notebook fits them, and what they predict in another process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

__all__ = [
    "ESTIMATORS",
    "NOTEBOOK",
    "OTHERS",
    "PROBES",
    "STORED",
    "libraries",
    "needed",
    "predicted_elsewhere",
    "there",
]

NOTEBOOK = """
import numpy as np, pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

class Scale(TransformerMixin, BaseEstimator):
    def __init__(self, by=2.0):
        self.by = by
    def fit(self, X, y=None):
        self.mean_ = np.asarray(X).mean(axis=0)
        return self
    def transform(self, X):
        return (np.asarray(X) - self.mean_) * self.by

class Mean:
    "Neither scikit-learn's nor anybody's: it has fit and predict."
    def __init__(self, shift):
        self.shift = shift
        self.mean = None
    def fit(self, X, y):
        self.mean = float(np.mean(y)) + self.shift
        return self
    def predict(self, X):
        return np.full(len(X), self.mean)

def log_all(X):
    return np.log1p(np.abs(np.asarray(X)))
"""
# What a notebook's cell says to fit it; each is `m`.
ESTIMATORS = {
    "LogisticRegression": "m = linear_model.LogisticRegression(max_iter=500).fit(X, y)",
    "LinearRegression": "m = linear_model.LinearRegression().fit(X, y)",
    "SVC": "m = svm.SVC(probability=False).fit(X, y)",
    "RandomForest": "m = ensemble.RandomForestClassifier(10, random_state=0).fit(X, y)",
    "HistGradientBoosting": "m = ensemble.HistGradientBoostingClassifier(max_iter=5).fit(X, y)",
    "GradientBoosting": "m = ensemble.GradientBoostingClassifier(n_estimators=5).fit(X, y)",
    "DecisionTree": "m = tree.DecisionTreeRegressor(max_depth=4).fit(X, y)",
    "KNN": "m = neighbors.KNeighborsClassifier(3).fit(X, y)",
    "GridSearchCV": "m = model_selection.GridSearchCV(\n"
    "    linear_model.LogisticRegression(max_iter=500), {'C': [0.1, 1.0]}, cv=2\n).fit(X, y)",
    "FunctionTransformer": "m = preprocessing.FunctionTransformer(log_all).fit(X)",
    "NotebookTransformer": "m = Scale(3.0).fit(X)",
}
BY_CONSENT = {"FunctionTransformer", "NotebookTransformer"}
OTHERS = {
    "ColumnTransformer": "m = pipeline.make_pipeline(compose.ColumnTransformer([\n"
    "    ('num', preprocessing.StandardScaler(), ['a', 'b']),\n"
    "    ('cat', preprocessing.OneHotEncoder(handle_unknown='ignore'), ['town'])]),\n"
    "    linear_model.LogisticRegression()).fit(F, y)",
    "UserPipeline": "m = pipeline.make_pipeline(preprocessing.FunctionTransformer(log_all),\n"
    "    linear_model.LogisticRegression()).fit(X, y)",
    "XGBClassifier": "m = xgboost.XGBClassifier(n_estimators=4).fit(X, y)",
    "XGBBooster": "m = xgboost.train({'max_depth': 2}, xgboost.DMatrix(X, label=y), 4)",
    "XGBPipeline": "m = pipeline.make_pipeline(preprocessing.StandardScaler(),\n"
    "    xgboost.XGBRegressor(n_estimators=4)).fit(X, y)",
    "LGBMClassifier": "m = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(X, y)",
    "LGBMBooster": "m = lightgbm.train({'verbose': -1}, lightgbm.Dataset(X, label=y), 4)",
    "LGBMPipeline": "m = pipeline.make_pipeline(\n"
    "    preprocessing.StandardScaler().set_output(transform='pandas'),\n"
    "    lightgbm.LGBMRegressor(n_estimators=4, verbose=-1)).fit(X, y)",
    "OLS": "m = sm.OLS(y, sm.add_constant(X)).fit()",
    "Formula": "m = smf.glm('y ~ a + np.log(abs(b) + 1) + C(town)', F.assign(y=y)).fit()",
    "ARIMA": "m = ARIMA(F['a'].to_numpy(), order=(1, 0, 0)).fit()",
    "Mean": "m = Mean(1.0)\nm.fit(X, y)",
}
# name -> (flavor, format)
STORED = {
    "ColumnTransformer": ("sklearn", "skops"),
    "UserPipeline": ("sklearn", "pickle"),
    "XGBClassifier": ("xgboost", "ubj"),
    "XGBBooster": ("xgboost", "ubj"),
    "XGBPipeline": ("sklearn", "skops"),
    "LGBMClassifier": ("lightgbm", "skops"),
    "LGBMBooster": ("lightgbm", "text"),
    "LGBMPipeline": ("sklearn", "skops"),
    "OLS": ("statsmodels", "pickle"),
    "Formula": ("statsmodels", "pickle"),
    "ARIMA": ("statsmodels", "pickle"),
    "Mean": ("python", "pickle"),
} | {name: ("sklearn", "pickle" if name in BY_CONSENT else "skops") for name in ESTIMATORS}
NEEDS = {"XGB": "xgboost", "LGBM": "lightgbm", "OLS": "statsmodels", "Formula": "statsmodels",
         "ARIMA": "statsmodels"}  # fmt: skip
# What they are asked about in the other process, where it is not `X`.
PROBES: dict[str, Any] = {"ColumnTransformer": "F", "Formula": "F", "ARIMA": None, "OLS": None}

LOAD = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from pathlib import Path
from jupyter_mlops.registry.load import load_folder
from jupyter_mlops.integrations.model_predictions import predict
for line in sys.stdin:
    folder, flavor, rows, answer = line.split()
    model = load_folder(Path(folder))
    np.save(answer, np.asarray(predict(model, flavor, pickle.loads(Path(rows).read_bytes()))))
"""


def there(library: str) -> bool:
    try:
        import_module(library)
    except (ImportError, OSError):  # OSError: LightGBM without the system's OpenMP
        return False
    return True


def needed(name: str) -> list[str]:
    return [library for start, library in NEEDS.items() if name.startswith(start)]


def libraries(name: str) -> dict[str, Any]:
    """The library behind a model, imported; skips where it is not installed."""
    for start, library in NEEDS.items():
        if name.startswith(start):
            found = {library: pytest.importorskip(library)}
            if library == "statsmodels":
                import statsmodels.api as sm
                import statsmodels.formula.api as smf
                from statsmodels.tsa.arima.model import ARIMA

                found |= {"sm": sm, "smf": smf, "ARIMA": ARIMA}
            return found
    return {}


def predicted_elsewhere(
    questions: list[tuple[str, Path, str, Any]], folder: Path
) -> dict[str, Any]:
    """What stored models predict in a process that only has their folders and the rows."""
    lines = []
    for name, place, flavor, rows in questions:
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(rows, 5))
        lines.append(f"{place} {flavor} {folder / name}.pkl {folder / name}.npy")
    command = [sys.executable, "-P", "-c", LOAD]
    done = subprocess.run(
        command, cwd=folder, input="\n".join(lines), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {name: np.load(folder / f"{name}.npy") for name, *_ in questions}
