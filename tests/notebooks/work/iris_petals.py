# session: setup data plot corr widths longest species2 lookup ratio helper add split tree acc rules sure again
# expect: NB005 lookup
# expect: NB002 lookup
# expect: NB006 add
# keep: setup data helper add split tree

# %% [markdown] intro
# # Irises: how far do petals take us?

# %% setup
%load_ext jupyter_mlops
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.tree import DecisionTreeClassifier, export_text

# %% data
iris = load_iris(as_frame=True)
flowers = iris.frame
flowers.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
flowers.head(3)

# %% plot
flowers.plot.scatter("petal_length", "petal_width", c="species", colormap="viridis");

# %% corr
flowers.drop(columns="species").corr().round(2)

# %% widths
flowers.groupby("species").agg(["min", "max"]).T

# %% longest
flowers.nlargest(5, "petal_length")[["petal_length", "petal_width", "species"]]

# %% species2 @ deleted
names = dict(enumerate(iris.target_names))

# %% lookup
flowers["species"].map(names).value_counts()

# %% lookup @ clean
flowers["species"].map(dict(enumerate(iris.target_names))).value_counts()

# %% [markdown] ratios
# ## A better measure?
# The area of a petal, roughly.

# %% ratio
area = flowers["petal_length"] * flowers["petal_width"]
area.groupby(flowers["species"]).describe().round(2)

# %% helper
def with_area(frame):
    frame["petal_area"] = frame["petal_length"] * frame["petal_width"]
    return frame

# %% helper @ clean
def with_area(frame):
    return frame.assign(petal_area=frame["petal_length"] * frame["petal_width"])

# %% add
wide = with_area(flowers)
wide.shape

# %% split
X = wide.drop(columns="species")
y = wide["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

# %% [markdown] tree_text
# ## A tree of two questions

# %% tree
%%track --register iris
max_depth = 2
tree = DecisionTreeClassifier(max_depth=max_depth, random_state=0).fit(X_train, y_train)
accuracy = tree.score(X_test, y_test)

# %% acc
print(f"{accuracy:.1%}")

# %% rules
print(export_text(tree, feature_names=list(X.columns)))

# %% sure
pd.Series(tree.predict_proba(X_test).max(axis=1)).describe().round(2)

# %% again
shallow = DecisionTreeClassifier(max_depth=1, random_state=0)
cross_val_score(shallow, X, y, cv=5).mean()
