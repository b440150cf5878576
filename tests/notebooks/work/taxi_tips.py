# session: setup load look fares hours tipped share drop features split@1 forest auc threshold split matrix
# expect: NB003 forest
# expect: NB003 auc
# expect: NB003 threshold
# expect: NB002 busy
# expect: NB005 busy
# session: hourly busy

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

# %% hours
by_hour = trips.groupby("trip_start_hour")["tips"].mean()
by_hour.round(2)

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

# %% [markdown] model
# ## Model
# Where the trip ended is often missing; a forest does not mind a number that says so.

# %% drop
numbers = trips.select_dtypes("number").fillna(-1)
numbers.shape

# %% features
X = numbers.drop(columns=["tips", "big_tip", "trip_start_timestamp"])
y = trips["big_tip"]

# %% split @ 1
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=1)

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=1)

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

# %% matrix
pd.crosstab(y_test, np.zeros(len(y_test)))
