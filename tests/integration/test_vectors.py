"""Vectors of an index, made by a real model server, and what search is while they are missing."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from bawn.cli.main import cli
from bawn.contracts.errors import NotFound, SettingsError
from bawn.indexer.embedding import beginning, embed_all
from bawn.search.placement import use_embedding
from bawn.search.tools import IndexSearch
from bawn.search.vectors.settings import EmbeddingServer, EmbeddingSettings
from bawn.search.vectors.stored import VectorReader, vectors_file
from support import tiny_embedder
from support.embedders import Batches, serving
from support.indexes import git, index, register, repository, write
from support.ports import free_port
from support.until import until

FILES: dict[str, str | bytes] = {
    "retry.py": "def backoff(attempt):\n    return min(60, 2**attempt)\n",
    "pool.py": "class Pool:\n    def take(self):\n        return self.free.pop()\n",
    "notes.md": "# Attempts\n\nHow long a retry waits.\n",
}
QUESTION = "how long until another attempt of retry"


def settings(*urls: str, model: str = "mini", token_file: str | None = None) -> EmbeddingSettings:
    return EmbeddingSettings(model=model, servers=[EmbeddingServer(url=url, token_file=token_file) for url in urls])


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An index directory."""
    repository(tmp_path / "app", FILES)
    index(tmp_path / "index", tmp_path / "app")
    return tmp_path / "index"


async def embedded(place: Path) -> int:
    """How many texts a run embeds."""
    made = await asyncio.to_thread(embed_all, place)
    assert [one.stopped for one in made] == [""]
    return made[0].embedded


async def note(place: Path, question: str = QUESTION) -> str:
    result = await asyncio.to_thread(IndexSearch(place).search, question)
    assert result.chunks, "the words find it"
    return result.note


async def test_chunks_are_embedded_once_and_again_where_they_change(place: Path, tmp_path: Path) -> None:
    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    async with serving(embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(place, settings(str(client.base_url)))
        assert await note(place) == "Ranked by words where there is no vector yet: 2 of 2 chunks."
        first = await embedded(place)
        assert first == VectorReader(vectors_file(place, "code"), "mini").count() >= 3
        assert await embedded(place) == 0
        assert await note(place) == ""
        assert await note(place, "backoff") == "", "a name means its words"

        write(tmp_path / "app", {"retry.py": "def backoff(attempt):\n    return 2**attempt\n"})
        (tmp_path / "app" / "pool.py").unlink()
        index(place)
        assert await note(place) == "Ranked by words where there is no vector yet: 1 of 2 chunks."
        assert await embedded(place) == 1
        assert VectorReader(vectors_file(place, "code"), "mini").count() == 2


async def test_what_two_branches_have_is_embedded_once(place: Path, tmp_path: Path) -> None:
    git(tmp_path / "app", "branch", "other")
    for branch in ("main", "other"):
        register(place, tmp_path / "app", branch, branch)
    index(place)
    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    async with serving(embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(place, settings(str(client.base_url)))
        texts = await embedded(place)
    assert VectorReader(vectors_file(place, "code"), "mini").count() == 3 * texts


async def test_another_model_embeds_anew_and_never_mixes(place: Path, tmp_path: Path) -> None:
    for name, seed in (("mini", 7), ("other", 8)):
        model = str(tiny_embedder.write(tmp_path / f"{name}.gguf", seed=seed))
        async with serving(embedding_model=model, embedding_alias=name) as (client, _):
            use_embedding(place, settings(str(client.base_url), model=name))
            assert (await note(place)).startswith("Ranked by words where there is no vector yet")
            assert await embedded(place) >= 3
            assert await note(place) == ""


async def test_a_run_goes_on_where_the_server_has_left_it(tmp_path: Path) -> None:
    write(tmp_path / "app", {f"{number:02}.py": f"def of_{number}():\n    return {number}\n" for number in range(60)})
    index(tmp_path / "index", tmp_path / "app")
    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    place = tmp_path / "index"
    batches = Batches()
    async with serving(batches=batches, embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(place, settings(str(client.base_url)))
        run = asyncio.create_task(asyncio.to_thread(embed_all, place))
        batches.allow(4)
        await until(lambda: len(batches.begun) == 5)
    (made,) = await run
    assert made.stopped
    assert 0 < made.files < 60
    assert made.files + made.files_left == 60
    async with serving(embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(place, settings(str(client.base_url)))
        assert await embedded(place) == 60 - made.embedded
    assert VectorReader(vectors_file(place, "code"), "mini").count() == 60


async def test_a_text_of_more_tokens_than_the_model_takes_is_embedded_by_its_beginning(tmp_path: Path) -> None:
    write(tmp_path / "app", {"long.py": f"TABLE = '{'x' * 1500}'\n", "short.py": "def short():\n    return 1\n"})
    index(tmp_path / "index", tmp_path / "app")
    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    async with serving(embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(tmp_path / "index", settings(str(client.base_url)))
        assert await embedded(tmp_path / "index") == 2
    assert VectorReader(vectors_file(tmp_path / "index", "code"), "mini").count() == 2


@pytest.mark.parametrize(
    ("tokens", "most", "kept"), [(1_000, 512, 486), (513, 512, 948), (512, 512, 950), (100, 512, 950), (0, 0, 500)]
)
def test_as_much_of_the_beginning_is_kept_as_will_fit(tokens: int, most: int, kept: int) -> None:
    assert beginning("x" * 1_000, tokens, most) == "x" * kept


async def test_search_answers_from_words_while_the_server_is_off_and_says_so(place: Path, tmp_path: Path) -> None:
    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    async with serving(embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(place, settings(nobody(), str(client.base_url)))
        await embedded(place)
        assert await note(place) == "", "the second server answers"
    use_embedding(place, settings(nobody()))
    assert await note(place) == "Ranked by words alone: the server for embeddings can't be reached."
    (made,) = await asyncio.to_thread(embed_all, place)
    assert made.files_left == 0, "all of it had been embedded"
    write(tmp_path / "app", {"new.py": "def new():\n    return 1\n"})
    index(place)
    (made,) = await asyncio.to_thread(embed_all, place)
    assert (made.stopped, made.files_left) == ("The server for embeddings can't be reached.", 1)


async def test_a_token_that_can_not_be_read_costs_the_vectors_alone(place: Path) -> None:
    use_embedding(place, settings(nobody(), token_file="token"))
    assert (
        await note(place)
        == f"Ranked by words alone: {place}/token: the secret can't be read: No such file or directory."
    )
    with pytest.raises(SettingsError, match="the secret can't be read"):
        await asyncio.to_thread(embed_all, place)


async def test_a_refusal_is_an_error(place: Path, tmp_path: Path) -> None:
    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    async with serving(embedding_model=model, embedding_alias="mini") as (client, _):
        use_embedding(place, settings(str(client.base_url), model="unknown"))
        with pytest.raises(NotFound, match="unknown"):
            await asyncio.to_thread(embed_all, place)


async def test_the_commands(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bawn(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, [*arguments, "--index", str(place)])
        return done.exit_code, done.output

    code, told = bawn("index", "embed")
    assert (code, "bawn index embedding use --url" in told) == (2, True), told
    code, told = bawn("index", "embedding", "use", "--url", "gpu:8000", "--model", "mini")
    assert (code, "'gpu:8000' is not of the form http://host:port" in told) == (2, True), told

    model = str(tiny_embedder.write(tmp_path / "mini.gguf"))
    async with serving(embedding_model=model, embedding_alias="mini", token="secret") as (client, _):
        use = ("index", "embedding", "use", "--url", str(client.base_url), "--model", "mini", "--token-file", "token")
        assert bawn(*use)[0] == 0
        # The unit's credential, and beside the settings where no unit runs it.
        (place / "token").write_text("wrong\n")
        code, told = await asyncio.to_thread(bawn, "index", "embed")
        assert (code, "bawn: " in told) == (1, True), told
        (tmp_path / "token").write_text("secret\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        code, told = await asyncio.to_thread(bawn, "index", "run")
        assert code == 0, told
        assert "code: 3 texts embedded in " in told
        code, told = await asyncio.to_thread(bawn, "search", *QUESTION.split())
        assert (code, "Ranked by words" in told) == (0, False), told
    code, told = await asyncio.to_thread(bawn, "index", "run", "--rebuild")
    assert (code, "texts embedded" in told) == (0, True), "a server that is away is no error"
    assert bawn("index", "embedding", "leave")[0] == 0
    code, told = await asyncio.to_thread(bawn, "search", *QUESTION.split())
    assert (code, "Ranked by words" in told) == (0, False), told
