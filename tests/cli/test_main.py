"""The command line as a person uses it."""

import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from tbx_keras import SummaryWriter, __version__
from tbx_keras.cli import main
from tests.processes import run_python


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return run_python("-m", "tbx_keras", *arguments, timeout=240, **options)


def stop(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("demo", "--epochs", "0"),
        ("demo", "--epochs", "many"),
        ("demo", "--batch-size", "-1"),
        ("demo", "--log-dir", "taken/below"),
        ("demo", "--nonsense"),
        ("view",),
        ("view", "nowhere"),
        ("view", "taken"),
        ("view", ".", "--port", "70000"),
        ("view", ".", "--host", "256.1.1.1"),
        ("view", ".", "--host", ""),  # to the system: all interfaces
        ("view", ".", "--host", "."),
        ("view", ".", "--host", "\u00e4..b"),
        ("demo", "--log-dir", "a/" * 2500),
        ("demo", "--log-dir", ""),
        ("demo", "--view", "--host", "256.1.1.1"),
        ("demo", "--view", "--host", ""),
        ("demo", "imdb", "--learning-rate", "nan"),
        ("demo", "imdb", "--learning-rate", "inf"),
        ("demo", "imdb", "--learning-rate", "0"),
        ("demo", "imdb", "--freeze", "the head"),
        ("demo", "imdb", "--lora-rank", "2"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, capsys, tmp_path):
    (tmp_path / "taken").write_text("")
    code, reported = stop(capsys, *arguments)
    assert code == 2
    assert reported.startswith("tbx-keras: ")
    assert reported.count("\n") == 1
    assert "Traceback" not in reported


def test_bad_input_is_reported_before_the_framework_is_imported(tmp_path):
    code = """
import sys
from tbx_keras.cli import main
try:
    main(["demo", "--view", "--host", "256.1.1.1", "--log-dir", "here"])
except SystemExit as end:
    sys.exit(end.code if "keras" not in sys.modules else 7)
"""
    done = run_python("-c", code, cwd=tmp_path)
    assert done.returncode == 2


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


def test_help_imports_no_framework():
    slow = "('tensorflow', 'keras', 'tensorboard')"
    code = f"import sys; from tbx_keras.cli import main; sys.exit(any(m in sys.modules for m in {slow}))"
    assert run_python("-c", code).returncode == 0


@pytest.mark.slow
def test_demo_records_and_tells_where(tmp_path):
    from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

    done = run("demo", "--log-dir", "here", "--epochs", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cudart" not in done.stderr
    for word in ("Recorded", "epoch_loss", "Validation accuracy", "0 dropped", "tbx-keras view here"):
        assert word in done.stdout
    train, validation = accumulate(tmp_path, "here", "train"), accumulate(tmp_path, "here", "validation")
    assert set(scalar(train, "epoch_loss")) == set(scalar(validation, "epoch_loss")) == {0, 1, 2}
    assert scalar(validation, "epoch_accuracy")[2] > 0.9
    assert {tag.split("/")[0] for tag in histogram_tags(train)} == {"weights", "gradients"}
    assert {"gradient_norm/global", "step_loss"} <= scalar_tags(train)


@pytest.mark.slow
def test_view_serves_the_runs_on_loopback_and_ends_with_an_interrupt(tmp_path):
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("loss", 0.5, 1)
    command = [sys.executable, "-u", "-m", "tbx_keras", "view", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # What runs in the background of a shell inherits that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        address = next(line.split()[1] for line in process.stdout if line.startswith("TensorBoard:"))
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address.rstrip('/')}/data/runs", timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(2)
        assert process.wait(30) == 0  # the normal way to end it, as the page says
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_port_that_is_taken_gives_way_to_a_free_one():
    from tbx_keras.cli.view import free_port

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_port("127.0.0.1", taken.getsockname()[1]) not in (0, taken.getsockname()[1])


def test_view_says_that_the_port_was_taken(capsys, tmp_path, monkeypatch):
    from tbx_keras.cli import view

    asked = []
    monkeypatch.setattr(view, "_launch", lambda log_dir, host, port: asked.append(port) or "http://here/")
    monkeypatch.setattr(view, "_wait", lambda: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        view.serve(str(tmp_path), "127.0.0.1", port)
    shown = capsys.readouterr()
    assert f"Port {port} of 127.0.0.1 is taken; TensorBoard gets port {asked[0]}." in shown.err
    assert "TensorBoard: http://here/" in shown.out
    view.serve(str(tmp_path), "127.0.0.1", 0)
    view.serve(str(tmp_path), "127.0.0.1", port)
    assert capsys.readouterr().err == ""


def test_an_interrupt_before_tensorboard_runs_is_130(capsys, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("tbx_keras.cli.view._launch", interrupted)
    assert stop(capsys, "view", str(tmp_path), "--port", "0")[0] == 130
