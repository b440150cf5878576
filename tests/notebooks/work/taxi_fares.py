# session: setup load shape dirty clip speed hours by_company flags payments columns seed@1 split boost
# session: seed split mae shape2
# expect: NB003 boost
# expect: NB003 mae
# expect: NB001 payments
# clean: intro setup load shape dirty clip speed explore hours by_company flags payments model columns seed split boost mae shape2

# %% [markdown] intro
# # What does a ride cost?

# %% setup
%load_ext jupyter_mlops
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

# %% load
rides = pd.read_csv("data/chicago_taxi_eval.csv")
%snapshot rides -n taxi-eval
len(rides)

# %% shape
rides.isna().sum().loc[lambda s: s > 0]

# %% dirty
rides[rides["fare"] <= 0].shape

# %% clip
paid = rides[(rides["fare"] > 2) & (rides["fare"] < 100) & (rides["trip_miles"] > 0)]
len(paid) / len(rides)

# %% speed
per_mile = paid["fare"] / paid["trip_miles"]
per_mile.describe().round(2)

# %% [markdown] explore
# ## When and with whom

# %% hours
paid.groupby("trip_start_hour")["fare"].median()

# %% by_company
paid["company"].value_counts().head(5)

# %% payments
paid.loc[night]["payment_type"].value_counts(normalize=True).round(2)

# %% flags
night = paid["trip_start_hour"].isin([22, 23, 0, 1, 2, 3])
print(f"{night.mean():.0%} at night")

# %% [markdown] model
# ## A model of the fare

# %% columns
COLUMNS = ["trip_miles", "trip_start_hour", "trip_start_month", "trip_seconds"]
X = paid[COLUMNS]
y = paid["fare"]

# %% seed @ 1
seed = 1

# %% seed
seed = 42

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed)

# %% boost
%%track --register fares
learning_rate = 0.1
boost = HistGradientBoostingRegressor(learning_rate=learning_rate, max_iter=40, random_state=0)
boost.fit(X_train, y_train)
error = mean_absolute_error(y_test, boost.predict(X_test))

# %% mae
print(f"off by {error:.2f} dollars")

# %% shape2
X_train.shape, X_test.shape
