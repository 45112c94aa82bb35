"""The time limit: it strikes, it nests, and it strikes no more once the body has ended."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from sharpflow.theory.limits import TimeLimitExceeded, time_limit, wall_limit

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")


# A limit, its timer and its signal.
KINDS = [(time_limit, "ITIMER_PROF", "SIGPROF"), (wall_limit, "ITIMER_REAL", "SIGALRM")]


@pytest.fixture(params=KINDS, ids=["work", "wall"])
def kind(request):
    limit, timer, number = request.param
    timer, number = getattr(signal, timer), getattr(signal, number)
    before = signal.getsignal(number)
    yield limit, timer, number
    assert signal.getitimer(timer) == (0.0, 0.0)
    assert signal.getsignal(number) is before


@pytest.fixture
def limit(kind):
    return kind[0]


def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(50))


def test_it_ends_a_body_that_runs_over(limit):
    begin = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match=r"over 0\.05 s"), limit(0.05):
        work(5)
    assert time.monotonic() - begin < 2


def test_it_leaves_a_quick_body_and_its_errors_alone(limit):
    with limit(5):
        work(0.01)
    with pytest.raises(KeyError), limit(5):
        raise KeyError


def test_no_alarm_escapes_after_the_body(limit):
    for _ in range(20):
        try:
            with limit(0.002):
                work(0.0021)
        except TimeLimitExceeded:
            pass
    work(0.3)


def overrun(limit, seconds, *, inner=None):
    """A body that swallows the first strike, its own limit's or an inner one's, and goes on; how often it did."""
    swallowed = []
    begin = time.process_time()
    with pytest.raises(TimeLimitExceeded) as struck, limit(seconds):  # noqa: PT012
        try:
            if inner is None:
                work(5)
            else:
                with limit(inner):
                    work(5)
        except TimeLimitExceeded as error:
            swallowed.append(str(error))
        work(5)
    assert time.process_time() - begin < 3
    return swallowed, str(struck.value)


def test_an_alarm_that_is_swallowed_comes_again(limit):
    assert overrun(limit, 0.02) == (["over 0.02 s"], "over 0.02 s")


def test_an_inner_limit_strikes_first_and_the_outer_one_still_later(limit):
    assert overrun(limit, 0.3, inner=0.02) == (["over 0.02 s"], "over 0.3 s")


def test_an_inner_limit_never_outlasts_the_outer_one(limit):
    assert overrun(limit, 0.05, inner=60) == (["over 60 s"], "over 0.05 s")


def test_a_quick_inner_limit_leaves_the_outer_one_its_time(kind):
    limit, timer, _ = kind
    with limit(5):
        with limit(0.5):
            work(0.01)
        left, again = signal.getitimer(timer)
    assert 4 < left < 5
    assert again > 0


def test_a_foreign_timer_is_put_back(kind):
    limit, timer, number = kind
    struck = []
    before = signal.signal(number, lambda *_: struck.append(True))
    try:
        signal.setitimer(timer, 0.1)
        with limit(5):
            work(0.01)
        work(0.2)
        assert struck == [True]
    finally:
        signal.setitimer(timer, 0)
        signal.signal(number, before)


def test_outside_the_main_thread_the_body_runs_without_a_limit(limit):
    done = []

    def body():
        with limit(0.01):
            work(0.05)
        done.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_finalizer_does_not_swallow_it(limit):
    """The alarm that comes while a finalizer runs waits for its end; it would be lost there, with a warning."""

    def busy():
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass

    class Slow:
        def __del__(self):
            busy()

    def work():
        while True:
            Slow()
            busy()

    begin = time.monotonic()
    with pytest.raises(TimeLimitExceeded), limit(0.05):
        work()
    assert time.monotonic() - begin < 3


def test_a_body_that_waits_has_not_worked():
    with time_limit(0.05):
        time.sleep(0.3)
    with pytest.raises(TimeLimitExceeded), wall_limit(0.05):
        time.sleep(3)
