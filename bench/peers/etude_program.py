"""Runs the `etude` program for the scripts beside this file."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy

from common import DEMO, ETUDE, PeerError, read_tensors


# A process inherits its parent's size in ru_maxrss when it is started, and one with PyTorch is large. So a
# small process starts the program and writes down its exit status and peak memory.
LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as report:
    report.write(f"{process.returncode} {usage.ru_maxrss}")
"""


@dataclasses.dataclass
class Run:
    """What one run of the program left behind."""

    stdout: str
    peak_mib: float


@dataclasses.dataclass
class Minibatches:
    """What a training run takes, in its order."""

    inputs: numpy.ndarray  # int64 [count, batch, window]
    targets: numpy.ndarray  # int64 [count, batch]
    classes: int
    path: Path


class Etude:
    """The program, with the options that every run gets."""

    def __init__(self, program: str, data: str = "", threads: int = 2) -> None:
        if not Path(program).is_file() or not os.access(program, os.X_OK):
            raise PeerError(f"{program}: no such program (give the built `etude` with --etude)")
        self.program = program
        self.data = data
        self.threads = threads

    def run(self, *words: str) -> Run:
        with (
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as messages,
            tempfile.NamedTemporaryFile("r") as report,
        ):
            command = [sys.executable, "-S", "-c", LAUNCHER, report.name, self.program, *words]
            subprocess.run(command, stdout=out, stderr=messages, check=False)
            try:
                status, peak = (int(word) for word in report.read().split())
            except ValueError as error:
                raise PeerError(f"{self.program}: could not be started") from error
            if status:
                messages.seek(0)
                last = (messages.read().strip().splitlines() or ["no message"])[-1]
                raise PeerError(f"`etude {words[0]}` ended with {status}: {last}")
            out.seek(0)
            return Run(out.read(), peak / 1024)

    def minibatches(self, count: int, seed: int, folder: Path, *more: str) -> Minibatches:
        """The first minibatches of a training run with this seed."""
        path = folder / "minibatches.safetensors"
        self.run(
            "dataset", self.data, "--batches", str(count), "--seed", str(seed), "--out", str(path), *more
        )
        tensors, metadata = read_tensors(path)
        try:
            inputs, targets = (tensors[name].astype(numpy.int64) for name in ("inputs", "targets"))
            classes = int(metadata["softmax_size"])
        except (KeyError, ValueError) as error:
            raise PeerError(f"`etude dataset --batches`: incomplete file ({error!r})") from error
        if inputs.ndim != 3 or targets.shape != inputs.shape[:2] or len(inputs) != count:
            raise PeerError(
                f"`etude dataset --batches`: inputs {list(inputs.shape)} and targets {list(targets.shape)}"
                f" are not {count} minibatches"
            )
        return Minibatches(inputs, targets, classes, path)

    def train(
        self, model: str, folder: Path, steps: int, seed: int, *more: str
    ) -> tuple[list[dict[str, float]], Run]:
        """Trains for some steps. Returns the rows of steps.csv; the checkpoint is folder/model.safetensors."""
        done = self.run(
            "train", "--model", model, "--data", self.data, "--out", str(folder), "--max-steps", str(steps),
            "--seed", str(seed), "--threads", str(self.threads), *more,
        )  # fmt: skip
        try:
            with open(folder / "steps.csv", newline="") as file:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        except (OSError, TypeError, ValueError) as error:
            raise PeerError(f"`etude train`: no usable steps.csv ({error})") from error
        if len(rows) != steps or not {"loss_per_sample", "model_ms"} <= set(rows[0]):
            raise PeerError(
                f"`etude train`: steps.csv has not {steps} rows with loss_per_sample and model_ms"
            )
        return rows, done

    def logits(self, checkpoint: str, tokens: list[int]) -> list[float]:
        words = ",".join(str(token) for token in tokens)
        answer: Any = None
        try:
            answer = json.loads(self.run("forward", "--checkpoint", checkpoint, "--tokens", words).stdout)
            return [float(value) for value in answer["logits"]]
        except (KeyError, TypeError, ValueError) as error:
            raise PeerError(f"`etude forward`: not the JSON expected ({error!r})") from error


def add_etude_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--etude", default=str(ETUDE), metavar="PROGRAM",
        help="the built `etude` program (default: build/release/apps/etude)",
    )  # fmt: skip
    parser.add_argument(
        "--data", default=str(DEMO), metavar="PATH",
        help="what all train on: a folder of MIDI files or a MAESTRO table (default: data/demo/midi)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=2, help="of each process (default: %(default)s)")
