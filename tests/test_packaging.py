"""What the package says of itself."""

import configparser
import re
import subprocess
from pathlib import Path

import pytest

import tbx_keras

ROOT = Path(__file__).parent.parent


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_the_version_is_that_of_the_changelog():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest.group(1) == tbx_keras.__version__


def test_setup_cfg_gives_ranges_and_constraints_exact_versions():
    section = setup_cfg()["options"]["install_requires"] + setup_cfg()["options.extras_require"]["test"]
    assert "==" not in section
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all("==" in pin for pin in pins)


def test_transformers_stay_below_the_version_without_tensorflow():
    assert "transformers>=4.41,<4.55" in setup_cfg()["options.extras_require"]["transformers"]


def test_ci_calls_what_the_readme_says():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
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
