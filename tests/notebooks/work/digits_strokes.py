# session: setup data show counts ink invert mean_image flat noise split svm look_wrong conf dead pca
# session: invert mean_image
# expect: NB003 flat
# expect: NB003 svm
# expect: NB003 look_wrong
# expect: NB003 conf
# expect: NB003 split
# expect: NB003 pca
# expect: NB004 invert
# expect: NB007 noise

# %% [markdown] intro
# # Handwritten digits
# 1,797 pictures of eight by eight points (UCI, 1998).

# %% setup
%load_ext jupyter_mlops
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

# %% data
digits = load_digits()
pictures = digits.images.copy()
labels = digits.target
pictures.shape

# %% show
print("\n".join(" ".join(f"{int(v):2d}" for v in row) for row in digits.images[0]))

# %% counts
pd.Series(labels).value_counts().sort_index()

# %% [markdown] ink_text
# ## How much ink does a digit take?

# %% ink
ink = pd.Series(digits.images.sum(axis=(1, 2))).groupby(labels).mean()
ink.round(0)

# %% invert
pictures *= -1
pictures += 16

# %% invert @ clean
inverted = 16 - pictures

# %% mean_image
pictures.mean(axis=0).round(1)

# %% mean_image @ clean
inverted.mean(axis=0).round(1)

# %% flat
flat = pictures.reshape(len(pictures), -1)

# %% flat @ clean
flat = inverted.reshape(len(inverted), -1)

# %% [markdown] noise_text
# ## Does it stand some noise?

# %% noise
shaken = digits.data + np.random.normal(0, 1, digits.data.shape)
np.abs(shaken - digits.data).mean()

# %% noise @ clean
shaken = digits.data + np.random.default_rng(0).normal(0, 1, digits.data.shape)
np.abs(shaken - digits.data).mean()

# %% split
X_train, X_test, y_train, y_test = train_test_split(flat, labels, random_state=2)

# %% svm
%%track --register digits
C = 3.0
svm = SVC(C=C).fit(X_train, y_train)
accuracy = svm.score(X_test, y_test)

# %% look_wrong
guesses = svm.predict(X_test)
wrong = np.flatnonzero(guesses != y_test)
print(len(wrong), "wrong")

# %% conf
pd.crosstab(y_test, guesses)

# %% dead @ deleted
np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)[:5]

# %% [markdown] pca_text
# ## Two directions are not enough

# %% pca
PCA(10, random_state=0).fit(flat).explained_variance_ratio_.cumsum().round(2)
