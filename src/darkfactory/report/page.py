"""The static report page of a campaign: small HTML with linked images, no script, nothing from the network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FigureEntry", "Link", "Section", "render_page"]

_CSS = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:0 auto;padding:1.5rem;color:#1d2731}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{border-bottom:1px solid #cfd6dd;padding-bottom:.2rem;margin-top:2.4rem}
h3{margin:1.4rem 0 .4rem}nav a{margin-right:1rem}.figures{display:grid;
grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:1rem}figure{margin:0;border:1px solid #e2e6ea;
padding:.5rem;border-radius:4px}figure img{width:100%}figcaption{font-size:.85rem;color:#47535f}
table{border-collapse:collapse;font-size:.85rem;margin:.5rem 0}td,th{border:1px solid #dde2e7;padding:.2rem .5rem;
text-align:left;vertical-align:top}th{background:#f3f5f7}.note{background:#fff7e6;border-left:4px solid #d08c2f;
padding:.4rem .8rem;margin:.5rem 0}.assumed{color:#a94f4f}code{background:#f3f5f7;padding:0 .2rem}
.wide{overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#14191f;color:#d7dee6}h2{border-color:#39424c}a{color:#7fb2e5}
figure{border-color:#333c46}figure img{background:#fff}figcaption{color:#a9b4bf}td,th{border-color:#39424c}
th,code{background:#1e252d}.note{background:#2c2618;border-color:#d08c2f}.assumed{color:#e08a8a}}
@media print{nav{display:none}figure,tr{break-inside:avoid}body{max-width:none;padding:0}}
"""


@dataclass(frozen=True)
class FigureEntry:
    """A figure of the page: path relative to the page, caption, and the file behind it."""

    path: str
    caption: str


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


def _cell(value: Any) -> str:
    if value is None:
        return "&ndash;"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Link):
        return f'<a href="{html.escape(value.target)}">{html.escape(value.text)}</a>'
    return html.escape(str(value))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>nothing</p>"
    names = list(dict.fromkeys(k for r in rows for k in r))
    head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    lines = []
    for row in rows:
        css = ' class="assumed"' if row.get("source") == "assumed" else ""
        lines.append(f"<tr{css}>" + "".join(f"<td>{_cell(row.get(n))}</td>" for n in names) + "</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _section(section: Section) -> str:
    notes = "".join(f'<p class="note">{html.escape(n)}</p>' for n in section.notes)
    figures = "".join(
        f'<figure><a href="{html.escape(f.path)}"><img loading="lazy" src="{html.escape(f.path)}" '
        f'alt="{html.escape(f.caption)}"></a><figcaption>{html.escape(f.caption)}</figcaption></figure>'
        for f in section.figures
    )
    tables = "".join(f"<h3>{html.escape(n)}</h3>{_table(rows)}" for n, rows in section.tables.items())
    return (
        f'<section id="{section.anchor}"><h2>{html.escape(section.title)}</h2>{notes}'
        f'<div class="figures">{figures}</div>{tables}</section>'
    )


def render_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        title: heading.
        lead: a sentence below it.
        sections: in order.

    Example:
        >>> "<h1>laptop</h1>" in render_page("laptop", "", [Section("a", "A & B")])
        True
    """
    links = "".join(f'<a href="#{s.anchor}">{html.escape(s.title)}</a>' for s in sections)
    body = "".join(_section(s) for s in sections)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{html.escape(title)}</title>"
        f"<style>{_CSS}</style></head><body><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>"
        f"<nav>{links}</nav>{body}</body></html>\n"
    )
