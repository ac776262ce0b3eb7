"""A process that is told to end does so, whatever it is at."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

BEGIN = """
import os, sys, threading, time
from step_ros.ros.processes.orderly_end import OrderlyEnd, leave
"""
STARTS_UP = """
with OrderlyEnd() as end:
    print("here", flush=True)
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)
"""
LOOKS = """
with OrderlyEnd() as end:
    end.in_order()
    print("here", flush=True)
    while not end.asked:
        time.sleep(0.01)
    print("in order")
    leave(7)
"""
IS_STUCK = """
with OrderlyEnd() as end:
    end.in_order()
    print("here", flush=True)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
"""
TAKES_ITS_TIME = """
with OrderlyEnd(patience=None) as end:
    end.in_order()
    print("here", flush=True)
    while not end.asked:
        time.sleep(0.01)
    time.sleep(2.0)
    print("written")
    leave(7)
"""
HAS_A_THREAD_THAT_DOES_NOT_END = """
threading.Thread(target=time.sleep, args=(600,)).start()
print("in order")
leave(7)
"""

PUTS_BACK = """
import signal
before = signal.getsignal(signal.SIGINT)
with OrderlyEnd():
    pass
print(signal.getsignal(signal.SIGINT) is before)
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", BEGIN + script],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        pytest.param(STARTS_UP, 0, "", id="starts up, and would swallow an exception"),
        pytest.param(LOOKS, 7, "in order\n", id="looks whether it is asked"),
        pytest.param(IS_STUCK, 0, "", id="is stuck"),
        pytest.param(TAKES_ITS_TIME, 7, "written\n", id="has much to write"),
    ],
)
def test_signals_end_it_whatever_it_does(
    start: Start, script: str, code: int, said: str, number: signal.Signals
) -> None:
    process = start(script)
    assert process.stdout and process.stdout.readline() == "here\n"
    process.send_signal(number)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (code, said)


def test_it_leaves_threads_behind_but_nothing_that_it_has_written(start: Start) -> None:
    process = start(HAS_A_THREAD_THAT_DOES_NOT_END)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (7, "in order\n")


def test_handlers_are_put_back(start: Start) -> None:
    output, _ = start(PUTS_BACK).communicate(timeout=60)
    assert output == "True\n"
