"""What well-known methods do to the object they are called on, by name.

A method that is not in these tables may change its receiver and everything it is given: the slice
then keeps the cell.  The names are those of pandas, NumPy, scikit-learn, polars and the built-in
types; a name that is a mutator in one of them is not called pure for objects of unknown type.
``inplace=`` and ``out=`` are judged at the call, not here.
"""

from __future__ import annotations

__all__ = [
    "ACCESSORS",
    "DRAWS_RANDOM",
    "FITS",
    "FRAME_PURE",
    "ITERATES",
    "LAZY",
    "MUTATES",
    "PATH_READS",
    "PATH_WRITES",
    "PLOTS",
    "PURE",
    "REARRANGES",
    "SCALAR",
    "SHARES",
    "WRITES_FILE",
    "words",
]


def words(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


# Leave the receiver and the arguments as they are; the result is an object of its own.
PURE = words(
    """
    abs add_categories add_prefix add_suffix agg aggregate align all any apply applymap argmax
    argmin argpartition argsort as_ordered as_unit as_unordered asfreq asof asof_locs assign
    astimezone astype at_time autocorr between between_time bfill bit_count bit_length capitalize
    case_when casefold cat ceil center choose clip combine combine_first compare compress conj
    conjugate convert_dtypes copy corr corrwith count cov ctime cumcount cummax cummin cumprod
    cumsum date day_name decode describe diagonal diff difference div divide divmod dot drop
    drop_duplicates droplevel dropna dst dt duplicated encode endswith eq equal_levels equals eval
    expandtabs explode factorize ffill fillna filter find first first_valid_index flatten floor
    floordiv format format_map from_arrays from_arrow from_bytes from_dict from_frame from_product
    from_records from_tuples fromhex fromisocalendar fromisoformat fromkeys fromordinal
    fromtimestamp ge get_indexer get_indexer_for get_indexer_non_unique get_loc get_loc_level
    get_locs get_slice_bound gt hex identical idxmax idxmin indexer_at_time indexer_between_time
    infer_objects info interpolate intersection is_ isalnum isalpha isascii isdecimal isdigit
    isdisjoint isidentifier islower isnumeric isprintable isspace isocalendar isoformat isoweekday
    istitle isupper isin isna isnull issubset issuperset join kurt kurtosis last last_valid_index
    le ljust lower lstrip lt maketrans map mask max mean median melt memory_usage merge min mod mode
    month_name most_common mul multiply ne nearest ngroup nlargest nonzero normalize notna notnull
    nsmallest nunique ohlc partition_by pct_change pivot pivot_table pow prod product quantile query
    radd rank rdiv rdivmod reindex reindex_like remove_categories remove_unused_categories
    remove_unused_levels removeprefix removesuffix rename rename_axis rename_categories
    reorder_categories reorder_levels repeat replace reset_index rfind rfloordiv rindex rjust rmod
    rmul round rpartition rpow rsplit rstrip rsub rtruediv sample searchsorted select select_dtypes
    sem set_axis set_categories set_codes set_index set_levels set_names shift skew slice_indexer
    slice_locs snap sort_index sort_values sortlevel split splitlines stack startswith std strftime
    strip strptime sub subtract sum swapcase swaplevel symmetric_difference take tail head time
    timestamp timetuple timetz title to_bytes to_datetime64 to_dict to_frame to_julian_date to_list
    to_period to_pydatetime to_pytimedelta to_records to_series to_string to_timedelta64
    to_timestamp to_xarray tobytes tolist toordinal total_seconds trace transform translate truediv
    truncate tz_convert tz_localize tzname union unique unstack upper utcoffset value_counts var
    weekday where zfill

    with_columns with_columns_seq with_row_index group_by_dynamic collect lazy n_unique null_count
    drop_nulls drop_nans fill_null fill_nan to_pandas to_arrow to_dicts to_pydict to_pylist
    to_batches glimpse is_null is_not_null cast alias over schema

    aic bic build_analyzer build_preprocessor build_tokenizer correct_covariance
    cost_complexity_pruning_path dbscan_clustering decision_function decision_path
    error_norm get_covariance get_depth get_feature_names_out get_indices get_metadata_routing
    get_n_leaves get_n_splits get_precision get_shape get_stop_words get_submatrix get_support
    inverse_transform kneighbors kneighbors_graph log_marginal_likelihood mahalanobis path
    perplexity predict predict_joint_log_proba predict_log_proba predict_proba radius_neighbors
    radius_neighbors_graph reconstruction_error sample_y score_samples feature_importances
    get_booster get_score get_fscore summary conf_int get_prediction forecast get_forecast
    cdf pdf pmf ppf sf isf logpdf logcdf toarray todense tocsr tocsc tocoo nnz count_nonzero

    match fullmatch search group groups groupdict findall relative_to with_suffix with_name
    with_stem as_posix resolve absolute expanduser samefile is_relative_to joinpath
    """
)

# The result is a plain number, string or truth value.
SCALAR = words(
    "score item index nunique total_seconds startswith endswith isoformat strftime bit_length "
    "is_integer as_integer_ratio get_depth get_n_leaves get_n_splits aic bic exists is_file is_dir "
    "equals identical lower upper strip title count capitalize"
)

# Leave the receiver as it is, but the result may share its data.
SHARES = words(
    """
    T ewm expanding get get_group get_level_values get_params group_by groupby items
    keys pipe ravel resample reshape rolling sparse squeeze swapaxes to_flat_index to_numpy
    transpose values view xs to_torch slice get_column get_columns to_series row rows column
    """
)

# Of a table: what they return looks at the table again whenever it is used.
LAZY = words("groupby group_by resample rolling expanding ewm pipe")

# With ``inplace=True`` they give a table other rows or columns, and leave what was taken from it.
REARRANGES = words(
    """
    drop dropna drop_duplicates rename rename_axis reset_index set_axis set_index sort_index
    sort_values query eval
    """
)

# The result is used up by going over it.
ITERATES = words(
    "iterrows itertuples iter_rows iter_slices staged_predict staged_predict_proba staged_score "
    "staged_decision_function finditer iterdir glob rglob walk"
)

# Change the receiver, which may hold the arguments afterwards; the arguments stay as they are.
MUTATES = words(
    """
    __iadd__ __ior__ __setitem__ __delitem__ subtract
    add append appendleft clear difference_update discard extend extendleft fill insert
    intersection_update isetitem itemset move_to_end partition pop popitem popleft push put putmask
    remove resize reverse rotate set_callbacks set_output set_params setdefault
    setfield setflags sort symmetric_difference_update update
    write writelines writerow writerows writeheader close flush seek
    """
)

# Learn from the arguments, which stay as they are; ``fit`` returns its receiver.
FITS = words("fit fit_transform fit_predict fit_resample partial_fit")

# Pure on a frame although a list or an array changes in place under the same name.
FRAME_PURE = words("sort add unique top_k bottom_k reverse slice")

# Everything below ``.str``, ``.dt`` ... computes.
ACCESSORS = words("str dt cat sparse style struct list arr bin plot")

# Draw on the current figure.
PLOTS = words("plot hist boxplot")

# Take numbers from NumPy's global generator unless given ``random_state=`` or ``seed=``.
DRAWS_RANDOM = words("sample rvs sample_y gibbs")

# Write the file that the first argument, or a keyword such as ``path``, names.
WRITES_FILE = words(
    """
    to_csv to_excel to_feather to_hdf to_html to_iceberg to_json to_latex to_markdown to_orc
    to_parquet to_pickle to_stata to_xml to_sql to_clipboard tofile dump savefig write_html
    write_image write_json write_csv write_parquet write_ipc write_excel write_ndjson sink_parquet
    sink_csv sink_ipc save_model save_raw save_html
    """
)

# Of a ``pathlib.Path``.
PATH_READS = words("read_text read_bytes open exists is_file is_dir stat iterdir glob rglob")
PATH_WRITES = words(
    "write_text write_bytes mkdir touch unlink rename replace rmdir symlink_to hardlink_to chmod"
)
