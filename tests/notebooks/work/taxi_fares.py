# session: setup source load shape dirty clip speed plots fare_hist hours hour_plot by_company
# session: flags payments weekday tips@1 tips columns seed@1 split boost seed split linear
# session: linear_mae mae rough rough_plot shape2 long_rides by_month airport fare_hist
# expect: NB003 boost
# expect: NB003 mae
# expect: NB001 payments
# clean: intro setup source load shape dirty clip speed plots fare_hist explore hours hour_plot by_company flags weekday tips payments model columns seed split boost mae rough rough_plot shape2 rest long_rides by_month airport
# keep: setup source load clip columns seed split boost

# %% [markdown] intro
# # What does a ride cost?

# %% setup
%load_ext jupyter_mlops
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

# %% source
EXPORT = "data/chicago_taxi_eval.csv"

# %% load
rides = pd.read_csv(EXPORT)
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

# %% plots
import matplotlib.pyplot as plt

plt.style.use("ggplot")

# %% fare_hist
paid["fare"].plot.hist(bins=40)
plt.close()

# %% [markdown] explore
# ## When and with whom

# %% hours
paid.groupby("trip_start_hour")["fare"].median()

# %% hour_plot
fig, ax = plt.subplots(figsize=(6, 2))
ax.plot(paid.groupby("trip_start_hour")["trip_miles"].mean())
plt.close(fig)

# %% by_company
paid["company"].value_counts().head(5)

# %% payments
paid.loc[night]["payment_type"].value_counts(normalize=True).round(2)

# %% flags
night = paid["trip_start_hour"].isin([22, 23, 0, 1, 2, 3])
print(f"{night.mean():.0%} at night")

# %% weekday
paid.pivot_table(index="trip_start_day", columns="payment_type", values="fare").round(1)

# %% tips @ 1
generous = paid["tips"] > 5
print(generous.mean())

# %% tips
generous = paid["tips"] / paid["fare"] > 0.25
print(generous.mean())

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

# %% linear @ deleted
from sklearn.linear_model import LinearRegression

line = LinearRegression().fit(X_train.fillna(0), y_train)

# %% linear_mae @ deleted
print(mean_absolute_error(y_test, line.predict(X_test.fillna(0))))

# %% boost
%%track --register fares
learning_rate = 0.1
boost = HistGradientBoostingRegressor(learning_rate=learning_rate, max_iter=40, random_state=0)
boost.fit(X_train, y_train)
error = mean_absolute_error(y_test, boost.predict(X_test))

# %% mae
print(f"off by {error:.2f} dollars")

# %% rough
rough = 3.25 + 2.25 * paid["trip_miles"]
print(f"the tariff alone: {mean_absolute_error(paid['fare'], rough):.2f}")

# %% rough_plot
plt.scatter(paid["fare"], rough, s=2)
plt.close()

# %% shape2
X_train.shape, X_test.shape

# %% [markdown] rest
# ## Left over

# %% long_rides
paid.nlargest(5, "trip_miles")[["trip_miles", "fare", "trip_seconds"]]

# %% by_month
paid.groupby("trip_start_month").agg(rides=("fare", "size"), fare=("fare", "median"))

# %% airport
far_out = paid["dropoff_community_area"].isin([56, 76])
paid.groupby(far_out)["fare"].median()
