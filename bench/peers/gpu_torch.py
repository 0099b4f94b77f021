#!/usr/bin/env python3
"""The PyTorch twin on a GPU: its operations at Etude's shapes, and a training step of each model.

Each precision is set explicitly, for matrix products and for cuDNN; bf16 is autocast. Every step takes another
minibatch. Times are CUDA events around many steps, in turns of Etude and each way to run PyTorch: eager, captured
in a CUDA graph, compiled, compiled and captured. What PyTorch refuses is said in the JSON.

    gpu_torch.py operations --json operations.json
    gpu_torch.py models --etude build/gpu-pack/bin/etude --data data/demo/midi --precision tf32 --json models.json
    gpu_torch.py models --device cpu --small --modes eager        to see that it runs
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from common import PAPER_CLASSES, TABLE_MODELS, Config, PeerError, run_main, write_json
from etude_program import Etude
from etude_torch import Attention, EtudeModel

PRECISIONS = ("fp32", "tf32", "bf16")
MODES = ("eager", "graph", "compile", "compile+graph")
SETS = 4  # of inputs, by turns
TARGETS = {"must": 2.0, "aim": 9.0, "moon": 15.0}  # times faster than PyTorch's best


class Refused(Exception):
    """PyTorch cannot do this here; the text says why."""


def first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"


def set_precision(precision: str) -> None:
    tf32 = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[Any]:
    if precision == "bf16":
        return torch.autocast(device, dtype=torch.bfloat16, cache_enabled=False)
    return contextlib.nullcontext()


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def milliseconds(device: str, count: int, call: Callable[[], object]) -> float:
    """Of `count` calls together."""
    synchronise(device)
    if device != "cuda":
        start = time.perf_counter()
        for _ in range(count):
            call()
        return 1000.0 * (time.perf_counter() - start)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def captured(call: Callable[[], object], warmup: int = 3) -> Callable[[], None]:
    """`call` recorded in a CUDA graph, after a few runs beside the default stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warmup):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "repetitions": len(values),
    }


def kernels_of(device: str, calls: int, several: Callable[[], object]) -> list[dict[str, Any]]:
    """The names of the kernels that `several` runs on the GPU, with time and launches of one of its calls."""
    if device != "cuda":
        return []
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        several()
        torch.cuda.synchronize()
    found = []
    for event in profiler.key_averages():
        us = getattr(event, "self_device_time_total", 0.0)
        if us > 0:
            found.append({"kernel": event.key, "us": us / calls, "launches": event.count / calls})
    return sorted(found, key=lambda row: -row["us"])[:12]


# Operations. Each maker returns the call that runs input set `i`.


def backward_of(output: Tensor, gradient: Tensor, wanted: list[Tensor]) -> None:
    torch.autograd.grad(output, wanted, gradient)


def gru_case(size: dict[str, int], features: int, device: str) -> dict[str, Callable[[int], object]]:
    gru = nn.GRU(features, size["units"], batch_first=True, bidirectional=True, device=device)
    shape = (size["batch"], size["time"], features)
    inputs = [torch.randn(shape, device=device, requires_grad=True) for _ in range(SETS)]
    gradient = torch.randn(size["batch"], size["time"], 2 * size["units"], device=device)

    def both(i: int) -> None:
        y = gru(inputs[i])[0]
        backward_of(y, gradient.to(y.dtype), [inputs[i], *gru.parameters()])

    return {"forward": lambda i: gru(inputs[i])[0], "both": both}


def attention_case(size: dict[str, int], features: int, device: str) -> dict[str, Callable[[int], object]]:
    attention = Attention(features, 1, 50, "sigmoid").to(device)
    nn.init.normal_(attention.weight, 0.0, 0.05)
    shape = (size["batch"], size["time"], features)
    inputs = [torch.randn(shape, device=device, requires_grad=True) for _ in range(SETS)]
    gradient = torch.randn(shape, device=device)

    def both(i: int) -> None:
        y = attention(inputs[i])
        backward_of(y, gradient.to(y.dtype), [inputs[i], *attention.parameters()])

    return {"forward": lambda i: attention(inputs[i]), "both": both}


def sdpa_case(size: dict[str, int], features: int, device: str) -> dict[str, Callable[[int], object]]:
    """PyTorch's fused attention on the same shape: another function (no sigmoid, no Wa), a yardstick."""
    shape = (size["batch"], 1, size["time"], features)
    inputs = [torch.randn(shape, device=device, requires_grad=True) for _ in range(SETS)]
    gradient = torch.randn(shape, device=device)

    def run(i: int) -> Tensor:
        x = inputs[i].bfloat16() if torch.is_autocast_enabled(device) else inputs[i]
        return functional.scaled_dot_product_attention(x, x, x)

    def both(i: int) -> None:
        y = run(i)
        backward_of(y, gradient.to(y.dtype), [inputs[i]])

    return {"forward": run, "both": both}


def vocabulary_case(size: dict[str, int], device: str) -> dict[str, Callable[[int], object]]:
    layer = nn.Linear(64, size["classes"], device=device)
    inputs = [torch.randn(size["batch"], 64, device=device, requires_grad=True) for _ in range(SETS)]
    targets = [torch.randint(size["classes"], (size["batch"],), device=device) for _ in range(SETS)]

    def loss(i: int) -> Tensor:
        return functional.cross_entropy(layer(inputs[i]), targets[i], reduction="sum")

    def both(i: int) -> None:
        torch.autograd.grad(loss(i), [inputs[i], *layer.parameters()])

    return {"forward": loss, "both": both}


def nadam_on(parameters: list[Tensor], device: str, captures: bool) -> torch.optim.Optimizer:
    return torch.optim.NAdam(
        parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-7, momentum_decay=4e-3,
        foreach=device == "cuda", capturable=captures,
    )  # fmt: skip


def embedding_case(size: dict[str, int], device: str) -> dict[str, Callable[[int], object]]:
    table = nn.Embedding(size["classes"], 100, device=device)
    optimiser = nadam_on(list(table.parameters()), device, captures=device == "cuda")
    ids = [
        torch.randint(size["classes"], (size["batch"], size["time"]), device=device) for _ in range(SETS)
    ]
    gradient = torch.randn(size["batch"], size["time"], 100, device=device)

    def update(i: int) -> None:
        (table.weight.grad,) = torch.autograd.grad(table(ids[i]), [table.weight], gradient)
        optimiser.step()

    return {"forward": lambda i: table(ids[i]), "forward, backward, update": update}


def nadam_case(size: dict[str, int], device: str) -> dict[str, Callable[[int], object]]:
    weight = nn.Parameter(torch.randn(size["parameters"], device=device))
    weight.grad = torch.randn_like(weight)
    optimiser = nadam_on([weight], device, captures=device == "cuda")
    return {"update": lambda _: optimiser.step()}


def product_case(n: int, device: str) -> dict[str, Callable[[int], object]]:
    a, b, out = (torch.randn(n, n, device=device) for _ in range(3))
    half = [x.bfloat16() for x in (a, b, out)]

    def run(_: int) -> None:
        if torch.is_autocast_enabled(device):
            torch.mm(half[0], half[1], out=half[2])
        else:
            torch.mm(a, b, out=out)

    return {f"{n} x {n} x {n}": run}


def measure_operation(
    name: str, what: str, call: Callable[[int], object], precision: str, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Eager and captured: `inner` calls on changing inputs, some repetitions of each."""
    inner = 4 if options.small else 4 * SETS
    repetitions = 2 if options.small else 12

    def several() -> None:
        with autocast(precision, options.device):
            for i in range(inner):
                call(i % SETS)

    rows = []
    for mode in ("eager", "graph") if options.device == "cuda" else ("eager",):
        row: dict[str, Any] = {"operation": name, "part": what, "precision": precision, "mode": mode}
        try:
            several()
            run = captured(several) if mode == "graph" else several
            replays = 1 if options.small else 10
            milliseconds(options.device, replays, run)
            times = [
                1000.0 * milliseconds(options.device, replays, run) / (replays * inner)
                for _ in range(repetitions)
            ]
            row["us"] = spread(times)
            if mode == "eager":
                row["kernels"] = kernels_of(options.device, inner, several)
        except (RuntimeError, NotImplementedError) as error:
            row["refused"] = first_line(error)
        rows.append(row)
    return rows


def operations(options: argparse.Namespace, report: dict[str, Any]) -> None:
    size = {"batch": 96, "time": 50, "units": 128, "classes": PAPER_CLASSES, "parameters": 6_858_873}
    wide, narrow, n = 256, 100, 8192
    if options.small:
        size = {"batch": 3, "time": 5, "units": 8, "classes": 50, "parameters": 1000}
        wide, narrow, n = 16, 10, 32
    report["sizes"] = size
    report["rows"] = []
    device = options.device
    for precision in options.precision:
        set_precision(precision)
        cases = {
            f"gru {wide} > {size['units']}, both directions (cuDNN)": gru_case(size, wide, device),
            f"gru {narrow} > {size['units']}, both directions (cuDNN)": gru_case(size, narrow, device),
            f"attention {wide}": attention_case(size, wide, device),
            f"scaled dot product attention {wide}": sdpa_case(size, wide, device),
            "vocabulary and loss": vocabulary_case(size, device),
            "embedding": embedding_case(size, device),
            "nadam, all parameters": nadam_case(size, device),
            "matmul": product_case(n, device),
        }
        for name, calls in cases.items():
            for what, call in calls.items():
                for row in measure_operation(name, what, call, precision, options):
                    report["rows"].append(row)
                    print_operation(row)
                    write(report, options.json)


def print_operation(row: dict[str, Any]) -> None:
    figure = row.get("us")
    text = (
        f"{figure['median']:10.2f} us ({figure['least']:.2f} to {figure['most']:.2f})"
        if figure
        else f"refused: {row['refused']}"
    )
    print(
        f"{row['operation']:44s} {row['part']:26s} {row['precision']:5s} {row['mode']:6s} {text}", flush=True
    )


# Models.


class Stepper:
    """One model in one precision and mode. step() trains on the next minibatch."""

    def __init__(self, model: str, mode: str, data: dict[str, Any], options: argparse.Namespace) -> None:
        self.device, self.precision = options.device, data["precision"]
        config = Config.for_model(model, data["classes"], dropout=options.dropout)
        self.model = EtudeModel(model, config).initialise(options.seed).to(self.device).train()
        captures = "graph" in mode
        self.forward: Callable[[Tensor], Tensor] = self.model
        if "compile" in mode:
            self.forward = torch.compile(self.model)
        self.optimiser = nadam_on(list(self.model.parameters()), self.device, captures)
        self.inputs, self.targets = data["inputs"], data["targets"]
        self.x, self.y = self.inputs[0].clone(), self.targets[0].clone()
        self.loss = torch.zeros((), device=self.device)
        self.done = 0
        self._take()
        self._train()  # compiles, loads libraries
        synchronise(self.device)
        self.run = captured(self._train) if captures else self._train

    def _take(self) -> None:
        place = self.done % len(self.inputs)
        self.x.copy_(self.inputs[place])
        self.y.copy_(self.targets[place])
        self.done += 1

    def _train(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        with autocast(self.precision, self.device):
            loss = functional.cross_entropy(self.forward(self.x), self.y, reduction="sum")
        loss.backward()
        self.optimiser.step()
        self.loss.copy_(loss.detach())

    def step(self) -> None:
        self._take()
        self.run()

    def loss_per_sample(self) -> float:
        return self.loss.item() / len(self.y)


def random_minibatches(classes: int, batch: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(1, classes, (64, batch, 50), generator=generator)
    return inputs, torch.randint(1, classes, (64, batch), generator=generator)


def etude_ms(
    etude: Etude, model: str, precision: str, folder: Path, options: argparse.Namespace
) -> list[float]:
    """ms a step of one run of Etude, the first quarter, in which the step is captured, left out."""
    device = [] if options.device == "cpu" else ["--device", options.device, "--precision", precision]
    rows, _ = etude.train(
        model, folder / "etude", options.etude_steps, options.seed,
        "--batch", str(options.batch), "--dropout", str(options.dropout), "--force", *device,
    )  # fmt: skip
    return [row["model_ms"] + row.get("data_ms", 0.0) for row in rows[len(rows) // 4 :]]


def start_steppers(
    model: str, modes: list[str], data: dict[str, Any], result: dict[str, Any], options: argparse.Namespace
) -> dict[str, Stepper]:
    """One for each mode that PyTorch can do; of the others the reason."""
    steppers: dict[str, Stepper] = {}
    torch._dynamo.reset()  # the last model's compiled code
    for mode in modes:
        if mode.startswith("compile") and time.monotonic() > options.stop_compiling:
            result["modes"][mode] = {"refused": "not tried: the time for compiling was used up"}
            continue
        start = time.monotonic()
        try:
            steppers[mode] = Stepper(model, mode, data, options)
            result["modes"][mode] = {"seconds_to_start": time.monotonic() - start}
        except Exception as error:  # the compiler's own errors have many types
            result["modes"][mode] = {"refused": first_line(error)}
    return steppers


def compare(result: dict[str, Any]) -> None:
    """Etude to the best of PyTorch's modes so far."""
    measured = {mode: row["ms"]["median"] for mode, row in result["modes"].items() if "ms" in row}
    if not measured:
        return
    result["best"] = min(measured, key=measured.__getitem__)
    if "etude_ms" in result:
        result["times_faster"] = measured[result["best"]] / result["etude_ms"]["median"]
        result["reached"] = [name for name, least in TARGETS.items() if result["times_faster"] >= least]


def measure_model(
    model: str, modes: list[str], data: dict[str, Any], result: dict[str, Any], etude: Etude | None,
    folder: Path, options: argparse.Namespace,
) -> None:  # fmt: skip
    """Some ways to run one model, by turns: each round has every one of them once, and Etude if given."""
    steppers = start_steppers(model, modes, data, result, options)
    times: dict[str, list[float]] = {mode: [] for mode in steppers}
    ours: list[float] = []
    rounds: list[float] = []
    for _ in range(options.rounds):
        if etude:
            steps = etude_ms(etude, model, data["precision"], folder, options)
            rounds.append(statistics.median(steps))
            ours += steps
        for mode, stepper in steppers.items():
            milliseconds(options.device, options.warmup, stepper.step)
            for _ in range(options.repetitions):
                times[mode].append(milliseconds(options.device, options.steps, stepper.step) / options.steps)
    for mode, stepper in steppers.items():
        result["modes"][mode].update(ms=spread(times[mode]), loss_per_sample=stepper.loss_per_sample())
    if ours:
        result["etude_ms"] = spread(ours)
        result["etude_rounds_ms"] = rounds
    compare(result)


def print_model(model: str, precision: str, result: dict[str, Any]) -> None:
    cells = []
    if "etude_ms" in result:
        cells.append(f"Etude {result['etude_ms']['median']:.3f}")
    for mode, row in result["modes"].items():
        cells.append(f"{mode} {row['ms']['median']:.3f}" if "ms" in row else f"{mode} refused")
    if "times_faster" in result:
        cells.append(f"faster {result['times_faster']:.2f} x than {result['best']}")
    print(f"{model:10s} {precision:5s} ms a step: {', '.join(cells)}", flush=True)


def models(options: argparse.Namespace, report: dict[str, Any]) -> None:
    etude = Etude(options.etude, options.data, options.threads) if options.etude else None
    report["settings"] = {
        name: getattr(options, name)
        for name in ("batch", "dropout", "seed", "rounds", "repetitions", "steps", "warmup", "etude_steps")
    }
    report["models"] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        classes = PAPER_CLASSES if not options.small else 60
        inputs, targets = random_minibatches(classes, options.batch, options.seed)
        if etude:
            more = [] if options.batch == 96 else ["--batch", str(options.batch)]
            found = etude.minibatches(64, options.seed, folder, *more)
            inputs, targets = torch.from_numpy(found.inputs), torch.from_numpy(found.targets)
            classes = found.classes
        for precision in options.precision:
            set_precision(precision)
            options.stop_compiling = time.monotonic() + options.compile_seconds
            data = {
                "inputs": inputs.to(options.device), "targets": targets.to(options.device),
                "classes": classes, "precision": precision,
            }  # fmt: skip
            plain = [mode for mode in options.modes if not mode.startswith("compile")]
            compiled = [mode for mode in options.modes if mode.startswith("compile")]
            for modes in filter(None, (plain, compiled)):  # compiling may use up the time: last
                for model in options.models.split(","):
                    results = report["models"].setdefault(model, {})
                    result = results.setdefault(precision, {"classes": classes, "modes": {}})
                    first = not result["modes"]
                    measure_model(model, modes, data, result, etude if first else None, folder, options)
                    print_model(model, precision, result)
                    write(report, options.json)


def versions(device: str) -> dict[str, Any]:
    found: dict[str, Any] = {"torch": torch.__version__, "device": device}
    if device == "cuda":
        found.update(
            gpu=torch.cuda.get_device_name(), cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version()
        )
    return found


def write(report: dict[str, Any], path: str) -> None:
    """After every row: what is stopped leaves what it has."""
    if path:
        write_json(path, report)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time PyTorch on a GPU at Etude's shapes, and beside Etude.")
    parser.add_argument("what", choices=("operations", "models"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--precision", default=",".join(PRECISIONS), help="comma-separated (default: %(default)s)"
    )
    parser.add_argument("--small", action="store_true", help="tiny sizes; the times mean nothing")
    parser.add_argument("--json", metavar="FILE", default="", help="the figures, row by row")
    parser.add_argument("--models", default=",".join(TABLE_MODELS), help="(default: %(default)s)")
    parser.add_argument("--modes", default=",".join(MODES), help="(default: %(default)s)")
    parser.add_argument("--etude", metavar="PROGRAM", help="time Etude by turns with PyTorch; needs --data")
    parser.add_argument(
        "--data", metavar="PATH", help="MIDI files, for both; random minibatches without --etude"
    )
    parser.add_argument("--threads", type=int, default=2, help="of Etude's process (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="in a round (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=40, help="of PyTorch in a repetition (default: %(default)s)"
    )
    parser.add_argument(
        "--warmup", type=int, default=5, help="steps before each round's (default: %(default)s)"
    )
    parser.add_argument("--etude-steps", type=int, default=640, help="of Etude in a round (default: %(default)s)")
    parser.add_argument(
        "--compile-seconds", type=float, default=90,
        help="in each precision; no compilation begins later (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args()
    options.precision = options.precision.split(",")
    options.modes = options.modes.split(",")
    for given, known in ((options.precision, PRECISIONS), (options.modes, MODES)):
        unknown = [word for word in given if word not in known]
        if unknown:
            parser.error(f"'{unknown[0]}' is none of {', '.join(known)}")
    if options.etude and not options.data:
        parser.error("--etude needs --data")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise PeerError("PyTorch sees no GPU here (--device cpu --small shows that this script runs)")
    torch.manual_seed(options.seed)
    report: dict[str, Any] = {"versions": versions(options.device)}
    operations(options, report) if options.what == "operations" else models(options, report)
    write(report, options.json)
    return 0


if __name__ == "__main__":
    run_main(main)
