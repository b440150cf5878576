# session: setup data show counts draw draw@1 ink ink_plot invert mean_image mean_plot flat linear
# session: linear_score noise noise_plot split pixels svm look_wrong conf dead wrong_plot pca
# session: pca_plot nearest nearest_score odd invert mean_image mean_plot draw
# expect: NB003 flat
# expect: NB003 svm
# expect: NB003 look_wrong
# expect: NB003 conf
# expect: NB003 split
# expect: NB003 pca
# expect: NB004 invert
# expect: NB007 noise
# keep: setup data invert flat split svm
# expect: NB003 wrong_plot
# expect: NB003 pixels

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

# %% draw @ 1
import matplotlib.pyplot as plt

plt.matshow(digits.images[1])
plt.close()

# %% draw
import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 5)
for ax, image in zip(axes.flat, digits.images):
    ax.imshow(image, cmap="gray_r")
    ax.axis("off")
plt.close(fig)

# %% counts
pd.Series(labels).value_counts().sort_index()

# %% [markdown] ink_text
# ## How much ink does a digit take?

# %% ink
ink = pd.Series(digits.images.sum(axis=(1, 2))).groupby(labels).mean()
ink.round(0)

# %% ink_plot
ink.plot.bar()
plt.close()

# %% invert
pictures *= -1
pictures += 16

# %% invert @ clean
inverted = 16 - pictures

# %% mean_image
pictures.mean(axis=0).round(1)

# %% mean_image @ clean
inverted.mean(axis=0).round(1)

# %% mean_plot
plt.imshow(pictures.mean(axis=0))
plt.close()

# %% mean_plot @ clean
plt.imshow(inverted.mean(axis=0))
plt.close()

# %% flat
flat = pictures.reshape(len(pictures), -1)

# %% flat @ clean
flat = inverted.reshape(len(inverted), -1)

# %% linear @ deleted
from sklearn.linear_model import SGDClassifier

quick = SGDClassifier(random_state=0).fit(flat[:1000], labels[:1000])

# %% linear_score @ deleted
print(quick.score(flat[1000:], labels[1000:]))

# %% [markdown] noise_text
# ## Does it stand some noise?

# %% noise
shaken = digits.data + np.random.normal(0, 1, digits.data.shape)
np.abs(shaken - digits.data).mean()

# %% noise @ clean
shaken = digits.data + np.random.default_rng(0).normal(0, 1, digits.data.shape)
np.abs(shaken - digits.data).mean()

# %% noise_plot
fig, ax = plt.subplots()
ax.imshow(shaken[0].reshape(8, 8))
plt.close(fig)

# %% split
X_train, X_test, y_train, y_test = train_test_split(flat, labels, random_state=2)

# %% pixels
used = (X_train.std(axis=0) > 0).sum()
print(used, "points differ between pictures")

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

# %% wrong_plot
fig, axes = plt.subplots(1, 3)
for ax, i in zip(axes, wrong):
    ax.imshow(X_test[i].reshape(8, 8))
    ax.set_title(f"{y_test[i]} read as {guesses[i]}")
plt.close(fig)

# %% dead @ deleted
np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)[:5]

# %% [markdown] pca_text
# ## Two directions are not enough

# %% pca
PCA(10, random_state=0).fit(flat).explained_variance_ratio_.cumsum().round(2)

# %% pca_plot
two = PCA(2, random_state=0).fit_transform(digits.data)
plt.scatter(two[:, 0], two[:, 1], c=labels, s=3)
plt.close()

# %% [markdown] near_text
# ## Neighbours

# %% nearest
from sklearn.neighbors import KNeighborsClassifier

nearest = KNeighborsClassifier(3).fit(digits.data[::2], labels[::2])

# %% nearest_score
print(f"{nearest.score(digits.data[1::2], labels[1::2]):.3f}")

# %% odd
pd.Series(labels % 2).groupby(labels).first().sum()
