"""File descriptor 2 is turned aside and comes back."""

import os
import subprocess
import sys

import pytest

from tbx_keras.cli.suppress_stderr import suppress_stderr


def say(text: str) -> None:
    """As native code does: past Python's `sys.stderr`."""
    os.write(2, text.encode())


def test_what_native_code_says_is_thrown_away(capfd):
    with suppress_stderr():
        say("noise")
    say("after")
    assert capfd.readouterr().err == "after"


def test_it_is_shown_if_the_block_fails(capfd):
    with pytest.raises(ImportError), suppress_stderr():
        say("the reason")
        raise ImportError
    say(" and after")
    assert capfd.readouterr().err == "the reason and after"


def test_no_descriptor_is_left_open():
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    for _ in range(3):
        with suppress_stderr():
            say("noise")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor in a shell")
def test_a_process_without_stderr():
    code = "from tbx_keras.cli.suppress_stderr import suppress_stderr as held\nwith held(): print('inside')"
    command = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "inside\n")
