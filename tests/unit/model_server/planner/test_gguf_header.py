"""Reading a GGUF's header, and what is said of files that have none."""

import contextlib
import struct
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bawn.contracts.errors import SettingsError
from bawn.model_server.planner.gguf_header import TENSOR_TYPES, Length, read_header
from bawn.model_server.planner.shape import shape_of
from support import shaped_gguf


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shaped_gguf.write(
        tmp_path_factory.mktemp("gguf") / "model.gguf", "llama", vocabulary=5000, embd=32, ff=32, heads=2
    )


def test_metadata_and_tensors_are_those_that_were_written(model: Path) -> None:
    header = read_header(model)
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.attention.head_count_kv"] == 2
    assert header.missing == 0
    tensors = {tensor.name: tensor for tensor in header.tensors}
    assert tensors["token_embd.weight"].shape == (32, 5000)
    assert tensors["token_embd.weight"].size == 32 * 5000 * 4
    assert tensors["output_norm.weight"].kind == "F32"


def test_vocabularies_are_counted_and_not_kept(model: Path) -> None:
    assert read_header(model).metadata["tokenizer.ggml.tokens"] == Length(5000)


def test_sizes_of_tensor_types_are_those_of_the_gguf_package() -> None:
    for number, (name, block, size) in TENSOR_TYPES.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (name, (block, size))


def test_a_header_alone_is_enough_and_tells_what_is_missing(tmp_path: Path, model: Path) -> None:
    whole = model.read_bytes()
    part = tmp_path / "part.gguf"
    part.write_bytes(whole[: len(whole) // 2])
    header = read_header(part)
    assert header.tensors == read_header(model).tensors
    assert header.missing == len(whole) - len(whole) // 2


def test_the_gguf_package_refuses_a_file_that_ends_early_so_that_headers_are_read_here(
    tmp_path: Path, model: Path
) -> None:
    part = tmp_path / "part.gguf"
    part.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(ValueError, match="reshape"):
        gguf.GGUFReader(part)


def test_a_model_in_several_files_is_read_from_the_first(tmp_path: Path) -> None:
    whole = read_header(shaped_gguf.write(tmp_path / "whole.gguf", "llama"))
    parts = [tmp_path / f"model-{part:05d}-of-00003.gguf" for part in (1, 2, 3)]
    shaped_gguf.write(tmp_path / "model.gguf", "llama", split_tensors=len(whole.tensors) // 3 + 1)
    header = read_header(parts[0])
    assert [(tensor.name, tensor.size) for tensor in header.tensors] == [
        (tensor.name, tensor.size) for tensor in whole.tensors
    ]
    assert shape_of(header, "split") == shape_of(whole, "whole")
    with pytest.raises(SettingsError, match=r"is one of 3 files of a model; name the first, .* -00001-of-00003\.gguf"):
        read_header(parts[1])
    parts[2].unlink()
    with pytest.raises(SettingsError, match=r"model-00003-of-00003\.gguf: the model can't be read: No such file"):
        read_header(parts[0])


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(SettingsError, match=r"other\.gguf: is not a GGUF file"):
        read_header(other)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.gguf: the model can't be read: No such file"):
        read_header(tmp_path / "none.gguf")


def test_an_old_version_is_told(tmp_path: Path) -> None:
    old = tmp_path / "old.gguf"
    old.write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0))
    with pytest.raises(SettingsError, match="version 1; versions 2 and 3 can be read"):
        read_header(old)


def _header_bytes(model: Path) -> int:
    """Length of the header: what is before the first tensor's bytes."""
    header = read_header(model)
    return model.stat().st_size - max(tensor.offset + tensor.size for tensor in header.tensors)


@settings(max_examples=60, deadline=None)
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_file_that_ends_in_its_header_is_told_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, model: Path, part: float
) -> None:
    length = 4 + int(part * (_header_bytes(model) - 64 - 4))  # 64: padding before the tensors
    cut = tmp_path_factory.getbasetemp() / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:length])
    with pytest.raises(SettingsError, match="ends inside its header"):
        read_header(cut)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(4, 2000), value=st.integers(0, 255))
def test_a_damaged_header_is_refused_or_read_but_never_breaks(
    tmp_path_factory: pytest.TempPathFactory, model: Path, position: int, value: int
) -> None:
    data = bytearray(model.read_bytes()[: _header_bytes(model)])
    data[position] = value
    damaged = tmp_path_factory.getbasetemp() / "damaged.gguf"
    damaged.write_bytes(data)
    with contextlib.suppress(SettingsError):
        shape_of(read_header(damaged), "damaged.gguf")


def test_an_unknown_architecture_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    path = shaped_gguf.write(tmp_path / "new.gguf", "llama")
    path.write_bytes(
        path.read_bytes().replace(b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05\x00\x00\x00\x00\x00\x00\x00lxama", 1)
    )
    with pytest.raises(SettingsError, match=r"does not know the architecture lxama; known: cohere2, .*qwen35"):
        shape_of(read_header(path), str(path))


def test_a_header_without_a_needed_key_names_it(tmp_path: Path) -> None:
    path = shaped_gguf.write(tmp_path / "poor.gguf", "llama")
    path.write_bytes(path.read_bytes().replace(b"llama.block_count", b"llama.block_caunt", 1))
    with pytest.raises(SettingsError, match=r"poor\.gguf: its header lacks llama\.block_count"):
        shape_of(read_header(path), str(path))
