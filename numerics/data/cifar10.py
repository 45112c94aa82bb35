"""CIFAR-10 from a place of the user's: x (n, 32, 32, 3) in ten classes, 50,000 images to train on, 10,000 to test.

    folder   data_batch_1, ..., data_batch_5 and test_batch, pickles of {data: (n, 3072) uint8, labels: n numbers}
    tar      the same files, in any folder, compressed or not (cifar-10-python.tar.gz)
    npz      x_train, y_train, x_test, y_test: (n, 32, 32, 3) or (n, 3072) uint8, the latter by channel, row, column

Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html; nothing is downloaded here.
"""

from __future__ import annotations

import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.numbers import check_whole, generator
from sharpflow.theory.errors import InputError

__all__ = ["CLASSES", "cifar10", "read_plain_pickle"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"
_SOURCE = "The data come from https://www.cs.toronto.edu/~kriz/cifar.html (cifar-10-python.tar.gz)."
# A batch of 10,000 images has 31 MB.
_LARGEST = 2**28
# What reading a damaged or shortened file may raise.
_DAMAGE = (OSError, EOFError, ValueError, MemoryError, zlib.error, lzma.LZMAError)


def cifar10(
    place: str | Path, /, *, n: int | None = None, test: int | None = None, seed: int = 0, dtype: Any = np.float32
) -> Examples:
    """The images at ``place``, each channel with mean 0 and variance 1 over the training images that are taken.

    Args:
        place: a folder, a tar file or an npz file.
        n: how many images to train on, drawn by the seed; default all.
        test: how many to test with, drawn by the seed; default all.
        seed: of the draws.
        dtype: of the images; all of them have 737 MB in float32.

    Raises:
        InputError: a file is missing, cut off, or not what is said above; or there are fewer images than asked for.
    """
    where = Path(place).expanduser()
    if not where.exists():
        raise InputError(f"there is no file or folder {str(place)!r}. {_SOURCE}")
    if where.is_dir():
        parts = _pickles(_folder(where), str(where))
    elif tarfile.is_tarfile(where):
        parts = _pickles(_tar(where), str(where))
    elif zipfile.is_zipfile(where):
        parts = _npz(where)
    else:
        raise InputError(f"{where} is neither a folder, nor a tar file, nor an npz file of CIFAR-10. {_SOURCE}")
    random = generator(seed)
    chosen = []
    for what, count, (images, labels) in (("n", n, parts[0]), ("test", test, parts[1])):
        size = len(labels) if count is None else count
        check_whole(what, size, most=len(labels), hint=f", the images in {where}")
        rows = np.arange(size) if count is None else random.permutation(len(labels))[:size]
        chosen.append((images[rows], labels[rows]))
    (x, y), (x_test, y_test) = chosen
    # In float64: 5e7 pixels summed in float32 are off in the third digit.
    mean, deviation = x.mean(axis=(0, 1, 2), dtype=float), x.std(axis=(0, 1, 2), dtype=float)
    if not np.all(deviation > 0):
        raise InputError(f"{where}: a colour channel has one value in all {len(x)} training images. {_SOURCE}")
    shift, scale = mean.astype(dtype), deviation.astype(dtype)
    return Examples(
        (x.astype(dtype) - shift) / scale,
        y,
        (x_test.astype(dtype) - shift) / scale,
        y_test,
        classes=len(CLASSES),
        name="cifar10",
    )


Part = tuple[np.ndarray, np.ndarray]


def _folder(where: Path) -> Iterator[tuple[str, bytes]]:
    # The archive holds one folder: its place above serves as well.
    inner = where / "cifar-10-batches-py"
    for file in sorted((inner if inner.is_dir() else where).iterdir()):
        if file.name in (*TRAIN, TEST) and file.is_file():
            if file.stat().st_size > _LARGEST:
                raise InputError(f"{file} has {file.stat().st_size} bytes, which is no batch of CIFAR-10. {_SOURCE}")
            yield file.name, file.read_bytes()


def _tar(where: Path) -> Iterator[tuple[str, bytes]]:
    # Members are read, never unpacked: their paths and links lead nowhere.
    try:
        with tarfile.open(where) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name in (*TRAIN, TEST) and member.isfile():
                    if member.size > _LARGEST:
                        raise InputError(f"{where}: {name} has {member.size} bytes, which is no batch. {_SOURCE}")
                    file = archive.extractfile(member)
                    assert file is not None
                    data = file.read()
                    if len(data) != member.size:
                        raise InputError(f"{where} is cut off in {name}. {_SOURCE}")
                    yield name, data
    except (*_DAMAGE, tarfile.TarError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is cut off or damaged: {error}. {_SOURCE}") from error


def _pickles(files: Iterator[tuple[str, bytes]], where: str) -> tuple[Part, Part]:
    found: dict[str, Part] = {}
    for name, data in files:
        batch = read_plain_pickle(data, f"{where}: {name}")
        if not isinstance(batch, dict):
            raise InputError(f"{where}: {name} must hold a dictionary with data and labels. {_SOURCE}")
        keys = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
        if missing := {"data", "labels"} - set(keys):
            raise InputError(f"{where}: {name} has no {' and no '.join(sorted(missing))}. {_SOURCE}")
        found[name] = _part(keys["data"], keys["labels"], f"{where}: {name}")
    if absent := [name for name in (*TRAIN, TEST) if name not in found]:
        raise InputError(f"{where} lacks {', '.join(absent)}. {_SOURCE}")
    images, labels = zip(*(found[name] for name in TRAIN), strict=True)
    return (np.concatenate(images), np.concatenate(labels)), found[TEST]


def _npz(where: Path) -> tuple[Part, Part]:
    wanted = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(where, allow_pickle=False) as archive:
            if absent := [name for name in wanted if name not in archive.files]:
                raise InputError(f"{where} lacks {', '.join(absent)}; it has {', '.join(archive.files) or 'nothing'}.")
            if large := [info.filename for info in archive.zip.infolist() if info.file_size > _LARGEST]:
                raise InputError(f"{where}: {', '.join(large)} would take over {_LARGEST} bytes. {_SOURCE}")
            arrays = {name: archive[name] for name in wanted}
    # What a damaged zip or npy raises is many things; object arrays, which would need pickle, are a ValueError.
    except (*_DAMAGE, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is damaged, or holds other things than arrays of numbers: {error}.") from error
    return (
        _part(arrays["x_train"], arrays["y_train"], f"{where}: x_train, y_train"),
        _part(arrays["x_test"], arrays["y_test"], f"{where}: x_test, y_test"),
    )


def _part(data: Any, labels: Any, where: str) -> Part:
    """Images (n, 32, 32, 3) and labels (n,), checked."""
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        kind = f"an array of {data.dtype}" if isinstance(data, np.ndarray) else f"a {type(data).__name__}"
        raise InputError(f"{where}: the images must be an array of uint8, not {kind}. {_SOURCE}")
    if data.shape[1:] == (3072,):
        images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    elif data.shape[1:] == (32, 32, 3):
        images = data
    else:
        raise InputError(f"{where}: the images must be (n, 3072) or (n, 32, 32, 3), not {data.shape}. {_SOURCE}")
    try:
        numbers = np.asarray(labels)
    except ValueError:
        numbers = np.empty(0, dtype=object)
    numbers = numbers.reshape(-1) if numbers.shape == (len(images), 1) else numbers
    if numbers.shape != (len(images),) or not np.issubdtype(numbers.dtype, np.integer) or not len(images):
        raise InputError(
            f"{where}: {len(images)} images need as many whole numbers as labels, not {numbers.dtype} of shape "
            f"{numbers.shape}. {_SOURCE}"
        )
    if numbers.min() < 0 or numbers.max() > 9:
        raise InputError(f"{where}: labels run from {numbers.min()} to {numbers.max()}; CIFAR-10 has 0 to 9. {_SOURCE}")
    return images, numbers.astype(int)


def _number(code: Any, *_: Any) -> np.dtype[Any]:
    # A copy: the byte order is set on it.
    kind = np.dtype(code.decode() if isinstance(code, bytes) else code, align=False, copy=True)
    if kind.kind not in "biuf":
        raise pickle.UnpicklingError(f"it has an array of type {code!r}, not of numbers")
    return kind


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError("it has bytes in an encoding other than latin1")
    return text.encode("latin1")


def _empty(*_: Any) -> np.ndarray:
    return np.empty(0, np.int8)  # what it holds is set on it


# A pickle is a program that calls what it names. All that an array of numbers names is here, and calls nothing else.
_PLAIN: dict[tuple[str, str], Any] = {
    ("__builtin__", "bytes"): lambda: b"",
    ("_codecs", "encode"): _latin1,
    ("numpy", "dtype"): _number,
    ("numpy", "ndarray"): _empty,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty for core in ("core", "_core")},
    **{
        (f"numpy.{core}.numeric", "_frombuffer"): lambda data, kind, shape, order: np.frombuffer(data, kind).reshape(
            shape, order=order
        )
        for core in ("core", "_core")
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no plain data need")
        return _PLAIN[module, name]


def _check_plain(value: Any) -> None:
    if isinstance(value, dict | list | tuple):
        for part in [*value, *(value.values() if isinstance(value, dict) else ())]:
            _check_plain(part)
    elif not isinstance(value, bool | int | float | str | bytes | bytearray | None | np.ndarray) or (
        isinstance(value, np.ndarray) and value.dtype.kind not in "biuf"
    ):
        raise pickle.UnpicklingError(f"it has {type(value).__name__}, which is no plain data")


def read_plain_pickle(data: bytes, where: str, /) -> Any:
    """The numbers, text, containers and arrays in a pickle; text of Python 2 comes as bytes.

    Raises:
        InputError: it is no pickle, it is cut off, or it names anything but plain data; nothing that it names was run.
    """
    try:
        found = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        _check_plain(found)
    # A damaged pickle makes the unpickler raise almost anything.
    except Exception as error:
        said = (str(error).split("\n")[0] or type(error).__name__)[:200]
        raise InputError(
            f"{where} is not a pickle of plain data and NumPy arrays: {said}. Nothing that it names was run; take the "
            "file anew from its source."
        ) from error
    return found
