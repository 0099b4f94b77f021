#!/usr/bin/env python3
"""Trains one model in one framework, some steps at a time, when its parent asks (worker_process.py).

In a process and, where need be, a Python of its own. A line `{"steps": N}` on standard input trains on the N
minibatches that come next, `"first"` says where instead; the answer is one line of JSON: ms and loss of each step.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from common import (
    MODELS,
    Checkpoint,
    Config,
    PeerError,
    peak_memory_mib,
    read_checkpoint,
    read_tensors,
    run_main,
)

TORCH_MODES = ("eager", "compile")


class Trainer:
    """Minibatches as the framework wants them, and a step that gives the loss per sample."""

    versions: dict[str, str]
    minibatches: list[tuple[Any, Any]]
    step: Callable[[Any, Any], float]


class TorchTrainer(Trainer):
    def __init__(self, options: argparse.Namespace, checkpoint: Checkpoint | None, data: Any) -> None:
        try:
            import torch
        except ImportError as error:
            raise PeerError(
                f"no PyTorch in this Python ({error}); requirements.txt, --torch-python"
            ) from error
        import etude_torch

        if options.device == "cuda" and not torch.cuda.is_available():
            raise PeerError("PyTorch sees no GPU here")
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        torch.backends.cuda.matmul.allow_tf32 = options.precision != "fp32"
        torch.backends.cudnn.allow_tf32 = options.precision != "fp32"
        self.versions = {"PyTorch": torch.__version__}
        config = checkpoint.config if checkpoint else Config.for_model(options.model, options.classes)
        config.dropout = options.dropout
        model = etude_torch.EtudeModel(options.model, config)
        if checkpoint:
            etude_torch.load_tensors(model, checkpoint.tensors, options.checkpoint)
        else:
            model.initialise(options.seed)
        model = model.to(options.device).train()
        optimiser = etude_torch.nadam(model)
        forward = torch.compile(model) if options.mode == "compile" else model
        inputs, targets = (torch.from_numpy(values).long().to(options.device) for values in data)
        self.minibatches = list(zip(inputs, targets))

        def step(x: Any, y: Any) -> float:
            with torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16"):
                return etude_torch.train_step(forward, optimiser, x, y)

        self.step = step


class KerasTrainer(Trainer):
    def __init__(self, options: argparse.Namespace, checkpoint: Checkpoint | None, data: Any) -> None:
        import etude_keras

        tf = etude_keras.tf
        if options.device != "cpu" or options.precision != "fp32":
            raise PeerError(
                f"Keras is here for the CPU in fp32, not for {options.device} in {options.precision}"
            )
        if options.mode not in etude_keras.MODES:
            raise PeerError(f"Keras has no mode '{options.mode}' (one of {', '.join(etude_keras.MODES)})")
        etude_keras.use_threads(options.threads)
        tf.random.set_seed(options.seed)
        self.versions = {"TensorFlow": tf.__version__, "Keras": version("keras")}
        config = checkpoint.config if checkpoint else Config.for_model(options.model, options.classes)
        config.dropout = options.dropout
        model = etude_keras.build_model(options.model, config)
        if checkpoint:
            etude_keras.load_tensors(model, checkpoint.tensors, options.checkpoint)
        run = etude_keras.train_step(model, options.mode, options.embedding_update, options.dropout > 0)
        self.minibatches = [(tf.constant(x, tf.int32), tf.constant(y, tf.int32)) for x, y in zip(*data)]
        self.step = lambda x, y: float(run(x, y)) / len(y)


def train(trainer: Trainer, place: int, steps: int) -> dict[str, Any]:
    milliseconds, losses = [], []
    for number in range(place, place + steps):
        x, y = trainer.minibatches[number % len(trainer.minibatches)]
        start = time.perf_counter()
        losses.append(trainer.step(x, y))
        milliseconds.append(1000.0 * (time.perf_counter() - start))
    return {"ms": milliseconds, "losses": losses, "peak_mib": peak_memory_mib()}


def main() -> int:
    parser = argparse.ArgumentParser(description="A framework's process for step_time.py and curves.py.")
    parser.add_argument("framework", choices=("torch", "keras"))
    parser.add_argument("--mode", required=True, help="torch: eager, compile; keras: function, eager, xla")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--minibatches", required=True, help="as `etude dataset --batches` writes them")
    parser.add_argument(
        "--checkpoint", default="", help="weights to begin with; otherwise Keras' initial values"
    )
    parser.add_argument("--classes", type=int, default=0, help="without --checkpoint")
    parser.add_argument("--embedding-update", choices=("sparse", "dense"), default="sparse", help="Keras'")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tensors, _ = read_tensors(options.minibatches)
    checkpoint = read_checkpoint(options.checkpoint) if options.checkpoint else None
    kind = TorchTrainer if options.framework == "torch" else KerasTrainer
    trainer = kind(options, checkpoint, (tensors["inputs"], tensors["targets"]))
    print(json.dumps({"versions": trainer.versions}), flush=True)
    place = 0
    for line in sys.stdin:
        request = json.loads(line)
        place = request.get("first", place)
        print(json.dumps(train(trainer, place, request["steps"])), flush=True)
        place += request["steps"]
    return 0


if __name__ == "__main__":
    run_main(main)
