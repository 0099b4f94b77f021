#!/usr/bin/env python3
"""Times one training step (forward, backward, Nadam) of each model, Etude and PyTorch by turns.

For every model the rounds alternate: some steps of Etude, then some steps of PyTorch, and so
on, in processes of their own, so that both meet the same machine. The PyTorch process sleeps while Etude
runs. Each round's first steps are warm-up and not counted. PyTorch gets the minibatches of Etude's run, or,
alone, random ones.

    step_time.py --etude build/release/apps/etude --data data/demo/midi --vocab 36011    both
    step_time.py --twin-only                                                        PyTorch alone
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import etude_torch
from etude_program import Etude, add_etude_options
from etude_torch import PAPER_CLASSES, TABLE_MODELS, PeerError, run_main

WINDOW = 50


def worker(options: argparse.Namespace) -> int:
    """Times steps whenever a line `N` arrives on standard input; answers with one line of JSON."""
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    config = etude_torch.Config.for_model(options.worker, options.vocab, dropout=options.dropout)
    model = etude_torch.EtudeModel(options.worker, config).initialise(options.seed).train()
    optimiser = etude_torch.nadam(model)
    generator = torch.Generator().manual_seed(options.seed)
    stored = etude_torch.read_tensors(options.minibatches)[0] if options.minibatches else None
    done = 0
    for line in sys.stdin:
        milliseconds = []
        losses = []
        for _ in range(int(line)):
            if stored:
                place = done % len(stored["inputs"])
                inputs, targets = stored["inputs"][place].long(), stored["targets"][place].long()
            else:
                inputs = torch.randint(1, options.vocab, (options.batch, WINDOW), generator=generator)
                targets = torch.randint(1, options.vocab, (options.batch,), generator=generator)
            done += 1
            start = time.perf_counter()
            losses.append(etude_torch.train_step(model, optimiser, inputs, targets))
            milliseconds.append(1000.0 * (time.perf_counter() - start))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answer = {"ms": milliseconds, "loss": losses[-1], "peak_mib": peak}
        print(json.dumps(answer), flush=True)
    return 0


class Twin:
    """The PyTorch process of one model."""

    def __init__(self, model: str, classes: int, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--worker", model, "--vocab", str(classes)]
        for name in ("threads", "batch", "seed", "dropout"):
            command += [f"--{name}", str(getattr(options, name))]
        if options.minibatches:
            command += ["--minibatches", options.minibatches]
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def steps(self, count: int) -> dict[str, Any]:
        into: IO[str] = self.process.stdin  # type: ignore[assignment]
        outof: IO[str] = self.process.stdout  # type: ignore[assignment]
        try:
            into.write(f"{count}\n")
            into.flush()
            return json.loads(outof.readline())
        except (OSError, ValueError) as error:
            raise PeerError(f"the PyTorch process ended early (exit status {self.process.wait()})") from error

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def etude_steps(etude: Etude, model: str, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs `count` steps of Etude in a process of its own; times from its steps.csv."""
    vocab = ["--vocab", str(options.vocab)] if options.vocab else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, run = etude.train(
            model, folder, count, options.seed,
            "--batch", str(options.batch), "--dropout", str(options.dropout),
            *vocab, *options.etude_option,
        )  # fmt: skip
        tensors, _ = etude_torch.read_tensors(folder / "model.safetensors")
        return {
            "ms": [row["model_ms"] for row in rows],
            "loss": rows[-1]["loss_per_sample"],
            "peak_mib": run.peak_mib,
            "classes": len(tensors["embedding.weight"]),
        }


def summary(rounds: list[list[float]], peak: float) -> dict[str, float]:
    steps = [value for single in rounds for value in single]
    return {
        "median": statistics.median(steps),
        "min": min(steps),
        "max": max(steps),
        "steps": len(steps),
        "peak_mib": peak,
    }


def measure(model: str, options: argparse.Namespace, etude: Etude | None) -> dict[str, Any]:
    """All rounds of one model."""
    kept: dict[str, list[list[float]]] = {"etude": [], "torch": []}
    peak = {"etude": 0.0, "torch": 0.0}
    twin = None
    count = options.warmup + options.steps
    classes = options.vocab
    try:
        for _ in range(options.rounds):
            if etude:
                answer = etude_steps(etude, model, count, options)
                kept["etude"].append(answer["ms"][options.warmup :])
                peak["etude"] = max(peak["etude"], answer["peak_mib"])
                classes = classes or answer["classes"]
                if answer["classes"] != classes:
                    raise PeerError(f"Etude trained with {answer['classes']} classes, not {classes}")
            if not options.etude_only:
                twin = twin or Twin(model, classes or PAPER_CLASSES, options)
                answer = twin.steps(count)
                kept["torch"].append(answer["ms"][options.warmup :])
                peak["torch"] = max(peak["torch"], answer["peak_mib"])
    finally:
        if twin:
            twin.close()
    result: dict[str, Any] = {"classes": classes or PAPER_CLASSES}
    for name, rounds in kept.items():
        if rounds:
            result[name] = summary(rounds, peak[name])
    if "etude" in result and "torch" in result:
        pairs = [
            statistics.median(theirs) / statistics.median(ours)
            for ours, theirs in zip(kept["etude"], kept["torch"])
        ]
        result["speedup"] = {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}
        result["memory_ratio"] = peak["torch"] / peak["etude"]
    return result


def machine() -> dict[str, Any]:
    import torch

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {"cpu": name, "cores": os.cpu_count(), "torch": torch.__version__, "load": os.getloadavg()[0]}


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Time a training step of each model: Etude and PyTorch by turns, on the same machine in one run.",
        epilog="A table goes to standard output, the figures to --json. The speed-up is the median over the rounds of "
        "(PyTorch's median / Etude's median).",
    )
    add_etude_options(parser, required=False)
    parser.add_argument(
        "--models", default=",".join(TABLE_MODELS), help="comma-separated (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="alternations (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="counted steps a round (default: %(default)s)")
    parser.add_argument(
        "--warmup", type=int, default=2, help="uncounted steps a round (default: %(default)s)"
    )
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument(
        "--vocab", type=int, default=0, help="classes, if more than the data's (36011 with --twin-only)"
    )
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--json", metavar="FILE", help="also write the figures as JSON ('-': instead of the table)"
    )
    parser.add_argument("--twin-only", action="store_true", help="PyTorch alone")
    parser.add_argument("--etude-only", action="store_true", help="Etude alone")
    parser.add_argument(
        "--etude-option",
        action="append",
        default=[],
        metavar="WORD",
        help="one more word for `etude train`, as in --etude-option=--heads --etude-option=2",
    )
    parser.add_argument("--worker", choices=etude_torch.MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--minibatches", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    if not options.twin_only and not (options.etude and options.data):
        parser.error("--etude and --data are needed, or --twin-only")
    if options.twin_only and options.etude_only:
        parser.error("--twin-only and --etude-only exclude each other")
    if options.rounds < 1 or options.steps < 1 or options.warmup < 0:
        parser.error("at least one round of one step")
    unknown = [model for model in options.models.split(",") if model not in etude_torch.MODELS]
    if unknown:
        parser.error(f"unknown model '{unknown[0]}'")

    if os.getloadavg()[0] > 0.5:
        print(
            f"warning: the machine is busy (load {os.getloadavg()[0]:.1f}); such times say little",
            file=sys.stderr,
        )
    etude = None if options.twin_only else Etude(options.etude, options.data, options.threads)
    report: dict[str, Any] = {
        "format": "etude-step-time",
        "version": 1,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "settings": {
            name: getattr(options, name)
            for name in ("rounds", "steps", "warmup", "threads", "batch", "dropout", "seed")
        },
        "models": {},
    }
    quiet = options.json == "-"
    if not quiet:
        print("ms a step: median (min - max)")
        print(f"{'model':12s} {'Etude':>26s} {'PyTorch':>26s} {'faster':>20s} {'peak MiB':>14s}")
    with tempfile.TemporaryDirectory() as name:
        if etude and not options.etude_only:
            # PyTorch takes the minibatches of Etude's run: the same tokens, repeated as often.
            count = options.rounds * (options.warmup + options.steps)
            more = [] if options.batch == 96 else ["--batch", str(options.batch)]
            options.minibatches = str(etude.minibatches(count, options.seed, Path(name), *more).path)
        for model in options.models.split(","):
            result = measure(model, options, etude)
            report["models"][model] = result
            if not quiet:
                print(row(model, result), flush=True)
    report["machine"]["load_at_end"] = os.getloadavg()[0]
    if options.json:
        text = json.dumps(report, indent=1) + "\n"
        if quiet:
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text)
    return 0


def row(model: str, result: dict[str, Any]) -> str:
    cells = []
    memory = []
    for name in ("etude", "torch"):
        if name in result:
            value = result[name]
            cells.append(f"{value['median']:.1f} ({value['min']:.1f} - {value['max']:.1f})")
            memory.append(f"{value['peak_mib']:.0f}")
        else:
            cells.append("-")
            memory.append("-")
    ratio = "-"
    if "speedup" in result:
        value = result["speedup"]
        ratio = f"{value['median']:.2f} ({value['min']:.2f} - {value['max']:.2f})"
    return f"{model:12s} {cells[0]:>26s} {cells[1]:>26s} {ratio:>20s} {'/'.join(memory):>14s}"


if __name__ == "__main__":
    run_main(main)
