"""Files for those who join in: where people look for them, and true of the Makefile and of setup.cfg."""

import configparser
import re
import shlex
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.pages import ROOT

FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
HOOKS = [
    hook
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]
]
PAGES = ["CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"]


def section(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser[name]


def workflow() -> dict:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())


def targets() -> set[str]:
    return set(re.findall(r"^([\w.-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def named_targets(text: str) -> set[str]:
    """Targets that a text tells one to make: in backticks, or at the start of a line of code."""
    return set(re.findall(r"(?:^|`|run: )make ([a-z][\w-]*)", text, re.MULTILINE))


def test_the_workflow_runs_targets_of_the_makefile_on_every_push_and_pull_request():
    steps = workflow()["jobs"]["test"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == ["make check", "make test"]
    assert {command.removeprefix("make ") for command in commands} <= targets()
    assert set(workflow()[True]) == {"push", "pull_request"}  # YAML reads `on` as true


def test_the_workflow_has_every_python_of_the_classifiers_and_no_other():
    tested = workflow()["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    stated = re.findall(r"Python :: (3\.\d+)$", section("metadata")["classifiers"], re.MULTILINE)
    assert tested == stated
    assert section("options")["python_requires"] == f">={stated[0]}"


def test_the_workflow_makes_its_environment_with_the_python_of_the_matrix():
    makefile = (ROOT / "Makefile").read_text()
    assert "PYTHON ?=" in makefile
    assert workflow()["jobs"]["test"]["env"] == {"PYTHON": "python"}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_is_a_program_of_the_extra_test(hook):
    assert hook["language"] == "system"
    directory, program = shlex.split(hook["entry"])[0].rsplit("/", 1)
    assert directory == ".venv/bin"
    extra = section("options.extras_require")["test"].strip().splitlines()
    declared = {canonicalize_name(Requirement(line).name) for line in extra} - {"tbx-keras"}
    assert any(program in programs(name) for name in declared)


def programs(name: str) -> set[str]:
    """Names of the programs that a package installs."""
    found = distribution(name)
    files = {Path(str(file)).name for file in found.files or [] if file.parent.name == "bin"}
    return files | {one.name for one in found.entry_points if one.group == "console_scripts"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_there_and_so_is_all_that_it_names(page):
    text = (ROOT / page).read_text()
    assert named_targets(text) <= targets()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).is_file(), target
    for name in re.findall(r"`((?:tbx_keras|tests|docs)/[\w/]+\.\w+)`", text):
        assert (ROOT / name).is_file(), name
    assert not re.search(r"https?://|\w@\w", text)  # no addresses that nobody answers at


def test_help_names_every_target_that_a_person_calls():
    makefile = (ROOT / "Makefile").read_text()
    described = set(re.findall(r'@echo "make ([\w-]+)', makefile))
    phony = set(re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE).group(1).split())
    assert phony == targets() - {".venv", ".PHONY"}
    assert described == phony - {"help", "clean"}


def test_the_whole_suite_measures_coverage_against_a_floor():
    recipe = re.search(r"^test: .*\n\t(.*)", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert shlex.split(recipe)[-1] == "--cov"
    assert section("coverage:run")["source"] == "tbx_keras"
    assert int(section("coverage:report")["fail_under"]) >= 95


@pytest.mark.parametrize("name", ["bug_report", "feature_request"])
def test_a_form_is_valid(name):
    form = yaml.safe_load((FORMS / f"{name}.yml").read_text())
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    assert {field["type"] for field in form["body"]} <= {"input", "textarea", "checkboxes"}
    assert all(field["attributes"]["label"] for field in form["body"])


def test_a_bug_report_asks_for_versions_a_fit_and_the_report():
    fields = {field["id"]: field for field in yaml.safe_load((FORMS / "bug_report.yml").read_text())["body"]}
    for name in ("versions", "fit", "report"):
        assert fields[name]["validations"]["required"]
    for word in ("tbx_keras", "Keras", "Backend", "TensorFlow", "Python"):
        assert word in fields["versions"]["attributes"]["value"]


def test_the_fit_of_a_bug_report_runs(tmp_path, monkeypatch, capsys):
    fields = {field["id"]: field for field in yaml.safe_load((FORMS / "bug_report.yml").read_text())["body"]}
    monkeypatch.chdir(tmp_path)
    exec(fields["fit"]["attributes"]["value"], {})
    assert "<tbx_keras report of 'logs/bug'" in capsys.readouterr().out


def test_every_version_of_the_changelog_has_its_date():
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
