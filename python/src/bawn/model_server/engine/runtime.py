"""A loaded model and its context: everything that calls llama.cpp about either."""

import ctypes
import logging
from collections.abc import Sequence as Items
from pathlib import Path
from time import monotonic
from typing import Any, Final

import llama_cpp.llama_cpp as llama

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine.abort import Abort
from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.candidates import Candidates
from bawn.model_server.engine.grammar import Grammar
from bawn.model_server.engine.memory import Memory
from bawn.model_server.engine.native_log import native_log
from bawn.model_server.engine.options import EngineOptions, physical_cores, sequences
from bawn.model_server.engine.sampling import Sampler, Sampling
from bawn.model_server.engine.vocabulary import Vocabulary
from bawn.model_server.gpu.devices import hardware
from bawn.model_server.gpu.offload import missing_layers, planned_layers
from bawn.model_server.planner.start import Allocation, allocations, planned, refusal
from bawn.service.logs import event

_log = logging.getLogger("bawn.model_server.engine")

_ABORTED: Final = 2
"""`llama_decode`: the abort callback said so."""

_KV_TYPES = {
    "f16": llama.GGML_TYPE_F16,
    "bf16": 30,  # GGML_TYPE_BF16, which llama-cpp-python does not name
    "q8_0": llama.GGML_TYPE_Q8_0,
    "q4_0": llama.GGML_TYPE_Q4_0,
}
_QUICK_S: Final = 0.1
"""A decode step of one token that takes longer is that of a large model on the CPU, whose prompts take long anyway."""
_ANYTHING: Final = 'root ::= [^"]*'
_FLASH_AUTO: Final = -1
_FLASH_OFF: Final = 0


class EngineFault(Exception):
    """llama.cpp failed in a way after which its state can't be trusted."""


class Aborted(Exception):
    """A decode step was broken off, as it was asked for."""


def check_gguf(path: Path) -> None:
    """Refuse what is plainly no model before anything slow starts.

    Raises:
        SettingsError: the file can't be read or is not a GGUF.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise SettingsError(f"{path}: the model can't be read: {error.strerror}.") from error
    if magic != b"GGUF":
        raise SettingsError(f"{path}: is not a GGUF file. Give --model a model in llama.cpp's format.")


class Runtime:
    """The model, its vocabulary and one context. Used by the engine thread alone, except for `vocabulary`."""

    def __init__(self, options: EngineOptions) -> None:
        """Load the model and make the context.

        Raises:
            SettingsError: llama.cpp refuses the file, there is no memory for it or its context, or layers that belong
                on a GPU are not there.
        """
        check_gguf(options.model)
        self._log = native_log()
        found = hardware()
        self._layers = layers = planned_layers(options.n_gpu_layers, found)
        start = planned(options, layers, [gpu.free_mib for gpu in found.gpus] if layers else [])
        self._context: Any = None
        self._model: Any = self._load(options, layers)
        try:
            missing = missing_layers(layers, self._log.offloaded, self._log.gpu_mib("model"))
            if missing is not None:
                raise SettingsError(missing)
            self._vocab_or_refuse(options.model)
            self.vocabulary = Vocabulary(llama.llama_model_get_vocab(self._model))
            self.candidates = Candidates(self.vocabulary.size)
            self.trained_context = int(llama.llama_model_n_ctx_train(self._model))
            self._context = self._make_context(options, start)
        except BaseException:
            self.close()
            raise
        recurrent = llama.llama_model_is_recurrent(self._model) or llama.llama_model_is_hybrid(self._model)
        window = int(llama.llama_model_n_swa(self._model))
        self.memory = Memory(self._context, self.n_sequences, recurrent=bool(recurrent), window=window)
        self._abort = Abort(self._context)
        self._is_quick = False

    def _load(self, options: EngineOptions, layers: int) -> Any:
        params = llama.llama_model_default_params()
        params.n_gpu_layers = layers
        self._log.forget_sizes()
        model = llama.llama_model_load_from_file(str(options.model).encode(), params)
        if not model:
            raise SettingsError(
                f"{options.model}: llama.cpp can't load this model: {self._log.last_error or 'no reason given'}"
            )
        return model

    def _vocab_or_refuse(self, path: Path) -> None:
        if llama.llama_model_has_encoder(self._model) or not llama.llama_model_has_decoder(self._model):
            raise SettingsError(f"{path}: this model does not generate text from left to right.")
        vocab: Any = llama.llama_model_get_vocab(self._model)
        if llama.llama_vocab_type(vocab) == llama.LLAMA_VOCAB_TYPE_NONE:
            raise SettingsError(f"{path}: this model has no vocabulary.")

    def _make_context(self, asked: EngineOptions, start: EngineOptions) -> Any:
        """The context of `start`, or the first step back from it for which there is memory."""
        steps = allocations(asked, start, self.trained_context)
        allocation = next(steps)
        while not (context := self._allocate(asked, allocation)):
            smaller = next(steps, None)
            if smaller is None:
                raise SettingsError(refusal(asked, allocation, self._log.last_error))
            of = {"context": smaller.tokens, "kv_type": smaller.kv_type}
            of |= {"refused_context": allocation.tokens, "refused_kv_type": allocation.kv_type}
            event(_log, "context_fallback", level=logging.WARNING, **of)
            allocation = smaller
        return context

    def _allocate(self, options: EngineOptions, allocation: Allocation) -> Any:
        """The context, or None where llama.cpp refuses it."""
        params = llama.llama_context_default_params()
        params.n_ctx = allocation.tokens
        params.n_batch = min(options.n_batch, allocation.tokens)
        params.n_ubatch = min(params.n_batch, 512)
        self.n_sequences = sequences(options.n_slots, fim=self.vocabulary.has_fim)
        params.n_seq_max = self.n_sequences
        params.n_threads = params.n_threads_batch = options.threads or physical_cores()
        params.kv_unified = True  # one long session may use the whole cache
        params.type_k = params.type_v = _KV_TYPES[allocation.kv_type]
        params.no_perf = True
        for attention in self._attention(options, allocation):
            params.flash_attn_type = attention
            context = llama.llama_init_from_model(self._model, params)
            if context:
                # Without flash attention, the values lie transposed in the cache.
                transposed = attention == _FLASH_OFF
                self.kv_type = allocation.kv_type
                self.kv_layout = f"{allocation.kv_type}, transposed" if transposed else allocation.kv_type
                self.n_ctx = min(allocation.tokens, int(llama.llama_n_ctx_seq(context)))
                self.n_cells = int(llama.llama_n_ctx(context))  # what was asked for, rounded up
                self.n_batch = int(llama.llama_n_batch(context))
                return context
        return None

    def _attention(self, options: EngineOptions, allocation: Allocation) -> tuple[int, ...]:
        """Ways to compute attention, best first.

        On the CPU, flash attention takes twice the time for a few tokens with much before them. Without it, each token
        pays for the cells of all sequences, so that this is for one slot only, and a step needs more memory.
        """
        if self._layers or allocation.kv_type != "f16" or options.n_slots > 1:
            return (_FLASH_AUTO,)
        return _FLASH_OFF, _FLASH_AUTO

    @property
    def context(self) -> Any:
        """The `llama_context` pointer, for samplers."""
        return self._context

    def metadata(self, key: str) -> str | None:
        """A scalar of the GGUF's header as text, or None."""
        buffer: Any = ctypes.create_string_buffer(1)
        size = int(llama.llama_model_meta_val_str(self._model, key.encode(), buffer, 1))
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        llama.llama_model_meta_val_str(self._model, key.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    @property
    def chat_template(self) -> str | None:
        """The GGUF's Jinja chat template."""
        text = llama.llama_model_chat_template(self._model, None)
        return text.decode("utf-8", "replace") if text else None

    def warm_up(self) -> None:
        """Decode one token, so that weights are in memory and kernels are ready when the first request comes.

        Where that is quick, a whole batch is decoded, too, so that the memory that a prompt takes is there. Then a
        token is chosen under a grammar, as in every answer that may call tools.

        Raises:
            EngineFault: the model can't decode.
        """
        llama.llama_set_warmup(self._context, True)
        self._decode_any(1)
        llama.llama_set_warmup(self._context, False)
        started = monotonic()
        self._decode_any(1)
        self._is_quick = monotonic() - started < _QUICK_S
        self.warm_up_beside(0)
        sampler = Sampler(Sampling(), self.vocabulary, [], Grammar(_ANYTHING, self.vocabulary))
        sampler.sample(self._context, -1, self.candidates)
        sampler.close()

    def warm_up_beside(self, used: int) -> None:
        """The second part of `warm_up`, once sequences hold `used` cells: a prompt takes more memory beside them.

        Raises:
            EngineFault: the model can't decode.
        """
        size = min(self.n_batch, self.n_ctx, self.n_cells - used)
        if self._is_quick and size > 0:
            self._decode_any(size)

    def _decode_any(self, size: int) -> None:
        """Decode a token so many times in a sequence of nobody's, and forget it."""
        sequence = self.n_sequences - 1
        batch = Batch(size, self.n_sequences)
        batch.add(sequence, 0, [self._any_token] * size, outputs=1)
        fits = self.decode(batch)
        llama.llama_synchronize(self._context)
        self.memory.clear(sequence)
        if not fits:
            raise EngineFault("the warm-up found no room")

    @property
    def _any_token(self) -> int:
        return next(iter(self.vocabulary.end_tokens), 0)

    def measure(self, sizes: Items[int], *, most_s: float = 2.0) -> dict[int, float]:
        """Seconds of a decode step of each size, the better of two; larger ones are left out when it takes `most_s`."""
        measured: dict[int, float] = {}
        began = monotonic()
        for size in (one for one in sizes if one <= min(self.n_batch, self.n_ctx)):
            batch = Batch(size, 1)
            batch.add(0, 0, [self._any_token] * size, outputs=size)
            seconds: list[float] = []
            for _ in range(2):
                started = monotonic()
                self.decode(batch)
                llama.llama_synchronize(self._context)
                seconds.append(monotonic() - started)
                self.memory.clear_all()
            measured[size] = min(seconds)
            if monotonic() - began > most_s:
                break
        return measured

    def decode(self, batch: Batch) -> bool:
        """Run the batch. False: the cache has no room for it, and nothing has changed.

        Raises:
            Aborted: as `abort` asked; what the batch's sequences hold beyond what they held is undefined.
            EngineFault: any other failure.
        """
        code = int(llama.llama_decode(self._context, batch.raw))
        if code == _ABORTED:
            raise Aborted
        if code not in (0, 1):
            raise EngineFault(f"llama_decode returned {code}")
        return code == 0

    def abort(self, wanted: bool) -> None:
        """End the decode step under way, within some milliseconds, and any that is begun before this is taken back.

        The one method that other threads may call.
        """
        self._abort.set(wanted)

    def close(self) -> None:
        """Free context and model."""
        if self._context is not None:
            llama.llama_free(self._context)
            self._context = None
        if self._model is not None:
            llama.llama_model_free(self._model)
            self._model = None
