"""An empty Flask page, as the baseline of what a booking page costs: a small template, nothing else.

`bench.empty_page:app`.
"""

from flask import Flask, render_template_string

app = Flask(__name__)

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ title }}</title></head>
<body><main><h1>{{ title }}</h1></main></body>
</html>
"""


@app.get("/empty")
def empty() -> str:
    return render_template_string(PAGE, title="Empty")


@app.get("/health")
def health() -> str:
    return "ok"
