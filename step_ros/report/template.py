"""Pages that refer to nothing outside themselves, from the templates in `page/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

PAGE = Path(__file__).with_name("page")


def render_page(template: str, **values: Any) -> str:
    """A template of `page/` as HTML, with the style of all pages; a value that it lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (PAGE / "report.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)
