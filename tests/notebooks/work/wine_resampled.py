# session: setup data rare colours classes drop up split logit recall table imputed chosen cross report
# expect: NB103 up
# expect: NB101 chosen
# keep: setup data drop up split logit

# %% [markdown] intro
# # The rare grower
# Few wines are of the third grower; do we find them?

# %% setup
%load_ext jupyter_mlops
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample

# %% data
wines = load_wine(as_frame=True).frame
wines["target"].value_counts()

# %% rare
wines[wines["target"] == 2].describe().round(1).T.head()

# %% colours
wines.groupby("target")[["hue", "color_intensity"]].agg(["mean", "std"]).round(2)

# %% classes
names = {0: "first", 1: "second", 2: "third"}
wines["target"].map(names).value_counts(normalize=True).round(2)

# %% drop
X = wines.drop(columns="target")
y = wines["target"]

# %% [markdown] balance
# ## Make them as many as the others

# %% up
X, y = resample(X, y, n_samples=300, random_state=0, stratify=y)
y.value_counts()

# %% up @ clean
y.value_counts()

# %% split
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=4)

# %% split @ clean
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=4)
X_more, y_more = resample(X_train, y_train, n_samples=300, random_state=0, stratify=y_train)

# %% logit
%%track --register rare-grower
strength = 1.0
logit = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=400))
logit.fit(X_train, y_train)
accuracy = logit.score(X_test, y_test)

# %% logit @ clean
%%track --register rare-grower
strength = 1.0
logit = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=400))
logit.fit(X_more, y_more)
accuracy = logit.score(X_test, y_test)

# %% recall
recall_score(y_test, logit.predict(X_test), average=None)

# %% table
pd.crosstab(y_test, logit.predict(X_test))

# %% [markdown] fewer
# ## Do five measurements do?

# %% imputed
whole = load_wine(as_frame=True).frame
features, grower = whole.drop(columns="target"), whole["target"]

# %% chosen
best_five = SelectKBest(f_classif, k=5).fit_transform(features, grower)

# %% chosen @ clean
five = make_pipeline(SelectKBest(f_classif, k=5), LogisticRegression(max_iter=2000))

# %% cross
cross_val_score(LogisticRegression(max_iter=2000), best_five, grower, cv=4).round(3)

# %% cross @ clean
cross_val_score(five, features, grower, cv=4).round(3)

# %% report
print(f"right in {accuracy:.1%}")
