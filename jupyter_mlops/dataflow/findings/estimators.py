"""Names of scikit-learn's world that the leakage rules know."""

from __future__ import annotations

__all__ = [
    "COMBINED",
    "CROSS_VALIDATION",
    "FIGURES",
    "KEEPS_COLUMNS",
    "KEEPS_ROWS",
    "PACKAGES",
    "RESAMPLERS",
    "TRANSFORMERS",
]

# They learn from the rows that they are fitted on.
TRANSFORMERS = frozenset(
    {
        "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer",
        "QuantileTransformer", "KBinsDiscretizer", "SplineTransformer", "SimpleImputer",
        "KNNImputer", "IterativeImputer", "OneHotEncoder", "OrdinalEncoder", "TargetEncoder",
        "SelectKBest", "SelectPercentile", "SelectFromModel", "SelectFpr", "SelectFdr", "RFE",
        "RFECV", "SequentialFeatureSelector", "VarianceThreshold", "PCA", "IncrementalPCA",
        "KernelPCA", "TruncatedSVD", "FastICA", "NMF", "FactorAnalysis", "TfidfVectorizer",
        "CountVectorizer", "LinearDiscriminantAnalysis", "Nystroem", "BaseNEncoder",
        "CatBoostEncoder", "LeaveOneOutEncoder", "WOEEncoder", "JamesSteinEncoder",
    }
)  # fmt: skip
COMBINED = frozenset({"Pipeline", "make_pipeline", "ColumnTransformer", "make_column_transformer",
                      "FeatureUnion", "make_union"})  # fmt: skip
# What they give has the columns that they were given, changed in value.
KEEPS_COLUMNS = frozenset(
    {
        "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer",
        "QuantileTransformer", "SimpleImputer", "KNNImputer", "IterativeImputer", "OrdinalEncoder",
    }
)  # fmt: skip
RESAMPLERS = frozenset(
    {
        "SMOTE", "SMOTENC", "SMOTEN", "ADASYN", "BorderlineSMOTE", "SVMSMOTE", "KMeansSMOTE",
        "RandomOverSampler", "SMOTEENN", "SMOTETomek",
    }
)  # fmt: skip
CROSS_VALIDATION = frozenset(
    {"cross_val_score", "cross_validate", "cross_val_predict", "learning_curve",
     "validation_curve"}
)  # fmt: skip
PACKAGES = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "imblearn",
                      "category_encoders"})  # fmt: skip
FIGURES = frozenset({"mean", "std", "median", "mode", "min", "max", "quantile", "var", "nanmean",
                     "nanmedian", "nanstd"})  # fmt: skip
# Methods of frames that give the same rows with the same columns.
KEEPS_ROWS = frozenset(
    {
        "copy", "reset_index", "astype", "fillna", "clip", "round", "abs", "replace", "assign",
        "to_numpy", "rename_axis", "set_index", "ffill", "bfill", "infer_objects",
        "convert_dtypes", "map", "apply", "where", "mask", "interpolate", "sort_values",
        "sort_index", "dropna", "drop_duplicates", "ravel", "reshape", "squeeze", "to_frame",
        "toarray", "transform",
    }
)  # fmt: skip
