#!/usr/bin/env python3
"""Compares two files of bench_kernels --benchmark_out: what became faster, what slower.

    bench/compare.py BEFORE.json AFTER.json
    bench/compare.py BEFORE.json AFTER.json --fail-above 1.1     # exit 1 if anything takes 1.1 times as long

A ratio is the median of AFTER's repetitions over that of BEFORE's. A change counts as one, and is marked, where every
repetition of one file is on the same side of every one of the other; of five and five, chance does that to one benchmark
in 126. With fewer than three repetitions nothing is marked, and --fail-above goes by the ratio alone.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

FORMAT, VERSION = "etude-bench", 1
LEAST = 3  # repetitions, for their spread to mean anything
UNITS = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}


class FileError(Exception):
    """A file that cannot be compared, in one line."""


@dataclass
class Results:
    path: str
    context: dict[str, Any]
    times: dict[str, list[float]]  # microseconds, by name
    problems: dict[str, str]  # why a benchmark could not run


@dataclass
class Row:
    name: str
    before: list[float]
    after: list[float]

    @property
    def ratio(self) -> float:
        return median(self.after) / median(self.before)

    @property
    def known_noise(self) -> bool:
        return min(len(self.before), len(self.after)) >= LEAST

    @property
    def mark(self) -> str:
        if not self.known_noise:
            return ""
        if min(self.after) > max(self.before):
            return "slower"
        return "faster" if max(self.after) < min(self.before) else ""


def read_benchmark(results: Results, entry: Any) -> None:
    name = entry["name"]
    if not isinstance(name, str):
        raise TypeError("a name is no text")
    if entry.get("run_type", "iteration") != "iteration":
        return
    if entry.get("error_occurred"):
        results.problems[name] = str(entry.get("error_message", "no reason given"))
        return
    time = float(entry["real_time"]) * UNITS[entry["time_unit"]]
    if not (math.isfinite(time) and time > 0):
        raise ValueError(f"{name}: {time} us is no time")
    results.times.setdefault(name, []).append(time)


def read(path: str) -> Results:
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise FileError(f"{path}: not a JSON file") from None
    context = record.get("context") if isinstance(record, dict) else None
    if not isinstance(context, dict) or context.get("format") != FORMAT:
        raise FileError(f"{path}: not written by bench_kernels --benchmark_out")
    if context.get("version") != VERSION:
        raise FileError(f"{path}: of format version {context.get('version')}; this compare.py reads version {VERSION}")
    results = Results(path, context, {}, {})
    try:
        for entry in record["benchmarks"]:
            read_benchmark(results, entry)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: damaged: {type(error).__name__} {error}") from None
    return results


def check(before: Results, after: Results) -> None:
    """Refuses two devices; warns where times are hard to compare."""
    devices = before.context.get("device"), after.context.get("device")
    if devices[0] != devices[1]:
        raise FileError(f"{before.path} is of device {devices[0]}, {after.path} of {devices[1]}: nothing to compare")
    precisions = [", ".join(sorted(file.context.get("ceilings") or {})) for file in (before, after)]
    if devices[0] == "cpu" and precisions[0] != precisions[1]:  # the CPU's names do not tell it
        raise FileError(f"{before.path} is of {precisions[0]}, {after.path} of {precisions[1]}: nothing to compare")
    for key in ("gpu", "processor", "threads", "blas"):
        values = before.context.get(key), after.context.get(key)
        if values[0] != values[1]:
            print(f"warning: another {key}: {values[0]} before, {values[1]} after", file=sys.stderr)


def time_text(us: float) -> str:
    return f"{us:.2f} us" if us < 1e3 else f"{us * 1e-3:.2f} ms"


def spread(times: list[float]) -> str:
    return f"{100 * (max(times) - min(times)) / median(times):.0f} %" if len(times) > 1 else ""


def print_table(rows: list[Row]) -> None:
    width = max(len(row.name) for row in rows)
    print(f"{'benchmark':{width}s} {'before':>10s} {'spread':>7s} {'after':>10s} {'spread':>7s} {'ratio':>7s}")
    for row in rows:
        line = f"{row.name:{width}s} {time_text(median(row.before)):>10s} {spread(row.before):>7s}"
        line += f" {time_text(median(row.after)):>10s} {spread(row.after):>7s} {row.ratio:7.3f}  {row.mark}"
        print(line.rstrip())
    mean = math.exp(sum(math.log(row.ratio) for row in rows) / len(rows))
    marks = [row.mark for row in rows]
    print(f"{len(rows)} benchmarks: {marks.count('faster')} faster, {marks.count('slower')} slower; mean ratio {mean:.3f}")
    if not all(row.known_noise for row in rows):
        print(f"some have fewer than {LEAST} repetitions: no change of theirs is marked", file=sys.stderr)


def print_missing(one: Results, other: Results) -> None:
    for name in sorted(one.times.keys() - other.times.keys()):
        print(f"only in {one.path}: {name}")
    for name, reason in sorted(one.problems.items()):
        print(f"could not run in {one.path}: {name}: {reason}")


def compare(arguments: argparse.Namespace) -> int:
    before, after = read(arguments.before), read(arguments.after)
    check(before, after)
    for results in (before, after):
        about = results.context
        print(f"{results.path}: commit {about.get('commit')}, {about.get('date')}")
    rows = [Row(name, times, after.times[name]) for name, times in before.times.items() if name in after.times]
    if rows:
        print_table(rows)
    print_missing(before, after)
    print_missing(after, before)
    if not rows:
        raise FileError(f"{before.path} and {after.path} have no benchmark in common")
    limit = arguments.fail_above
    failed = [row for row in rows if limit and row.ratio > limit and (row.mark or not row.known_noise)]
    for name in after.problems if limit else ():
        print(f"compare.py: {name} could not run in {after.path}", file=sys.stderr)
    for row in failed:
        print(f"compare.py: {row.name} takes {row.ratio:.3f} times as long, more than {limit:g}", file=sys.stderr)
    return 1 if failed or (limit and after.problems) else 0


def ratio(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", metavar="BEFORE.json")
    parser.add_argument("after", metavar="AFTER.json")
    parser.add_argument("--fail-above", type=ratio, metavar="RATIO", help="exit 1 if a benchmark's ratio is above")
    try:
        return compare(parser.parse_args())
    except FileError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
