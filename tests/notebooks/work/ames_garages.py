# session: setup plotting source read keep types counts notes hist_area fit_line cars cars2 sums
# session: fill by_year by_year@1 finish finish_plot price bins split mean_model knn tried
# session: tried_plot km@1 error error_km notes cars2 km scatter log_price log_score by_year
# session: quantiles hist_area
# expect: NB004 notes
# expect: NB006 notes
# expect: NB004 cars2
# expect: NB003 error_km
# keep: setup source read keep price split knn

# %% [markdown] intro
# # What is a garage worth?

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor

# %% plotting
import matplotlib.pyplot as plt

# %% source
SOURCE = "data/ames_housing.tsv"

# %% read
raw = pd.read_csv(SOURCE, sep="\t")
%snapshot raw -n ames
raw.filter(like="Garage").head()

# %% keep
garages = raw[["Garage Cars", "Garage Area", "Garage Type", "Gr Liv Area", "SalePrice"]].dropna()
findings = []
len(garages)

# %% keep @ clean
garages = raw[["Garage Cars", "Garage Area", "Garage Type", "Gr Liv Area", "SalePrice"]].dropna()
len(garages)

# %% types
garages["Garage Type"].value_counts()

# %% hist_area
fig, ax = plt.subplots(figsize=(5, 3))
ax.hist(garages["Garage Area"], bins=30)
ax.set_xlabel("square feet")
plt.close(fig)

# %% fit_line
slope, base = np.polyfit(garages["Garage Area"], garages["SalePrice"], 1)
print(f"{slope:.0f} dollars a square foot, from {base:.0f}")

# %% counts
garages.groupby("Garage Cars")["SalePrice"].agg(["size", "median"])

# %% notes
findings.append(("most are attached", (garages["Garage Type"] == "Attchd").mean()))
findings

# %% notes @ clean
findings = [("most are attached", (garages["Garage Type"] == "Attchd").mean())]
findings

# %% [markdown] cars_text
# ## By the number of cars

# %% cars
area = garages["Garage Area"]
area.describe().round(0)

# %% cars2
area = area * 0.0929  # square metres

# %% cars2 @ clean
metres = area * 0.0929  # square metres

# %% sums
print(garages["Garage Area"].sum() > 0)

# %% fill
share = (garages["Garage Area"] / garages["Gr Liv Area"]).round(2)
share.median()

# %% by_year @ 1
built = raw.groupby("Garage Yr Blt")["SalePrice"].median()
built.tail()

# %% by_year
built = raw[raw["Garage Yr Blt"] > 1950].groupby("Garage Yr Blt")["SalePrice"].median()
built.tail()

# %% finish @ deleted
finished = raw["Garage Finish"].fillna("none")
raw.groupby(finished)["SalePrice"].describe().round(-3)

# %% finish_plot @ deleted
fig, ax = plt.subplots()
raw.groupby(finished)["SalePrice"].median().plot.bar(ax=ax)
plt.close(fig)

# %% [markdown] knn_text
# ## Neighbours by size

# %% price
X = np.column_stack([garages["Garage Area"], garages["Gr Liv Area"], garages["Garage Cars"]])
y = garages["SalePrice"]

# %% bins
pd.cut(y, 4).value_counts()

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=9)

# %% mean_model
naive = np.abs(y_test - y_train.median()).mean()
print(f"the median alone is off by {naive:.0f}")

# %% knn
%%track --register garages
neighbours = 12
knn = KNeighborsRegressor(neighbours).fit(X_train, y_train)
r2 = knn.score(X_test, y_test)

# %% [markdown] tried_text
# ### Would another number of neighbours do better?

# %% tried
scores = {k: KNeighborsRegressor(k).fit(X_train, y_train).score(X_test, y_test) for k in (1, 5, 30)}
scores

# %% tried_plot
fig, ax = plt.subplots(figsize=(4, 3))
ax.plot(list(scores), list(scores.values()), marker="o")
plt.close(fig)

# %% km @ 1
unit = 1

# %% km
unit = 1000

# %% error
error = np.abs(knn.predict(X_test) - y_test).mean()

# %% error_km
print(f"{error / unit:.0f} thousand dollars")

# %% [markdown] more_text
# ## What is left to do

# %% scatter
fig, ax = plt.subplots()
ax.scatter(y_test, knn.predict(X_test), s=4)
ax.axline((0, 0), slope=1)
fig.savefig("garages.png")
plt.close(fig)

# %% log_price
log_price = np.log(y_train)
logged = KNeighborsRegressor(12).fit(X_train, log_price)

# %% log_score
print(f"on logarithms: {logged.score(X_test, np.log(y_test)):.3f}")

# %% quantiles
np.quantile(np.abs(knn.predict(X_test) - y_test), [0.5, 0.9, 0.99]).round(-2)
