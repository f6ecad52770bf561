"""gradio, mounted in FastAPI."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio
from fastapi import FastAPI

demo = gradio.Interface(fn=lambda name: "Hello, %s!" % name, inputs="text", outputs="text", api_name="greet")
app = gradio.mount_gradio_app(FastAPI(), demo, path="/")
