#!/usr/bin/env python3
"""Trains Etude and PyTorch from the same weights on the same minibatches and compares their loss curves.

    curves.py --etude ../../build/etude --data maestro100 --model triple --steps 300 --out curves.csv
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import tempfile
import time
from pathlib import Path

import torch

import etude_torch
from etude_program import Etude, add_etude_options
from etude_torch import Config, EtudeModel, made_up_vocabulary, run_main

WINDOW = 25


def means(values: list[float], width: int) -> list[float]:
    """Means over neighbouring steps, `width` at a time; what is left over is dropped."""
    return [sum(values[i : i + width]) / width for i in range(0, len(values) - width + 1, width)]


def largest_relative(a: list[float], b: list[float]) -> tuple[float, int]:
    """The largest |a - b| / |b| and where it is, counted from 1."""
    figures = [abs(x - y) / abs(y) for x, y in zip(a, b)]
    figures = [figure if figure == figure else math.inf for figure in figures]
    worst = max(range(len(figures)), key=figures.__getitem__)
    return figures[worst], worst + 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Train Etude and PyTorch from the same weights on the same minibatches; compare the loss curves.",
        epilog="Exit status 0: the loss of every step within --limit.",
    )
    add_etude_options(parser)
    parser.add_argument("--model", choices=etude_torch.MODELS, default="triple")
    parser.add_argument("--steps", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the initial values and the minibatches (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=0.01, help="on the relative difference of the loss (default: %(default)s)")
    parser.add_argument("--every", type=int, default=50, help="steps between the lines printed (default: %(default)s)")
    parser.add_argument("--out", metavar="FILE.csv", help="both curves, one row a step")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    etude = Etude(options.etude, options.data, options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = etude.minibatches(options.steps, options.seed, folder)
        config = Config.for_model(options.model, data.classes, dropout=0.0)
        twin = EtudeModel(options.model, config).initialise(options.seed).train()
        etude_torch.save_checkpoint(twin, made_up_vocabulary(data.classes - 1), folder / "init.safetensors")
        start = time.perf_counter()
        rows, _ = etude.train(
            options.model, folder / "out", options.steps, options.seed,
            "--dropout", "0", "--init", str(folder / "init.safetensors"),
        )  # fmt: skip
        print(f"Etude: {options.steps} steps in {time.perf_counter() - start:.1f} s", file=sys.stderr)

    ours = [row["loss_per_sample"] for row in rows]
    theirs = []
    optimiser = etude_torch.nadam(twin)
    start = time.perf_counter()
    for x, y in zip(data.inputs, data.targets):
        theirs.append(etude_torch.train_step(twin, optimiser, x, y))
        if len(theirs) % options.every == 0:
            print(f"PyTorch: step {len(theirs)} of {options.steps}", file=sys.stderr)
    print(f"PyTorch: {options.steps} steps in {time.perf_counter() - start:.1f} s", file=sys.stderr)

    if options.out:
        with open(options.out, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "etude", "torch", "relative"))
            for step, (a, b) in enumerate(zip(ours, theirs), start=1):
                writer.writerow((step, f"{a:.7f}", f"{b:.7f}", f"{abs(a - b) / abs(b):.3g}"))

    print(f"model {options.model}, {config.classes} classes, ln(V) = {math.log(config.classes):.4f}")
    print("loss per sample (nats)")
    print(f"{'step':>6s} {'Etude':>10s} {'PyTorch':>10s} {'relative':>10s}")
    for step in sorted({1, options.steps} | set(range(options.every, options.steps + 1, options.every))):
        a, b = ours[step - 1], theirs[step - 1]
        print(f"{step:6d} {a:10.5f} {b:10.5f} {abs(a - b) / abs(b):10.3g}")
    worst, where = largest_relative(ours, theirs)
    print(f"largest relative difference: {worst:.3g} at step {where}")
    if options.steps >= WINDOW:
        figure, where = largest_relative(means(ours, WINDOW), means(theirs, WINDOW))
        print(f"of the means over {WINDOW} steps: {figure:.3g} at steps {WINDOW * (where - 1) + 1} to {WINDOW * where}")
    good = worst <= options.limit
    print(f"{'equal' if good else 'NOT EQUAL'} within {options.limit:g}")
    return 0 if good else 1


if __name__ == "__main__":
    run_main(main)
