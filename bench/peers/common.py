"""What the scripts of this folder share, whatever framework they run: names, a checkpoint's parts, files."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
from safetensors import SafetensorError, safe_open

MODELS = ("rnn", "attention", "single", "double", "triple", "transformer")
TABLE_MODELS = MODELS[:5]
PAPER_CLASSES = 36011
PAPER_PARAMETERS = {
    "rnn": 6_134_903,
    "attention": 6_271_880,
    "single": 7_003_256,
    "double": 6_496_888,
    "triple": 6_858_873,
}
STACKS = {"rnn": 1, "double": 2, "triple": 3}

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(REPOSITORY / "bench"))
from pages import commit

ETUDE = REPOSITORY / "build" / "release" / "apps" / "etude"
DEMO = REPOSITORY / "data" / "demo" / "midi"


class PeerError(Exception):
    """Something the user can mend. Shown as one line."""


def run_main(main: Callable[[], int]) -> None:
    """Runs a program's main: errors in one line on stderr, exit status 1."""
    try:
        sys.exit(main())
    except PeerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)


@dataclasses.dataclass
class Config:
    """What the checkpoint's metadata calls `config`."""

    classes: int
    embedding: int = 100
    units: int = 128
    dense: int = 64
    window: int = 50
    heads: int = 1
    attention_width: int = 50
    attention_activation: str = "sigmoid"
    dropout: float = 0.3
    leaky_slope: float = 0.3
    stack: int = 3  # of the model `stack`; the others have their own number

    @staticmethod
    def for_model(model: str, classes: int, **changes: object) -> Config:
        config = Config(classes=classes)
        if model == "transformer":
            config.heads = 4
        return dataclasses.replace(config, **changes)


def read_tensors(path: str | Path) -> tuple[dict[str, numpy.ndarray], dict[str, str]]:
    """All tensors and the metadata of a safetensors file."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return tensors, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise PeerError(f"{path}: {str(error).splitlines()[0]}") from error


@dataclasses.dataclass
class Checkpoint:
    model: str
    config: Config
    vocabulary: list[str]
    tensors: dict[str, numpy.ndarray]  # Etude's names and layouts


def read_checkpoint(path: str | Path) -> Checkpoint:
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != "etude-checkpoint":
        raise PeerError(f"{path}: not an Etude checkpoint (metadata 'format')")
    if metadata.get("version") != "1":
        raise PeerError(f"{path}: format version {metadata.get('version')}, not 1")
    try:
        values = json.loads(metadata["config"])
        known = {field.name for field in dataclasses.fields(Config)}
        config = Config(**{key: value for key, value in values.items() if key in known})
        return Checkpoint(metadata["model"], config, json.loads(metadata["vocabulary"]), tensors)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PeerError(f"{path}: metadata: {error!r}") from error


def check_tensors(found: dict[str, numpy.ndarray], wanted: dict[str, list[int]], source: str) -> None:
    """Every tensor of the model must be there with its shape, and no other."""
    unknown = sorted(set(found) - set(wanted))
    if unknown:
        raise PeerError(f"{source}: unknown tensor '{unknown[0]}'")
    for name, shape in wanted.items():
        if name not in found:
            raise PeerError(f"{source}: no tensor '{name}'")
        if list(found[name].shape) != shape:
            raise PeerError(f"{source}: tensor '{name}' has shape {list(found[name].shape)}, not {shape}")


def made_up_vocabulary(size: int) -> list[str]:
    """`size` distinct tokens, the last one silence: chords of up to three pitches."""
    tokens: list[str] = []
    pitches = range(21, 109)
    for lowest in pitches:
        tokens.append(str(lowest))
    for lowest in pitches:
        for highest in range(lowest + 1, 109):
            tokens.append(f"{lowest},{highest}")
            tokens.extend(f"{lowest},{middle},{highest}" for middle in range(lowest + 1, highest))
            if len(tokens) >= size:
                return tokens[: size - 1] + ["e"]
    if len(tokens) + 1 < size:
        raise PeerError(f"cannot make up {size} tokens")
    return tokens[: size - 1] + ["e"]


def write_text(path: str | Path, text: str) -> None:
    """Whole or not at all."""
    new = Path(f"{path}.new")
    try:
        new.write_text(text)
        os.replace(new, path)
    except OSError as error:
        raise PeerError(f"{path}: {error.strerror}") from error


def write_json(path: str | Path, report: dict[str, Any]) -> None:
    write_text(path, json.dumps(report, indent=1) + "\n")


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def told(figures: dict[str, float], digits: int = 1) -> str:
    """'50.7 (43.4 to 68.0)'"""
    median, least, most = (f"{figures[key]:.{digits}f}" for key in ("median", "least", "most"))
    return f"{median} ({least} to {most})"


def models_of(parser: argparse.ArgumentParser, words: str) -> list[str]:
    """The models in a comma-separated list."""
    models = words.split(",")
    for model in models:
        if model not in MODELS:
            parser.error(f"unknown model '{model}' (one of {', '.join(MODELS)})")
    return models


def peak_memory_mib() -> float:
    """Of this process. Not ru_maxrss, in which a process inherits its parent's size."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise PeerError("/proc/self/status: no VmHWM")


def machine() -> dict[str, Any]:
    name = "unknown"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    waiting = {key: os.environ[key] for key in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if key in os.environ}
    return {
        "cpu": name, "cores": os.cpu_count(), "load": os.getloadavg()[0], "environment": waiting,
        "commit": commit(),
    }


def warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the machine is busy (load {load:.1f}); such times say little", file=sys.stderr)
