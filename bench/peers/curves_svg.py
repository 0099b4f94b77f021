"""Loss curves as a picture, written without a drawing library."""

from __future__ import annotations

import math
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 62, 16, 54, 46
# The one drawn first is the widest, so that curves that lie on one another can all be seen.
STYLES = (("#1b6ca8", 6.0), ("#f2a541", 3.2), ("#b3202c", 1.2), ("#4a4a4a", 0.8), ("#3a8f3a", 0.8))


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between low and high."""
    rough = (high - low) / about
    step = 10 ** math.floor(math.log10(rough))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def draw(model: str, curves: dict[str, list[float]]) -> str:
    """All curves over one another."""
    values = [loss for curve in curves.values() for loss in curve if math.isfinite(loss)]
    steps = max(len(curve) for curve in curves.values())
    if not values:
        values = [0.0]
    low, high = min(values), max(values)
    low, high = (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - 1) / max(steps - 1, 1)

    def y(loss: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 18, f"{model}: loss per sample (nats), same weights and minibatches", "start"),
    ]
    for loss in ticks(low, high, 6):
        parts += [
            line(LEFT, y(loss), WIDTH - RIGHT, y(loss), "#ddd", 1),
            text(LEFT - 8, y(loss) + 4, f"{loss:g}", "end"),
        ]
    for step in ticks(1, steps, 8) if steps > 1 else []:
        parts += [line(x(step), HEIGHT - BOTTOM, x(step), HEIGHT - BOTTOM + 5, "#888", 1)]
        parts += [text(x(step), HEIGHT - BOTTOM + 20, f"{step:g}")]
    parts.append(text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8, "step"))
    place = LEFT
    for (name, curve), (colour, width) in zip(curves.items(), STYLES):
        points = " ".join(
            f"{x(step):.1f},{y(loss):.1f}" for step, loss in enumerate(curve, start=1) if math.isfinite(loss)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'
        )
        parts += [line(place, 33, place + 26, 33, colour, width), text(place + 32, 37, name, "start")]
        place += 48 + 9 * len(name)
    return "\n".join([*parts, "</svg>"]) + "\n"
