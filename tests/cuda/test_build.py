"""The library is what the flake's flags ask for."""

import json

from cuda.build import Build, folder_of
from cuda.cubins import code_in, ptx_in
from cuda.recipe import PYTHON


def test_there_is_code_for_every_pinned_architecture_and_no_other(
    cuda_build: Build,
) -> None:
    pinned = set(cuda_build.recipe.flags.architectures)
    library = cuda_build.libraries / "libggml-cuda.so"
    code = code_in(library, cuda_build.toolkit)
    seconds = json.loads((folder_of(cuda_build.recipe) / "complete.json").read_bytes())["seconds"]
    mib = library.stat().st_size / 2**20
    print(f"\n{mib:.0f} MiB, built in {seconds} s; pieces of code by architecture: {dict(code)}")
    assert set(code) == pinned
    # Each source file is compiled for each of them.
    assert len(set(code.values())) == 1
    assert not ptx_in(library, cuda_build.toolkit), "a driver would compile PTX at run time, for minutes"


def test_what_is_compiled_is_what_the_lock_names(cuda_build: Build) -> None:
    lock = (PYTHON / "uv.lock").read_text(encoding="utf-8")
    assert f'hash = "sha256:{cuda_build.recipe.sdist.sha256}"' in lock
    assert "-DGGML_CUDA=ON" in cuda_build.recipe.flags.definitions
