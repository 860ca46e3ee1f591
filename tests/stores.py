"""Object stores on this machine: a real S3 server and a real emulator of Google's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest
from moto.server import ThreadedMotoServer

SECRET = "a-secret-that-nobody-may-see"


class S3:
    """An S3 server that can be stopped and started again with what it holds."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port)
        self._server.start()


@contextmanager
def s3_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A server with an empty bucket `logs`; the environment points to it."""
    import s3fs

    server = S3()
    for name, value in {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = fsspec.filesystem("s3")
    if system.exists("logs"):
        system.rm("logs", recursive=True)
    system.mkdir("logs")
    try:
        yield server
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def gs_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An emulator with an empty bucket `logs`; the environment points to it."""
    import gcsfs
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="logs")
    server.start()
    port = server._api._httpd.socket.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    gcsfs.GCSFileSystem.clear_instance_cache()
    try:
        yield
    finally:
        server.stop()
        gcsfs.GCSFileSystem.clear_instance_cache()


def fetched(url: str, directory: os.PathLike[str]) -> str:
    """A local copy of what a store holds."""
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    system.get(f"{path}/", f"{directory}/", recursive=True)
    return str(directory)
