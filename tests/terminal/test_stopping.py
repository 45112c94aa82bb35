"""Signals: an interrupt is heard whenever it comes, and never where the user ignores it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sharpflow.terminal.stopping import interruptible, stopping

pytestmark = pytest.mark.usefixtures("interrupts_are_heard")


def _xla_gc_callback():
    """A hook of this name is one whose exceptions Python discards; the signal comes while it runs."""
    signal.raise_signal(signal.SIGINT)
    return "not raised here"


def interrupted(body):
    """Whether a KeyboardInterrupt came, within ten seconds."""
    try:
        body()
        time.sleep(10)
    except KeyboardInterrupt:
        return True
    return False


def test_an_interrupt_in_a_hook_of_the_garbage_collector_is_raised_after_it():
    heard = []
    with interruptible():
        assert interrupted(lambda: heard.append(_xla_gc_callback()))
    assert heard == ["not raised here"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_so_is_the_second_one_where_the_first_waits_for_a_record(capsys):
    with interruptible(), stopping("record") as stop:
        _xla_gc_callback()
        assert stop.asked()
        assert interrupted(_xla_gc_callback)
    assert "stopping after this record" in capsys.readouterr().err


def test_an_interrupt_is_raised_at_once_elsewhere():
    begun = time.monotonic()
    with interruptible():
        assert interrupted(lambda: signal.raise_signal(signal.SIGINT))
    assert time.monotonic() - begun < 5


def test_who_ignores_interrupts_goes_on_doing_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.deep
@pytest.mark.parametrize("after", [3.0])
def test_a_command_is_ended_whenever_the_interrupt_comes(after, tmp_path):
    words = ["train", "digits", "--time", "3", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "sharpflow", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "SHARPFLOW_CACHE": "off"},
    )  # fmt: skip
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert process.returncode in (130, 1)  # at once, or after the record in hand
    assert "interrupted" in complained or "stopping after this record" in complained
    assert "Traceback" not in complained
