# session: setup data look ages rate@1 folds model coef table rate plot final
# expect: NB003 folds
# expect: NB003 model
# expect: NB003 coef
# expect: NB003 table
# expect: NB103 final

# %% [markdown] intro
# # Progression of diabetes after a year

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso
from sklearn.model_selection import KFold, cross_val_score, train_test_split

# %% data
patients = load_diabetes(as_frame=True, scaled=False).frame
print(patients.shape)

# %% look
patients.describe().round(1)

# %% ages
patients.groupby(pd.cut(patients["age"], 5), observed=True)["target"].mean()

# %% [markdown] strength
# ## How strong a penalty?

# %% rate @ 1
penalty = 0.1

# %% rate
penalty = 0.5

# %% folds
folds = KFold(5, shuffle=True, random_state=0)
X = patients.drop(columns="target")
y = patients["target"]
r2 = cross_val_score(Lasso(alpha=penalty), X, y, cv=folds)
r2.round(2)

# %% model
%%track --register progression
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=5)
lasso = Lasso(alpha=penalty).fit(X_train, y_train)
r2_test = lasso.score(X_test, y_test)

# %% coef
weights = pd.Series(lasso.coef_, index=X.columns)
weights.round(2)

# %% [markdown] left_out
# Which measurements does the penalty leave out?

# %% table
left_out = list(weights.index[weights == 0])
print(left_out)

# %% plot
print(np.corrcoef(patients["bmi"], patients["target"])[0, 1].round(2))

# %% [markdown] last
# ## The last word
# One number for the report.

# %% final
everything = Lasso(alpha=0.3).fit(X, y)
print(f"{everything.score(X_test, y_test):.3f}")

# %% final @ clean
everything = Lasso(alpha=0.3).fit(X_train, y_train)
print(f"{everything.score(X_test, y_test):.3f}")

# %% [markdown] notes
# Sex and the lipids need a second look.
