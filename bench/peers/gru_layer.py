#!/usr/bin/env python3
"""Times a bidirectional GRU layer, forward and backward: Etude's, oneDNN's lbr_gru and PyTorch's nn.GRU by turns.

Each in a process of its own, on the same weights, input and output gradient. Before anything is timed, the output
and all gradients of each must equal Etude's.

    cmake --build build/release --target bench_gru_layer
    gru_layer.py --json gru_layer.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save_file

from common import (
    REPOSITORY,
    PeerError,
    machine,
    read_tensors,
    run_main,
    spread,
    told,
    warn_if_busy,
    write_json,
)
from worker_process import LineProcess, Peers

PROGRAM = REPOSITORY / "build" / "release" / "bench" / "bench_gru_layer"
PARTS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
WHO = {"Etude": "etude", "oneDNN": "onednn", "PyTorch": "torch"}
LIMIT = 1e-4


def make_data(options: argparse.Namespace, features: int, path: Path) -> None:
    """Weights as large as Keras' initial values, biases that are not 0."""
    random = numpy.random.default_rng(options.seed)

    def normal(scale: float, *shape: int) -> numpy.ndarray:
        return (scale * random.standard_normal(shape)).astype(numpy.float32)

    batch, steps, units = options.batch, options.time, options.units
    tensors = {"x": normal(1, batch, steps, features), "dy": normal(1, batch, steps, 2 * units)}
    for direction in ("forward", "backward"):
        shapes = ((features, 3 * units), (units, 3 * units), (3 * units,), (3 * units,))
        scales = ((2 / (features + 3 * units)) ** 0.5, units**-0.5, 0.1, 0.1)
        for part, shape, scale in zip(PARTS, shapes, scales):
            tensors[f"gru.{direction}.{part}"] = normal(scale, *shape)
    save_file(tensors, str(path))


class TorchLayer:
    """nn.GRU, eager, and the gradients of its input and weights by autograd."""

    def __init__(self, path: str, threads: int) -> None:
        try:
            import torch
        except ImportError as error:
            raise PeerError(
                f"no PyTorch in this Python ({error}); requirements.txt, --torch-python"
            ) from error
        from etude_torch import GRU_PARTS, swap_first_gates

        torch.set_num_threads(threads)
        self.version = torch.__version__
        self.swap = swap_first_gates
        tensors = {name: torch.from_numpy(values) for name, values in read_tensors(path)[0].items()}
        self.x, self.dy = tensors["x"].requires_grad_(), tensors["dy"]
        features, units = self.x.shape[-1], self.dy.shape[-1] // 2
        self.gru = torch.nn.GRU(features, units, batch_first=True, bidirectional=True)
        self.names: dict[str, Any] = {}
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            for part, key in GRU_PARTS.items():
                name = f"gru.{direction}.{part}"
                self.names[name] = getattr(self.gru, key + suffix)
                with torch.no_grad():
                    values = tensors[name].t() if part.endswith("kernel") else tensors[name]
                    self.names[name].copy_(swap_first_gates(values))
        self.gradient = torch.autograd.grad

    def forward(self) -> None:
        self.y = self.gru(self.x)[0]

    def backward(self) -> None:
        self.gradients = self.gradient(self.y, [self.x, *self.names.values()], self.dy)

    def write(self, path: str) -> None:
        tensors = {"y": self.y.detach().numpy(), "dx": self.gradients[0].numpy()}
        for name, gradient in zip(self.names, self.gradients[1:]):
            values = self.swap(gradient)
            tensors[name] = (values.t() if name.endswith("kernel") else values).contiguous().numpy()
        save_file({name: numpy.ascontiguousarray(values) for name, values in tensors.items()}, path)


def worker(path: str, threads: int) -> int:
    """PyTorch's process; the requests and answers are those of bench_gru_layer."""
    layer = TorchLayer(path, threads)
    print(json.dumps({"versions": {"PyTorch": layer.version}}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "write" in request:
            layer.write(request["write"])
            answer: dict[str, Any] = {"written": request["write"]}
        else:
            answer = {"forward_ms": [], "ms": []}
            for _ in range(request["steps"]):
                start = time.perf_counter()
                layer.forward()
                between = time.perf_counter()
                layer.backward()
                answer["forward_ms"].append(1000 * (between - start))
                answer["ms"].append(1000 * (time.perf_counter() - start))
        print(json.dumps(answer), flush=True)
    return 0


def start(name: str, data: Path, features: int, options: argparse.Namespace) -> LineProcess:
    if name == "PyTorch":
        words = [options.torch_python, __file__, "--worker", str(data), "--threads", str(options.threads)]
        return LineProcess(options.threads, *words)
    sizes = {"batch": options.batch, "time": options.time, "in": features, "units": options.units}
    words = [word for key, size in sizes.items() for word in (f"--{key}", str(size))]
    command = [options.program, WHO[name], "--data", str(data), "--threads", str(options.threads), *words]
    return LineProcess(options.threads, *command)


def results(process: LineProcess, path: Path) -> dict[str, numpy.ndarray]:
    process.ask({"steps": 1})
    process.ask({"write": str(path)})
    return read_tensors(path)[0]


def difference(found: dict[str, numpy.ndarray], wanted: dict[str, numpy.ndarray]) -> tuple[float, str]:
    """The largest of all tensors' |found - wanted| / |wanted|, as norms."""
    if set(found) != set(wanted):
        raise PeerError(f"results differ in what they are: {', '.join(sorted(set(found) ^ set(wanted)))}")
    figures = {}
    for name, values in wanted.items():
        exact = values.astype(numpy.float64)
        if found[name].shape != exact.shape:
            raise PeerError(f"{name}: shape {list(found[name].shape)}, not {list(exact.shape)}")
        figure = float(numpy.linalg.norm(found[name] - exact) / numpy.linalg.norm(exact))
        figures[name] = figure if figure == figure else float("inf")
    worst = max(figures, key=figures.__getitem__)
    return figures[worst], worst


def flops(features: int, options: argparse.Namespace) -> float:
    """Of both directions: forward, and backward twice that (kernels/gru.h)."""
    return 3 * 2 * 6 * options.batch * options.time * options.units * (features + options.units)


def start_all(
    data: Path, features: int, folder: Path, row: dict[str, Any], peers: Peers, options: argparse.Namespace
) -> dict[str, LineProcess]:
    """Those that run and agree with Etude."""
    running: dict[str, LineProcess] = {}
    ours: dict[str, numpy.ndarray] = {}
    for name in WHO:
        process = None
        try:
            process = start(name, data, features, options)
            found = results(process, folder / f"{name}.safetensors")
            ours = ours or found
            figure, where = difference(found, ours)
            if not figure <= LIMIT:
                raise PeerError(f"its {where} differs from Etude's by {figure:.3g}, limit {LIMIT:g}")
        except PeerError as error:
            if process:
                process.close()
            if name == "Etude":
                raise
            row[name] = {"skipped": peers.skip(name, str(error))}
            continue
        running[name] = process
        row[name] = {"versions": process.versions, "difference_to_etude": figure}
    return running


def time_all(
    running: dict[str, LineProcess], row: dict[str, Any], peers: Peers, options: argparse.Namespace
) -> None:
    rounds: dict[str, list[dict[str, list[float]]]] = {name: [] for name in running}
    try:
        for _ in range(options.rounds):
            for name, process in list(running.items()):
                try:
                    answer = process.ask({"steps": options.warmup + options.steps})
                    rounds[name].append({key: answer[key][options.warmup :] for key in ("ms", "forward_ms")})
                except PeerError as error:
                    row[name]["stopped"] = peers.skip(name, str(error))
                    running.pop(name).close()
    finally:
        for name, taken in rounds.items():
            summarise(row[name], taken, rounds["Etude"])


def summarise(
    figures: dict[str, Any], taken: list[dict[str, list[float]]], ours: list[dict[str, list[float]]]
) -> None:
    if not taken or not ours:
        return
    for key in ("ms", "forward_ms"):
        figures[key] = spread([value for single in taken for value in single[key]])
    pairs = [statistics.median(b["ms"]) / statistics.median(a["ms"]) for a, b in zip(ours, taken)]
    figures["ratio"] = spread(pairs) | {"pairs": pairs}


def print_row(features: int, row: dict[str, Any], options: argparse.Namespace) -> None:
    label = f"{features} > 2 x {options.units}"
    for name, figures in row.items():
        line = f"{label:14s} {name:8s} "
        if "ms" in figures:
            figures["gflops"] = flops(features, options) / figures["ms"]["median"] / 1e6
            line += (
                f"{told(figures['ms'], 2):>26s} {told(figures['forward_ms'], 2):>26s} {figures['gflops']:9.1f} "
                f"{told(figures['ratio'], 2):>22s} {figures['difference_to_etude']:11.2g}"
            )
        for word in ("skipped", "stopped"):
            line += f" {word}: {figures[word]}" if word in figures else ""
        print(line)
        label = ""


def measure(features: int, peers: Peers, report: dict[str, Any], options: argparse.Namespace) -> None:
    row: dict[str, Any] = {}
    report["layers"][f"in {features}"] = row
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(options, features, folder / "data.safetensors")
        running = start_all(folder / "data.safetensors", features, folder, row, peers, options)
        try:
            time_all(running, row, peers, options)
        finally:
            for process in running.values():
                process.close()
            print_row(features, row, options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time a bidirectional GRU layer, forward and backward: Etude, oneDNN and PyTorch by turns.",
        epilog="oneDNN is the one that Etude is built with (Debian's); packing its weights is in its times, as they change in every "
        "step of a training, and input and output stay in its layout, time first. GFLOP/s by kernels/gru.h's count. The ratio is to "
        "Etude's median of the same round. A peer that is missing, or whose results are not Etude's, is named and skipped.",
    )
    parser.add_argument(
        "--program", default=str(PROGRAM), metavar="PROGRAM",
        help="the built bench_gru_layer (default: build/release/bench/bench_gru_layer)",
    )  # fmt: skip
    parser.add_argument("--inputs", default="100,256", help="features of the input (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=96, help="(default: %(default)s)")
    parser.add_argument("--time", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--units", type=int, default=128, help="a direction (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of each process (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="alternations (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="counted steps a round (default: %(default)s)")
    parser.add_argument(
        "--warmup", type=int, default=5, help="uncounted steps a round (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument(
        "--torch-python", default=sys.executable, metavar="PROGRAM",
        help="the Python that has PyTorch (requirements.txt; default: the one that runs this)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="the figures")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        options.features = [int(word) for word in options.inputs.split(",")]
    except ValueError:
        parser.error(f"--inputs {options.inputs}: not numbers joined by commas")
    sizes = [*options.features, options.batch, options.time, options.units, options.rounds, options.steps]
    if min(sizes) < 1 or options.warmup < 0:
        parser.error("sizes, rounds and steps: at least 1")
    return options


def main() -> int:
    options = parse()
    if options.worker:
        return worker(options.worker, options.threads)
    if not Path(options.program).is_file():
        raise PeerError(
            f"{options.program}: no such program (cmake --build build/release --target bench_gru_layer)"
        )
    warn_if_busy()
    settings = ("batch", "time", "units", "threads", "rounds", "steps", "warmup", "seed")
    report: dict[str, Any] = {
        "format": "etude-gru-layer", "version": 1, "machine": machine(),
        "settings": {name: getattr(options, name) for name in settings}, "layers": {},
    }  # fmt: skip
    print(
        f"{'in > out':14s} {'':8s} {'ms: median (spread)':>26s} {'of it forward':>26s} {'GFLOP/s':>9s} "
        f"{'ratio to Etude':>22s} {'difference':>11s}"
    )
    peers = Peers()
    try:
        for features in options.features:
            measure(features, peers, report, options)
    finally:  # what is stopped leaves what it has
        if options.json:
            write_json(options.json, report)
    return 0


if __name__ == "__main__":
    run_main(main)
