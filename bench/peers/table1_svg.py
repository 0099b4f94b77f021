"""Bars of what a step's time is made of, beside the paper's minutes, written without a drawing library."""

from __future__ import annotations

from curves_svg import HEIGHT, line, text, ticks

WIDTH, LEFT, RIGHT, TOP, BOTTOM = HEIGHT * 2, 150, 60, 70, 44
BAR, GAP = 15, 14
PARTS = (("data, the notebook's way", "#e69f00"), ("host", "#d55e00"), ("device", "#0072b2"))
PAPER = ("the paper, in all", "#9aa0ac")


def bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.4):.1f}" height="{BAR - 3}" fill="{colour}"/>'


def legend() -> list[str]:
    parts, place = [], float(LEFT)
    for name, colour in (PAPER, *PARTS):
        parts += [bar(place, 38, 18, colour), text(place + 24, 48, name, "start")]
        place += 44 + 7.2 * len(name)
    return parts


def picture(models: dict[str, list[tuple[str, list[float]]]], title: str) -> str:
    rows = sum(len(bars) for bars in models.values())
    height = TOP + rows * BAR + len(models) * GAP + BOTTOM
    most = max((sum(values) for bars in models.values() for _, values in bars), default=1.0)
    right = WIDTH - RIGHT

    def x(minutes: float) -> float:
        return LEFT + (right - LEFT) * minutes / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" fill="#222" role="img">',
        f'<title>{title}</title><rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        text(16, 22, title, "start", 15),
        *legend(),
    ]
    for minutes in ticks(0, most, 8):
        parts += [
            line(x(minutes), TOP - 6, x(minutes), height - BOTTOM, "#ddd", 1),
            text(x(minutes), height - BOTTOM + 18, f"{minutes:g}"),
        ]
    y = float(TOP)
    for model, bars in models.items():
        parts.append(text(16, y + BAR * len(bars) / 2 + 3, model, "start", 13))
        for name, values in bars:
            parts.append(text(LEFT - 6, y + BAR - 4, name, "end", 11))
            place = 0.0
            colours = [colour for _, colour in PARTS] if len(values) > 1 else [PAPER[1]]
            for value, colour in zip(values, colours):
                parts.append(bar(x(place), y, x(value) - LEFT, colour))
                place += value
            parts.append(text(x(place) + 5, y + BAR - 4, f"{place:.1f}", "start", 11))
            y += BAR
        y += GAP
    return "\n".join([*parts, "</svg>"]) + "\n"
