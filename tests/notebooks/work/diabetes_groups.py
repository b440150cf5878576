# session: setup read young sexes table bmi merge@1 risk frame split ridge r2 r2b weights merge keep_best look
# expect: NB003 risk
# expect: NB003 frame
# expect: NB003 split
# expect: NB003 ridge
# expect: NB003 r2
# expect: NB003 r2b
# expect: NB003 weights
# expect: NB003 look
# expect: NB003 keep_best
# expect: NB006 keep_best
# keep: setup read merge risk frame split ridge

# %% [markdown] intro
# # Who gets worse, by weight and pressure?

# %% setup
%load_ext jupyter_mlops
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

# %% read
people = load_diabetes(as_frame=True, scaled=False).frame
people.head()

# %% young
people[people["age"] < 30]["target"].describe().round(0)

# %% sexes
people.groupby("sex")[["bmi", "bp", "target"]].mean().round(1)

# %% table
people.pivot_table(index=pd.cut(people["age"], 4), columns="sex", values="target", observed=True)

# %% [markdown] weight
# ## Weight and pressure

# %% bmi
people[["bmi", "bp", "target"]].corr().round(2)

# %% merge @ 1
limits = {"bmi": 30, "bp": 100}

# %% merge
limits = {"bmi": 27, "bp": 100}

# %% risk
risk = (people["bmi"] > limits["bmi"]).astype(int) + (people["bp"] > limits["bp"]).astype(int)
risk.value_counts()

# %% frame
X = people[["age", "s5"]].assign(risk=risk)
y = people["target"]
X.shape

# %% [markdown] ridge_text
# ## How much does it explain?

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)

# %% ridge
%%track --register groups
alpha = 1.0
ridge = Ridge(alpha=alpha).fit(X_train, y_train)
r2 = ridge.score(X_test, y_test)

# %% r2
print(f"r2 {r2:.3f}")

# %% r2b
results = {"two limits": r2}
results

# %% weights
pd.Series(ridge.coef_, index=X.columns).round(1)

# %% [markdown] best_text
# Keep what was best so far.

# %% keep_best
best = results
best["rounded"] = 0.3
best.pop("rounded")
best.setdefault("alpha", 1.0)

# %% keep_best @ clean
best = {**results, "alpha": 1.0}

# %% look
risk.groupby(risk).size()
