# session: setup data names means hue hue_plot log log corr pairs corr_plot alias trim split
# session: forest forest_score knn scores scores more k_plot best table alcohol
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

# %% hue
wines.groupby("target")["hue"].describe().round(2)

# %% hue_plot
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4, 3))
for grower, group in wines.groupby("target"):
    ax.hist(group["hue"], alpha=0.5, label=str(grower))
ax.legend()
plt.close(fig)

# %% [markdown] skewed
# `proline` and `malic_acid` are skewed.

# %% log
wines["proline"] = np.log(wines["proline"])

# %% log @ clean
wines["log_proline"] = np.log(wines["proline"])

# %% corr
wines.corr(numeric_only=True)["target"].abs().sort_values().tail(5)

# %% pairs @ deleted
strongest = wines.corr()["flavanoids"].drop("flavanoids").abs().idxmax()
wines[["flavanoids", strongest]].corr()

# %% corr_plot
plt.matshow(wines.corr())
plt.close()

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

# %% forest
from sklearn.ensemble import RandomForestClassifier

forest = RandomForestClassifier(20, random_state=0).fit(X_train, y_train)

# %% forest_score
print(f"a forest {forest.score(X_test, y_test):.1%}")

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

# %% k_plot
fig, ax = plt.subplots()
ax.plot(accuracies, marker="o")
plt.close(fig)

# %% best
%%track --register growers
neighbours = 5
best = make_pipeline(StandardScaler(), KNeighborsClassifier(neighbours))
best.fit(X_train, y_train)
accuracy = best.score(X_test, y_test)

# %% table
pd.crosstab(y_test, best.predict(X_test))

# %% alcohol
wines.groupby("target")["alcohol"].agg(["min", "max"])
