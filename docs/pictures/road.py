"""Draws docs/pictures/road.svg, the path of a job: `make pictures`.

The text is large for the width, so that a phone can show it, and the picture has a background of
its own in a light and a dark form, so that it is readable on any page.
"""

from html import escape
from pathlib import Path

WIDTH, HEIGHT = 640, 590
LEFT, RIGHT = 24, 400  # where the two columns begin
TIER, END = 300, 216  # how wide their boxes are
TITLE = "The path of a job"
TOLD = (
    "A small model answers a job first. The answer is checked. If it passes, the job is completed. "
    "If it fails or is unsure, a stronger model answers and the same checks follow. If that fails "
    "too, the job fails and nothing is served."
)
LIGHT = {
    "page": "fill: #ffffff; stroke: #d0d7de",
    "box": "fill: #f6f8fa; stroke: #57606a",
    "good": "fill: #dafbe1; stroke: #1a7f37",
    "bad": "fill: #ffebe9; stroke: #cf222e",
    "model": "fill: #ddf4ff; stroke: #0969da",
    "line": "fill: none; stroke: #57606a",
    "head": "fill: #57606a",
    "text": "fill: #1f2328",
}
DARK = {
    "page": "fill: #0d1117; stroke: #30363d",
    "box": "fill: #161b22; stroke: #8b949e",
    "good": "fill: #12261e; stroke: #3fb950",
    "bad": "fill: #2d1416; stroke: #f85149",
    "model": "fill: #0c2136; stroke: #58a6ff",
    "line": "fill: none; stroke: #8b949e",
    "head": "fill: #8b949e",
    "text": "fill: #e6edf3",
}
CHECKS = ("schema, values found in the", "input, rules, confidence")
FONTS = "font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


def style() -> str:
    """The style sheet, with the dark form for readers whose system is dark."""

    def rules(colours: dict[str, str]) -> str:
        return " ".join(f".{name} {{ {colour} }}" for name, colour in colours.items())

    sizes = ".title { font-size: 20px; font-weight: 600 } .more { font-size: 16px }"
    dark = f"@media (prefers-color-scheme: dark) {{ {rules(DARK)} }}"
    every = f"rect, path {{ stroke-width: 1.5 }} text {{ {FONTS} }}"
    return f"<style>{every} {sizes} {rules(LIGHT)} {dark}</style>"


def words(kind: str, x: int, y: int, text: str, anchor: str = "middle") -> str:
    """One line of text."""
    where = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text class="text {kind}" {where}>{escape(text)}</text>'


def box(kind: str, x: int, y: int, width: int, title: str, *more: str) -> str:
    """A rounded box with a title and lines below it."""
    size = f'width="{width}" height="{40 + 22 * len(more)}" rx="10"'
    middle = x + width // 2
    return "\n".join(
        [
            f'<rect class="{kind}" x="{x}" y="{y}" {size}/>',
            words("title", middle, y + 27, title),
            *(words("more", middle, y + 50 + 22 * row, text) for row, text in enumerate(more)),
        ]
    )


def arrow(points: list[tuple[int, int]], said: str = "") -> str:
    """An arrow along the points, with a word at its first part."""
    (x, y), (next_x, next_y) = points[:2]
    (from_x, from_y), (to_x, to_y) = points[-2:]
    way = "M" + " L".join(f"{at_x},{at_y}" for at_x, at_y in points)
    along_x, along_y = (to_x > from_x) - (to_x < from_x), (to_y > from_y) - (to_y < from_y)
    back_x, back_y = to_x - 9 * along_x, to_y - 9 * along_y
    tip = (
        f"{back_x - 6 * along_y},{back_y - 6 * along_x} "
        f"{back_x + 6 * along_y},{back_y + 6 * along_x} {to_x},{to_y}"
    )
    lines = [f'<path class="line" d="{way}"/>', f'<polygon class="head" points="{tip}"/>']
    if said and x == next_x:
        lines.append(words("more", x + 12, (y + next_y) // 2 + 5, said, "start"))
    elif said:
        lines.append(words("more", (x + min(next_x, RIGHT)) // 2, y - 8, said))
    return "\n".join(lines)


def road() -> str:
    """The whole picture as SVG."""
    middle, edge, done = LEFT + TIER // 2, LEFT + TIER, RIGHT + END // 2
    frame = f'width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="14"'
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
            f'<title id="t">{TITLE}</title>',
            f'<desc id="d">{TOLD}</desc>',
            style(),
            f'<rect class="page" x="1" y="1" {frame}/>',
            box("box", LEFT, 24, TIER, "Your program", "submits a job: REST, Python, CSV"),
            arrow([(middle, 86), (middle, 114)]),
            box("model", LEFT, 114, TIER, "Small model answers", "or a classifier of your own"),
            arrow([(middle, 176), (middle, 204)]),
            box("box", LEFT, 204, TIER, "Checks", *CHECKS),
            arrow([(edge, 246), (RIGHT, 246)], "pass"),
            arrow([(middle, 288), (middle, 334)], "fail or unsure"),
            box("model", LEFT, 334, TIER, "Stronger model", "“running deeper analysis…”"),
            arrow([(middle, 396), (middle, 424)]),
            box("box", LEFT, 424, TIER, "The same checks"),
            arrow([(edge, 444), (done, 444), (done, 290)], "pass"),
            arrow([(middle, 464), (middle, 504)], "fail"),
            box("good", RIGHT, 204, END, "Completed", "output, tier, cost:", "poll, wait, webhook"),
            box("bad", LEFT, 504, TIER, "Failed", "nothing served: a person looks"),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    Path(__file__).with_name("road.svg").write_text(road(), encoding="utf-8")
