"""Prometheus metrics: numbers only, labels from fixed sets."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bawn.contracts.record import RequestRecord
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.engine.engine import Engine

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_MESSAGES: Final = (0, 1, 2, 4, 8, 16, 32, 64, 128)


class _EngineCollector(Collector):
    """Reads the engine's own totals when it is asked, so that a decode step costs nothing more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        stats = self._engine.stats
        counters = {
            "prompt_tokens": ("Prompt tokens decoded.", stats.fed_tokens),
            "cached_tokens": ("Prompt tokens that were not decoded again.", stats.cached_tokens),
            "loaded_tokens": ("Of them, those that came from host memory.", stats.loaded_tokens),
            "parked_tokens": ("Tokens copied to host memory.", stats.parked_tokens),
            "generated_tokens": ("Tokens generated.", stats.generated_tokens),
            "decode_steps": ("Decode steps.", stats.steps),
            "decode_seconds": ("Seconds inside llama.cpp.", stats.decode_s),
            "prefill_seconds": ("Of them, for tokens of prompts.", stats.prefill_s),
            "generate_seconds": (
                "Of them, for generated tokens.",
                stats.generate_s,
            ),
            "drafted_tokens": ("Tokens that were guessed.", stats.drafted_tokens),
            "accepted_tokens": ("Guessed tokens that were right.", stats.accepted_tokens),
            "aborted_steps": (
                "Decode steps broken off because the client had left, or for autocomplete.",
                stats.aborted_steps,
            ),
            "cancelled": ("Generations ended because the client left.", stats.cancelled),
            "preemptions": ("Generations put back for want of cache.", stats.preemptions),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"bawn_model_{name}", text, value=value)
        slots = self._engine.slots()
        busy = sum(slot.state != "idle" for slot in slots)
        gauges = {
            "queue_depth": ("Requests that wait for a slot.", len(self._engine.line)),
            "cache_bytes": ("Host memory that holds beginnings of prompts.", self._engine.cache_bytes),
            "slots": ("Slots.", len(slots)),
            "slots_busy": ("Slots at work.", busy),
            "loop_age_seconds": ("Seconds since the decode loop last went round.", self._engine.age_s),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"bawn_model_{name}", text, value=value)


class _EmbeddingCollector(Collector):
    """The same for the embedding engine."""

    def __init__(self, engine: EmbeddingEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        stats = self._engine.stats
        counters = {
            "inputs": ("Texts embedded.", stats.inputs),
            "tokens": ("Tokens of them.", stats.tokens),
            "batches": ("Batches computed.", stats.batches),
            "seconds": ("Seconds inside llama.cpp.", stats.seconds),
            "aborted_batches": ("Batches broken off because their clients had left.", stats.aborted_batches),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"bawn_model_embedding_{name}", text, value=value)
        gauges = {
            "queue_depth": ("Requests that are not done.", len(self._engine.line)),
            "loop_age_seconds": ("Seconds since the loop last went round.", self._engine.age_s),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"bawn_model_embedding_{name}", text, value=value)


class Metrics:
    """The registry of one server."""

    def __init__(self, engine: Engine | None, embedder: EmbeddingEngine | None = None) -> None:
        self._registry = CollectorRegistry()
        if engine is not None:
            self._registry.register(_EngineCollector(engine))
        if embedder is not None:
            self._registry.register(_EmbeddingCollector(embedder))
        self._requests = Counter(
            "bawn_model_requests", "Requests by surface and status.", ["surface", "status"], registry=self._registry
        )
        self._first = Histogram(
            "bawn_model_first_token_seconds",
            "From the request's arrival to its first token.",
            ["urgency"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._broken = Counter(
            "bawn_model_prefix_breaks", "Prompts that parted from their session's last one.", registry=self._registry
        )
        self._broken_message = Histogram(
            "bawn_model_prefix_broken_message",
            "Index of the first message that was not what it had been; 0 is the first.",
            buckets=_MESSAGES,
            registry=self._registry,
        )
        self._broken_tokens = Counter(
            "bawn_model_prefix_broken_tokens",
            "Tokens that no cache was good for any more.",
            registry=self._registry,
        )

    def count(self, record: RequestRecord) -> None:
        """Count a finished request."""
        self._requests.labels(record.surface, "left" if record.cancelled else str(record.status)).inc()
        if record.first_byte_s is not None:
            self._first.labels(record.urgency or "chat").observe(record.first_byte_s)
        if record.broken_tokens is not None:
            self._broken.inc()
            self._broken_tokens.inc(record.broken_tokens)
        if record.broken_message is not None:
            self._broken_message.observe(record.broken_message)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
