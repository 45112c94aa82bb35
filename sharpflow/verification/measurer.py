"""Measurements of claims: of some losses in another process, of all others in this one, when they are asked for."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

from sharpflow.claim import Case, Claim, Measurement, Numeric
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.verification.prover import internal_error
from sharpflow.verification.worker import GENERIC, Row, Worker

__all__ = ["Measurer", "measure"]

# So many rows pay for another process, which takes seconds to import what it needs.
MANY = 40


def measure(claim: Claim, case: Callable[[], Case], /) -> tuple[Measurement, float]:
    """The claim's measurement and its seconds; what it lacks makes it inconclusive, an exception an error."""
    begin = time.perf_counter()
    return _measured(claim, case), time.perf_counter() - begin


def _measured(claim: Claim, case: Callable[[], Case]) -> Measurement:
    if claim.measure is None:
        return Measurement(Numeric.NOT_RUN, message=claim.why_no_measurement)
    try:
        return claim.measure(case())
    except (InputError, NoClosedForm) as reason:
        return Measurement(Numeric.INCONCLUSIVE, message=str(reason))
    except Exception as error:
        return Measurement(Numeric.ERROR, message=internal_error("measurement", error))


class Measurer:
    """Measurements of rows; where there are many, those of a quarter of the losses in a process of its own.

    Args:
        rows: in the order of work; those only that may be measured before their hypotheses are looked at.
    """

    def __init__(self, rows: Sequence[Row], inbox: queue.Queue[Worker], /) -> None:
        # The generic loss, whose measurements take longest, comes first.
        losses = sorted(dict.fromkeys(row.loss for row in rows), key=lambda name: name != GENERIC)
        away = losses[: max(1, len(losses) // 4)] if len(rows) >= MANY else []
        self._worker = Worker(measure, [row.task for row in rows if row.loss in away], inbox)

    def takes(self, row: Row, /) -> bool:
        """True where another process measures it."""
        return self._worker.takes(row.index)

    def has(self, row: Row, /) -> bool:
        """True where `result` need not measure or wait."""
        return self._worker.has(row.index)

    def result(self, row: Row, /) -> tuple[Measurement, float]:
        """The measurement of a row that `takes`, and its seconds."""
        if row.index in self._worker.answers:
            found: tuple[Measurement, float] = self._worker.answers[row.index]
            return found
        return Measurement(Numeric.ERROR, message=f"the measuring process ended early ({self._worker.end})"), 0.0

    def close(self) -> None:
        """End the process, whether it is done or not."""
        self._worker.close()
