#!/usr/bin/env python3
"""A framework's process for table1.py: one model under several conditions, some steps at a time.

A line `{"case": {...}, "steps": N, "seconds": S}` trains at least so many steps and so long; the case is made when it is
first named (its first step, with what is traced and compiled, is told as `first_ms` and not counted) and stays. Keras also
answers `{"retrace": case}` and `{"save": case}`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy

from common import TABLE_MODELS, Config, PeerError, run_main

SEED = 1
Minibatch = tuple[numpy.ndarray, numpy.ndarray]


def invented(batch: int, window: int, classes: int) -> Minibatch:
    """Token n as likely as 1/n, as `etude step` has it."""
    weights = 1.0 / numpy.arange(1, classes)
    random = numpy.random.default_rng(SEED)
    tokens = 1 + random.choice(classes - 1, (batch, window + 1), p=weights / weights.sum())
    return tokens[:, :window], tokens[:, window]


def config_of(case: dict[str, Any]) -> Config:
    return Config.for_model(case["model"], case["vocab"], units=case["units"])


class Torch:
    def __init__(self, threads: int) -> None:
        try:
            import torch
        except ImportError as error:
            raise PeerError(
                f"no PyTorch in this Python ({error}); requirements.txt, --torch-python"
            ) from error
        import etude_torch

        torch.set_num_threads(threads)
        torch.manual_seed(SEED)
        self.torch, self.peer = torch, etude_torch
        self.versions = {"PyTorch": torch.__version__}

    def cell_loop(self, units: int, width: int) -> Any:
        """A bidirectional GRU as a Python loop over nn.GRUCell; gives what nn.GRU gives."""
        torch = self.torch

        class CellLoop(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.forth, self.back = (torch.nn.GRUCell(width, units) for _ in range(2))

            def forward(self, x: Any) -> Any:
                lasts, sequences = [], []
                for cell, reverse in ((self.forth, False), (self.back, True)):
                    state, states = x.new_zeros(x.shape[0], units), []
                    for column in reversed(x.unbind(1)) if reverse else x.unbind(1):
                        state = cell(column, state)
                        states.append(state)
                    lasts.append(state)
                    sequences.append(torch.stack(states[::-1] if reverse else states, dim=1))
                return torch.cat(sequences, dim=-1), lasts

        return CellLoop()

    def step(self, case: dict[str, Any]) -> Callable[[], Any]:
        config = config_of(case)
        model = self.peer.EtudeModel(case["model"], config).initialise(SEED)
        if case["gru"] == "cells":
            width = config.embedding
            for number in range(1, 4):
                if hasattr(model, f"gru_{number}"):
                    setattr(model, f"gru_{number}", self.cell_loop(config.units, width))
                    width = 2 * config.units
        model.train()
        optimiser = self.peer.nadam(model)
        data = invented(case["batch"], config.window, config.classes)
        x, y = (self.torch.from_numpy(values).long() for values in data)
        return lambda: self.peer.train_step(model, optimiser, x, y)


class Keras:
    def __init__(self, threads: int) -> None:
        import etude_keras

        self.peer, self.tf = etude_keras, etude_keras.tf
        etude_keras.use_threads(threads)
        self.tf.random.set_seed(SEED)
        self.versions = {"TensorFlow": self.tf.__version__, "Keras": version("keras")}

    def gru(self, kind: str) -> Any:
        layers = self.peer.keras.layers
        options: dict[str, dict[str, Any]] = {
            "usual": {},
            "recurrent_dropout": {"recurrent_dropout": 0.3},
            "relu": {"activation": "relu"},
            "reset_before": {"reset_after": False},
            "unroll": {"unroll": True},
        }
        if kind == "cells":
            return lambda units, sequence: layers.RNN(layers.GRUCell(units), return_sequences=sequence)
        return lambda units, sequence: layers.GRU(units, return_sequences=sequence, **options[kind])

    def parts(self, case: dict[str, Any]) -> tuple[Any, Any]:
        model = self.peer.build_model(case["model"], config_of(case), self.gru(case["gru"]))
        return model, self.peer.train_step(model, case["mode"], "sparse", dropout=True)

    def minibatch(self, case: dict[str, Any], batch: int) -> tuple[Any, Any]:
        x, y = invented(batch, config_of(case).window, case["vocab"])
        return self.tf.constant(x, self.tf.int32), self.tf.constant(y, self.tf.int32)

    def step(self, case: dict[str, Any]) -> Callable[[], Any]:
        _, run = self.parts(case)
        minibatch = self.minibatch(case, case["batch"])
        return lambda: float(run(*minibatch))

    def retrace(self, case: dict[str, Any]) -> dict[str, Any]:
        """How often the step is traced: minibatches of one size, then one of another size."""
        _, run = self.parts(case)
        usual, other = self.minibatch(case, case["batch"]), self.minibatch(case, case["batch"] - 1)
        first, *later = (timed(lambda: float(run(*usual))) for _ in range(6))
        same = run.experimental_get_tracing_count()
        again = timed(lambda: float(run(*other)))
        traces = run.experimental_get_tracing_count()
        return {
            "first_ms": first, "later_ms": sorted(later)[len(later) // 2], "traces": same, "other_size_ms": again,
            "traces_with_other_size": traces,
        }  # fmt: skip

    def save(self, case: dict[str, Any]) -> dict[str, Any]:
        model, run = self.parts(case)
        float(run(*self.minibatch(case, case["batch"])))
        with tempfile.TemporaryDirectory() as name:
            place = Path(name) / "weights.h5"
            ms = timed(lambda: model.save_weights(str(place)))
            return {"ms": ms, "mib": place.stat().st_size / 2**20}


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1000.0 * (time.perf_counter() - start)


class Cases:
    """Each condition's step, made when it is first asked for."""

    def __init__(self, framework: Any) -> None:
        self.framework = framework
        self.known: dict[str, Callable[[], Any]] = {}

    def train(self, case: dict[str, Any], steps: int, seconds: float) -> dict[str, Any]:
        name = json.dumps(case, sort_keys=True)
        answer: dict[str, Any] = {}
        if name not in self.known:
            begin = time.perf_counter()
            step = self.framework.step(case)
            step()
            answer["first_ms"] = 1000.0 * (time.perf_counter() - begin)
            self.known[name] = step
        step = self.known[name]
        step()  # warm-up of this turn
        milliseconds: list[float] = []
        while len(milliseconds) < steps or sum(milliseconds) < 1000 * seconds:
            milliseconds.append(timed(step))
        return answer | {"ms": milliseconds}


def main() -> int:
    parser = argparse.ArgumentParser(description="A framework's process for table1.py.")
    parser.add_argument("framework", choices=("torch", "keras"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    framework: Any = Torch(options.threads) if options.framework == "torch" else Keras(options.threads)
    cases = Cases(framework)
    print(json.dumps({"versions": framework.versions}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        case = request.get("case") or request.get("retrace") or request.get("save")
        if case["model"] not in TABLE_MODELS:
            raise PeerError(f"no model '{case['model']}' in the table")
        if "case" in request:
            answer = cases.train(case, request["steps"], request["seconds"])
        else:
            answer = framework.retrace(case) if "retrace" in request else framework.save(case)
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
