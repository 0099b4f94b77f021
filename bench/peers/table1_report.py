"""The tables of docs/table1.md from what table1.py measured."""

from __future__ import annotations

import statistics
from typing import Any

from common import PAPER_CLASSES, PAPER_PARAMETERS, STACKS, TABLE_MODELS, spread, told
from notebook_data import EPOCHS, NOTEBOOK_MINIBATCHES, PAPER_MINUTES
from table1_cases import (
    BASE,
    CONDITIONS,
    OTHER_CLASSES,
    SMALL_BATCH,
    SMALLEST,
    Case,
    Condition,
    applies,
    has_gru,
)

STEPS = EPOCHS * NOTEBOOK_MINIBATCHES
B, T, H, E, D, V = 96, 50, 128, 100, 64, PAPER_CLASSES
TITLES = {"keras": "Keras", "torch": "PyTorch", "etude": "Etude"}
NEARLY_EQUAL = ("attention", "double", "triple")
SMALL = 96 // SMALL_BATCH  # as many times more steps an epoch


def minutes_of(ms: float) -> float:
    return ms * STEPS / 60_000


def ms_of(minutes: float) -> float:
    return minutes * 60_000 / STEPS


PAPER_MS = {model: ms_of(minutes) for model, minutes in PAPER_MINUTES.items()}


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def gru_inputs(model: str) -> list[int]:
    """Features that each bidirectional GRU reads."""
    depth = 1 if model == "single" else STACKS.get(model, 0)
    return [E, *[2 * H] * (depth - 1)][:depth]


def attention_widths(model: str) -> list[int]:
    if model == "attention":
        return [E]
    return [2 * H] * (1 if model == "single" else STACKS[model] - 1)


def gflop(model: str) -> dict[str, float]:
    """Products of a step: forward, and backward twice that."""
    flat = {"attention": T * E, "single": T * 2 * H}.get(model, 2 * H)
    parts = {
        "GRU": sum(12 * B * T * H * (width + H) for width in gru_inputs(model)),
        "attention": sum(2 * B * T * f * f + 4 * B * T * T * f for f in attention_widths(model)),
        "dense": 2 * B * flat * D,
        "output": 2 * B * D * V,
    }
    return {name: 3 * value / 1e9 for name, value in parts.items()}


def line_through(x: list[float], y: list[float]) -> tuple[float, float, float]:
    """Least squares: y = a + b x, and the share of y's variance that it explains."""
    mx, my = statistics.mean(x), statistics.mean(y)
    xx = sum((u - mx) ** 2 for u in x)
    b = sum((u - mx) * (v - my) for u, v in zip(x, y)) / xx
    a = my - b * mx
    rest = sum((v - a - b * u) ** 2 for u, v in zip(x, y))
    return a, b, 1 - rest / sum((v - my) ** 2 for v in y)


class Report:
    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results
        notebook = results["data"].get("notebook", {})
        self.data_minutes: float | None = notebook.get("minutes_scaled")
        published = results["data"].get("published", {})
        self.etude_minutes = minutes_of(published["ms"]) if "ms" in published else None

    def rounds(self, case: Case) -> list[float]:
        return self.results["points"].get(case.name, {}).get("rounds", [])

    def ms(self, case: Case) -> float | None:
        rounds = self.rounds(case)
        return statistics.median(rounds) if rounds else None

    def cell(self, case: Case, digits: int = 1) -> str:
        point = self.results["points"].get(case.name, {})
        if point.get("rounds"):
            known = spread(point["rounds"])
            return told(known, digits) if len(point["rounds"]) > 1 else f"{known['median']:.{digits}f}"
        return f"skipped: {point['skipped']}" if "skipped" in point else "not measured"

    def under(self, condition: Condition, model: str) -> Case:
        """What is not of the GRU leaves a model without one as it was."""
        gru = condition.gru if has_gru(model) else BASE[condition.framework].gru
        return Case(condition.framework, gru, condition.mode, model, B, H, V)

    def has_data(self, framework: str) -> bool:
        return (self.etude_minutes if framework == "etude" else self.data_minutes) is not None

    def data_ms(self, framework: str) -> float:
        """0 where it was not measured: ask has_data() before telling it."""
        minutes = self.etude_minutes if framework == "etude" else self.data_minutes
        return ms_of(minutes or 0.0)

    def tables(self) -> dict[str, str]:
        return {
            "facts": self.facts(), "paper": self.paper(), "arithmetic": self.arithmetic(), "data": self.data(),
            "split": self.split(), "conditions": self.conditions(), "minutes": self.minutes(), "fit": self.fit(),
            "factor": self.factor(), "host": self.host(), "alone": self.alone(), "small": self.small(), "classes": self.classes(),
            "keras": self.keras(),
        }  # fmt: skip

    def facts(self) -> str:
        r, s = self.results, self.results["settings"]
        versions = ", ".join(f"{name} {number}" for name, number in r["versions"].items())
        m = r["machine"]
        load = f"load {m['load']:.1f} before and {m.get('load_at_end', m['load']):.1f} behind"
        busy = (
            " **The machine had other work: the times are too long, and only what is far apart says something.**"
            if m["load"] > 0.5
            else ""
        )
        rounds = f"{s['rounds']} rounds" if s["rounds"] > 1 else "one round"
        return (
            f"Measured {r['date']} at commit {r['commit']} on {m['cpu']}, {m['cores']} cores, {s['threads']} threads each, {load}; "
            f"{versions}; data: {s['data']}. One model after the other, its conditions by turns. A figure is the median of {rounds}, of "
            f"each the median of at least {s['steps']} steps behind an uncounted one; in brackets the least and the most.{busy}"
        )

    def paper(self) -> str:
        rows = [
            [
                f"`{m}`",
                f"{int(t)}:{round(60 * t) % 60:02d}",
                f"{PAPER_MS[m]:.0f}",
                f"{t / PAPER_MINUTES['double']:.2f}",
            ]
            for m, t in PAPER_MINUTES.items()
        ]
        return table(["model", "the paper, min:s", "ms a step", "of `double`"], rows)

    def arithmetic(self) -> str:
        rows = []
        for model in TABLE_MODELS:
            parts = gflop(model)
            parameters = PAPER_PARAMETERS[model]
            rows.append(
                [
                    f"`{model}`",
                    f"{parameters:,}",
                    *(f"{value:.1f}" for value in parts.values()),
                    f"**{sum(parts.values()):.1f}**",
                    f"{28 * parameters / 1e6:.0f}",
                    str(2 * T * len(gru_inputs(model))),
                    f"{PAPER_MS[model]:.0f}",
                ]
            )
        head = [
            "model", "parameters", "GRU", "attention", "dense", "output", "GFLOP a step", "MB of the update",
            "steps one after the other", "the paper's ms",
        ]  # fmt: skip
        return table(head, rows)

    def data(self) -> str:
        found = self.results["data"].get("notebook", {})
        if "epoch_s" not in found or self.data_minutes is None:
            return f"The notebook's way: skipped: {found.get('skipped', 'not measured')}."
        lines = [
            f"{found['pieces']} pieces, {found['minibatches']:,} minibatches an epoch, Python {found['python']}: an epoch of the "
            f"notebook's data work takes {found['epoch_s']:.0f} s, {1000 * found['epoch_s'] / found['minibatches']:.1f} ms a minibatch; four epochs of "
            f"{NOTEBOOK_MINIBATCHES:,} come to **{self.data_minutes:.1f} minutes**. The same way of feeding in Etude's C++ "
            + (
                f"comes to {60 * self.etude_minutes:.1f} seconds."
                if self.etude_minutes is not None
                else f"was skipped: {self.results['data'].get('published', {}).get('skipped', 'not measured')}."
            ),
            "",
        ]
        rows = [
            [f"`{m}`", f"{t:.1f}", f"{self.data_minutes / t:.0%}", f"{t - self.data_minutes:.1f}",
             f"{ms_of(t - self.data_minutes):.0f}"]
            for m, t in PAPER_MINUTES.items()
        ]  # fmt: skip
        head = ["model", "the paper, minutes", "data work's share", "left, minutes", "left, ms a step"]
        return "\n".join(lines) + "\n" + table(head, rows)

    def parts(self, framework: str, model: str) -> tuple[float, float, float] | None:
        """Data, host, device: ms a step."""
        base = BASE[framework]
        whole, host = self.ms(base.case(model)), self.ms(base.case(model, **SMALLEST))
        if whole is None or host is None:
            return None
        return self.data_ms(framework), min(host, whole), max(whole - host, 0.0)

    def split(self) -> str:
        rows = []
        for framework, base in BASE.items():
            for model in TABLE_MODELS:
                parts = self.parts(framework, model)
                row = [f"{TITLES[framework]}, `{model}`"]
                if parts is None:
                    reason = self.cell(base.case(model))
                    rows.append([*row, reason, "", "", "", ""])
                    continue
                data, host, device = parts
                known = self.has_data(framework)
                row += [
                    f"{data:.1f}" if known else "not measured",
                    self.cell(base.case(model, **SMALLEST)),
                    f"{device:.1f}",
                ]
                rows.append(
                    [
                        *row,
                        self.cell(base.case(model)),
                        f"{minutes_of(data + host + device):.1f}" if known else "",
                    ]
                )
        head = ["", "data", "host", "device", "host and device", "4 epochs with data, minutes"]
        return table(head, rows)

    def condition_rows(self) -> list[tuple[Condition, dict[str, Case]]]:
        return [
            (c, {m: self.under(c, m) for m in TABLE_MODELS if not has_gru(m) or applies(c, m)})
            for c in CONDITIONS
        ]

    def conditions(self) -> str:
        rows = []
        for condition, cases in self.condition_rows():
            known = {model: self.ms(case) for model, case in cases.items()}
            order = sorted(value for value in known.values() if value is not None)
            row = [condition.title]
            for model in TABLE_MODELS:
                value = known.get(model)
                if model not in cases:
                    row.append("")
                elif value is None:
                    row.append(self.cell(cases[model]))
                else:
                    row.append(f"{value:.0f} ({order.index(value) + 1})")
            rows.append([*row, self.ratio(known, 0.0)])
        places = sorted(PAPER_MS.values())
        rows.append(
            ["**the paper**", *(f"{v:.0f} ({places.index(v) + 1})" for v in PAPER_MS.values()),
             f"{PAPER_MS['rnn'] / PAPER_MS['double']:.2f}"]
        )  # fmt: skip
        return table(["ms a step (place)", *(f"`{m}`" for m in TABLE_MODELS), "`rnn` / `double`"], rows)

    @staticmethod
    def ratio(known: dict[str, float | None], data: float) -> str:
        one, two = known.get("rnn"), known.get("double")
        return f"{(one + data) / (two + data):.2f}" if one is not None and two is not None else ""

    def minutes(self) -> str:
        rows = []
        for condition, cases in self.condition_rows():
            if not condition.all_models:
                continue
            data = self.data_ms(condition.framework)
            known = {model: self.ms(case) for model, case in cases.items()}
            row = [condition.title]
            if not self.has_data(condition.framework):
                rows.append([*row, "data work not measured", *[""] * (len(TABLE_MODELS) + 1)])
                continue
            row += [
                self.cell(cases[m]) if (value := known[m]) is None else f"{minutes_of(value + data):.1f}"
                for m in TABLE_MODELS
            ]
            rows.append([*row, self.ratio(known, data), self.flatness(known, data)])
        rows.append(
            ["**the paper**", *(f"{v:.1f}" for v in PAPER_MINUTES.values()),
             self.ratio(dict(PAPER_MS), 0.0), self.flatness(dict(PAPER_MS), 0.0)]
        )  # fmt: skip
        head = [
            "4 epochs with data, minutes",
            *(f"`{m}`" for m in TABLE_MODELS),
            "`rnn` / `double`",
            "the three: most / least",
        ]
        return table(head, rows)

    @staticmethod
    def flatness(known: dict[str, float | None], data: float) -> str:
        three = [value + data for model in NEARLY_EQUAL if (value := known.get(model)) is not None]
        return f"{max(three) / min(three):.2f}" if len(three) == len(NEARLY_EQUAL) else ""

    def fit(self) -> str:
        """The paper's four fast rows as a constant and a multiple of what each model costs."""
        four = [model for model in TABLE_MODELS if model != "rnn"]
        costs: dict[str, dict[str, float | None]] = {
            "GFLOP": {m: sum(gflop(m).values()) for m in TABLE_MODELS}
        }
        for framework, title in TITLES.items():
            parts = {model: self.parts(framework, model) for model in TABLE_MODELS}
            costs[f"device ms of {title}"] = {m: p[2] if p else None for m, p in parts.items()}
        costs["GRU layers"] = {m: float(len(gru_inputs(m))) for m in TABLE_MODELS}
        rows = []
        for name, cost in costs.items():
            if any(value is None for value in cost.values()):
                rows.append([name, "not measured", "", "", "", ""])
                continue
            known = {m: value for m, value in cost.items() if value is not None}
            a, b, explained = line_through([known[m] for m in four], [PAPER_MS[m] for m in four])
            rows.append(
                [
                    name,
                    f"{a:.0f}",
                    f"{b:+.2f}",
                    f"{explained:.0%}",
                    f"{a + b * known['rnn']:.0f}",
                    f"{PAPER_MS['rnn']:.0f}",
                ]
            )
        head = [
            "x",
            "constant, ms",
            "ms for one more x",
            "variance explained",
            "then `rnn`, ms",
            "the paper's `rnn`, ms",
        ]
        return table(head, rows)

    def factor(self) -> str:
        """The paper's rows as one factor times data and host here, the device taken as nothing beside them."""
        base, data = BASE["keras"], self.data_ms("keras")
        host = {m: self.ms(base.case(m, **SMALLEST)) for m in TABLE_MODELS}
        if self.data_minutes is None or any(value is None for value in host.values()):
            return "Not measured: Keras or the notebook's data work was skipped."
        here = {m: data + value for m, value in host.items() if value is not None}
        factors = {m: PAPER_MS[m] / here[m] for m in TABLE_MODELS}
        rows = [[f"`{m}`", f"{here[m]:.1f}", f"{PAPER_MS[m]:.0f}", f"{factors[m]:.1f}"] for m in TABLE_MODELS]
        first = table(["model", "data and host here, Keras, ms", "the paper, ms", "times slower"], rows)
        k = statistics.median(value for m, value in factors.items() if m != "rnn")
        loop, eager = (
            next(c for c in CONDITIONS if (c.framework, c.gru, c.mode) == ("keras", "cells", m))
            for m in ("function", "eager")
        )
        candidates = {
            "as the others": here["rnn"],
            f"in minibatches of {SMALL_BATCH}: {SMALL} times the host": data + SMALL * (here["rnn"] - data),
            "its GRU a loop in `tf.function`: that host": self.plus(
                data, self.ms(loop.case("rnn", **SMALLEST))
            ),
            "its GRU a loop, eager: that host": self.plus(data, self.ms(eager.case("rnn", **SMALLEST))),
            "on a CPU: host and device": self.plus(data, self.ms(base.case("rnn"))),
            "on a CPU with one thread": self.plus(data, self.ms(base.case("rnn", threads=1))),
        }
        rows = [
            [what, "not measured", "", ""]
            if ms is None
            else [what, f"{ms:.0f}", f"{k * ms:.0f}", f"{k * ms / PAPER_MS['rnn']:.2f}"]
            for what, ms in candidates.items()
        ]
        head = ["`rnn`", "here, ms", f"{k:.1f} times that", "of the paper's 442"]
        return f"{first}\n\nThe median of the four fast rows is {k:.1f}. With it, `rnn` would come to:\n\n{table(head, rows)}"

    @staticmethod
    def plus(data: float, ms: float | None) -> float | None:
        return None if ms is None else data + ms

    def host(self) -> str:
        rows = []
        for condition in CONDITIONS:
            if condition.host:
                cases = {m: self.under(condition, m) for m in TABLE_MODELS}
                small = {m: Case(c.framework, c.gru, c.mode, m, **SMALLEST) for m, c in cases.items()}
                rows.append([condition.title, *(self.cell(small[m]) for m in TABLE_MODELS)])
        return table(["host alone, ms a step", *(f"`{m}`" for m in TABLE_MODELS)], rows)

    def alone(self) -> str:
        """`rnn` under one condition, the others as they come."""
        needed = PAPER_MS["rnn"] - PAPER_MS["double"]
        rows = []
        for condition in CONDITIONS:
            if condition is BASE[condition.framework] or condition.framework == "etude":
                continue
            data = self.data_ms(condition.framework)
            changed, double = (
                self.ms(condition.case("rnn")),
                self.ms(BASE[condition.framework].case("double")),
            )
            usual = self.ms(BASE[condition.framework].case("rnn"))
            if changed is None or double is None or usual is None:
                rows.append([condition.title, self.cell(condition.case("rnn")), "", "", ""])
                continue
            ratio = (changed + data) / (double + data)
            host = self.ms(condition.case("rnn", **SMALLEST)) if condition.host else None
            host_usual = self.ms(BASE[condition.framework].case("rnn", **SMALLEST))
            more = f"{host - host_usual:+.0f}" if host is not None and host_usual is not None else ""
            rows.append(
                [
                    condition.title,
                    f"{changed:.0f}",
                    f"{changed - usual:+.0f}",
                    more,
                    f"{ratio:.2f}" if self.has_data(condition.framework) else "",
                ]
            )
        rows.append(["**the paper**", f"{PAPER_MS['rnn']:.0f}", f"{needed:+.0f} to `double`", "", "4.29"])
        head = [
            "`rnn` alone so",
            "ms a step",
            "more than as it comes",
            "of it host",
            "`rnn` / usual `double`, with data",
        ]
        return table(head, rows)

    def small(self) -> str:
        data = (SMALL * PAPER_MINUTES["double"] - PAPER_MINUTES["rnn"]) / (SMALL - 1)
        rows = []
        for framework, base in BASE.items():
            for model in ("rnn", "double"):
                few, many = base.case(model, batch=SMALL_BATCH), base.case(model)
                a, b, host = self.ms(few), self.ms(many), self.ms(base.case(model, **SMALLEST))
                if a is None or b is None or host is None:
                    rows.append([f"{TITLES[framework]}, `{model}`", self.cell(few), self.cell(many), "", ""])
                    continue
                rows.append(
                    [
                        f"{TITLES[framework]}, `{model}`",
                        self.cell(few),
                        self.cell(many),
                        f"{host:.1f}",
                        f"{SMALL * a / b:.1f}",
                    ]
                )
        head = [
            "",
            f"minibatches of {SMALL_BATCH}, ms",
            "of 96, ms",
            "of it host",
            f"an epoch in {SMALL_BATCH}s / in 96s",
        ]
        found = f" Measured here: {self.data_minutes:.1f}." if self.data_minutes is not None else ""
        return (
            f"{table(head, rows)}\n\nIf a step cost the same whatever the model and the minibatch, `rnn` in {SMALL_BATCH}s and `double` in 96s would "
            f"give the paper's two rows with {data:.1f} minutes of data work: ({PAPER_MINUTES['rnn']:.1f} - {data:.1f}) / "
            f"({PAPER_MINUTES['double']:.1f} - {data:.1f}) = {(PAPER_MINUTES['rnn'] - data) / (PAPER_MINUTES['double'] - data):.1f}.{found}"
        )

    def classes(self) -> str:
        base = BASE["keras"]
        points = [(v, self.ms(base.case("rnn", vocab=v))) for v in sorted((*OTHER_CLASSES, V))]
        rows = [[f"{v:,}", self.cell(base.case("rnn", vocab=v))] for v, _ in points]
        text = table(["classes", "Keras, `rnn`, ms a step"], rows)
        known = [(float(v), ms) for v, ms in points if ms is not None]
        if len(known) < 3:
            return text
        _, slope, _ = line_through([v for v, _ in known], [ms for _, ms in known])
        needed = PAPER_MS["rnn"] - PAPER_MS["double"]
        return f"{text}\n\nAt {1000 * slope:.2f} ms for 1,000 classes, {needed:.0f} ms more would be {V + needed / slope:,.0f} classes."

    def keras(self) -> str:
        rows = []
        for model in TABLE_MODELS:
            name = BASE["keras"].case(model).name
            trace = self.results["side"].get(f"retrace {name}", {"skipped": "not measured"})
            saved = self.results["side"].get(f"save {name}", {"skipped": "not measured"})
            row = [f"`{model}`"]
            if "skipped" in trace:
                row += [f"skipped: {trace['skipped']}", "", "", ""]
            else:
                more = trace["other_size_ms"] - trace["later_ms"]
                missing = 60_000 * (PAPER_MINUTES["rnn"] - PAPER_MINUTES["double"])
                row += [
                    f"{trace['first_ms'] / 1000:.1f}",
                    str(trace["traces"]),
                    f"{more / 1000:.1f}",
                    f"{missing / more:,.0f}",
                ]
            row.append(f"{saved['ms'] / 1000:.2f}" if "ms" in saved else f"skipped: {saved['skipped']}")
            rows.append(row)
        head = [
            "model", "first step, s", "traces in 6 equal steps", "one more trace, s", "traces that would fill the 61 minutes",
            "weights written, s",
        ]  # fmt: skip
        return table(head, rows)

    def bars(self) -> dict[str, list[tuple[str, list[float]]]]:
        """By model: who, and minutes of data, host, device; of the paper's row only the sum is known."""
        found: dict[str, list[tuple[str, list[float]]]] = {}
        for model in TABLE_MODELS:
            found[model] = [("the paper", [PAPER_MINUTES[model]])]
            for framework in BASE:
                parts = self.parts(framework, model)
                if parts and self.has_data(framework):
                    found[model].append((TITLES[framework], [minutes_of(part) for part in parts]))
        return found

    def bars_title(self) -> str:
        return "4 epochs of 2,700 minibatches, minutes: the paper's, and on this CPU"
