"""Line charts as SVG, in the manner of apps/report/loss_svg.cpp. Needs Python's own library alone."""

from __future__ import annotations

import dataclasses
import math
from xml.sax.saxutils import escape

# Okabe & Ito's palette, which colour-blind people can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d46")
PANEL_WIDTH, PANEL_HEIGHT = 330, 270
LEFT, GAP, TOP, BOTTOM, RIGHT = 62, 110, 74, 56, 84
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #5d6470; }
.title { font-size: 15px; font-weight: 600; fill: #222; }
.name { font-weight: 600; }
.paper { fill: #fff; }
.grid { stroke: #e4e6ec; } .axis { stroke: #5d6470; }
.guide { stroke: #9aa0ac; stroke-dasharray: 2 4; }
path { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
""" + "".join(
    f"path.c{i}, line.c{i} {{ stroke: {c}; }} circle.c{i}, .name.c{i} {{ fill: {c}; }}\n"
    for i, c in enumerate(COLOURS)
)


@dataclasses.dataclass
class Point:
    x: float
    y: float
    least: float
    most: float


@dataclasses.dataclass
class Series:
    name: str
    points: list[Point]


@dataclasses.dataclass
class Panel:
    title: str
    series: list[Series]
    guide: int = 1  # a dotted line of what grows as this power of x; 0: none


class Axis:
    """Places of numbers between two ends, in a straight line or by their logarithms."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool) -> None:
        self.scale = math.log if log else float
        self.low, self.high, self.log = low, high, log
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        low, high = self.scale(self.low), self.scale(self.high)
        return self.start + (self.end - self.start) * (self.scale(value) - low) / (high - low or 1)

    def ticks(self) -> list[float]:
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ratio = self.high / self.low
            parts = (1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 500 else (1,)
            candidates = [part * 10.0**decade for decade in decades for part in parts]
        else:
            power = 10.0 ** math.floor(math.log10(self.high / 5))
            step = next(f * power for f in (1, 2, 5, 10) if self.high / 5 <= f * power)
            candidates = [i * step for i in range(12)]
        return [tick for tick in candidates if self.low <= tick <= self.high]


def number(value: float) -> str:
    """12, 0.5, 36k: as short as a tick should be."""
    if value >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:g}"


class Chart:
    """Panels side by side that share their horizontal axis."""

    def __init__(self, title: str, x_title: str, panels: list[Panel], log: bool = True) -> None:
        self.x_title, self.log = x_title, log
        width = LEFT + len(panels) * PANEL_WIDTH + (len(panels) - 1) * GAP + RIGHT
        height = TOP + PANEL_HEIGHT + BOTTOM
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(title)}</title><style>{STYLE}</style>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
        ]
        self.text("title", "start", 16, 28, title)
        if log and (guides := {panel.guide for panel in panels} - {0}):
            inverse = "inverse " if -1 in guides else ""
            self.text("", "end", width - RIGHT, 28, f"dotted: in {inverse}proportion")
        for i, panel in enumerate(panels):
            self.panel(panel, LEFT + i * (PANEL_WIDTH + GAP))

    def svg(self) -> str:
        return "\n".join([*self.parts, "</svg>\n"])

    def text(self, kind: str, anchor: str, x: float, y: float, content: str) -> None:
        self.parts.append(
            f'<text class="{kind}" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'
        )

    def line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self.parts.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def panel(self, panel: Panel, left: float) -> None:
        points = [point for series in panel.series for point in series.points]
        if not points:
            return
        xs = sorted({point.x for point in points})
        low, high = min(p.least for p in points), max(p.most for p in points)
        x = Axis(xs[0] if self.log else 0, xs[-1], left, left + PANEL_WIDTH, self.log)
        y = Axis(low / 1.3 if self.log else 0, high * 1.15, TOP + PANEL_HEIGHT, TOP, self.log)
        self.axes(panel.title, x, y, xs)
        if self.log and panel.guide:
            self.guide(panel.series[0], panel.guide, x, y)
        for i, series in enumerate(panel.series):
            self.curve(series, i % len(COLOURS), x, y)
        self.names(panel.series, x, y)

    def axes(self, title: str, x: Axis, y: Axis, xs: list[float]) -> None:
        bottom = TOP + PANEL_HEIGHT
        for tick in y.ticks():
            self.line("grid", x.start, y(tick), x.end, y(tick))
            self.text("", "end", x.start - 8, y(tick) + 4, number(tick))
        last = -math.inf
        for tick in xs:
            self.line("axis", x(tick), bottom, x(tick), bottom + 5)
            if x(tick) - last >= 26:  # room for the number
                self.text("", "middle", x(tick), bottom + 19, number(tick))
                last = x(tick)
        self.line("axis", x.start, bottom, x.end, bottom)
        self.text("", "middle", (x.start + x.end) / 2, bottom + 42, self.x_title)
        self.text("", "start", x.start - 46, TOP - 14, title)

    def guide(self, series: Series, power: int, x: Axis, y: Axis) -> None:
        """Through one of the points, as far as it stays in the picture."""
        through = series.points[len(series.points) // 2 if power > 0 else 0]
        ends = sorted(through.x * (height / through.y) ** (1 / power) for height in (y.low, y.high))
        places = [max(x.low, ends[0]), min(x.high, ends[1])]
        first, last = ((x(at), y(through.y * (at / through.x) ** power)) for at in places)
        self.line("guide", *first, *last)

    def curve(self, series: Series, colour: int, x: Axis, y: Axis) -> None:
        places = [(x(p.x), y(p.y)) for p in series.points]
        self.parts.append(
            f'<path class="c{colour}" d="M{" L".join(f"{a:.1f} {b:.1f}" for a, b in places)}"/>'
        )
        for point, (a, b) in zip(series.points, places):
            self.line(f"c{colour}", a, y(point.least), a, y(point.most))
            self.parts.append(f'<circle class="c{colour}" cx="{a:.1f}" cy="{b:.1f}" r="3.2"/>')

    def names(self, all_series: list[Series], x: Axis, y: Axis) -> None:
        """At the curves' ends, pushed apart where they would cover each other."""
        ends = sorted((y(s.points[-1].y), x(s.points[-1].x), i) for i, s in enumerate(all_series) if s.points)
        last = -math.inf
        for height, right, i in ends:
            last = max(height, last + 16)
            self.text(f"name c{i % len(COLOURS)}", "start", right + 9, last + 4, all_series[i].name)
