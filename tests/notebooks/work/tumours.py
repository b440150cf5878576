# session: setup data look missing groups skewed dead both_radii scaled split model report curve weights wrong size
# expect: NB101 scaled
# expect: NB007 model
# expect: NB001 report
# clean: intro setup data look missing groups skewed both_radii md1 scaled split curve weights model md2 report md3 size wrong
# keep: setup data scaled split model

# %% [markdown] intro
# # Benign or malignant?
# Thirty measurements of cell nuclei (Wisconsin, 1995).

# %% setup
%load_ext jupyter_mlops
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# %% data
bunch = load_breast_cancer(as_frame=True)
cells = bunch.frame
cells.shape

# %% look
cells.describe().T.head(10)

# %% missing
cells.isna().sum().sum()

# %% groups
cells.groupby("target")[["mean area", "mean texture"]].mean()

# %% skewed
cells.drop(columns="target").skew().sort_values(ascending=False).head(8).round(1)

# %% dead @ deleted
small = cells[cells["mean area"] < 400].copy()
small["ratio"] = small["mean area"] / small["mean radius"]
small["ratio"].mean()

# %% both_radii
pd.crosstab(cells["mean radius"] > 15, cells["target"], normalize="index").round(2)

# %% [markdown] md1
# ## Scaling and splitting

# %% scaled
X = cells.drop(columns="target")
y = cells["target"]
X = pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns)

# %% scaled @ clean
X = cells.drop(columns="target")
y = cells["target"]

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=3)
print(len(X_train), len(X_test))

# %% [markdown] md2
# ## Results

# %% report
print(f"right in {accuracy:.1%} of the cases, sure in {sure:.1%}")

# %% model
%%track --register tumours
depth = 2
model = GradientBoostingClassifier(max_depth=depth, n_estimators=30, subsample=0.8)
model.fit(X_train, y_train)
accuracy = model.score(X_test, y_test)
sure = float((model.predict_proba(X_test).max(axis=1) > 0.9).mean())

# %% model @ clean
%%track --register tumours
depth = 2
model = GradientBoostingClassifier(max_depth=depth, n_estimators=30, subsample=0.8, random_state=0)
model.fit(X_train, y_train)
accuracy = model.score(X_test, y_test)
sure = float((model.predict_proba(X_test).max(axis=1) > 0.9).mean())

# %% curve
base = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
base.fit(X_train, y_train)
print(f"a plain model: {base.score(X_test, y_test):.1%}")

# %% weights
pd.Series(base[-1].coef_[0], index=X_train.columns).sort_values().head(5).round(2)

# %% [markdown] md3
# ## What to do next
# Look at the cases in which both models are wrong.

# %% size
print(X_test["mean area"].describe().round(0))

# %% wrong
both = (base.predict(X_test) != y_test) & (model.predict(X_test) != y_test)
X_test[both].iloc[:, :4]
