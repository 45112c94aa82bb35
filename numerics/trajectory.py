"""A path on the sphere with what was measured along it; it saves to npz and loads back bit for bit."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.durable import write_whole
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.errors import InputError

__all__ = ["Trajectory"]

_FORMAT = "sharpflow-trajectory-1"
_DAMAGE = (zipfile.BadZipFile, zlib.error)
_SERIES = ("times", "points", "effective_lr", "sharpness", "loss")


@brief
@dataclass(frozen=True, eq=False)
class Trajectory:
    """theta at N times.

    Attributes:
        times: (N,) flow time tau = rate * t, rising.
        points: (N, D) unit vectors.
        effective_lr, sharpness, loss: (N,), nan where not measured.
        result: how the run ended; a run that failed ends at its last good record.
        metadata: text and numbers to go with it.
    """

    times: np.ndarray
    points: np.ndarray
    effective_lr: np.ndarray
    sharpness: np.ndarray
    loss: np.ndarray
    result: RESULTS = RESULTS.SUCCESSFUL
    metadata: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _SERIES:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        if self.points.ndim != 2 or self.times.ndim != 1:
            raise InputError(f"times must be (N,) and points (N, D), not {self.times.shape} and {self.points.shape}.")
        for name in _SERIES:
            if len(getattr(self, name)) != len(self.times):
                raise InputError(f"{name} has {len(getattr(self, name))} entries for {len(self.times)} times.")

    def __len__(self) -> int:
        return len(self.times)

    @property
    def end(self) -> np.ndarray:
        """The last point, (D,)."""
        last: np.ndarray = self.points[-1]
        return last

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file; whoever reads ``path`` meanwhile sees the old file or the new one, never a part."""
        header = json.dumps({"format": _FORMAT, "result": self.result.value, "metadata": dict(self.metadata)})
        content = io.BytesIO()
        try:
            np.savez_compressed(content, header=np.array(header), **{n: getattr(self, n) for n in _SERIES})
            write_whole(Path(os.path.realpath(path)), content.getvalue())
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}.") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trajectory:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged, or not a trajectory.
        """
        try:
            # Read first: numpy leaves a damaged file open.
            content = io.BytesIO(Path(path).read_bytes())
            with np.load(content, allow_pickle=False) as data:
                header = json.loads(str(data["header"]))
                if header["format"] != _FORMAT:
                    raise InputError(f"{path} has the format {header['format']!r}; this program reads {_FORMAT!r}.")
                series = {n: data[n] for n in _SERIES}
                return cls(**series, result=RESULTS(header["result"]), metadata=header["metadata"])
        except InputError:
            raise
        except FileNotFoundError as error:
            raise InputError(f"there is no file {path}.") from error
        # A damaged archive can fail at any layer: the zip, the array header, the JSON text.
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError, *_DAMAGE) as error:
            raise InputError(f"{path} is not a saved trajectory, or is damaged ({type(error).__name__}).") from error

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line for each time: time, effective_lr, sharpness, loss, then the D entries of the point."""
        names = ["time", "effective_lr", "sharpness", "loss", *(f"theta{i + 1}" for i in range(self.points.shape[1]))]
        columns = np.column_stack([self.times, self.effective_lr, self.sharpness, self.loss, self.points])
        try:
            with Path(path).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(names)
                writer.writerows([repr(float(v)) for v in row] for row in columns)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}.") from error
