"""What is compiled and how: the locked sdist, and the flags that the flake compiles it with."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from support.llama_cpp_source import PYTHON, Sdist, locked_sdist

ROOT: Final = PYTHON.parent
TOOLKIT: Final = Path(__file__).with_name("toolkit.txt")
"""Packages of the toolkit, each with its hashes."""


class Flags(msgspec.Struct, frozen=True):
    """python/llama-cpp.json, which python/package.nix reads too."""

    cuda: str
    architectures: list[str]
    """Compute capabilities without their dot, e.g. `89`."""
    cmake: dict[str, str]
    cmake_cuda: dict[str, str]

    @property
    def definitions(self) -> list[str]:
        """CMake's arguments, as the flake passes them."""
        given = [*self.cmake.items(), *self.cmake_cuda.items()]
        given.append(
            (
                "CMAKE_CUDA_ARCHITECTURES",
                ";".join(f"{name}-real" for name in self.architectures),
            )
        )
        return [f"-D{name}={value}" for name, value in given]


class Recipe(msgspec.Struct, frozen=True):
    """All that a build depends on."""

    flags: Flags
    sdist: Sdist

    @property
    def key(self) -> str:
        """Name of the build: equal for equal sdist, flags and toolkit."""
        parts = [
            self.sdist.sha256,
            *self.flags.definitions,
            TOOLKIT.read_text(encoding="utf-8"),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def read_recipe() -> Recipe:
    """The recipe of this checkout."""
    flags = msgspec.json.decode((PYTHON / "llama-cpp.json").read_bytes(), type=Flags)
    return Recipe(flags=flags, sdist=locked_sdist())
