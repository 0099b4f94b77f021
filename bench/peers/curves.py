#!/usr/bin/env python3
"""Trains Etude, PyTorch and Keras from the same weights on the same minibatches and compares their loss curves.

curves.py --data maestro100 --model rnn,attention --steps 300 --keras-python keras/bin/python --out out/curves
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

try:
    import torch
except ImportError as failure:
    sys.exit(f"error: PyTorch makes the weights that all begin with ({failure}; requirements.txt)")

import etude_torch
from common import Config, PeerError, made_up_vocabulary, models_of, run_main, write_json, write_text
from curves_svg import draw
from etude_program import Etude, add_etude_options
from etude_torch import EtudeModel
from worker_process import Peers, Worker

WINDOW = 25
CONTROL = "control"
TOLD_ONLY = {CONTROL, "Etude CPU"}  # beside a GPU in another precision


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


def nudge(model: EtudeModel, seed: int) -> None:
    """Changes every weight by about one part in ten million."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(1.0 + 1e-7 * torch.randn(value.shape, generator=generator))


def write_weights(model: str, classes: int, options: argparse.Namespace, folder: Path) -> None:
    """weights.safetensors, and nudged.safetensors for --control."""
    twin = EtudeModel(model, Config.for_model(model, classes, dropout=0.0)).initialise(options.seed)
    etude_torch.save_checkpoint(twin, made_up_vocabulary(classes - 1), folder / "weights.safetensors")
    if options.control:
        nudge(twin, options.seed)
        etude_torch.save_checkpoint(twin, made_up_vocabulary(classes - 1), folder / "nudged.safetensors")


def etude_curve(
    model: str, etude: Etude, words: list[str], options: argparse.Namespace, folder: Path
) -> list[float]:
    rows, _ = etude.train(
        model, folder / "etude", options.steps, options.seed, "--dropout", "0", "--force",
        "--init", str(folder / "weights.safetensors"), *words,
    )  # fmt: skip
    return [row["loss_per_sample"] for row in rows]


def worker_curve(name: str, worker: Worker, options: argparse.Namespace) -> list[float]:
    losses: list[float] = []
    try:
        while len(losses) < options.steps:
            losses += worker.steps(min(options.every, options.steps - len(losses)))["losses"]
            print(f"{name}: step {len(losses)} of {options.steps}", file=sys.stderr)
    finally:
        worker.close()
    return losses


def start_worker(name: str, model: str, options: argparse.Namespace, folder: Path) -> Worker:
    weights = "nudged" if name == CONTROL else "weights"
    words = [
        "--model", model, "--minibatches", str(folder / "minibatches.safetensors"),
        "--checkpoint", str(folder / f"{weights}.safetensors"), "--dropout", "0", "--seed", str(options.seed),
        "--device", options.device, "--precision", options.precision,
    ]  # fmt: skip
    if name == "Keras":
        return Worker(
            "keras", options.keras_python, options.threads, *words,
            "--mode", options.keras_mode, "--embedding-update", "dense",
        )  # fmt: skip
    return Worker("torch", sys.executable, options.threads, *words, "--mode", "eager")


def train_all(
    model: str, etude: Etude, options: argparse.Namespace, folder: Path, result: dict[str, Any], peers: Peers
) -> None:
    """Fills result["curves"], and result["skipped"] with reasons."""
    device = ["--device", "cuda", "--precision", options.precision] if options.device == "cuda" else []
    runs: dict[str, list[str] | None] = {"Etude": device}
    if options.with_cpu and device:
        runs["Etude CPU"] = []
    runs |= {"PyTorch": None, "Keras": None}
    if options.control:
        runs[CONTROL] = None
    for name, words in runs.items():
        start = time.perf_counter()
        try:
            if words is None:
                curve = worker_curve(name, start_worker(name, model, options, folder), options)
            else:
                curve = etude_curve(model, etude, words, options, folder)
        except PeerError as error:
            result["skipped"][name] = peers.skip(name, str(error))
            continue
        seconds = time.perf_counter() - start
        print(f"{model}, {name}: {options.steps} steps in {seconds:.1f} s", file=sys.stderr)
        result["curves"][name] = curve


def compare(result: dict[str, Any], options: argparse.Namespace) -> bool:
    """Every pair; those of TOLD_ONLY are not asked to be equal to anybody."""
    width = min(WINDOW, options.steps)
    curves = result["curves"]
    result["steps_a_mean"] = width
    result["pairs"] = []
    good = True
    for a, b in itertools.combinations(curves, 2):
        if CONTROL in (a, b) and "PyTorch" not in (a, b):
            continue
        figure, group = largest_relative(means(curves[a], width), means(curves[b], width))
        single, where = largest_relative(curves[a], curves[b])
        pair = {"pair": [a, b], "means": figure, "single_step": single}
        result["pairs"].append(pair)
        print(
            f"{a} to {b}: largest relative difference of the means over {width} steps {figure:.3g} (steps "
            f"{width * (group - 1) + 1} to {width * group}), of a single step {single:.3g} (step {where})"
        )
        good = good and (bool(TOLD_ONLY & {a, b}) or figure <= options.limit)
    return good


def print_losses(result: dict[str, Any], options: argparse.Namespace) -> None:
    curves = result["curves"]
    print(f"model {result['model']}, {result['classes']} classes, ln(V) = {math.log(result['classes']):.4f}")
    print("loss per sample (nats)")
    print(f"{'step':>6s} " + " ".join(f"{name:>10s}" for name in curves))
    for step in sorted({1, options.steps} | set(range(options.every, options.steps + 1, options.every))):
        print(f"{step:6d} " + " ".join(f"{curve[step - 1]:10.5f}" for curve in curves.values()))
    for name, reason in result["skipped"].items():
        print(f"{name} skipped: {reason}")


def as_csv(curves: dict[str, list[float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step"] + [name.lower() for name in curves])
    for step, losses in enumerate(zip(*curves.values()), start=1):
        writer.writerow([step] + [f"{loss:.7f}" for loss in losses])
    return text.getvalue()


def write(result: dict[str, Any], options: argparse.Namespace) -> None:
    if not options.out or not result["curves"]:
        return
    folder = Path(options.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PeerError(f"{folder}: {error.strerror}") from error
    write_text(folder / f"curves-{result['model']}.csv", as_csv(result["curves"]))
    write_text(folder / f"curves-{result['model']}.svg", draw(result["model"], result["curves"]))


def one_model(
    model: str, etude: Etude, options: argparse.Namespace, report: dict[str, Any], peers: Peers
) -> bool:
    result: dict[str, Any] = {"model": model, "curves": {}, "skipped": {}}
    report["models"][model] = result
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result["classes"] = etude.minibatches(options.steps, options.seed, folder).classes
        write_weights(model, result["classes"], options, folder)
        try:
            train_all(model, etude, options, folder, result, peers)
        finally:
            write(result, options)
    print_losses(result, options)
    good = compare(result, options)
    compared = [name for name in result["curves"] if name not in TOLD_ONLY]
    worst = max(
        (pair["means"] for pair in result["pairs"] if not TOLD_ONLY & set(pair["pair"])), default=math.inf
    )
    result["equal"] = good and len(compared) > 1
    if len(compared) < 2:
        print("NOT COMPARED: fewer than two curves")
    else:
        verdict = "equal" if good else "NOT EQUAL"
        print(
            f"{verdict}: means over {result['steps_a_mean']} steps of {', '.join(compared)} within {worst:.3g}, "
            f"limit {options.limit:g}"
        )
    return result["equal"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train Etude, PyTorch and Keras from the same weights on the same minibatches; compare the loss curves.",
        epilog="Exit status 0: for every model and every two of them, the means over 25 steps within --limit. A single step is "
        "no measure: training multiplies any difference of rounding, as --control shows. Keras' embedding gets the "
        "dense update here, as in PyTorch and in Etude. One that is missing is named and left out.",
    )
    add_etude_options(parser)
    parser.add_argument(
        "--model", default="triple", help="one or several, joined by commas (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument(
        "--keras-python", default=sys.executable, metavar="PROGRAM",
        help="the Python that has TensorFlow (requirements-keras.txt; default: the one that runs this)",
    )  # fmt: skip
    parser.add_argument(
        "--keras-mode", choices=("function", "eager", "xla"), default="function",
        help="how Keras' step runs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=1, help="of the initial values and the minibatches (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=float, default=0.01,
        help="on the relative difference of the means (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--every", type=int, default=50, help="steps between the lines printed (default: %(default)s)"
    )
    parser.add_argument(
        "--control", action="store_true",
        help="train PyTorch a second time from weights changed by one part in ten million: how far rounding alone leads apart",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="of all (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "tf32", "bf16"), default="fp32",
        help="of all (default: %(default)s); tf32 and bf16 (by autocast) need --device cuda",
    )  # fmt: skip
    parser.add_argument(
        "--with-cpu",
        action="store_true",
        help="with --device cuda, one more curve: Etude on the CPU, in fp32",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="gets curves-MODEL.csv, one row a step, and curves-MODEL.svg"
    )
    parser.add_argument("--json", metavar="FILE", help="the curves and their differences")
    options = parser.parse_args()
    if options.device == "cpu" and options.precision != "fp32":
        parser.error("--precision needs --device cuda")
    if options.steps < 1 or options.every < 1:
        parser.error("--steps and --every: at least 1")
    options.models = models_of(parser, options.model)
    return options


def main() -> int:
    options = parse()
    torch.set_num_threads(options.threads)
    etude = Etude(options.etude, options.data, options.threads)
    report: dict[str, Any] = {
        "format": "etude-curves", "version": 2, "device": options.device, "precision": options.precision,
        "steps": options.steps, "limit": options.limit, "models": {},
    }  # fmt: skip
    peers = Peers()
    good = True
    try:
        for model in options.models:
            good = one_model(model, etude, options, report, peers) and good
    finally:  # what is stopped leaves what it has
        if options.json:
            write_json(options.json, report)
    return 0 if good else 1


if __name__ == "__main__":
    run_main(main)
