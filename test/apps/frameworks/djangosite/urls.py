import asyncio
import hashlib

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

import gate


def index(request):
    return HttpResponse("%s %s\n" % (request.method, request.get_host()), content_type="text/plain")


def hash_file(request):
    digest, length = hashlib.sha256(), 0
    for chunk in request.FILES["file"].chunks():
        digest.update(chunk)
        length += len(chunk)
    return HttpResponse("%d %s" % (length, digest.hexdigest()))


hash_file.csrf_exempt = True


def stream(request):
    def parts():
        yield "one\n"
        gate.wait("stream")
        yield "two\n"

    async def async_parts():
        # A synchronous generator would be read to its end first.
        yield "one\n"
        await sync_to_async(gate.wait)("stream")
        yield "two\n"

    is_async = isinstance(request, ASGIRequest)
    return StreamingHttpResponse(async_parts() if is_async else parts(), content_type="text/plain")


async def slow(request):
    """Waits without holding up others."""
    await asyncio.sleep(0.01)
    return HttpResponse("slow")


def visits(request):
    n = request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(n))


def error(request):
    raise RuntimeError("an error on purpose")


urlpatterns = [
    path("", index),
    path("hash", hash_file),
    path("stream", stream),
    path("visits", visits),
    path("slow", slow),
    path("error", error),
    path("admin/", admin.site.urls),
]
