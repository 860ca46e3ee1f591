"""Faults of the system while a real `fit` runs: it ends as it would have, and recording goes on."""

import random
import signal
import subprocess

import pytest

from tests.processes import run_python
from tests.reading import accumulate, scalar

PRELUDE = """
import os, resource, signal, sys, time, warnings
import numpy as np, keras
from tbx_keras import TbxLogger
from tests import zoo
signal.signal(signal.SIGINT, signal.default_int_handler)  # the shell of a background job ignores it
keras.utils.set_random_seed(1)
model, (x, y) = zoo.sequential(keras), zoo.batch(400)
model.compile("sgd", "mse")
class At(keras.callbacks.Callback):
    def __init__(self, **actions):
        super().__init__()
        self.actions = actions
    def on_epoch_begin(self, epoch, logs=None):
        self.actions.get(f"e{epoch}", lambda: None)()
def fit(logger, epochs, **actions):
    start = time.perf_counter()
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=[logger, At(**actions)])
    return time.perf_counter() - start
"""


def run(code: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    return run_python("-c", PRELUDE + code, *arguments, timeout=120, **options)


FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = resource.RLIM_INFINITY
alone = fit(TbxLogger("alone", update_freq=1), 6)
logger = TbxLogger("logs", update_freq=1)
def full():
    logger.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, unlimited))
def free():
    assert not logger.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
took = fit(logger, 6, e1=full, e4=free)
report = logger.report
print(took - alone < 10 + 1, report.dropped, report.errors > 0)
"""


@pytest.mark.slow
def test_a_disk_that_is_full_during_fit(tmp_path):
    done = run(FULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "0", "True"]
    assert done.stderr.count("failed; training goes on") == 1
    alone, faulty = (accumulate(tmp_path, name, "train") for name in ("alone", "logs"))
    assert set(scalar(alone, "batch_loss")) == set(range(1, 301))
    assert set(scalar(faulty, "batch_loss")) == set(range(301, 601))
    assert set(scalar(faulty, "epoch_loss")) == set(range(6))


STAYS_FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logger = TbxLogger("logs", update_freq=1)
def full():
    logger.flush()
    print(logger.report.written)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
ends = logger.on_train_end
def timed(logs=None):
    start = time.perf_counter()
    ends(logs)
    print(time.perf_counter() - start < 1.0)
logger.on_train_end = timed
fit(logger, 4, e1=full)
print(logger.report.written, logger.report.dropped)
"""


@pytest.mark.slow
def test_the_count_of_what_is_lost_is_exact(tmp_path):
    """The same run on a good disk says how many values there are."""
    done = run(STAYS_FULL)
    assert done.returncode == 0, done.stderr
    good = run(STAYS_FULL.replace("20_000", "resource.RLIM_INFINITY").replace('"logs"', '"good"'))
    before, in_time, written, dropped = done.stdout.split()
    before, written, dropped = int(before), int(written), int(dropped)
    assert in_time == "True"  # the disk that takes nothing does not hold up the end of training
    assert before <= written
    assert written + dropped == int(good.stdout.split()[2])
    assert f"{dropped:,} values could not be written" in done.stderr


NO_DESCRIPTORS = """
import os, resource, time
from tbx_keras import SummaryWriter
writer = SummaryWriter("logs")
held, (_, hard) = [], resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for step in range(100):
    writer.add_scalar("loss", 1.0, step)
print(writer.flush(0.5))
for one in held:
    os.close(one)
time.sleep(1)
print(writer.close(), writer.counts.dropped)
"""


def test_without_file_descriptors(tmp_path):
    """Of the writer alone: TensorFlow itself ends a process that has none left."""
    done = run_python("-c", NO_DESCRIPTORS, timeout=60)
    assert done.stdout.split() == ["False", "True", "0"], done.stderr
    assert "Too many open files" in done.stderr
    assert set(scalar(accumulate(tmp_path, "logs"), "loss")) == set(range(100))


NO_PERMISSION = """
fit(TbxLogger("logs", update_freq=1), 1)  # everything is imported
if os.getuid() == 0:
    for folder, _, names in os.walk("logs"):
        for one in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(one, 65534, 65534)
    os.seteuid(65534)  # root may write everywhere
def withdraw():
    logger.flush()  # what the directory held before has been read: this run goes on where the first ended
    os.chmod("logs/train", 0o000)
def grant():
    deadline = time.monotonic() + 30
    while not logger.report.errors and time.monotonic() < deadline:
        time.sleep(0.01)
    os.chmod("logs/train", 0o700)
logger = TbxLogger("logs", update_freq=1)
fit(logger, 4, e0=withdraw, e2=grant)
print(logger.report.dropped, logger.report.errors > 0, flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_permission_withdrawn(tmp_path):
    tmp_path.chmod(0o777)
    done = run(NO_PERMISSION)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True"]
    assert "Permission denied" in done.stderr
    assert len(accumulate(tmp_path, "logs", "train").Scalars("epoch_loss")) == 1 + 4


SLOW = """
import threading
write, here, writing, by = os.write, threading.get_ident(), [], set()
def slow(descriptor, data):
    if len(data) > 100:
        by.add(threading.get_ident())
        writing.append(1)
        time.sleep(0.5)
        writing.pop()
    return write(descriptor, data)
os.write = slow
through = 0
class Watched(TbxLogger):
    def on_train_batch_end(self, batch, logs=None):
        global through
        before = bool(writing)
        super().on_train_batch_end(batch, logs)
        through += before and bool(writing)
logger = Watched("logs", update_freq=1)
fit(logger, 3)
print(through > 10, by and here not in by, logger.report.dropped)
"""


@pytest.mark.slow
def test_a_slow_disk_holds_no_step_up(tmp_path):
    """Steps begin and end while the disk still writes, and none of them writes itself."""
    done = run(SLOW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True", "0"]
    assert len(scalar(accumulate(tmp_path, "logs", "train"), "batch_loss")) == 150


# One process that has imported everything, and a child for each moment: importing takes seconds.
KILLED = """
import os, signal, sys, time
import numpy as np
from tbx_keras import SummaryWriter

def record(directory, pipe):
    writer, step = SummaryWriter(directory), 0
    while True:
        step += 1
        writer.add_scalar("batch_loss", 1.0, step)
        if step % 5 == 0:
            writer.add_histogram("weights", np.arange(step % 50 + 1.0), step)
        if step % 7 == 0 and writer.flush():
            os.write(pipe, b"%d " % step)

for number, moment in enumerate(sys.argv[1:]):
    reader, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        record(f"{number}", pipe)
    os.close(pipe)
    time.sleep(float(moment))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    data = b"0 "
    while chunk := os.read(reader, 1 << 16):
        data += chunk
    os.close(reader)
    print(data[: data.rindex(b" ")].split()[-1].decode(), flush=True)
"""


@pytest.mark.slow
def test_killed_at_50_moments(tmp_path):
    """Every file is readable to its last whole record, and holds all that was flushed."""
    chance = random.Random(5)
    moments = [str(chance.uniform(0.0, 0.6)) for _ in range(50)]
    done = run_python("-c", KILLED, *moments, timeout=200)
    assert done.returncode == 0, done.stderr
    flushed = [int(line) for line in done.stdout.split()]
    assert len(flushed) == 50
    assert len(set(flushed)) > 10
    for number, last in enumerate(flushed):
        steps = steps_of(tmp_path / str(number))
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= last


def steps_of(directory) -> list[int]:
    """Steps of the losses; none where the kill came before the directory, or before its first record."""
    if not directory.exists():
        return []
    events = accumulate(directory)
    return [one.step for one in events.Scalars("batch_loss")] if events.Tags()["scalars"] else []


ENDS = """
import atexit
from tbx_keras.writers import shutdown
atexit.unregister(shutdown.close_all)  # ours goes first: the frameworks take seconds of their own to unload
atexit.register(lambda: print(time.monotonic() - began < 2.0))
atexit.register(shutdown.close_all)
logger = TbxLogger("logs", update_freq=1)
class End(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        global began
        if batch == 20:
            began = time.monotonic()
            {end}
model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[logger, End()])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("raise RuntimeError('theirs')", 1),
        ("sys.exit(9)", 9),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", -signal.SIGINT),
    ],
)
def test_fit_ends_by_an_exception(end, code, tmp_path):
    """All is on disk within 2 seconds, and the process ends with the code that it would have had."""
    done = run(ENDS.format(end=end))
    assert done.returncode == code
    assert done.stdout.split() == ["True"]
    assert set(scalar(accumulate(tmp_path, "logs", "train"), "batch_loss")) >= set(range(1, 21))


BETWEEN = """
logger = TbxLogger("logs", update_freq=1)
fit(logger, 1)
logger.on_train_begin()
logger.on_epoch_begin(0)
logger._writer.scalar("train", "mine", 1.0, 1)
raise ValueError("theirs")
"""


@pytest.mark.slow
def test_an_exception_between_two_fits(tmp_path):
    done = run(BETWEEN)
    assert done.returncode == 1
    assert "ValueError: theirs" in done.stderr
    events = accumulate(tmp_path, "logs", "train")
    assert set(scalar(events, "epoch_loss")) == {0}
    assert scalar(events, "mine") == {1: 1.0}
