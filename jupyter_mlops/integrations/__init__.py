"""Beside the layers: the only place that names mlflow, scikit-learn, skops and papermill."""
