"""GET /metrics: counts and latencies by route, never by id, and the state of the process."""

from __future__ import annotations

import time

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.health import seconds_since_publication
from serving.live import Live

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNKNOWN = "none"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Measured:
    """An ASGI application that counts the requests to another one and measures how long they take."""

    def __init__(self, app: ASGIApp, requests: Counter, seconds: Histogram) -> None:
        self.app, self.requests, self.seconds = app, requests, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            method = scope["method"] if scope["method"] in METHODS else UNKNOWN
            route = getattr(scope.get("route"), "path", UNKNOWN)
            self.requests.labels(method, route, str(status)).inc()
            self.seconds.labels(method, route).observe(time.perf_counter() - started)


def add_metrics(app: FastAPI, live: Live) -> None:
    """Measure an application, and add the route that reports them. live: its state."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    requests = Counter("minutehand_requests", "Requests by method, route and status", ["method", "route", "status"], registry=registry)
    seconds = Histogram("minutehand_request_seconds", "Duration of requests", ["method", "route"], registry=registry, buckets=BUCKETS)
    pending = Gauge("minutehand_pending_events", "Accepted events that are newer than the publication", registry=registry)
    pending.set_function(lambda: len(live.known))
    age = Gauge("minutehand_seconds_since_publication", "Age of the publication in memory", registry=registry)
    age.set_function(lambda: seconds_since_publication(live))
    model = Gauge("minutehand_model_info", "The model version in memory, as a label", ["model_version"], registry=registry)
    app.add_middleware(Measured, requests=requests, seconds=seconds)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        model.clear()
        model.labels(live.published.version).set(1)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
