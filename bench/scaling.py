#!/usr/bin/env python3
"""How a training step's time and memory grow with each of its sizes: measured, tabled, drawn.

From the paper's sizes (minibatches of 96, windows of 50, 128 units, 36,011 classes) one size at a time is
varied, and `etude step` measures each point in a process of its own. The rounds go over all points, so that
what disturbs the machine meets all of them alike. Points that the results file has already are not measured
again: a run that was stopped goes on. Needs Python's own library alone.

    scaling.py --etude build/release/apps/etude --out out/scaling.json --pictures out
    scaling.py --quick --out out/quick.json --pictures out            a minute, to see that it runs
    scaling.py --draw --out bench/results/scaling.json --pictures docs/pictures --page docs/scaling.md
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from log_chart import Chart, Panel, Point, Series
from pages import PageError, commit, plain, put, read_results

FORMAT, VERSION = "etude-scaling", 1
BASE = {"batch": 96, "window": 50, "units": 128, "vocab": 36011}
SWEEPS = {
    "batch": (12, 24, 48, 96, 192, 384),
    "window": (10, 25, 50, 100, 200, 400),
    "units": (32, 64, 128, 256, 512),
    "vocab": (1000, 4000, 12_000, 36_011, 100_000, 200_000),
    "depth": (1, 2, 3, 4, 5, 6, 7, 8),
    "threads": (),  # 1, 2, 4 ... up to the machine's
}
QUICK = {"batch": (12, 96), "window": (10, 50), "units": (32, 128), "vocab": (1000, 36_011), "depth": (1, 2)}
TITLES = {
    "batch": "windows of a minibatch, B",
    "window": "tokens of a window, T",
    "units": "units of a GRU's direction, H",
    "vocab": "classes, V",
    "depth": "bidirectional GRUs in the stack",
    "threads": "threads",
}
LIMIT_S = 300  # of one measurement


class ScalingError(Exception):
    """What the user reads."""


def values_of(sweep: str, cores: int, quick: bool) -> tuple[int, ...]:
    if sweep != "threads":
        return QUICK[sweep] if quick else SWEEPS[sweep]
    powers = [2**i for i in range(12) if 2**i < cores]
    return tuple([*powers, cores])


def point_of(sweep: str, value: int, model: str, threads: int) -> dict[str, Any]:
    sizes = {"model": model, **BASE, "threads": threads}
    if sweep == "depth":
        sizes["model"] = f"stack-{value}"
    else:
        sizes[sweep] = value
    return sizes


def series_of(sweep: str, models: list[str]) -> list[str]:
    return ["stack"] if sweep == "depth" else models


def all_points(options: argparse.Namespace, cores: int) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for sweep in options.sweeps:
        for model in series_of(sweep, options.models):
            for value in values_of(sweep, cores, options.quick):
                point = point_of(sweep, value, model, options.threads or cores)
                if point not in points:
                    points.append(point)
    return points


def command_for(point: dict[str, Any], options: argparse.Namespace) -> list[str]:
    model = str(point["model"])
    stack = model.startswith("stack-")
    words = [options.etude, "step", "--json", "--stack" if stack else "--model", model.removeprefix("stack-")]
    for name in ("batch", "window", "units", "vocab", "threads"):
        words += [f"--{name}", str(point[name])]
    return [*words, "--steps", str(options.steps), "--seconds", str(options.seconds), "--device", options.device,
            "--precision", options.precision]  # fmt: skip


def measure(point: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """One repeat: the answer of `etude step`, or why there is none."""
    environment = {"GOMP_SPINCOUNT": "10000", **os.environ}  # as ./run
    try:
        done = subprocess.run(
            command_for(point, options), capture_output=True, text=True, timeout=LIMIT_S, env=environment,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"skipped": f"more than {LIMIT_S} s"}
    except OSError as error:
        raise ScalingError(f"{options.etude}: {error.strerror} (build it, or give --etude)") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return {"skipped": reason}
    answer = json.loads(done.stdout)
    if answer.get("format") != "etude-step" or answer.get("version") != 1:
        raise ScalingError(f"{options.etude}: its `step --json` is of another version than this script")
    return answer


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text)
    os.replace(temporary, path)


def begin(options: argparse.Namespace) -> dict[str, Any]:
    """New results, or those of a run with the same settings, to go on with."""
    settings = {
        "steps": options.steps, "seconds": options.seconds, "device": options.device,
        "precision": options.precision,
    }  # fmt: skip
    head = {"format": FORMAT, "version": VERSION, "commit": commit(), "settings": settings}
    if options.fresh or not options.out.exists():
        return {**head, "date": time.strftime("%Y-%m-%d"), "machine": None, "points": []}
    results = read_results(options.out, FORMAT, VERSION)
    for key in ("commit", "settings"):
        if plain(results[key]) != plain(head[key]):
            raise ScalingError(
                f"{options.out}: measured with another {key} ({results[key]}, now {head[key]}); --fresh begins anew"
            )
    return results


def repeats_of(results: dict[str, Any], point: dict[str, Any]) -> list[dict[str, Any]]:
    for known in results["points"]:
        if known["sizes"] == point:
            return known["repeats"]
    results["points"].append({"sizes": point, "repeats": []})
    return results["points"][-1]["repeats"]


def describe(point: dict[str, Any]) -> str:
    changed = [f"{name} {point[name]}" for name, usual in BASE.items() if point[name] != usual]
    return " ".join([point["model"], *changed, f"threads {point['threads']}"])


def run(options: argparse.Namespace) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0))
    results = begin(options)
    points = all_points(options, cores)
    for number in range(options.repeats):
        for place, point in enumerate(points):
            repeats = repeats_of(results, point)
            if len(repeats) > number:
                continue
            answer = measure(point, options)
            if machine := answer.get("machine"):
                machine.pop("threads")
                if results["machine"] not in (None, machine):
                    raise ScalingError(f"{options.out}: measured on another machine; --fresh begins anew")
                results["machine"] = machine
            kept = ("skipped", "timed_steps", "ms_per_step", "peak_memory_mib", "device_memory_mib")
            repeats.append({name: answer[name] for name in kept if answer.get(name) is not None})
            write(options.out, json.dumps(results, indent=1) + "\n")
            what = answer.get("skipped") or f"{answer['ms_per_step']['median']:.1f} ms"
            print(
                f"round {number + 1}/{options.repeats}, {place + 1}/{len(points)}: {describe(point)}: {what}",
                file=sys.stderr,
            )
    return results


def times(repeats: list[dict[str, Any]]) -> list[float]:
    return [repeat["ms_per_step"]["median"] for repeat in repeats if "ms_per_step" in repeat]


def memory(repeats: list[dict[str, Any]]) -> list[float]:
    """The device's where there is one."""
    return [r.get("device_memory_mib", r["peak_memory_mib"]) for r in repeats if "peak_memory_mib" in r]


class Sweep:
    """The measured points of one sweep: by series, the repeats at each value."""

    def __init__(self, name: str, results: dict[str, Any]) -> None:
        self.name = name
        self.series: dict[str, dict[int, list[dict[str, Any]]]] = {}
        most = max((known["sizes"]["threads"] for known in results["points"]), default=0)
        for known in results["points"]:
            self.add(known["sizes"], known["repeats"], most)

    def add(self, sizes: dict[str, Any], repeats: list[dict[str, Any]], threads: int) -> None:
        usual = {**BASE, "threads": threads}
        others = [name for name in usual if name != self.name and sizes[name] != usual[name]]
        depth = sizes["model"].startswith("stack-")
        if others or not repeats or depth != (self.name == "depth"):
            return
        value = int(sizes["model"].removeprefix("stack-")) if depth else sizes[self.name]
        self.series.setdefault("stack" if depth else sizes["model"], {})[value] = repeats

    def values(self) -> list[int]:
        return sorted({value for points in self.series.values() for value in points})

    def measured(self) -> bool:
        """Whether there is something to draw."""
        counts = (sum(bool(times(repeats)) for repeats in points.values()) for points in self.series.values())
        return max(counts, default=0) > 1

    def table(self) -> str:
        head = [TITLES[self.name]]
        for name in self.series:
            head += [f"`{name}`, ms a step", "memory, MiB"]
        lines = ["| " + " | ".join(head) + " |", "|---:" * len(head) + "|"]
        for value in self.values():
            cells = [f"{value:,}"]
            for points in self.series.values():
                cells += self.cells(points.get(value, []))
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    @staticmethod
    def cells(repeats: list[dict[str, Any]]) -> list[str]:
        if not repeats:
            return ["not yet measured", ""]
        if not times(repeats):
            return [f"skipped: {repeats[0]['skipped']}", ""]
        ms = times(repeats)
        spread = f" ({min(ms):.1f} to {max(ms):.1f})" if len(ms) > 1 else ""
        return [f"{statistics.median(ms):.1f}{spread}", f"{max(memory(repeats)):,.0f}"]

    def panel(self, title: str, part: Any, guide: int) -> Panel:
        series = []
        for name, points in self.series.items():
            known = [(value, part(points[value])) for value in sorted(points) if times(points[value])]
            places = [Point(v, statistics.median(all_), min(all_), max(all_)) for v, all_ in known]
            if places:
                series.append(Series(name, places))
        return Panel(title, series, guide)

    def picture(self) -> str:
        threads = self.name == "threads"
        panels = [
            self.panel("ms a step", times, -1 if threads else 1),
            self.panel("peak memory, MiB", memory, 0 if threads else 1),
        ]
        title = f"A training step against {TITLES[self.name]}"
        return Chart(title, TITLES[self.name], panels, log=self.name != "depth").svg()


def facts(results: dict[str, Any]) -> str:
    machine = results["machine"]
    if not machine:
        return "Not yet measured." if not results["points"] else "Every point was skipped."
    settings = results["settings"]
    repeats = max(len(point["repeats"]) for point in results["points"])
    return (
        f"Measured {results['date']} at commit {results['commit']} on {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, {machine['system']}, {machine['compiler']} {machine['flags']}; "
        f"{settings['device']}, {settings['precision']}. "
        f"A figure is the median of the steps of one measurement, at least {settings['steps']} steps and "
        f"{settings['seconds']:g} s long, and of {repeats} such measurements by turns (in brackets the least and the most)."
    )


def publish(results: dict[str, Any], options: argparse.Namespace) -> None:
    page = options.page.read_text() if options.page else ""
    if page:
        page = put(page, "scaling:facts", facts(results), options.page)
    for name in SWEEPS:
        sweep = Sweep(name, results)
        content = "Not yet measured."
        if sweep.values():
            content = sweep.table()
            if options.pictures and sweep.measured():
                picture = options.pictures / f"scaling-{name}.svg"
                write(picture, sweep.picture())
                beside = os.path.relpath(picture, options.page.parent if options.page else ".")
                content = f"![A training step against {TITLES[name]}]({beside})\n\n{content}"
            if not options.page:
                print(f"\n{sweep.table()}")
        if page:
            page = put(page, f"scaling:{name}", content, options.page)
    if page:
        write(options.page, page)


def comma_list(text: str) -> list[str]:
    return text.split(",")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--etude", default="build/release/apps/etude", metavar="PROGRAM", help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/scaling.json"), help="results (%(default)s)")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write scaling-SWEEP.svg there")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="write tables between its marks")
    parser.add_argument("--models", type=comma_list, default=["triple", "rnn"], help="(triple,rnn)")
    parser.add_argument("--sweeps", type=comma_list, default=list(SWEEPS), help=f"({','.join(SWEEPS)})")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps a repeat, at least (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a repeat, at least (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="but in that sweep (0: the cores)")
    parser.add_argument("--device", default="cpu", help="as of etude (%(default)s)")
    parser.add_argument("--precision", default="fp32", help="as of etude (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="few points, one short repeat")
    parser.add_argument("--fresh", action="store_true", help="forget what --out has")
    parser.add_argument("--draw", action="store_true", help="measure nothing: tables and pictures of --out")
    options = parser.parse_args()
    if unknown := [name for name in options.sweeps if name not in SWEEPS]:
        parser.error(f"--sweeps: no sweep {unknown[0]}; there are {', '.join(SWEEPS)}")
    if options.quick:
        options.repeats, options.steps, options.seconds = 1, 2, 0.0
    return options


def main() -> int:
    options = arguments()
    try:
        if options.page:
            put(options.page.read_text(), "scaling:facts", "", options.page)
        publish(read_results(options.out, FORMAT, VERSION) if options.draw else run(options), options)
    except (ScalingError, PageError, OSError) as error:
        print(f"scaling.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"scaling.py: stopped; the same command goes on with {options.out}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
