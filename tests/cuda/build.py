"""llama.cpp with CUDA, compiled from the locked sdist: 40 minutes on two cores, once for each set of sdist and flags.

    cd tests && python -m cuda.build

A build that was cut off goes on where it was.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from cuda.recipe import Recipe, read_recipe
from cuda.toolkit import Toolkit, cache_folder, set_up_toolkit
from support.llama_cpp_source import unpacked


class Build(msgspec.Struct, frozen=True):
    """A finished build."""

    libraries: Path
    """Folder with libllama.so, libggml-cuda.so and the others: for `LLAMA_CPP_LIB_PATH`."""
    toolkit: Toolkit
    recipe: Recipe


def folder_of(recipe: Recipe) -> Path:
    """Where the build of `recipe` is or will be."""
    return cache_folder() / f"build-{recipe.key}"


def finished() -> Build | None:
    """The build of this checkout's recipe, where it is in the cache."""
    recipe = read_recipe()
    folder = folder_of(recipe)
    if not (folder / "complete.json").exists():
        return None
    return Build(
        libraries=folder / "libraries" / "llama_cpp" / "lib",
        toolkit=set_up_toolkit(),
        recipe=recipe,
    )


def build() -> Build:
    """The build of this checkout's recipe, compiled now where it isn't in the cache. Waits for one that goes on.

    Raises:
        SdistError: the sdist can't be had.
        subprocess.CalledProcessError: the compilation failed; its output says where.
    """
    recipe = read_recipe()
    folder = folder_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = finished()
        if found is None:
            seconds = _compile(recipe, set_up_toolkit(), folder)
            (folder / "complete.json").write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
            found = finished()
    assert found is not None
    return found


def _compile(recipe: Recipe, toolkit: Toolkit, folder: Path) -> int:
    """Compile and install into the folder `libraries`. Returns the seconds that this run took."""
    source = unpacked(recipe.sdist)
    tree, staged = folder / "cmake", folder / "libraries"
    environment = toolkit.environment()
    began = time.monotonic()
    configure = [
        "cmake",
        "-G",
        "Ninja",
        "-S",
        str(source),
        "-B",
        str(tree),
        "-DCMAKE_BUILD_TYPE=Release",
    ]
    configure += [
        f"-DCMAKE_CUDA_COMPILER={toolkit.root / 'bin' / 'nvcc'}",
        f"-DCUDAToolkit_ROOT={toolkit.root}",
    ]
    # What scikit-build-core would set: where the libraries are installed.
    configure += [f"-DSKBUILD_PLATLIB_DIR={staged}", f"-DCMAKE_INSTALL_PREFIX={staged}"]
    subprocess.run([*configure, *recipe.flags.definitions], env=environment, check=True)
    subprocess.run(
        ["cmake", "--build", str(tree), "--parallel", str(_jobs())],
        env=environment,
        check=True,
    )
    subprocess.run(
        ["cmake", "--install", str(tree)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return round(time.monotonic() - began)


def _jobs() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    print(build().libraries)
    sys.exit(0)
