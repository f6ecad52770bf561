"""Django Channels: a view, and a consumer in a group."""

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()

from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path


class Room(AsyncJsonWebsocketConsumer):
    groups = ["room"]

    async def receive_json(self, content):
        await self.channel_layer.group_send("room", {"type": "said", "text": content})

    async def said(self, event):
        await self.send_json(event["text"])


class Sync(WebsocketConsumer):
    def connect(self):
        self.accept("chat" if "chat" in self.scope["subprotocols"] else None)

    def receive(self, text_data=None, bytes_data=None):
        if text_data == "close":
            self.close(4001, "as you wish")
        else:
            self.send(text_data.upper())


urlpatterns = [path("", lambda request: HttpResponse("view of %s" % request.get_host()))]
app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("room/", Room.as_asgi()), path("sync/", Sync.as_asgi())]),
    }
)
