"""A missing module is answered by the smallest extra that brings it."""

import configparser
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tbx_keras.cli import main
from tbx_keras.cli.demo import demo
from tbx_keras.cli.main import commands
from tbx_keras.cli.missing_packages import EXTRAS, NEEDED, hint

ROOT = Path(__file__).parent.parent.parent
DISTRIBUTIONS = {"pkg_resources": "setuptools"}  # where the module has another name; TensorBoard brings it
HEAVY = {"tensorflow", "transformers", "tf_keras"}  # gigabytes, with what they need


def extras() -> dict[str, list[Requirement]]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    found = parser["options.extras_require"]
    return {name: [Requirement(line) for line in found[name].split("\n") if line] for name in found}


def brought(extra: str) -> set[str]:
    """Names of the distributions that an extra names, those of extras within it too."""
    names = set()
    for one in extras()[extra]:
        if one.name == "tbx_keras":
            names.update(*(brought(inner) for inner in one.extras))
        else:
            names.add(canonicalize_name(one.name))
    return names


@pytest.mark.parametrize(("module", "extra"), EXTRAS.items())
def test_the_extra_brings_the_module_and_nothing_heavy_besides(module, extra):
    name = canonicalize_name(DISTRIBUTIONS.get(module, module))
    assert name in brought(extra) or (name == "setuptools" and "tensorboard" in brought(extra))
    smaller = [one for one in extras() if name in brought(one) and brought(one) < brought(extra)]
    assert smaller == []
    if module not in HEAVY:
        assert not brought(extra) & HEAVY


def test_what_the_readme_installs_first_can_view():
    first = next(line for line in (ROOT / "README.md").read_text().splitlines() if "pip install" in line)
    (named,) = [one.strip("\"'") for one in first.split() if "tbx_keras" in one][:1]
    assert "tensorboard" in set().union(*(brought(extra) for extra in Requirement(named).extras))


def test_every_command_has_a_list():
    assert set(NEEDED) == {*commands.commands, *demo.commands}


def stop(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.fixture
def _without(request, monkeypatch):
    for module in request.param:
        for name in [one for one in sys.modules if one.split(".")[0] == module]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("_without", "arguments", "extra"),
    [
        (["tensorboard"], ("view", "."), "view"),
        (["tensorboard"], ("demo",), "view"),
        (["mlxtend"], ("demo", "--epochs", "1"), "digits"),
        (["tensorboard", "mlxtend"], ("demo",), "view,digits"),
        (["tensorboard", "mlxtend"], ("demo", "imdb", "--model", "encoder"), "view"),
        (["tensorflow_datasets"], ("demo", "imdb", "--model", "encoder"), "reviews"),
    ],
    indirect=["_without"],
    ids=str,
)
@pytest.mark.usefixtures("_without")
def test_a_command_names_exactly_what_is_missing(arguments, extra, capsys, tmp_path):
    reported = stop(capsys, *arguments)
    assert "Traceback" not in reported
    assert f" is not installed. Run: pip install 'tbx_keras[{extra}]'" in reported


def test_the_backend_brings_tensorboard(monkeypatch):
    for module in ("tensorflow", "tensorboard", "mlxtend"):
        monkeypatch.setitem(sys.modules, module, None)
    assert hint("tensorflow", "demo").endswith("pip install 'tbx_keras[tensorflow,digits]'")


def test_an_unknown_module_is_not_blamed_on_an_extra():
    assert "tbx_keras[" not in hint("nowhere.to.be.found")
    assert "tbx_keras[" not in hint("tensorboard.gone")  # TensorBoard itself is here
