"""Loading the model in an MLflow model folder, without running anybody else's code.

skops files are held against our own list of types; XGBoost's and LightGBM's files are numbers that
their libraries read.  A pickle, and what is not proven to be better than one (Keras' archives and
PyTorch's exported graphs, which both can name code), is loaded only where its bytes are signed by
this user's own session, a pickle also only where consent is noted.  MLflow's own loaders are not
used: they load what the folder says.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import CorruptError, MissingDependencyError, MlopsError, UntrustedError
from .mlflow_signature import read_mlmodel
from .skops_codec import SkopsCodec
from .unpickling import unpickle

__all__ = ["METADATA", "load_stored"]

METADATA = "mlops"  # our part of the ``metadata`` in ``MLmodel``

_XGBOOST = frozenset(
    {
        "xgboost.core.Booster",
        *(
            f"xgboost.sklearn.XGB{name}"
            for name in ("Classifier", "Ranker", "RFClassifier", "RFRegressor", "Regressor")
        ),
    }
)
# What is asked first: a folder also has the flavor that MLflow's generic loader uses.
_ORDER = ("sklearn", "xgboost", "lightgbm", "keras", "pytorch", "statsmodels", "python_function")

Verify = Callable[[bytes, str | None], bool]


def load_stored(folder: Path, verify: Verify) -> Any:
    """Load the model in ``folder``.

    ``verify(bytes, signature)`` tells whether this user's own session signed the bytes.  Raises
    ``UntrustedError`` for a format that can run code whose bytes are not the user's own or that
    nobody consented to, ``CorruptError`` or ``NotFoundError`` for a folder that is no model,
    ``MissingDependencyError`` when the model's library is not installed, and ``MlopsError`` when
    the file does not load.
    """
    data = read_mlmodel(folder)
    flavors = data.get("flavors")
    flavors = flavors if isinstance(flavors, dict) else {}
    name = next((n for n in _ORDER if isinstance(flavors.get(n), dict)), None)
    if name is None:
        raise _untrusted(folder, ", ".join(sorted(map(str, flavors))) or "nothing known")
    opened = _Folder(folder, name, flavors[name], data, verify)
    try:
        return _LOADERS[name](opened)
    except ImportError as error:
        if isinstance(error, MlopsError):
            raise
        missing = error.name or str(error)
        raise MissingDependencyError(
            f"the model in {folder} needs {missing}, which is not installed",
            hint=f"Install what it was made with: pip install -r {folder / 'requirements.txt'}",
        ) from error
    except MlopsError:
        raise
    except Exception as error:
        line = str(error).strip().partition("\n")[0][:300]
        raise MlopsError(
            f"the model in {folder} cannot be loaded: {type(error).__name__}: {line}"
        ) from error


class _Folder:
    """A model folder with its chosen flavor."""

    def __init__(
        self,
        folder: Path,
        name: str,
        flavor: Mapping[str, Any],
        data: Mapping[str, Any],
        verify: Verify,
    ) -> None:
        self.folder = folder
        self.name = name
        self.flavor = flavor
        metadata = data.get("metadata")
        note = metadata.get(METADATA) if isinstance(metadata, dict) else None
        self._note: Mapping[str, Any] = note if isinstance(note, dict) else {}
        self._verify = verify

    def member(self, name: Any) -> Path:
        """The file ``name`` of the folder: never one elsewhere, whatever ``MLmodel`` says."""
        path = self.folder / str(name)
        inside = path.resolve().is_relative_to(self.folder.resolve())
        if not isinstance(name, str) or path.is_symlink() or not inside:
            raise CorruptError(
                f"{self.folder / 'MLmodel'} names a file that is not in its folder: {name!r}"
            )
        return path

    def read(self, name: Any) -> bytes:
        """The bytes of a file of the folder."""
        path = self.member(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise CorruptError(f"{path} cannot be read: {error.strerror or error}") from error

    def own(self, name: Any, what: str) -> bytes:
        """The bytes of a file that could run code: only this user's own."""
        signature = self._note.get("signature")
        if not isinstance(signature, str):
            raise _untrusted(self.folder, what)
        data = self.read(name)
        if not self._verify(data, signature):
            raise _untrusted(self.folder, what)
        return data

    def pickled(self, name: Any, what: str) -> bytes:
        """The bytes of a pickle that is this user's own and that somebody consented to."""
        if not self._note.get("consent"):
            raise _untrusted(self.folder, what)
        return self.own(name, what)


def _untrusted(folder: Path, what: str) -> UntrustedError:
    return UntrustedError(
        f"the model in {folder} is stored as {what}, and loading that can run any code",
        hint="If you trust where it comes from, load it by MLflow: "
        f"mlflow.pyfunc.load_model({str(folder)!r})",
    )


def _sklearn(opened: _Folder) -> Any:
    form = opened.flavor.get("serialization_format")
    file = opened.flavor.get("pickled_model")
    if form == "skops":
        return SkopsCodec().load(opened.read(file))
    return unpickle(opened.pickled(file, str(form or "a pickle")))


def _xgboost(opened: _Folder) -> Any:
    kind = opened.flavor.get("model_class", "xgboost.core.Booster")
    data = opened.read(opened.flavor.get("data"))
    if kind not in _XGBOOST:
        raise _untrusted(opened.folder, f"a {kind}")
    import xgboost

    model = getattr(xgboost, str(kind).rpartition(".")[2])()
    model.load_model(bytearray(data))
    return model


def _lightgbm(opened: _Folder) -> Any:
    file = str(opened.flavor.get("data"))
    if file.endswith(".skops"):
        return SkopsCodec().load(opened.read(file))
    if not file.endswith(".lgb"):
        return unpickle(opened.pickled(file, "a pickle"))
    text = opened.read(file).decode("utf-8")
    import lightgbm

    return lightgbm.Booster(model_str=text)


def _keras(opened: _Folder) -> Any:
    if opened.flavor.get("save_exported_model"):
        raise _untrusted(opened.folder, "a TensorFlow graph")
    file = f"{opened.flavor.get('data')}/model.keras"
    opened.own(file, "a Keras archive")
    import keras

    return keras.saving.load_model(opened.member(file), safe_mode=True)


def _pytorch(opened: _Folder) -> Any:
    place = str(opened.flavor.get("model_data"))
    if opened.member(f"{place}/model.pth").exists():
        data = opened.pickled(f"{place}/model.pth", "a pickle")
        import torch

        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    data = opened.own(f"{place}/model.pt2", "an exported PyTorch graph")
    import torch

    return torch.export.load(io.BytesIO(data)).module()


def _statsmodels(opened: _Folder) -> Any:
    return unpickle(opened.pickled(opened.flavor.get("data"), "a pickle"))


def _python(opened: _Folder) -> Any:
    file = opened.flavor.get("python_model")
    if not isinstance(file, str):
        raise _untrusted(opened.folder, str(opened.flavor.get("loader_module")))
    data = opened.pickled(file, "a pickle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own classes when it is imported.
        import_module("mlflow.pyfunc.model")
    return unpickle(data).model


_LOADERS: dict[str, Callable[[_Folder], Any]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "keras": _keras,
    "pytorch": _pytorch,
    "statsmodels": _statsmodels,
    "python_function": _python,
}
