#!/usr/bin/env python3
"""Trains Etude and PyTorch from the same weights on the same minibatches and compares their loss curves.

curves.py --etude build/release/apps/etude --data maestro100 --model triple --steps 300 --out curves.csv
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import torch

import etude_torch
from etude_program import Etude, Minibatches, add_etude_options
from etude_torch import Config, EtudeModel, PeerError, made_up_vocabulary, run_main

WINDOW = 25


def means(values: list[float], width: int) -> list[float]:
    """Means over neighbouring steps, `width` at a time; what is left over is dropped."""
    return [sum(values[i : i + width]) / width for i in range(0, len(values) - width + 1, width)]


def relative(a: float, b: float) -> float:
    figure = abs(a - b) / abs(b)
    return figure if figure == figure else math.inf


def largest_relative(a: list[float], b: list[float]) -> tuple[float, int]:
    """The largest relative difference and where it is, counted from 1."""
    figures = [relative(x, y) for x, y in zip(a, b)]
    worst = max(range(len(figures)), key=figures.__getitem__)
    return figures[worst], worst + 1


def nudged(model: EtudeModel, seed: int) -> EtudeModel:
    """A copy whose every weight is changed by about one part in ten million."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in copied.parameters():
            value.mul_(1.0 + 1e-7 * torch.randn(value.shape, generator=generator))
    return copied


def train_twin(
    model: EtudeModel, data: Minibatches, options: argparse.Namespace, name: str
) -> list[float]:
    losses = []
    every, device = options.every, options.device
    tf32 = options.precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    model = model.to(device)
    optimiser = etude_torch.nadam(model)
    start = time.perf_counter()
    for x, y in zip(data.inputs.to(device), data.targets.to(device)):
        with torch.autocast(device, dtype=torch.bfloat16, enabled=options.precision == "bf16"):
            losses.append(etude_torch.train_step(model, optimiser, x, y))
        if len(losses) % every == 0:
            print(f"{name}: step {len(losses)} of {len(data.inputs)}", file=sys.stderr)
    print(f"{name}: {len(losses)} steps in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return losses


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Train Etude and PyTorch from the same weights on the same minibatches; compare the loss curves.",
        epilog="Exit status 0: the means over 25 steps within --limit. A single step is no measure: training multiplies any "
        "difference of rounding, as --control shows.",
    )
    add_etude_options(parser)
    parser.add_argument("--model", choices=etude_torch.MODELS, default="triple")
    parser.add_argument("--steps", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the initial values and the minibatches (default: %(default)s)"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=0.01,
        help="on the relative difference of the means (default: %(default)s)",
    )
    parser.add_argument(
        "--every", type=int, default=50, help="steps between the lines printed (default: %(default)s)"
    )
    parser.add_argument(
        "--control", action="store_true",
        help="train PyTorch a second time from weights changed by one part in ten million: how far rounding alone leads apart",
    )  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of both (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=("fp32", "tf32", "bf16"), default="fp32",
        help="of both (default: %(default)s); tf32 and bf16 (by autocast) need --device cuda",
    )  # fmt: skip
    parser.add_argument(
        "--with-cpu", action="store_true", help="with --device cuda, a third curve: Etude on the CPU, in fp32"
    )
    parser.add_argument("--out", metavar="FILE.csv", help="both curves, one row a step")
    parser.add_argument("--json", metavar="FILE", help="the curves and their differences")
    options = parser.parse_args()
    if options.device == "cpu" and options.precision != "fp32":
        parser.error("--precision needs --device cuda")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise PeerError("PyTorch sees no GPU here")

    torch.set_num_threads(options.threads)
    etude = Etude(options.etude, options.data, options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = etude.minibatches(options.steps, options.seed, folder)
        config = Config.for_model(options.model, data.classes, dropout=0.0)
        twin = EtudeModel(options.model, config).initialise(options.seed).train()
        etude_torch.save_checkpoint(twin, made_up_vocabulary(data.classes - 1), folder / "init.safetensors")
        device = ["--device", "cuda", "--precision", options.precision] if options.device == "cuda" else []
        runs = {"Etude": device} | ({"Etude CPU": []} if options.with_cpu and device else {})
        curves = {}
        for title, words in runs.items():
            start = time.perf_counter()
            rows, _ = etude.train(
                options.model, folder / title, options.steps, options.seed,
                "--dropout", "0", "--init", str(folder / "init.safetensors"), *words,
            )  # fmt: skip
            print(f"{title}: {options.steps} steps in {time.perf_counter() - start:.1f} s", file=sys.stderr)
            curves[title] = [row["loss_per_sample"] for row in rows]

    control = nudged(twin, options.seed) if options.control else None
    curves["PyTorch"] = train_twin(twin, data, options, "PyTorch")
    if control:
        curves["control"] = train_twin(control, data, options, "control")
    theirs = curves["PyTorch"]
    others = [name for name in curves if name != "PyTorch"]

    if options.out:
        with open(options.out, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step"] + [name.lower() for name in curves])
            for step, losses in enumerate(zip(*curves.values()), start=1):
                writer.writerow([step] + [f"{loss:.7f}" for loss in losses])

    print(f"model {options.model}, {config.classes} classes, ln(V) = {math.log(config.classes):.4f}")
    print("loss per sample (nats)")
    print(f"{'step':>6s} " + " ".join(f"{name:>10s}" for name in curves) + "   Etude to PyTorch")
    for step in sorted({1, options.steps} | set(range(options.every, options.steps + 1, options.every))):
        losses = [curve[step - 1] for curve in curves.values()]
        print(
            f"{step:6d} "
            + " ".join(f"{loss:10.5f}" for loss in losses)
            + f" {relative(curves['Etude'][step - 1], theirs[step - 1]):18.3g}"
        )
    width = min(WINDOW, options.steps)
    figure = 0.0
    differences = {}
    for name in reversed(others):
        worst, where = largest_relative(curves[name], theirs)
        figure, group = largest_relative(means(curves[name], width), means(theirs, width))
        print(
            f"{name} to PyTorch: largest relative difference of the means over {width} steps {figure:.3g} (steps "
            f"{width * (group - 1) + 1} to {width * group}), of a single step {worst:.3g} (step {where})"
        )
        differences[name] = {"means": figure, "single_step": worst}
    if options.json:
        report = {
            "model": options.model, "classes": config.classes, "device": options.device,
            "precision": options.precision, "steps_a_mean": width, "to_pytorch": differences, "curves": curves,
        }  # fmt: skip
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    good = figure <= options.limit
    print(
        f"{'equal' if good else 'NOT EQUAL'}: means over {width} steps within {figure:.3g}, limit {options.limit:g}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    run_main(main)
