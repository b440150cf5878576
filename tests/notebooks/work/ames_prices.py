# session: setup load shape missing prices hist peek area age clean clean fill model_cols split fit score
# session: resid quality score
# expect: NB004 clean
# expect: NB006 clean
# expect: NB101 fill

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

# %% peek @ deleted
df[df["SalePrice"] > 600_000][["Lot Area", "Gr Liv Area", "SalePrice"]]

# %% [markdown] features
# ## Features

# %% area
df["Total Area"] = df["Gr Liv Area"] + df["Total Bsmt SF"].fillna(0)
df[["Total Area", "SalePrice"]].corr()

# %% age
df["Age"] = df["Yr Sold"] - df["Year Built"]
df["Age"].agg(["min", "median", "max"])

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

# %% quality
residuals.groupby(df["Overall Qual"]).mean()
