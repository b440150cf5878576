# session: setup load look fares fare_plot hours hour_bars miles tipped share day_night pay drop
# session: corr features split@1 base base_auc forest auc threshold roc split matrix importance
# session: tree tree_auc hourly busy companies share fare_plot where
# expect: NB003 forest
# expect: NB003 auc
# expect: NB003 threshold
# expect: NB002 busy
# expect: NB005 busy
# keep: setup load tipped drop features split forest
# expect: NB003 roc
# expect: NB003 importance

# %% [markdown] intro
# # Who tips more than a fifth?
# Trips of Chicago taxis, sampled. The target is a tip of more than 20% of the fare.

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

# %% load
trips = pd.read_csv("data/chicago_taxi_train.csv")
%snapshot trips
trips.sample(3)

# %% look
trips.describe().T[["mean", "50%", "max"]]

# %% [markdown] explore
# ## A look around

# %% fares
trips["fare"].clip(upper=60).value_counts(bins=6)

# %% fare_plot
import matplotlib.pyplot as plt

trips["fare"].clip(upper=60).plot.hist(bins=30)
plt.close()

# %% hours
by_hour = trips.groupby("trip_start_hour")["tips"].mean()
by_hour.round(2)

# %% hour_bars
fig, ax = plt.subplots(figsize=(6, 2))
ax.bar(by_hour.index, by_hour)
plt.close(fig)

# %% miles @ deleted
by_miles = trips.groupby(pd.cut(trips["trip_miles"], [0, 1, 3, 10, 100]), observed=True)
by_miles["tips"].mean().round(2)

# %% hourly @ deleted
rush = by_hour[by_hour > by_hour.mean()]

# %% busy
print("hours with good tips:", list(rush.index))

# %% busy @ clean
print("hours with good tips:", list(by_hour[by_hour > by_hour.mean()].index))

# %% tipped
trips["big_tip"] = (trips["tips"] > trips["fare"] * 0.2).astype(int)

# %% share
print(f"{trips['big_tip'].mean():.1%} of the trips")

# %% day_night
trips.groupby(trips["trip_start_hour"].between(6, 18))["big_tip"].mean()

# %% pay
trips.groupby("payment_type")["big_tip"].agg(["size", "mean"]).round(2)

# %% [markdown] model
# ## Model
# Where the trip ended is often missing; a forest does not mind a number that says so.

# %% drop
numbers = trips.select_dtypes("number").fillna(-1)
numbers.shape

# %% corr
numbers.corr()["big_tip"].round(2)

# %% features
X = numbers.drop(columns=["tips", "big_tip", "trip_start_timestamp"])
y = trips["big_tip"]

# %% split @ 1
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=1)

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=1)

# %% base @ deleted
from sklearn.linear_model import LogisticRegression

plain = LogisticRegression(max_iter=200).fit(X_train[["fare", "trip_miles"]], y_train)

# %% base_auc @ deleted
print(roc_auc_score(y_test, plain.predict_proba(X_test[["fare", "trip_miles"]])[:, 1]))

# %% forest
%%track --register big-tips
n_trees = 12
forest = RandomForestClassifier(n_estimators=n_trees, max_depth=6, random_state=0)
forest.fit(X_train, y_train)
auc = roc_auc_score(y_test, forest.predict_proba(X_test)[:, 1])

# %% auc
print(f"area under the curve {auc:.3f}")

# %% threshold
chances = forest.predict_proba(X_test)[:, 1]
flagged = chances > 0.5
print(flagged.mean())

# %% roc
from sklearn.metrics import roc_curve

wrong, right, _ = roc_curve(y_test, chances)
plt.plot(wrong, right)
plt.close()

# %% matrix
pd.crosstab(y_test, np.zeros(len(y_test)))

# %% [markdown] why_text
# ## What does it go by?

# %% importance
pd.Series(forest.feature_importances_, index=X.columns).nlargest(5).round(3)

# %% tree
from sklearn.tree import DecisionTreeClassifier

tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X_train, y_train)

# %% tree_auc
print(roc_auc_score(y_test, tree.predict_proba(X_test)[:, 1]))

# %% companies
trips["company"].fillna("none").value_counts().head()

# %% where
trips.groupby("pickup_community_area")["tips"].mean().nlargest(5)
