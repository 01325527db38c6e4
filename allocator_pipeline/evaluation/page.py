"""The shell of the HTML report: one file, no network, light and dark, equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.evaluation.page_style import CSS

_SCRIPT = """
(function () {
  const text = document.getElementById("figures").textContent;
  const shared = JSON.parse(document.getElementById("shared").textContent);
  const options = {displaylogo: false, responsive: true, displayModeBar: false};
  function fit(figure, width) {
    const named = figure.data.filter(line => line.name && line.showlegend !== false);
    if (figure.layout.showlegend === false || named.length < 2) return;
    const each = 40 + 7 * Math.max(...named.map(line => line.name.length));
    const lines = Math.ceil(named.length / Math.max(1, Math.floor((width - 70) / each)));
    const top = (figure.layout.title ? 40 : 10) + 21 * lines;  // room for the legend, whatever the width
    figure.layout.height += top - figure.layout.margin.t;
    figure.layout.margin.t = top;
  }
  function draw() {
    const style = getComputedStyle(document.documentElement);
    const themed = text.replace(/var\\((--[a-z0-9-]+)\\)/g, (_, name) => style.getPropertyValue(name).trim());
    for (const [id, figure] of Object.entries(JSON.parse(themed))) {
      figure.layout.font.family = getComputedStyle(document.body).fontFamily;
      for (const line of figure.data) if (typeof line.x === "number") line.x = shared[line.x];
      fit(figure, document.getElementById(id).clientWidth);
      Plotly.react(id, figure.data, figure.layout, options);
    }
  }
  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.matchMedia("print").addEventListener("change", draw);
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("section > details")) folded.open = true;
  });
})();
"""

SHARED = 26
"""An axis of so many values or more is written once for all lines that have it."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
"""The browser itself refuses every request: the page can load nothing and tell nobody."""


def page(
    title: str, lede: str, sections: Sequence[tuple[str, str, str]], figures: Mapping[str, Mapping[str, Any]]
) -> str:
    """Put the report together.

    Parameters
    ----------
    title, lede : str
        Plain text.
    sections : sequence of (id, heading, body)
        Heading is plain text, body is HTML.
    figures : mapping of str to mapping
        Plotly specification by the id of the element made by `chart`; without any the page has no scripts and is small.

    Returns
    -------
    str
        A whole HTML document that needs no network.
    """
    links = "".join(f'<a href="#{escape(key)}">{escape(heading)}</a>' for key, heading, _ in sections)
    body = "".join(
        f'<section id="{escape(key)}">\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n'
        for key, heading, content in sections
    )
    hint = "<noscript><main><p>The charts need scripts; tables and text do not.</p></main></noscript>\n"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        f'<header>\n<h1>{escape(title)}</h1>\n<p class="lede">{escape(lede)}</p>\n<nav>{links}</nav>\n</header>\n'
        f"{hint if figures else ''}"
        f"<main>\n{body}</main>\n<footer><p>Not investment advice.</p></footer>\n"
        f"{_scripts(figures) if figures else ''}</body>\n</html>\n"
    )


def _scripts(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures and what draws them."""
    from plotly.offline import get_plotlyjs

    slim, shared = _shared_axes(figures)
    return (
        f'<script type="application/json" id="shared">{_embedded(shared)}</script>\n'
        f'<script type="application/json" id="figures">{_embedded(slim)}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{_SCRIPT}</script>\n"
    )


def _embedded(values: Any) -> str:
    """Return values as JSON that cannot close the script element it stands in."""
    return canonical_json(values).decode().replace("<", "\\u003c")


def _shared_axes(figures: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return the figures with each long horizontal axis as a place in a list of them: most lines share their weeks."""
    places: dict[tuple[Any, ...], int] = {}

    def slim(line: Mapping[str, Any]) -> dict[str, Any]:
        if len(line.get("x", ())) < SHARED:
            return dict(line)
        return {**line, "x": places.setdefault(tuple(line["x"]), len(places))}

    changed = {key: {**figure, "data": [slim(line) for line in figure["data"]]} for key, figure in figures.items()}
    return changed, [list(axis) for axis in places]


def chart(key: str, description: str) -> str:
    """Return the place of a figure; the description is for readers who cannot see it."""
    return f'<div class="chart"><div id="{escape(key)}" role="img" aria-label="{escape(description)}"></div></div>'


def table(
    header: Sequence[str], body: Sequence[Sequence[str]], classes: Sequence[str] = (), text: Sequence[int] = ()
) -> str:
    """Return an HTML table that scrolls sideways on its own.

    Parameters
    ----------
    header : sequence of str
        Plain text.
    body : sequence of sequence of str
        Whole ``<td>`` elements, or HTML to put into one; the first cell of a row is its heading.
    classes : sequence of str
        Class of each row, if given.
    text : sequence of int
        Columns to align left, beside the first.

    Returns
    -------
    str
    """
    head = "".join(f'<th scope="col"{_left(i, text)}>{escape(name)}</th>' for i, name in enumerate(header))
    lines = []
    for number, row in enumerate(body):
        cells = f'<th scope="row">{row[0]}</th>' + "".join(
            cell if cell.startswith("<td") else f"<td{_left(i, text)}>{cell}</td>" for i, cell in enumerate(row[1:], 1)
        )
        group = f' class="{classes[number]}"' if classes and classes[number] else ""
        lines.append(f"<tr{group}>{cells}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _left(column: int, text: Sequence[int]) -> str:
    return ' class="text"' if column in text else ""
