"""A loaded pooling model and its context: everything that calls llama.cpp about either."""

import ctypes
from array import array
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import llama_cpp.llama_cpp as llama
import numpy as np

from bawn.contracts.errors import SettingsError
from bawn.model_server.embedding.options import DEFAULT_CONTEXT, EmbeddingOptions
from bawn.model_server.embedding.vectors import Vectors, unit
from bawn.model_server.engine.abort import Abort
from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.native_log import native_log
from bawn.model_server.engine.options import physical_cores
from bawn.model_server.engine.runtime import Aborted, EngineFault, check_gguf
from bawn.model_server.gpu.devices import hardware
from bawn.model_server.gpu.offload import missing_layers, planned_layers

Tokens: TypeAlias = "array[int]"
"""Token ids, four bytes each."""

_ABORTED: Final = 2
_SEQUENCES: Final = 64
"""Most inputs of one batch."""


class EmbeddingRuntime:
    """The model and one context. Used by the engine thread alone, except for `tokens` and `abort`."""

    def __init__(self, options: EmbeddingOptions) -> None:
        """Load the model and make the context. No other model may be loaded meanwhile: the log tells of one at a time.

        Raises:
            SettingsError: llama.cpp refuses the file, it is no model that embeds, there is no memory for it, or layers
                that belong on a GPU are not there.
        """
        check_gguf(options.model)
        self._log = native_log()
        layers = planned_layers(options.n_gpu_layers, hardware())
        self._context: Any = None
        self._model: Any = self._load(options, layers)
        try:
            missing = missing_layers(layers, self._log.offloaded, self._log.gpu_mib("model"))
            if missing is not None:
                raise SettingsError(missing)
            self._vocab: Any = llama.llama_model_get_vocab(self._model)
            if llama.llama_vocab_type(self._vocab) == llama.LLAMA_VOCAB_TYPE_NONE:
                raise SettingsError(f"{options.model}: this model has no vocabulary.")
            self.vocabulary_size = int(llama.llama_vocab_n_tokens(self._vocab))
            self.n_ctx = self._longest_input(options)
            self.n_batch = max(options.n_batch, self.n_ctx)
            self._context = self._make_context(options)
            self._check_pooling(options)
        except BaseException:
            self.close()
            raise
        self.width = int(llama.llama_model_n_embd_out(self._model))
        """Numbers of a vector."""
        encodes = llama.llama_model_has_encoder(self._model) and not llama.llama_model_has_decoder(self._model)
        self._compute: Any = llama.llama_encode if encodes else llama.llama_decode
        self._memory: Any = llama.llama_get_memory(self._context)  # none where a text is looked at as a whole
        self._batch = Batch(self.n_batch, _SEQUENCES)
        self._abort = Abort(self._context)

    @property
    def n_sequences(self) -> int:
        """Most inputs of one batch."""
        return _SEQUENCES

    def _load(self, options: EmbeddingOptions, layers: int) -> Any:
        params = llama.llama_model_default_params()
        params.n_gpu_layers = layers
        self._log.forget_sizes()
        model = llama.llama_model_load_from_file(str(options.model).encode(), params)
        if not model:
            raise SettingsError(
                f"{options.model}: llama.cpp can't load this model: {self._log.last_error or 'no reason given'}"
            )
        return model

    def _longest_input(self, options: EmbeddingOptions) -> int:
        trained = int(llama.llama_model_n_ctx_train(self._model))
        if options.n_ctx > trained:  # it may have no positions beyond, and llama.cpp would end the process
            raise SettingsError(
                f"embedding_ctx: is {options.n_ctx}, and {options.model.name} was trained for {trained} tokens."
            )
        return options.n_ctx or min(trained, DEFAULT_CONTEXT)

    def _make_context(self, options: EmbeddingOptions) -> Any:
        params = llama.llama_context_default_params()
        params.embeddings = True  # and the pooling is the model's own
        # A text must not be cut in two: its tokens look at each other, and are pooled together.
        params.n_ctx = params.n_batch = params.n_ubatch = self.n_batch
        params.n_seq_max = _SEQUENCES
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = options.threads or physical_cores()
        params.no_perf = True
        context = llama.llama_init_from_model(self._model, params)
        if not context:
            raise SettingsError(
                f"embedding_ctx: there is no memory for inputs of {self.n_ctx} tokens; lower it. "
                f"llama.cpp says: {self._log.last_error or 'nothing'}"
            )
        return context

    def _check_pooling(self, options: EmbeddingOptions) -> None:
        pooling = int(llama.llama_pooling_type(self._context))
        if pooling == llama.LLAMA_POOLING_TYPE_NONE:
            raise SettingsError(
                f"{options.model}: this model does not embed: its header has no `pooling_type`, which says how a text "
                "gets one vector."
            )
        if pooling == llama.LLAMA_POOLING_TYPE_RANK:
            raise SettingsError(f"{options.model}: this model ranks texts (a reranker); it does not embed them.")

    def tokens(self, text: str) -> Tokens:
        """Tokens of `text` between those that the model wants around it. The name of a control token is only text."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 4
        while True:
            buffer = (llama.llama_token * room)()
            count = int(llama.llama_tokenize(self._vocab, data, len(data), buffer, room, True, False))
            if count >= 0:
                return array("i", buffer[:count])
            room = -count

    def warm_up(self) -> None:
        """Embed one token, so that weights are in memory and kernels are ready when the first request comes.

        Raises:
            EngineFault: the model can't embed.
        """
        llama.llama_set_warmup(self._context, True)
        self.embed([array("i", [0])])
        llama.llama_set_warmup(self._context, False)

    def embed(self, inputs: Sequence[Tokens]) -> Vectors:
        """Vectors of length 1 of `inputs`: at most `n_sequences`, none empty, together at most `n_batch` tokens.

        Raises:
            Aborted: as `abort` asked.
            EngineFault: any other failure.
        """
        self._batch.clear()
        for number, tokens in enumerate(inputs):
            self._batch.add(number, 0, tokens, outputs=len(tokens))
        if self._memory:
            llama.llama_memory_clear(self._memory, False)
        code = int(self._compute(self._context, self._batch.raw))
        if code == _ABORTED:
            raise Aborted
        if code != 0:
            raise EngineFault(f"computing embeddings returned {code}")
        vectors = np.empty((len(inputs), self.width), np.float32)
        for number in range(len(inputs)):
            found: Any = llama.llama_get_embeddings_seq(self._context, number)
            if not found:
                raise EngineFault("llama.cpp computed no vector of an input")
            ctypes.memmove(vectors[number].ctypes.data, found, 4 * self.width)
        return unit(vectors)

    def abort(self, wanted: bool) -> None:
        """End the batch under way, and any that is begun before this is taken back."""
        self._abort.set(wanted)

    def close(self) -> None:
        """Free context and model."""
        if self._context is not None:
            llama.llama_free(self._context)
            self._context = None
        if self._model is not None:
            llama.llama_model_free(self._model)
            self._model = None
