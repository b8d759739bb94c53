"""What Prometheus reads at /metrics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from m3att.serve.pool import Pool

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class PoolCollector(Collector):
    """The queue and the workers, read when they are asked for.

    Args:
        pool: of the service.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        figures = self.pool.figures
        workers = list(figures.workers.values())
        yield GaugeMetricFamily("m3att_waiting", "Tasks that wait for a worker", len(self.pool))
        yield GaugeMetricFamily("m3att_workers", "Workers that are ready", self.pool.alive)
        yield CounterMetricFamily(
            "m3att_worker_restarts", "Workers that ended and were started again", figures.restarts
        )
        yield CounterMetricFamily("m3att_batches", "Batches of tasks", figures.batches)
        yield CounterMetricFamily("m3att_tasks", "Tasks in these batches", figures.tasks)
        for key, what in (("hits", "Tasks whose image was encoded already"), ("misses", "Images that were encoded")):
            yield CounterMetricFamily(f"m3att_cache_{key}", what, sum(worker[key] for worker in workers))
        for key, what in (("images", "Encoded images that are kept"), ("bytes", "Their size")):
            yield GaugeMetricFamily(f"m3att_cache_{key}", what, sum(worker[key] for worker in workers))


class Metrics:
    """Counts requests.

    Args:
        pool: of the service.
    """

    def __init__(self, pool: Pool) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(PoolCollector(pool))
        self.requests = Counter(
            "m3att_requests", "Requests that were answered", ("path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "m3att_request_seconds", "Time to the answer", ("path",), buckets=SECONDS, registry=self.registry
        )

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: one of a few, because each is kept.
            status: of the answer.
            seconds: that it took.
        """
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)
