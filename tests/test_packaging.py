"""What the package says of itself."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import tbx_keras

ROOT = Path(__file__).parent.parent
PROGRAM = """
from tbx_keras import SummaryWriter, read

with SummaryWriter("logs") as writer:
    writer.add_scalar("loss", 0.5, 7)
print(read("logs").scalars[["tag", "step", "value"]].values.tolist())
"""


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_the_version_is_that_of_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (?!Unreleased)(\S+)", text, re.MULTILINE)
    assert newest.group(1) == tbx_keras.__version__


def test_setup_cfg_gives_ranges_and_constraints_exact_versions():
    section = setup_cfg()["options"]["install_requires"] + setup_cfg()["options.extras_require"]["test"]
    assert "==" not in section
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all("==" in pin for pin in pins)


BY_HAND = {"torch": "2.4"}  # its old versions come with gigabytes of CUDA
NOT_IN_CORE = ("transformers", "digits", "reviews", "remote")


def lower_bounds(lines: str) -> dict[str, str]:
    wanted = [Requirement(line) for line in lines.split("\n") if line and "tbx_keras" not in line]
    bounds = {
        one.name: str(part.version) for one in wanted for part in one.specifier if part.operator == ">="
    }
    assert len(bounds) == len(wanted)
    return bounds


def test_the_oldest_versions_that_are_promised_are_those_that_are_run():
    extras = setup_cfg()["options.extras_require"]
    oldest, newest = pins("constraints-oldest.txt"), pins()
    run = [extras[name] for name in ("view", "tensorflow", "jax", "fast", "read")]
    for lines in (setup_cfg()["options"]["install_requires"], *run):
        for name, bound in lower_bounds(lines).items():
            assert Version(oldest[canonicalize_name(name)]) == Version(bound), name
    assert lower_bounds(extras["torch"]) == BY_HAND
    for lines in (extras[name] for name in NOT_IN_CORE):
        for name, bound in lower_bounds(lines).items():
            name, version = canonicalize_name(name), Version(bound)
            assert name in oldest or Version(newest[name]).release[: len(version.release)] == version.release


def pins(file: str = "constraints.txt") -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert len(found) == len({canonicalize_name(name) for name, _ in found}), "a name comes twice"
    return {canonicalize_name(name): version for name, version in found}


def closure(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Names of the installed packages that a requirement brings."""
    for extra in ["", *sorted(requirement.extras)]:
        if (key := (canonicalize_name(requirement.name), extra)) in seen:
            continue
        seen.add(key)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:  # for another platform
            return
        yield key[0]
        for text in found.requires or []:
            below = Requirement(text)
            if below.marker is None or below.marker.evaluate({"extra": extra}):
                yield from closure(below, seen)


def test_everything_that_is_installed_is_pinned():
    brought = set(closure(Requirement("tbx_keras[test]"), set())) - {"tbx-keras"}
    assert len(brought) > 50
    assert sorted(brought - set(pins())) == []


def test_every_patch_release_of_the_oldest_python_is_enough():
    """pip of Debian's 3.11.2 refused a pin that wants 3.11.5."""
    oldest = setup_cfg()["options"]["python_requires"].removeprefix(">=") + ".0"
    brought = set(closure(Requirement("tbx_keras[test]"), set()))
    wanted = {name: distribution(name).metadata.get("Requires-Python") or "" for name in brought}
    assert [(name, spec) for name, spec in wanted.items() if oldest not in SpecifierSet(spec)] == []


def test_only_those_who_ask_for_pytorch_get_it_and_nobody_gets_cuda():
    without = "demo,read,remote,docs,jax"
    assert "torch" not in set(closure(Requirement(f"tbx_keras[{without}]"), set()))
    assert "torch" in set(closure(Requirement("tbx_keras[torch]"), set()))
    brought = set(closure(Requirement("tbx_keras[test]"), set()))
    assert not [
        name for name in brought | set(pins()) if name.startswith(("nvidia-", "sentence-transformers"))
    ]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_a_second_make_installs_nothing(tmp_path):
    for name in ("Makefile", "setup.cfg", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    assert make(tmp_path, "--question", ".venv") == 1  # something to do
    stamps = [tmp_path / ".venv" / name for name in (".installed-demo", ".installed")]
    stamps[0].parent.mkdir()
    for stamp in stamps:
        assert make(tmp_path, "--question", ".venv") == 1
        stamp.touch()
    assert make(tmp_path, "--question", ".venv") == 0
    for name in ("setup.cfg", "constraints.txt"):
        later = stamps[-1].stat().st_mtime + 10
        os.utime(tmp_path / name, (later, later))
        assert make(tmp_path, "--question", ".venv") == 1
        os.utime(tmp_path / name, (0, 0))


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize(("target", "extras"), [("demo", ["demo"]), ("check", ["demo", "test"])])
def test_the_demo_does_not_wait_for_what_only_tests_need(tmp_path, target, extras):
    for name in ("Makefile", "setup.cfg", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    assert re.findall(r'--editable "\.\[(.*)\]"', planned(tmp_path, target)) == extras


def planned(directory: Path, *arguments: str) -> str:
    """What make would run."""
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout


def make(directory: Path, *arguments: str) -> int:
    return subprocess.run(["make", *arguments], cwd=directory, capture_output=True, check=False).returncode


def test_transformers_stay_below_the_version_without_tensorflow():
    assert "transformers>=4.54,<4.55" in setup_cfg()["options.extras_require"]["transformers"]


def test_ci_calls_what_the_readme_says():
    ran = (ROOT / ".ci" / "run").read_text()
    assert "make test\n" in ran
    assert "make test-oldest" in ran
    opening = (ROOT / "README.md").read_text()[:1500]
    assert "make demo" in opening
    assert "make test" in opening


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_no_machine_speaks_from_tracked_files():
    words = r"/(work|root|home)/[a-z]"
    found = subprocess.run(
        ["git", "-C", str(ROOT), "grep", "-nIE", words, "--", ".", ":!tests/test_packaging.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout == ""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A source distribution and a wheel of the tracked files, built without a network."""
    place = tmp_path_factory.mktemp("built")
    for name in tracked():
        (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / "source" / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", place, place / "source")
    return place


def run(*command: str | Path, **options: Any) -> str:
    """What a command prints, without the checkout on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked() -> list[str]:
    """Names of the files that are tracked, or about to be."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


needs_checkout = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")


@needs_checkout
def test_the_source_distribution_has_everything_that_is_tracked(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        names = {name.split("/", 1)[1] for name in members.getnames() if "/" in name}
        # Python 3.11.2 has no `filter` yet; the archive is our own.
        members.extractall(built / "unpacked")
    source = built / "source"
    copied = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
    assert [name for name in copied if name not in names and ".egg-info/" not in name] == []
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name]
    (unpacked,) = (built / "unpacked").iterdir()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/scheduling/test_triggers.py"]
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "PYTEST_ADDOPTS": ""}
    listed = subprocess.run(
        command, cwd=unpacked, capture_output=True, text=True, check=False, env=environment
    )
    assert "test_triggers.py::" in listed.stdout, listed.stdout


@needs_checkout
def test_the_wheel_has_the_package_alone_and_a_description_without_relative_links(built):
    (archive,) = built.glob("*.whl")
    with zipfile.ZipFile(archive) as members:
        names = members.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        text = members.read(metadata).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tbx_keras"}
    assert "tbx_keras/py.typed" in names
    assert sorted(name for name in names if name.endswith(".py")) == sorted(
        name for name in tracked() if name.startswith("tbx_keras/") and name.endswith(".py")
    )
    targets = re.findall(r"\]\(([^)]*)\)|(?:href|src)=[\"']([^\"']*)", text)
    assert [one for pair in targets for one in pair if one and not one.startswith("http")] == []
    assert "See inside a Keras model while it trains" in text
    assert "docs/performance.md" in text  # named, so that it is found in the source distribution


@needs_checkout
def test_an_index_would_accept_both_distributions(built):
    archives = sorted([*built.glob("*.tar.gz"), *built.glob("*.whl")])
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *archives)
    assert said.count("PASSED") == len(archives) == 2


@pytest.fixture
def installed(built, tmp_path) -> Path:
    """The programs of a fresh environment, which has the wheel, and what it needs from this environment."""
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    programs = tmp_path / "venv" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    run(*pip, "install", "--no-deps", "--no-index", wheel)
    here = {name: str(tmp_path / "venv") for name in ("base", "platbase")}
    paths = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (Path(sysconfig.get_path("purelib", vars=here)) / "needed.pth").write_text("\n".join(paths))
    return programs


@pytest.mark.slow
@needs_checkout
@pytest.mark.skipif(sys.platform == "win32", reason="programs lie elsewhere")
def test_the_wheel_works_in_a_fresh_environment_outside_the_checkout(installed, tmp_path):
    where = run(installed / "python", "-c", "import tbx_keras as t; print(t.__file__)", cwd=tmp_path)
    assert Path(where).is_relative_to(installed.parent)
    assert run(installed / "python", "-c", PROGRAM, cwd=tmp_path) == "[['loss', 7, 0.5]]\n"
    assert "demo" in run(installed / "tbx-keras", "--help", cwd=tmp_path)
