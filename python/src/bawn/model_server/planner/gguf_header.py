"""The header of a GGUF: metadata and the list of tensors, without the tensors.

A reader of our own: the `gguf` package's maps the whole file and fails on one whose tensors are not all there, and a
plan is wanted before the download, from its first megabytes. It would bring NumPy, requests, PyYAML and tqdm to every
model server, too. The tests compare with that package, which also writes the models that they read. Format:
github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from bawn.contracts.errors import SettingsError

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Number of a value's type → its `struct` format."""
_STRING, _ARRAY = 8, 9
_KEPT_ITEMS: Final = 4096
"""Longer arrays are vocabularies: only their length is kept."""
_PART_NAME: Final = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
"""What llama.cpp (llama_split_path) names the files of one model."""
_MOST_KEYS, _MOST_TENSORS = 10_000, 100_000
"""No model has more; a header that says so is damaged, and reading it would take hours."""

TENSOR_TYPES: Final = {
    # number: (name, numbers in a block, bytes of a block)
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4),
    27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}  # fmt: skip
"""`enum ggml_type` and its sizes."""
BLOCKS: Final = {name: (block, size) for name, block, size in TENSOR_TYPES.values()}
"""Type's name → numbers and bytes of a block."""


class Length(msgspec.Struct, frozen=True):
    """Stands for an array that was not kept."""

    items: int


class Tensor(msgspec.Struct, frozen=True):
    """A tensor's place in the model."""

    name: str
    shape: tuple[int, ...]
    """The first is the length of a row."""
    kind: str
    """Its type's name, e.g. `Q4_K`."""
    size: int
    """Bytes."""
    offset: int
    """Where it begins, from the first byte after its file's header."""


class Header(msgspec.Struct, frozen=True):
    """What the header says."""

    metadata: dict[str, Any]
    tensors: list[Tensor]
    missing: int
    """Bytes that the file lacks of what its header announces: a download that is not complete."""


def read_header(path: Path) -> Header:
    """The header of the GGUF at `path`. Of a model in several files give the first; the others are read too.

    Raises:
        SettingsError: a file can't be read, is no GGUF, or ends inside its header.
    """
    header = _read(path)
    parts = header.metadata.get("split.count", 1)
    if not isinstance(parts, int) or parts < 2:
        return header
    name = _PART_NAME.fullmatch(path.name)
    if name is None or int(name[2]) != 1 or int(name[3]) != parts:
        raise SettingsError(
            f"{path}: is one of {parts} files of a model; name the first, which ends in -00001-of-{parts:05d}.gguf."
        )
    others = [_read(path.with_name(f"{name[1]}-{part:05d}-of-{parts:05d}.gguf")) for part in range(2, parts + 1)]
    return Header(
        metadata=header.metadata,
        tensors=[tensor for part in (header, *others) for tensor in part.tensors],
        missing=sum(part.missing for part in (header, *others)),
    )


def _read(path: Path) -> Header:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _Reader(path, file, size).header()
    except OSError as error:
        raise SettingsError(f"{path}: the model can't be read: {error.strerror}.") from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path, self._file, self._size = path, file, size
        self._at = 0

    def header(self) -> Header:
        if self._file.read(4) != _MAGIC:
            raise SettingsError(f"{self._path}: is not a GGUF file.")
        self._at = 4
        version = self._number("I")
        if version not in _VERSIONS:
            raise SettingsError(f"{self._path}: is a GGUF of version {version}; versions 2 and 3 can be read.")
        n_tensors, n_values = self._count(_MOST_TENSORS), self._count(_MOST_KEYS)
        metadata: dict[str, Any] = {}
        for _ in range(n_values):
            key = self._text()
            metadata[key] = self._value(self._number("I"))
        tensors = [self._tensor() for _ in range(n_tensors)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise SettingsError(f"{self._path}: is damaged: general.alignment is {alignment}.")
        start = -(-self._at // alignment) * alignment
        end = max((start + tensor.offset + tensor.size for tensor in tensors), default=start)
        return Header(metadata=metadata, tensors=tensors, missing=max(0, end - self._size))

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count) if count <= self._size - self._at else b""
        if len(data) < count:
            raise SettingsError(
                f"{self._path}: ends inside its header, after {self._size} bytes: the download is not complete."
            )
        self._at += count
        return data

    def _number(self, form: str) -> Any:
        return struct.unpack("<" + form, self._bytes(struct.calcsize("<" + form)))[0]

    def _count(self, most: int = 1 << 62) -> int:
        count = int(self._number("Q"))
        if count > most:
            raise SettingsError(f"{self._path}: is damaged: its header holds a length of {count}.")
        return count

    def _text(self) -> str:
        return self._bytes(self._count()).decode("utf-8", "replace")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        if kind not in _SCALARS:
            raise SettingsError(f"{self._path}: is damaged: its header holds a value of type {kind}.")
        return self._number(_SCALARS[kind])

    def _array(self) -> Any:
        kind, count = int(self._number("I")), self._count()
        if kind == _ARRAY or (kind != _STRING and kind not in _SCALARS):
            raise SettingsError(f"{self._path}: is damaged: its header holds an array of type {kind}.")
        if kind in _SCALARS:
            data = self._bytes(count * struct.calcsize("<" + _SCALARS[kind]))
            return list(struct.unpack(f"<{count}{_SCALARS[kind]}", data)) if count <= _KEPT_ITEMS else Length(count)
        if count <= _KEPT_ITEMS:
            return [self._text() for _ in range(count)]
        for _ in range(count):
            self._bytes(self._count())
        return Length(count)

    def _tensor(self) -> Tensor:
        name = self._text()
        dimensions = int(self._number("I"))
        if dimensions > 4:  # ggml has no more
            raise SettingsError(f"{self._path}: is damaged: the tensor {name} has {dimensions} dimensions.")
        shape = tuple(int(self._number("Q")) for _ in range(dimensions))
        number, offset = int(self._number("I")), int(self._number("Q"))
        if number not in TENSOR_TYPES:
            raise SettingsError(
                f"{self._path}: the tensor {name} is of type {number}, which the planner does not know."
            )
        kind = TENSOR_TYPES[number][0]
        return Tensor(name=name, shape=shape, kind=kind, size=bytes_of(shape, kind), offset=offset)


def bytes_of(shape: tuple[int, ...], kind: str) -> int:
    """What a tensor of the type `kind` takes."""
    block, size = BLOCKS[kind]
    return math.prod(shape) // block * size
