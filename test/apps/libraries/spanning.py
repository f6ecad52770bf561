"""WSGI and ASGI apps with OpenTelemetry's middleware, and a span of their own. With OWN in the
environment they set the SDK up themselves; else opentelemetry-instrument has done it."""

import asyncio
import os
import time

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as ASGIMiddleware
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as WSGIMiddleware

if os.environ.get("OWN"):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

tracer = trace.get_tracer("spanning")


def app(environ, start_response):
    with tracer.start_as_current_span("work"):
        time.sleep(0.05)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def respond(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    with tracer.start_as_current_span("work"):
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


wsgi = WSGIMiddleware(app)
asgi = ASGIMiddleware(respond)
