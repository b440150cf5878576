# session: setup plot_setup load shape missing prices hist hist_plot peek zoning area area_plot
# session: age sold neigh clean clean fill model_cols split alphas cv fit score resid resid_plot
# session: quality score importance tree_dead tree_score worst zoning lot
# expect: NB004 clean
# expect: NB006 clean
# expect: NB101 fill
# keep: setup load area age clean clean fill model_cols split fit

# %% [markdown] intro
# # What is a house in Ames worth?
# First look at the assessor's data, then a linear model of the price.

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

# %% plot_setup
import matplotlib.pyplot as plt

plt.rcParams["figure.figsize"] = (5, 3)

# %% load
df = pd.read_csv("data/ames_housing.tsv", sep="\t")
%snapshot df -n ames
df.head()

# %% shape
print(df.shape)
df.dtypes.value_counts()

# %% [markdown] quality_of_data
# ## Missing values
# `Pool QC`, `Alley` and `Fence` are missing where there is none.

# %% missing
gaps = df.isna().mean().sort_values(ascending=False)
gaps[gaps > 0.1]

# %% prices
df["SalePrice"].describe()

# %% hist
np.histogram(df["SalePrice"], bins=10)

# %% hist_plot
plt.hist(df["SalePrice"], bins=40)
plt.title("sale prices")
plt.close()

# %% zoning
df["MS Zoning"].value_counts(dropna=False)

# %% peek @ deleted
df[df["SalePrice"] > 600_000][["Lot Area", "Gr Liv Area", "SalePrice"]]

# %% [markdown] features
# ## Features

# %% area
df["Total Area"] = df["Gr Liv Area"] + df["Total Bsmt SF"].fillna(0)
df[["Total Area", "SalePrice"]].corr()

# %% area_plot
fig, (left, right) = plt.subplots(1, 2)
left.scatter(df["Total Area"], df["SalePrice"], s=2)
right.boxplot([df.loc[df["Overall Qual"] == q, "SalePrice"] for q in (4, 5, 6, 7, 8)])
plt.close(fig)

# %% age
df["Age"] = df["Yr Sold"] - df["Year Built"]
df["Age"].agg(["min", "median", "max"])

# %% sold
by_month = df.groupby(["Yr Sold", "Mo Sold"])["SalePrice"].median().unstack()
by_month.round(-3)

# %% neigh @ deleted
streets = df.groupby("Neighborhood").agg(n=("SalePrice", "size"), price=("SalePrice", "median"))
streets.sort_values("price").tail()

# %% clean
# in thousands, easier to read
df["SalePrice"] = df["SalePrice"] / 1000

# %% clean @ clean
df["Price k"] = df["SalePrice"] / 1000

# %% fill
frontage = df["Lot Frontage"].fillna(df["Lot Frontage"].median())

# %% fill @ clean
frontage = df["Lot Frontage"].fillna(0)

# %% model_cols
FEATURES = ["Total Area", "Overall Qual", "Age", "Garage Cars"]
X = df[FEATURES].fillna(0).assign(frontage=frontage)
y = df["SalePrice"]

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=7)

# %% alphas
strengths = np.logspace(-2, 4, 13)

# %% cv
from sklearn.model_selection import cross_val_score

mean_scores = [cross_val_score(Ridge(alpha=a), X_train, y_train, cv=4).mean() for a in strengths]
print(strengths[int(np.argmax(mean_scores))])

# %% [markdown] the_model
# ## The model

# %% fit
%%track --register ames-price
alpha = 1.0
model = Ridge(alpha=alpha).fit(X_train, y_train)
mae = mean_absolute_error(y_test, model.predict(X_test))

# %% score
print(f"mean absolute error {mae:.1f}")

# %% resid
residuals = y_test - model.predict(X_test)
residuals.describe()

# %% resid_plot
fig, ax = plt.subplots()
ax.hist(residuals, bins=50)
plt.close(fig)

# %% quality
residuals.groupby(df["Overall Qual"]).mean()

# %% [markdown] ideas
# ## Other ideas

# %% importance
pd.Series(model.coef_, index=X.columns).sort_values()

# %% tree_dead
from sklearn.tree import DecisionTreeRegressor

tree = DecisionTreeRegressor(max_depth=6, random_state=0).fit(X_train, y_train)

# %% tree_score
print("a tree", mean_absolute_error(y_test, tree.predict(X_test)))

# %% worst
far = residuals.abs().nlargest(8).index
df.loc[far, ["Neighborhood", "Overall Qual", "Total Area", "Sale Condition"]]

# %% lot
lots = df["Lot Area"].clip(upper=40_000)
np.corrcoef(lots, df["Total Area"]).round(2)
