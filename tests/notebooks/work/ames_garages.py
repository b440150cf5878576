# session: setup read keep types counts notes cars cars2 sums fill price bins split knn km@1 error error_km
# session: notes cars2
# expect: NB004 notes
# expect: NB006 notes
# expect: NB004 cars2
# expect: NB003 error_km
# session: km

# %% [markdown] intro
# # What is a garage worth?

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor

# %% read
raw = pd.read_csv("data/ames_housing.tsv", sep="\t")
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

# %% [markdown] knn_text
# ## Neighbours by size

# %% price
X = np.column_stack([garages["Garage Area"], garages["Gr Liv Area"], garages["Garage Cars"]])
y = garages["SalePrice"]

# %% bins
pd.cut(y, 4).value_counts()

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=9)

# %% knn
%%track --register garages
neighbours = 12
knn = KNeighborsRegressor(neighbours).fit(X_train, y_train)
r2 = knn.score(X_test, y_test)

# %% km @ 1
unit = 1

# %% km
unit = 1000

# %% error
error = np.abs(knn.predict(X_test) - y_test).mean()

# %% error_km
print(f"{error / unit:.0f} thousand dollars")
