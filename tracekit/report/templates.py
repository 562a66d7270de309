"""Templates of pages: text is cleaned and escaped, undefined names raise."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jinja2

from tracekit.report.prose import sentence
from tracekit.text import clean

_HERE: Final = Path(__file__).parent


def environment() -> jinja2.Environment:
    """Return the template engine: text is cleaned and escaped, undefined names raise."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: clean(value, block=True) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = sentence
    return environment


def compile_pages(engine: jinja2.Environment) -> None:
    """Compile the templates of pages, which the engine keeps."""
    for name in engine.list_templates(extensions=["html"]):
        engine.get_template(name)
