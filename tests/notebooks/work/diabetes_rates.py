# session: setup data look ages hist corr_plot bmi_groups rate@1 folds alphas path linear
# session: linear_score model coef bars table drop_sex rate plot forest forest_score final
# session: pressure hist
# expect: NB003 folds
# expect: NB003 model
# expect: NB003 coef
# expect: NB003 table
# expect: NB103 final
# keep: setup data rate folds model
# expect: NB003 bars

# %% [markdown] intro
# # Progression of diabetes after a year

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso
from sklearn.model_selection import KFold, cross_val_score, train_test_split

# %% data
patients = load_diabetes(as_frame=True, scaled=False).frame
print(patients.shape)

# %% look
patients.describe().round(1)

# %% ages
patients.groupby(pd.cut(patients["age"], 5), observed=True)["target"].mean()

# %% hist
axes = patients[["bmi", "bp", "s5", "target"]].hist(bins=20, figsize=(6, 4))
axes.shape

# %% corr_plot
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
ax.imshow(patients.corr(), vmin=-1, vmax=1)
plt.close(fig)

# %% bmi_groups
patients.assign(heavy=patients["bmi"] > 30).groupby(["heavy", "sex"])["target"].agg(["size", "mean"])

# %% [markdown] strength
# ## How strong a penalty?

# %% rate @ 1
penalty = 0.1

# %% rate
penalty = 0.5

# %% folds
folds = KFold(5, shuffle=True, random_state=0)
X = patients.drop(columns="target")
y = patients["target"]
r2 = cross_val_score(Lasso(alpha=penalty), X, y, cv=folds)
r2.round(2)

# %% alphas
strengths = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]

# %% path
found = {a: cross_val_score(Lasso(alpha=a), X, y, cv=5).mean() for a in strengths}
pd.Series(found).round(3)

# %% linear @ deleted
from sklearn.linear_model import LinearRegression

plain = cross_val_score(LinearRegression(), X, y, cv=5)

# %% linear_score @ deleted
print("no penalty at all:", plain.mean().round(3))

# %% model
%%track --register progression
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=5)
lasso = Lasso(alpha=penalty).fit(X_train, y_train)
r2_test = lasso.score(X_test, y_test)

# %% coef
weights = pd.Series(lasso.coef_, index=X.columns)
weights.round(2)

# %% bars
fig, ax = plt.subplots(figsize=(5, 3))
ax.barh(weights.index, weights)
ax.axvline(0, color="black")
plt.close(fig)

# %% [markdown] left_out
# Which measurements does the penalty leave out?

# %% table
left_out = list(weights.index[weights == 0])
print(left_out)

# %% drop_sex
without = Lasso(alpha=0.3).fit(X_train.drop(columns="sex"), y_train)
print(without.score(X_test.drop(columns="sex"), y_test))

# %% plot
print(np.corrcoef(patients["bmi"], patients["target"])[0, 1].round(2))

# %% [markdown] trees
# ## Trees?

# %% forest
from sklearn.ensemble import RandomForestRegressor

forest = RandomForestRegressor(40, max_depth=4, random_state=0).fit(X_train, y_train)

# %% forest_score
print(f"a forest {forest.score(X_test, y_test):.3f}")

# %% [markdown] last
# ## The last word
# One number for the report.

# %% final
everything = Lasso(alpha=0.3).fit(X, y)
print(f"{everything.score(X_test, y_test):.3f}")

# %% final @ clean
everything = Lasso(alpha=0.3).fit(X_train, y_train)
print(f"{everything.score(X_test, y_test):.3f}")

# %% [markdown] notes
# Sex and the lipids need a second look.

# %% pressure
patients.groupby(pd.qcut(patients["bp"], 4), observed=True)["target"].mean().round(0)
