# session: setup data names means log log corr alias trim split knn scores scores more best
# expect: NB004 log
# expect: NB006 log
# expect: NB006 trim
# expect: NB004 scores
# expect: NB006 scores
# keep: setup data log log alias trim split best

# %% [markdown] intro
# # Three growers, one valley
# Chemical analysis of 178 wines; which grower made which?

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# %% data
wines = load_wine(as_frame=True).frame
wines.head()

# %% names
list(wines.columns)

# %% means
wines.groupby("target").mean().round(1).T

# %% [markdown] skewed
# `proline` and `malic_acid` are skewed.

# %% log
wines["proline"] = np.log(wines["proline"])

# %% log @ clean
wines["log_proline"] = np.log(wines["proline"])

# %% corr
wines.corr(numeric_only=True)["target"].abs().sort_values().tail(5)

# %% [markdown] outliers
# A few wines are far out in `malic_acid`; look at the others only.

# %% alias
usual = wines

# %% alias @ clean
usual = wines.copy()

# %% trim
usual.drop(usual.index[usual["malic_acid"] > 5], inplace=True)
print(len(usual), "of", len(wines))

# %% trim @ clean
kept = usual[usual["malic_acid"] <= 5]
print(len(kept), "of", len(wines))

# %% split
X = wines.drop(columns="target")
y = wines["target"]
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %% [markdown] neighbours
# ## How many neighbours?

# %% knn
tried = {}
accuracies = []

# %% knn @ clean
tried = {}

# %% scores
for k in (1, 3, 5, 9):
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(k)).fit(X_train, y_train)
    accuracies.append(model.score(X_test, y_test))
accuracies

# %% scores @ clean
accuracies = []
for k in (1, 3, 5, 9):
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(k)).fit(X_train, y_train)
    accuracies.append(model.score(X_test, y_test))
accuracies

# %% more
print(max(accuracies), np.mean(accuracies))

# %% best
%%track --register growers
neighbours = 5
best = make_pipeline(StandardScaler(), KNeighborsClassifier(neighbours))
best.fit(X_train, y_train)
accuracy = best.score(X_test, y_test)
