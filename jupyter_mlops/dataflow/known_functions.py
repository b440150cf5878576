"""What well-known functions do, by dotted name.

A function of a package that is not in ``TAME`` may change what it is given and its own module; the
slice then keeps the cell.  Functions of ``TAME`` packages leave their arguments alone unless they
are in ``CHANGES_ARGUMENT`` (or given ``out=`` or ``inplace=``) and keep no state unless a rule in
``STATE`` says so.
"""

from __future__ import annotations

from .known_methods import words

__all__ = [
    "CHANGES_ARGUMENT",
    "CLONES",
    "CONTAINERS",
    "DISPLAY_OPTIONS",
    "ESTIMATOR_PACKAGES",
    "FILE_READS",
    "FILE_WRITES",
    "FRAME_PACKAGES",
    "GENERATORS",
    "HARMLESS_MAGICS",
    "INSPECTS",
    "ITERATORS",
    "KEEPS_CALLABLES",
    "KEEPS_TRAINING_DATA",
    "LAZY_FUNCTIONS",
    "NEW_FIGURE",
    "NO_RANDOM",
    "PLOT_PACKAGES",
    "PROLOGUE",
    "RANDOM_PREFIXES",
    "RANDOM_SKLEARN",
    "READING",
    "SCALAR_PACKAGES",
    "SEEDS",
    "SHARES_ARGUMENT",
    "SHELL_READS",
    "SOLVERS_THAT_DRAW",
    "SPLITTERS",
    "STATE",
    "STYLES",
    "TAME",
    "WATCHES_END",
    "WRITING",
    "state_of",
]

TAME = words(
    """
    abc argparse array asyncio base64 bisect bz2 calendar cmath codecs collections colorsys
    concurrent contextlib copy csv dataclasses datetime decimal difflib enum fnmatch fractions
    functools gc getpass glob gzip hashlib heapq hmac html importlib inspect io ipaddress itertools
    json keyword locale logging lzma math mimetypes numbers operator os pathlib pickle pkgutil
    platform pprint queue random re secrets shelve dbm shutil site socket sqlite3 statistics string
    struct subprocess sys
    tempfile textwrap threading time timeit tokenize tomllib traceback types typing
    typing_extensions unicodedata urllib uuid warnings weakref zipfile zlib zoneinfo __future__
    numpy pandas scipy sklearn statsmodels polars pyarrow xgboost lightgbm catboost imblearn
    category_encoders joblib skops cloudpickle numba threadpoolctl tqdm patsy
    matplotlib mpl_toolkits seaborn plotly altair bokeh IPython rich tabulate missingno wordcloud
    shap yellowbrick eli5 requests httpx yaml toml dotenv psutil mlflow jupyter_mlops torch
    tensorflow keras optuna
    """
)

PLOT_PACKAGES = words(
    "matplotlib mpl_toolkits seaborn plotly altair bokeh missingno wordcloud yellowbrick"
)
# Begin a figure of their own: what was drawn before is no longer the current one.
NEW_FIGURE = words("figure subplots subplot_mosaic close")
# How figures look from here on.
STYLES = words(
    """
    use rc rcdefaults rc_file rc_context set_theme set_style set_palette set_context reset_defaults
    set_defaults rcParams.update style.use set_option color_palette.set
    """
)
FRAME_PACKAGES = words("pandas polars pyarrow scipy statsmodels patsy")
ESTIMATOR_PACKAGES = words(
    "sklearn xgboost lightgbm catboost imblearn category_encoders statsmodels"
)
SCALAR_PACKAGES = words("math cmath statistics time datetime hashlib platform uuid")

# dotted prefix -> the pseudo-variable that a call below it, or a store through it, changes.
# The longest prefix wins; ``None`` means that nothing lasting happens.
STATE: dict[str, str | None] = {
    "os.chdir": "$cwd",
    "os.fchdir": "$cwd",
    "os.environ": "$environment",
    "os.putenv": "$environment",
    "os.unsetenv": "$environment",
    "os.umask": "$process",
    "dotenv.load_dotenv": "$environment",
    "sys.path": "$path",
    "site.addsitedir": "$path",
    "sys.modules": "$process",
    "sys.setrecursionlimit": "$process",
    "locale.setlocale": "$process",
    "socket.setdefaulttimeout": "$process",
    "threadpoolctl.threadpool_limits": "$process",
    "importlib.reload": "$process",
    "sklearnex.patch_sklearn": "$process",
    "pandarallel.pandarallel.initialize": "$options:pandas",
    "warnings.filterwarnings": "$warnings",
    "warnings.simplefilter": "$warnings",
    "warnings.resetwarnings": "$warnings",
    "logging": "$logging",
    "pandas.set_option": "$options:pandas",
    "pandas.reset_option": "$options:pandas",
    "pandas.options": "$options:pandas",
    "pandas.options.display": None,
    "pandas.options.plotting": None,
    "pandas.api.extensions": "$options:pandas",
    "tqdm.pandas": "$options:pandas",
    "tqdm.tqdm.pandas": "$options:pandas",
    "tqdm.auto.tqdm.pandas": "$options:pandas",
    "tqdm.notebook.tqdm.pandas": "$options:pandas",
    "numpy.seterr": "$options:numpy",
    "numpy.set_printoptions": None,
    "decimal.getcontext": "$options:decimal",
    "decimal.setcontext": "$options:decimal",
    "sklearn.set_config": "$options:sklearn",
    "torch.set_default_dtype": "$options:torch",
    "torch.set_default_device": "$options:torch",
    "torch.set_num_threads": "$options:torch",
    "torch.use_deterministic_algorithms": "$options:torch",
    "torch.backends": "$options:torch",
    "tensorflow.config": "$options:tensorflow",
    "mlflow": "$mlflow",
}
DISPLAY_OPTIONS = ("display.", "plotting.", "styler.", "io.")

# Kept whenever they ran before the target: everything after them may depend on them.
PROLOGUE = frozenset({"$cwd", "$environment", "$path", "$process"})

# Random state: dotted name -> the generators it sets.
SEEDS: dict[str, tuple[str, ...]] = {
    "random.seed": ("$rng:random",),
    "random.setstate": ("$rng:random",),
    "numpy.random.seed": ("$rng:numpy",),
    "numpy.random.set_state": ("$rng:numpy",),
    "torch.manual_seed": ("$rng:torch",),
    "torch.cuda.manual_seed": ("$rng:torch",),
    "torch.cuda.manual_seed_all": ("$rng:torch",),
    "torch.random.manual_seed": ("$rng:torch",),
    "tensorflow.random.set_seed": ("$rng:tensorflow",),
    "keras.utils.set_random_seed": ("$rng:random", "$rng:numpy", "$rng:tensorflow"),
    "tensorflow.keras.utils.set_random_seed": ("$rng:random", "$rng:numpy", "$rng:tensorflow"),
}
# dotted prefix -> the generator that a call below it draws from.
RANDOM_PREFIXES = {
    "random.": "$rng:random",
    "numpy.random.": "$rng:numpy",
    "torch.": "$rng:torch",
    "tensorflow.": "$rng:tensorflow",
    "keras.": "$rng:tensorflow",
}
# Make a generator of their own, or only look.
GENERATORS = words(
    """
    numpy.random.default_rng numpy.random.RandomState numpy.random.Generator numpy.random.PCG64
    numpy.random.MT19937 numpy.random.Philox numpy.random.SeedSequence numpy.random.get_state
    random.Random random.SystemRandom random.getstate torch.Generator
    """
)
# Functions of scikit-learn that draw unless given ``random_state=``.
RANDOM_SKLEARN = words(
    """
    train_test_split shuffle resample permutation_importance permutation_test_score
    randomized_svd k_means mini_batch_k_means kmeans_plusplus spectral_clustering fastica
    mutual_info_classif mutual_info_regression make_classification make_regression make_blobs
    make_moons make_circles make_friedman1 make_friedman2 make_friedman3 make_s_curve
    make_swiss_roll make_low_rank_matrix make_sparse_uncorrelated make_spd_matrix
    make_sparse_spd_matrix make_sparse_coded_signal make_multilabel_classification make_biclusters
    make_checkerboard make_gaussian_quantiles make_hastie_10_2 fetch_20newsgroups fetch_covtype
    fetch_kddcup99 fetch_olivetti_faces fetch_rcv1
    """
)
# Estimators that draw nothing themselves (those that they hold still may).
NO_RANDOM = words(
    """
    ARDRegression AdditiveChi2Sampler AgglomerativeClustering BayesianRidge BernoulliNB Binarizer
    Birch CCA CalibratedClassifierCV CategoricalNB ColumnTransformer ComplementNB CountVectorizer
    DBSCAN DictVectorizer DummyRegressor EmpiricalCovariance FeatureAgglomeration FeatureHasher
    FeatureUnion FixedThresholdClassifier FrozenEstimator FunctionTransformer GammaRegressor
    GaussianNB GenericUnivariateSelect GraphicalLasso GraphicalLassoCV GridSearchCV GroupKFold
    HDBSCAN HashingVectorizer HuberRegressor IncrementalPCA Isomap IsotonicRegression
    KBinsDiscretizer KNNImputer KNeighborsClassifier KNeighborsRegressor
    KNeighborsTransformer KernelCenterer
    KernelDensity KernelRidge LabelBinarizer LabelEncoder LabelPropagation LabelSpreading LarsCV
    Lasso LassoCV LassoLarsCV LassoLarsIC LedoitWolf LeaveOneOut LinearDiscriminantAnalysis
    LinearRegression LocalOutlierFactor LogisticRegression LogisticRegressionCV MaxAbsScaler
    MeanShift MinMaxScaler MissingIndicator MultiLabelBinarizer MultiOutputClassifier
    MultiOutputRegressor MultinomialNB NearestCentroid NearestNeighbors Normalizer NuSVR OAS OPTICS
    OneClassSVM OneHotEncoder OneVsOneClassifier OneVsRestClassifier OrdinalEncoder
    OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV PLSCanonical PLSRegression PLSSVD
    Pipeline PoissonRegressor PolynomialFeatures PowerTransformer PredefinedSplit
    QuadraticDiscriminantAnalysis QuantileRegressor RFE RFECV RadiusNeighborsClassifier
    RadiusNeighborsRegressor Ridge RidgeCV RidgeClassifierCV RobustScaler SVR SelectFdr SelectFpr
    SelectFromModel SelectFwe SelectKBest SelectPercentile SelfTrainingClassifier
    SequentialFeatureSelector ShrunkCovariance SimpleImputer SparseCoder SplineTransformer
    StackingClassifier StackingRegressor StandardScaler StratifiedGroupKFold TfidfTransformer
    TfidfVectorizer TimeSeriesSplit TransformedTargetRegressor TweedieRegressor VarianceThreshold
    VotingClassifier VotingRegressor ElasticNet ElasticNetCV OLS GLM Logit
    """
)
# These draw only with a solver or selection that says so; otherwise as NO_RANDOM.
SOLVERS_THAT_DRAW = frozenset({"sag", "saga", "liblinear", "random"})
# Splitters draw only when they shuffle.
SPLITTERS = frozenset({"KFold", "StratifiedKFold"})

# Meta-estimators that fit clones: what they were given stays unfitted.
CLONES = words(
    """
    GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV VotingClassifier
    VotingRegressor StackingClassifier StackingRegressor BaggingClassifier BaggingRegressor
    AdaBoostClassifier AdaBoostRegressor OneVsRestClassifier OneVsOneClassifier
    OutputCodeClassifier MultiOutputClassifier MultiOutputRegressor ClassifierChain RegressorChain
    CalibratedClassifierCV ColumnTransformer RFE RFECV SequentialFeatureSelector SelectFromModel
    TransformedTargetRegressor SelfTrainingClassifier IterativeImputer
    """
)
# Estimators that keep a reference to what they were fitted on.
KEEPS_TRAINING_DATA = words(
    """
    KNeighborsClassifier KNeighborsRegressor KNeighborsTransformer NearestNeighbors
    RadiusNeighborsClassifier RadiusNeighborsRegressor RadiusNeighborsTransformer KernelRidge
    LocalOutlierFactor KNNImputer KernelDensity GaussianProcessRegressor GaussianProcessClassifier
    KernelPCA LabelPropagation LabelSpreading Isomap OLS GLM Logit
    """
)

# dotted name -> positions of the arguments that it changes.
CHANGES_ARGUMENT: dict[str, tuple[int, ...]] = {
    "numpy.copyto": (0,),
    "numpy.put": (0,),
    "numpy.put_along_axis": (0,),
    "numpy.place": (0,),
    "numpy.putmask": (0,),
    "numpy.fill_diagonal": (0,),
    "numpy.random.shuffle": (0,),
    "random.shuffle": (0,),
    "heapq.heappush": (0,),
    "heapq.heappop": (0,),
    "heapq.heapify": (0,),
    "heapq.heapreplace": (0,),
    "heapq.heappushpop": (0,),
    "bisect.insort": (0,),
    "bisect.insort_left": (0,),
    "bisect.insort_right": (0,),
    "operator.setitem": (0,),
    "operator.delitem": (0,),
    "operator.iadd": (0,),
    "operator.ior": (0,),
    "functools.update_wrapper": (0,),
    "json.dump": (1,),
    "pickle.dump": (1,),
    "cloudpickle.dump": (1,),
    "yaml.dump": (1,),
    "struct.pack_into": (1,),
}

# The result shares data with the arguments.
SHARES_ARGUMENT = words(
    """
    numpy.asarray numpy.asanyarray numpy.ascontiguousarray numpy.ravel numpy.reshape numpy.squeeze
    numpy.transpose numpy.swapaxes numpy.moveaxis numpy.broadcast_to numpy.expand_dims
    numpy.atleast_1d numpy.atleast_2d numpy.atleast_3d numpy.split numpy.array_split numpy.hsplit
    numpy.vsplit numpy.frombuffer numpy.lib.stride_tricks.as_strided
    numpy.lib.stride_tricks.sliding_window_view numpy.diag numpy.diagonal numpy.flip numpy.fliplr
    numpy.flipud numpy.rot90 numpy.rollaxis numpy.real numpy.imag numpy.memmap numpy.nditer
    pandas.DataFrame pandas.Series pandas.Index polars.from_numpy polars.from_arrow
    torch.from_numpy torch.as_tensor
    types.MethodType copy.copy dataclasses.replace dataclasses.astuple types.SimpleNamespace
    types.MappingProxyType
    weakref.ref weakref.proxy functools.partial operator.itemgetter operator.attrgetter
    sklearn.utils.check_array sklearn.utils.Bunch tqdm.tqdm tqdm.trange tqdm.auto.tqdm
    tqdm.notebook.tqdm collections.deque collections.OrderedDict collections.ChainMap
    collections.defaultdict collections.namedtuple joblib.delayed joblib.Parallel
    """
)
CONTAINERS = words("list dict set tuple frozenset sorted reversed zip enumerate map filter")
ITERATORS = words("iter zip enumerate map filter reversed")
# They go over what they are given, and call what they are given, only when somebody asks.
LAZY_FUNCTIONS = words(
    """
    iter zip enumerate map filter reversed itertools.chain itertools.chain.from_iterable
    itertools.islice itertools.tee itertools.groupby itertools.pairwise itertools.batched
    itertools.takewhile itertools.dropwhile itertools.filterfalse itertools.starmap
    itertools.accumulate itertools.compress itertools.cycle itertools.zip_longest itertools.count
    itertools.repeat csv.reader csv.DictReader csv.writer csv.DictWriter functools.partial
    functools.partialmethod weakref.ref weakref.proxy tqdm.tqdm tqdm.auto.tqdm tqdm.notebook.tqdm
    types.MethodType operator.methodcaller contextlib.closing io.TextIOWrapper io.BufferedReader
    """
)
# They hear of the end of their first argument.
WATCHES_END = words("weakref.finalize weakref.ref weakref.proxy")
# What they make may call later what it was given.
KEEPS_CALLABLES = words(
    "functools threading concurrent asyncio types weakref sched signal contextlib unittest"
)
# Built-ins and functions that only look: even an iterator survives them.
INSPECTS = words(
    """
    print len type isinstance issubclass id repr callable hasattr hash dir str format display help
    IPython.display.display IPython.display.HTML pprint.pprint sys.getsizeof
    """
)

# dotted name -> position of the path that it reads or writes (also given by these keywords).
FILE_READS: dict[str, int] = {
    "numpy.load": 0, "numpy.loadtxt": 0, "numpy.genfromtxt": 0, "numpy.fromfile": 0,
    "shelve.open": 0, "dbm.open": 0, "numpy.memmap": 0, "joblib.load": 0, "skops.io.load": 0,
    "os.listdir": 0, "os.scandir": 0, "os.stat": 0, "os.walk": 0, "os.path.exists": 0,
    "os.path.isfile": 0, "os.path.isdir": 0, "os.path.getsize": 0, "os.path.getmtime": 0,
    "glob.glob": 0, "glob.iglob": 0, "shutil.copy": 0, "shutil.copy2": 0, "shutil.copyfile": 0,
    "shutil.copytree": 0, "shutil.move": 0, "shutil.unpack_archive": 0, "sqlite3.connect": 0,
    "zipfile.ZipFile": 0, "gzip.open": 0, "bz2.open": 0, "lzma.open": 0, "tarfile.open": 0,
    "io.open": 0, "codecs.open": 0, "pyarrow.parquet.read_table": 0, "pyarrow.csv.read_csv": 0,
    "matplotlib.image.imread": 0, "matplotlib.pyplot.imread": 0, "torch.load": 0,
    "tensorflow.keras.models.load_model": 0, "keras.models.load_model": 0, "os.rename": 0,
    "os.replace": 0, "os.chdir": 0, "dotenv.load_dotenv": 0,
}  # fmt: skip
FILE_WRITES: dict[str, int] = {
    "shelve.open": 0, "dbm.open": 0, "numpy.memmap": 0, "numpy.save": 0,
    "numpy.savez": 0, "numpy.savez_compressed": 0, "numpy.savetxt": 0,
    "joblib.dump": 1, "skops.io.dump": 1, "os.makedirs": 0, "os.mkdir": 0, "os.remove": 0,
    "os.unlink": 0, "os.rmdir": 0, "os.rename": 1, "os.replace": 1, "os.removedirs": 0,
    "shutil.copy": 1, "shutil.copy2": 1, "shutil.copyfile": 1, "shutil.copytree": 1,
    "shutil.move": 1, "shutil.rmtree": 0, "shutil.unpack_archive": 1, "shutil.make_archive": 0,
    "sqlite3.connect": 0, "urllib.request.urlretrieve": 1, "pyarrow.parquet.write_table": 1,
    "matplotlib.pyplot.savefig": 0, "matplotlib.pyplot.imsave": 0, "torch.save": 1,
    "pandas.ExcelWriter": 0, "pandas.HDFStore": 0,
}  # fmt: skip

# Of other functions, by how the name begins: every text that they are given may be a path.
READING = ("read", "load", "open", "scan", "dataset", "parse", "imread")
WRITING = ("write", "save", "dump", "sink", "export", "new_file", "new_stream", "imwrite", "imsave")

# Shell commands that change nothing (when not redirected).
SHELL_READS = words(
    """
    ls pwd cat head tail wc du df file which whoami uname nvidia-smi free date echo tree stat lscpu
    hostname less more grep env printenv uptime pip conda mamba uv
    """
)
# Line magics after which a later cell computes the same as without them.
HARMLESS_MAGICS = words(
    """
    matplotlib load_ext reload_ext unload_ext autoreload autosave automagic
    alias_magic who whos who_ls pwd ls ll history hist notebook pinfo pinfo2 pdoc psource pfile pdef
    psearch lsmagic magic quickref pip conda mamba uv precision xmode colors doctest_mode page
    pprint pdb debug tb dhist logstart logstop logstate logon logoff config
    unalias rehashx bookmark pycat snapshot diff runs promote mlops track
    """
)


def state_of(dotted: str) -> tuple[bool, str | None]:
    """Return ``(known, pseudo-variable)`` for a call of, or a store through, a dotted name."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        prefix = ".".join(parts[:count])
        if prefix in STATE:
            return True, STATE[prefix]
    return False, None
