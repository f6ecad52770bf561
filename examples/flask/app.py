from flask import Flask, request, session
from markupsafe import escape

app = Flask(__name__)
app.secret_key = "change me"

PAGE = """<!doctype html>
<title>Flask on Indrik</title>
<p>Hello, %s! You have been here %d times.</p>
<form method="post"><input name="name" placeholder="your name"> <button>Say</button></form>
"""


@app.route("/", methods=["GET", "POST"])
def index():
    if request.method == "POST":
        session["name"] = request.form["name"]
    session["visits"] = session.get("visits", 0) + 1
    return PAGE % (escape(session.get("name") or "World"), session["visits"])
