"""Beginnings of prompts on disk, from one run of the server to the next: a rented pod that was stopped comes back warm.

A file belongs to one model: what another file, quantisation, type of cache or version of llama.cpp wrote is not read.
Each segment is sealed with AES-256-GCM, whose nonce counts them, so that a file that is cut off, damaged or put
together from others ends where it is no longer whole. Without a key of the operator's, a fixed one is used: that finds
damage, and hides nothing.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import llama_cpp
import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bawn.model_server.engine.prefixes import PrefixTree, Segment

FILE: Final = "prefixes.bawn"
_MAGIC: Final = b"bawn prefixes 1\n"
_SALT: Final = 16
_LENGTH: Final = struct.Struct("<Q")
_SAMPLES: Final = 64
_SAMPLE: Final = 65536


class _Head(msgspec.Struct, frozen=True):
    """What a segment is, before its bytes."""

    parent: int
    """Number of the segment that it follows; -1: none."""
    tokens: list[int]
    data: int
    """Bytes of keys and values; the rest are the checkpoint."""
    idle_s: float = 0.0
    """For how long it had not been used."""


def fingerprint(model: Path, *parts: object) -> bytes:
    """What a state must have been made with: the model's file, by size and samples, and whatever else is in `parts`.

    Raises:
        OSError: the file can't be read.
    """
    digest = hashlib.sha256()
    size = model.stat().st_size
    digest.update(repr((size, llama_cpp.__version__, *parts)).encode())
    with model.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(number * max(0, size - _SAMPLE) // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    return digest.digest()


def save(tree: PrefixTree, folder: Path, made_with: bytes, key: bytes = b"") -> int:
    """Write all of `tree`; returns the bytes written. What was there before is replaced when everything is on disk.

    Args:
        tree: what to keep.
        folder: is made, for its owner alone, where it is missing.
        made_with: as `fingerprint` gives it.
        key: the operator's secret; empty: none.

    Raises:
        OSError: it can't be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f"{FILE}.part"
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with part.open("wb") as file:
        salt = os.urandom(_SALT)
        file.write(_MAGIC + salt)
        cipher = _cipher(key, salt, made_with)
        numbers: dict[int, int] = {}
        for number, segment in enumerate(tree.segments()):
            numbers[id(segment)] = number
            parent = numbers[id(segment.parent)] if segment.parent is not None else -1
            head = msgspec.msgpack.encode(_Head(parent, segment.tokens, len(segment.data), tree.idle_s(segment)))
            plain = _LENGTH.pack(len(head)) + head + segment.data.tobytes() + segment.state.tobytes()
            sealed = cipher.encrypt(_nonce(number), plain, None)
            file.write(_LENGTH.pack(len(sealed)))
            file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    part.replace(folder / FILE)
    return size


def load(tree: PrefixTree, folder: Path, made_with: bytes, key: bytes = b"") -> bool:
    """Read into `tree` what `save` wrote; False: nothing of it belongs to this model, or not all of it is whole.

    Raises:
        OSError: it is there, and can't be read.
    """
    try:
        file = (folder / FILE).open("rb")
    except FileNotFoundError:
        return False
    with file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return False
        cipher = _cipher(key, file.read(_SALT), made_with)
        segments: list[Segment] = []
        try:
            for plain in _opened(file, cipher):
                if not _add(tree, segments, plain):
                    break
        except (InvalidTag, struct.error, msgspec.DecodeError, ValueError, IndexError):
            return False
        return bool(segments)


def _opened(file: BinaryIO, cipher: AESGCM) -> Iterator[bytes]:
    left = os.fstat(file.fileno()).st_size - file.tell()
    number = 0
    while length := file.read(_LENGTH.size):
        (size,) = _LENGTH.unpack(length)
        left -= _LENGTH.size + size
        if left < 0:
            raise ValueError("cut off")
        yield cipher.decrypt(_nonce(number), file.read(size), None)
        number += 1


def _add(tree: PrefixTree, segments: list[Segment], plain: bytes) -> bool:
    """False: the tree is full."""
    (size,) = _LENGTH.unpack_from(plain)
    start = _LENGTH.size + size
    head = msgspec.msgpack.decode(plain[_LENGTH.size : start], type=_Head)
    rest = np.frombuffer(plain, np.uint8, offset=start)
    if tree.bytes + len(rest) > tree.limit:
        return False
    parent = segments[head.parent] if head.parent >= 0 else None
    data, state = rest[: head.data], rest[head.data :]
    segments.append(tree.add(parent, head.tokens, data, state, idle_s=head.idle_s))
    return True


def _cipher(key: bytes, salt: bytes, made_with: bytes) -> AESGCM:
    # The fingerprint is part of the key: what another model wrote can't be opened.
    derived = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"bawn prefixes" + made_with).derive(key or b"none")
    return AESGCM(derived)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
