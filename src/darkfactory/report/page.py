"""The static report pages of a campaign: HTML with plots that zoom, images, tables; nothing from the network."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from darkfactory.report.plots import Plot

__all__ = ["FigureEntry", "Link", "Section", "page_look", "render_page"]

# longer tables are folded
_FOLDED = 25


@dataclass(frozen=True)
class FigureEntry:
    """A figure of the page: path relative to the page, caption, files with its numbers and its vector version."""

    path: str
    caption: str
    numbers: str = ""
    vector: str = ""


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to a section or a file beside the page."""

    text: str
    target: str


@dataclass(frozen=True)
class Section:
    """One dataset of one search on the page."""

    anchor: str
    title: str
    notes: Sequence[str] = ()
    figures: Sequence[FigureEntry] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    plots: Sequence[Plot] = ()


def _cell(value: Any) -> str:
    if value is None:
        return "<td>&ndash;</td>"
    if isinstance(value, bool):
        return f"<td>{value}</td>"
    if isinstance(value, float):
        return f'<td class="n">{value:.4g}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value}</td>'
    if isinstance(value, Link):
        return f'<td><a href="{html.escape(value.target)}">{html.escape(value.text)}</a></td>'
    return f"<td>{html.escape(str(value))}</td>"


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    title = f"<h3>{html.escape(name)}</h3>"
    if not rows:
        return f"{title}<p>nothing</p>"
    names = list(dict.fromkeys(k for r in rows for k in r))
    head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    lines = []
    for row in rows:
        css = ' class="assumed"' if row.get("source") == "assumed" else ""
        lines.append(f"<tr{css}>" + "".join(_cell(row.get(n)) for n in names) + "</tr>")
    body = f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
    if len(rows) > _FOLDED:
        return f"<details><summary>{html.escape(name)} ({len(rows)} rows)</summary>{body}</details>"
    return title + body


def _figure(f: FigureEntry) -> str:
    links = [("numbers", f.numbers), ("PDF", f.vector)]
    get = "".join(f' <a class="get" href="{html.escape(to)}">{text}</a>' for text, to in links if to)
    return (
        f'<figure><a class="image" href="{html.escape(f.path)}"><img loading="lazy" src="{html.escape(f.path)}" '
        f'alt="{html.escape(f.caption)}"></a><figcaption>{html.escape(f.caption)}{get}</figcaption></figure>'
    )


def _embedded(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plot(p: Plot) -> str:
    get = f' <a class="get" href="{html.escape(p.source)}">numbers</a>' if p.source else ""
    return (
        f'<figure id="plot-{html.escape(p.id)}"><div class="plot">'
        f'<script type="application/json">{_embedded(p.to_dict())}</script></div>'
        f"<figcaption>{html.escape(p.title)}{get}</figcaption></figure>"
    )


def _section(section: Section) -> str:
    notes = "".join(f'<p class="note">{html.escape(n)}</p>' for n in section.notes)
    plots = "".join(_plot(p) for p in section.plots)
    figures = "".join(_figure(f) for f in section.figures)
    tables = "".join(_table(n, rows) for n, rows in section.tables.items())
    return (
        f'<section id="{html.escape(section.anchor)}"><h2>{html.escape(section.title)}</h2>{notes}'
        + (f'<div class="plots">{plots}</div>' if plots else "")
        + (f'<div class="figures">{figures}</div>' if figures else "")
        + f"{tables}</section>"
    )


def page_look() -> tuple[str, str]:
    """Style and script of all pages.

    Example:
        >>> [text.count("</") for text in page_look()]
        [0, 0]
    """
    folder = resources.files("darkfactory.report")
    css, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "plots.js"))
    return css, script


def render_page(title: str, lead: str, sections: Sequence[Section], pages: Sequence[Link] = ()) -> str:
    """The whole page, with its style and script inside.

    Args:
        title: heading.
        lead: a sentence below it.
        sections: in order.
        pages: other pages of the report.

    Example:
        >>> "<h1>laptop</h1>" in render_page("laptop", "", [Section("a", "A & B")])
        True
    """
    css, script = page_look()
    others = "".join(f'<a href="{html.escape(p.target)}">{html.escape(p.text)}</a>' for p in pages)
    links = "".join(f'<a href="#{html.escape(s.anchor)}">{html.escape(s.title)}</a>' for s in sections)
    body = "".join(_section(s) for s in sections)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width,initial-scale=1'><title>{html.escape(title)}</title>"
        f"<style>{css}</style></head><body><header><h1>{html.escape(title)}</h1>"
        f"<button id='theme' type='button' hidden>dark or light</button><p>{html.escape(lead)}</p></header>"
        + (f"<nav aria-label='pages'>{others}</nav>" if others else "")
        + f"<nav aria-label='sections'>{links}</nav>{body}<script>{script}</script></body></html>\n"
    )
