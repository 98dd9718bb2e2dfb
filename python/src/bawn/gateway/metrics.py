"""The gateway's Prometheus metrics; every label is a name of the settings or one of a fixed set."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bawn.contracts.record import RequestRecord
from bawn.gateway.relay.backend import Backend

_FIRST_BYTE_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counts what requests' records say. There is no label for keys: who used what is the audit's matter."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._registry = CollectorRegistry()
        self.in_flight = 0
        """Requests under way."""
        self._requests = Counter(
            "bawn_gateway_requests",
            "Requests that have ended.",
            ("surface", "status", "error"),
            registry=self._registry,
        )
        self._cancelled = Counter(
            "bawn_gateway_cancelled",
            "Requests whose client left before the end.",
            ("surface",),
            registry=self._registry,
        )
        self._first_byte = Histogram(
            "bawn_gateway_first_byte_seconds",
            "From the request's last byte to the answer's first.",
            ("surface",),
            buckets=_FIRST_BYTE_S,
            registry=self._registry,
        )
        self._tokens = Counter(
            "bawn_gateway_tokens", "Tokens, as upstreams report them.", ("model", "kind"), registry=self._registry
        )
        self._tool_calls = Counter("bawn_gateway_tool_calls", "Calls of MCP tools.", ("tool",), registry=self._registry)
        self._registry.register(_Gauges(self, backends))
        ProcessCollector(registry=self._registry)

    def ended(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        status = f"{record.status // 100}xx"
        self._requests.labels(record.surface, status, record.error or "").inc()
        if record.cancelled:
            self._cancelled.labels(record.surface).inc()
        if record.first_byte_s is not None:
            self._first_byte.labels(record.surface).observe(record.first_byte_s)
        if record.tool is not None:
            self._tool_calls.labels(record.tool).inc()
        tokens = {
            "prompt": record.prompt_tokens,
            "completion": record.completion_tokens,
            "cached": record.cached_tokens,
        }
        for kind, count in tokens.items():
            if count and record.model is not None:
                self._tokens.labels(record.model, kind).inc(count)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """What is looked up when it is asked for, instead of being counted along."""

    def __init__(self, metrics: Metrics, backends: Sequence[Backend]) -> None:
        self._metrics = metrics
        self._backends = backends

    def collect(self) -> Iterator[GaugeMetricFamily]:
        under_way = GaugeMetricFamily("bawn_gateway_requests_in_flight", "Requests under way.")
        under_way.add_metric([], self._metrics.in_flight)
        yield under_way
        healthy = GaugeMetricFamily(
            "bawn_gateway_upstream_healthy", "1: its last check or request went well.", labels=["upstream"]
        )
        busy = GaugeMetricFamily(
            "bawn_gateway_upstream_in_flight", "Requests that the upstream is answering.", labels=["upstream"]
        )
        for backend in self._backends:
            healthy.add_metric([backend.name], float(backend.healthy is True))
            busy.add_metric([backend.name], backend.in_flight)
        yield healthy
        yield busy
