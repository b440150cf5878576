# session: setup paths load columns years prices_plot by_quality@1 by_quality target log
# session: premium_plot features split mean_guess tree score imp depths imp_plot worst@1 dead
# session: table baths
# expect: NB008 load
# expect: NB102 split
# expect: NB102 tree
# expect: NB102 depths
# expect: NB002 table
# expect: NB003 worst
# keep: setup paths load columns log features split tree

# %% [markdown] intro
# # Which houses sell above their neighbourhood?

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor

# %% paths
COLUMNS = ["Neighborhood", "Overall Qual", "Gr Liv Area", "Year Built", "Full Bath", "SalePrice"]

# %% load
houses = pd.read_csv("data/ames_housing.tsv", sep="\t", usecols=COLUMNS)

# %% load @ clean
houses = pd.read_csv("data/ames_housing.tsv", sep="\t", usecols=COLUMNS)
%snapshot houses -n ames-columns

# %% columns
houses.columns = [c.lower().replace(" ", "_") for c in houses.columns]

# %% columns @ clean
houses = houses.rename(columns=lambda c: c.lower().replace(" ", "_"))
houses.head()

# %% years
houses.groupby(houses["year_built"] // 10 * 10)["saleprice"].agg(["size", "median"])

# %% prices_plot
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(5, 3))
ax.scatter(houses["gr_liv_area"], houses["saleprice"], s=3)
plt.close(fig)

# %% by_quality @ 1
houses.groupby("overall_qual")["saleprice"].mean()

# %% by_quality
houses.groupby("overall_qual")["saleprice"].median().round(-3)

# %% [markdown] target_text
# ## The target: price against the median of the neighbourhood

# %% target
medians = houses.groupby("neighborhood")["saleprice"].median()
medians.sort_values().round(-3).tail()

# %% log
by_street = houses.groupby("neighborhood")["saleprice"]
houses["premium"] = houses["saleprice"] / by_street.transform("median")

# %% premium_plot
plt.hist(houses["premium"].clip(upper=3), bins=40)
plt.close()

# %% features
X = houses.drop(columns=["neighborhood", "saleprice"])
y = houses["premium"]

# %% features @ clean
X = houses.drop(columns=["neighborhood", "saleprice", "premium"])
y = houses["premium"]

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=11)

# %% mean_guess @ deleted
from sklearn.dummy import DummyRegressor

print(DummyRegressor().fit(X_train, y_train).score(X_test, y_test))

# %% [markdown] tree_text
# ## A tree that can be read

# %% tree
%%track --register premium
depth = 4
tree = DecisionTreeRegressor(max_depth=depth, random_state=0)
tree.fit(X_train, y_train)
r2 = tree.score(X_test, y_test)

# %% score
print(f"r2 {r2:.2f}")

# %% imp
importances = pd.Series(tree.feature_importances_, index=X.columns).sort_values()
importances

# %% depths
for d in (2, 6, 10):
    other = DecisionTreeRegressor(max_depth=d, random_state=0).fit(X_train, y_train)
    print(d, round(other.score(X_test, y_test), 3))

# %% imp_plot
importances.plot.barh()
plt.close()

# %% worst @ 1
errors = (y_test - tree.predict(X_test)).abs()
worst = errors.nlargest(3)

# %% worst
errors = (y_test - tree.predict(X_test)).abs()
worst = errors.nlargest(10)

# %% dead @ deleted
np.log(houses["saleprice"]).hist

# %% [markdown] table_text
# ## The houses that the tree gets wrong

# %% table
houses.loc[worst.index, ["neighborhood", "overall_qual", "saleprice"]]

# %% baths
houses["full_bath"].value_counts().sort_index()
