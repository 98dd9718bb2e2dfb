"""Prometheus metrics: numbers only, labels from fixed sets."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bawn.contracts.record import RequestRecord
from bawn.model_server.engine.engine import Engine

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class _EngineCollector(Collector):
    """Reads the engine's own totals when it is asked, so that a decode step costs nothing more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        stats = self._engine.stats
        counters = {
            "prompt_tokens": ("Prompt tokens decoded.", stats.fed_tokens),
            "cached_tokens": ("Prompt tokens found in a slot.", stats.cached_tokens),
            "generated_tokens": ("Tokens generated.", stats.generated_tokens),
            "decode_steps": ("Decode steps.", stats.steps),
            "decode_seconds": ("Seconds inside llama.cpp.", stats.decode_s),
            "cancelled": ("Generations ended because the client left.", stats.cancelled),
            "preemptions": ("Generations put back for want of cache.", stats.preemptions),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"bawn_model_{name}", text, value=value)
        slots = self._engine.slots()
        busy = sum(slot.state != "idle" for slot in slots)
        gauges = {
            "queue_depth": ("Requests that wait for a slot.", len(self._engine.line)),
            "slots": ("Slots.", len(slots)),
            "slots_busy": ("Slots at work.", busy),
            "loop_age_seconds": ("Seconds since the decode loop last went round.", self._engine.age_s),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"bawn_model_{name}", text, value=value)


class Metrics:
    """The registry of one server."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_EngineCollector(engine))
        self._requests = Counter(
            "bawn_model_requests", "Requests by surface and status.", ["surface", "status"], registry=self._registry
        )
        self._first = Histogram(
            "bawn_model_first_token_seconds",
            "From the request's arrival to its first token.",
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def count(self, record: RequestRecord) -> None:
        """Count a finished request."""
        self._requests.labels(record.surface, "left" if record.cancelled else str(record.status)).inc()
        if record.first_byte_s is not None:
            self._first.observe(record.first_byte_s)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
