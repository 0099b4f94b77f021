#!/usr/bin/env python3
"""Writes down what bench/gpu.sh measures: one JSON file a stage, rewritten after each of its parts.

A stage that is stopped leaves the parts that it finished. Needs Python's own library alone.

    gpu_record.py begin FILE.json STAGE NAME=VALUE...            the settings
    gpu_record.py part FILE.json PART STATUS SECONDS OUTPUT...   JSON files whole, of others the ends
    gpu_record.py end FILE.json                                  the stage's status; exit 1 unless all is well
    gpu_record.py summary FILE.json...                           a table of the parts
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LINES = 40  # kept of an output that is no JSON, from its beginning and from its end


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def gpu() -> dict[str, str]:
    fields = ("name", "driver_version", "memory.total", "compute_cap", "clocks.max.sm", "power.limit", "pstate")
    line = output_of("nvidia-smi", "-i", "0", f"--query-gpu={','.join(fields)}", "--format=csv,noheader")
    return dict(zip(fields, (word.strip() for word in line.split(","))))


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def machine() -> dict[str, Any]:
    return {
        "gpu": gpu(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_text())


def write(path: str, record: dict[str, Any]) -> None:
    new = Path(path + ".new")
    new.write_text(json.dumps(record, indent=1) + "\n")
    new.replace(path)


def content(path: str) -> Any:
    """A JSON file whole, of any other the first and last lines; None where there is none."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return None
    try:
        return json.loads(text)
    except ValueError:
        lines = text.splitlines()
        return lines if len(lines) <= 2 * LINES else [*lines[:LINES], "...", *lines[-LINES:]]


def begin(path: str, stage: str, *settings: str) -> int:
    source = json.loads(os.environ.get("ETUDE_COMMIT", "{}"))
    record = {
        "format": "etude-gpu", "version": 1, "stage": stage, "date": now(), "commit": source.get("commit"),
        "tree_clean": source.get("clean"), "build": source.get("build"), "machine": machine(),
        "settings": dict(word.split("=", 1) for word in settings),
        "status": "unfinished", "parts": {},
    }  # fmt: skip
    write(path, record)
    return 0


def part(path: str, name: str, status: str, seconds: str, *outputs: str) -> int:
    record = read(path)
    entry: dict[str, Any] = {"status": status, "seconds": float(seconds)}
    for output in outputs:
        found = content(output)
        if isinstance(found, list):
            entry["output"] = entry.get("output", []) + found
        elif found is not None:
            entry["result"] = found
    record["parts"][name] = entry
    record["ended"] = now()
    write(path, record)
    return 0


def end(path: str) -> int:
    record = read(path)
    worst = [name for name, entry in record["parts"].items() if entry["status"] != "ok"]
    record["status"] = f"not ok: {', '.join(worst)}" if worst else "ok" if record["parts"] else "nothing run"
    write(path, record)
    return 0 if record["status"] == "ok" else 1


def summary(*paths: str) -> int:
    print(f"{'stage':10s} {'part':40s} {'status':24s} {'seconds':>8s}")
    for path in paths:
        record = read(path)
        for name, entry in record["parts"].items():
            print(f"{record['stage']:10s} {name:40s} {entry['status']:24s} {entry['seconds']:8.1f}")
        if record["status"] == "unfinished":
            print(f"{record['stage']:10s} stopped before its end")
    return 0


def main() -> int:
    commands = {"begin": begin, "part": part, "end": end, "summary": summary}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    return commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
