"""Real faults, each in a process of its own: what was recorded before is there, and the process goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.processes import run_python
from tests.reading import accumulate, scalar


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return run_python("-c", code, *arguments, timeout=60)


FULL_DISK = """
import resource, signal, sys, time
from tbx_keras import SummaryWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
writer = SummaryWriter(sys.argv[1])
slowest = 0.0
for step in range(1000):
    start = time.perf_counter()
    writer.add_scalar("loss", 1.0, step)
    slowest = max(slowest, time.perf_counter() - start)
    if step % 100 == 0:
        writer.flush(0.2)
full = not writer.flush(0.5)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(6)
writer.add_scalar("loss", 1.0, 1000)
complete = writer.close()
print(full, complete, writer.counts.written, writer.counts.dropped, slowest < 1.0)
"""


@pytest.mark.slow
def test_a_full_disk_holds_nobody_up_and_recording_goes_on_when_there_is_space(tmp_path):
    done = run(FULL_DISK, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True", "1001", "0", "True"]
    assert done.stderr.count("RuntimeWarning") == 1
    assert set(scalar(accumulate(tmp_path), "loss")) == set(range(1001))


EXIT_AFTER_FLUSH = """
import os, sys
from tbx_keras import SummaryWriter
writer = SummaryWriter(sys.argv[1])
for step in range(500):
    writer.add_scalar("loss", 1.0, step)
assert writer.flush()
os._exit(7)
"""


def test_a_hard_exit_right_after_flush_loses_nothing(tmp_path):
    assert run(EXIT_AFTER_FLUSH, str(tmp_path)).returncode == 7
    assert len(scalar(accumulate(tmp_path), "loss")) == 500


OPEN_AT_EXIT = """
import sys
from tbx_keras import SummaryWriter
writer = SummaryWriter(sys.argv[1])
for step in range(500):
    writer.add_scalar("loss", 1.0, step)
sys.exit(5)
"""


def test_a_writer_that_is_open_at_exit_is_written_out(tmp_path):
    assert run(OPEN_AT_EXIT, str(tmp_path)).returncode == 5
    assert len(scalar(accumulate(tmp_path), "loss")) == 500


ENDLESS = """
import sys
from tbx_keras import SummaryWriter
writer, step = SummaryWriter(sys.argv[1]), 0
print("begun", flush=True)
while True:
    writer.add_scalar("loss", 1.0, step)
    step += 1
    if step % 100 == 0:
        writer.flush()
        print(step, flush=True)
"""


@pytest.mark.slow
def test_after_a_kill_every_file_is_readable_and_holds_what_was_flushed(tmp_path):
    for number in range(5):
        directory = tmp_path / str(number)
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, directory], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.2 + 0.05 * number)
        process.send_signal(signal.SIGKILL)
        flushed = [int(line) for line in process.stdout.read().split("\n")[:-1] if line]
        process.stdout.close()
        process.wait(10)
        steps = [event.step for event in accumulate(directory).Scalars("loss")]
        assert steps == list(range(len(steps)))
        assert len(steps) >= (flushed or [0])[-1]


REMOVED = """
import shutil, sys
from tbx_keras import SummaryWriter
writer = SummaryWriter(sys.argv[1])
writer.add_scalar("before", 1.0, 1)
writer.flush()
shutil.rmtree(sys.argv[1])
writer.add_scalar("after", 1.0, 2)
print(writer.close())
"""


def test_a_directory_that_is_removed_is_made_again(tmp_path):
    done = run(REMOVED, str(tmp_path / "run"))
    assert done.stdout.split() == ["True"], done.stderr
    assert scalar(accumulate(tmp_path, "run"), "after") == {2: 1.0}


PROCESSES = """
import sys
from tbx_keras import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    for step in range(100):
        writer.add_scalar(f"loss/{sys.argv[2]}", 1.0, step)
"""


@pytest.mark.slow
def test_eight_processes_in_one_directory_lose_nothing(tmp_path):
    commands = [[sys.executable, "-c", PROCESSES, str(tmp_path), str(number)] for number in range(8)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0] * 8
    events = accumulate(tmp_path)
    assert all(len(scalar(events, f"loss/{number}")) == 100 for number in range(8))
    assert len(os.listdir(tmp_path)) == 8
