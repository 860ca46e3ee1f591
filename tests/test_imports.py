"""Imports go one way, and only where they may."""

import ast
from pathlib import Path

import pytest

import tbx_keras
from tests.processes import run_python

PACKAGE = Path(tbx_keras.__file__).parent
# Each part may import those above it, and itself.
ORDER = [
    {"errors", "_version", "warning_location", "hook_time", "framework_types", "tf_keras_hooks"},
    {"arguments", "memory", "checked_numbers", "missing_packages", "storage"},
    {"values", "error_reporting", "keras_model"},
    {"scheduling", "instrumentation", "reader", "custom_loops", "workers", "keras_json"},
    {"backends", "run_report"},
    {"writers"},
    {"recorders", "summary", "batch_gradients", "step_hooks"},
    {"diagnosis"},
    {"dispatcher", "config", "unrecorded"},
    {"tf_summary", "log_directory", "pickling"},
    {"run_placement"},
    {"callback"},
    {"demos"},
    {"cli"},
    {"__main__"},
]
NEVER = {
    ("recorders", "writers"),
    ("instrumentation", "writers"),
    ("diagnosis", "writers"),
    ("dispatcher", "writers"),
    ("callback", "summary"),
}
# `Histogram.of` counts by the reference kernels, which it loads when it is called.
ALLOWED = {("values", "backends")}
FILES = sorted(PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


def rank(name: str) -> int:
    return next(index for index, names in enumerate(ORDER) if name in names)


def imports(file: Path, top: bool = False) -> set[str]:
    tree = ast.parse(file.read_text())
    nodes = tree.body if top else list(ast.walk(tree))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def own(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file):
    if own(file) == "__init__":
        return
    for module in imports(file):
        target = part(module) if module.startswith("tbx_keras") else ""
        if target and target != own(file):
            forwards = rank(target) < rank(own(file)) or (own(file), target) in ALLOWED
            assert forwards or target == "_version", f"{own(file)} imports {target}"
            assert (own(file), target) not in NEVER


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_frameworks_stay_in_their_places(file):
    tops = {module.split(".")[0] for module in imports(file)}
    if own(file) != "writers":
        assert "tensorboardX" not in tops
    if own(file) not in ("writers", "backends"):
        assert "crc32c" not in tops
    at_load = {module.split(".")[0] for module in imports(file, top=True)}
    if "backends/tensorflow" not in file.as_posix():
        assert "tensorflow" not in at_load


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_are_small(file):
    assert len(file.read_text().splitlines()) <= 300, "split it: one concept a file"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(m for m in sys.modules if '.' not in m))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_package_imports_no_framework():
    slow = {
        "tensorflow",
        "keras",
        "tf_keras",
        "torch",
        "jax",
        "numpy",
        "tensorboardX",
        "tensorboard",
        "pandas",
    }
    assert not loaded_after("import tbx_keras") & slow


def test_the_writer_needs_no_framework():
    assert not loaded_after("from tbx_keras import SummaryWriter, summary") & {
        "tensorflow",
        "keras",
        "tf_keras",
    }


def test_an_unknown_name_names_what_there_is():
    with pytest.raises(AttributeError, match="TbxLogger"):
        tbx_keras.TbxLoger  # noqa: B018
