"""Its one view counts visits, and says which process has made the connection."""

import os

from django.db import connection
from django.http import JsonResponse
from django.urls import path


def visit(request):
    with connection.cursor() as c:
        c.execute("INSERT INTO visits (pid) VALUES (%s)", [os.getpid()])
        c.execute("SELECT count(*) FROM visits")
        return JsonResponse(
            {"visits": c.fetchone()[0], "connection": MADE_BY[id(connection.connection)], "pid": os.getpid()}
        )


MADE_BY = {}


def made(connection, **kwargs):
    MADE_BY[id(connection.connection)] = os.getpid()


from django.db.backends.signals import connection_created

connection_created.connect(made)

urlpatterns = [path("", visit)]
