"""The build that these tests are about, and the GPU that may be there."""

import os
from pathlib import Path

import pytest

from cuda.build import Build, finished


@pytest.fixture(scope="session")
def cuda_build() -> Build:
    """The build of this checkout, from the cache. `make test-cuda` compiles it first: no test takes that long."""
    found = finished()
    if found is None:
        pytest.fail("this checkout's llama.cpp is not compiled yet: make test-cuda")
    return found


@pytest.fixture(scope="session")
def gpu() -> bool:
    """Whether this machine has an NVIDIA GPU with its driver."""
    return Path("/dev/nvidiactl").exists()


@pytest.fixture
def environment(cuda_build: Build) -> dict[str, str]:
    """In which bawn computes with that build."""
    libraries = os.pathsep.join([str(cuda_build.libraries), str(cuda_build.toolkit.libraries)])
    return {
        **os.environ,
        "LLAMA_CPP_LIB_PATH": str(cuda_build.libraries),
        "LD_LIBRARY_PATH": libraries,
    }
