#!/usr/bin/env python3
"""Makes step.safetensors: three training steps of each model, computed by PyTorch in double precision.

Initial values are exact in single precision, so that a test of single-precision code starts from the same
point. Names and layouts of parameters are Etude's.

    make_step.py            write the file
    make_step.py --check    compute again and compare with the file
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "bench" / "peers"))

import etude_torch  # noqa: E402
from etude_torch import Config, EtudeModel, PeerError, run_main  # noqa: E402

DOUBLE = torch.float64
FILE = HERE / "step.safetensors"
STEPS, BATCH = 3, 3
SIZES = {"window": 7, "embedding": 8, "units": 5, "dense": 6, "attention_width": 4, "dropout": 0.0}
CLASSES = 23
SEED = 1


def lively_model(name: str) -> EtudeModel:
    """Keras' initial values, then wider ones where an attention's scores come from, and biases.

    Where scores are nearly equal, the gradient of their bias is what remains of sums that cancel: less than
    single precision can tell. From these values every gradient is clear.
    """
    model = EtudeModel(name, Config.for_model(name, CLASSES, **SIZES)).float().initialise(SEED)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key == "embedding.weight":
                nn.init.uniform_(value, -1.0, 1.0, generator=generator)
            elif "bias" in key:
                nn.init.normal_(value, 0.0, 0.3, generator=generator)
            elif key.startswith(("gru", "attention")):
                value.mul_(2.0)
    return model.to(DOUBLE).train()


def steps_of(name: str) -> tuple[dict[str, Tensor], Config]:
    model = lively_model(name)
    generator = torch.Generator().manual_seed(SEED)
    inputs = torch.randint(1, CLASSES, (STEPS, BATCH, model.config.window), generator=generator)
    targets = torch.randint(1, CLASSES, (STEPS, BATCH), generator=generator)
    vectors = {f"{name}.inputs": inputs.to(torch.int32), f"{name}.targets": targets.to(torch.int32)}

    def keep(kind: str, gradients: bool = False) -> None:
        for key, value in etude_torch.export_tensors(model, gradients).items():
            vectors[f"{name}.{kind}.{key}"] = value

    keep("before")
    optimiser = etude_torch.nadam(model)
    losses = []
    for step in range(STEPS):
        losses.append(BATCH * etude_torch.train_step(model, optimiser, inputs[step], targets[step]))
        if step == 0:
            keep("gradient", gradients=True)
    keep("after")
    vectors[f"{name}.losses"] = torch.tensor(losses, dtype=DOUBLE)
    return vectors, model.config


def all_steps() -> tuple[dict[str, Tensor], dict[str, object]]:
    vectors: dict[str, Tensor] = {}
    configs: dict[str, object] = {}
    for name in etude_torch.MODELS:
        found, config = steps_of(name)
        vectors.update(found)
        configs[name] = dataclasses.asdict(config)
    return vectors, {
        "operation": f"{STEPS} training steps of each model: the sum of the cross-entropy, Nadam, no dropout",
        "cases": configs,
        "tensors": {
            "MODEL.inputs": f"I32 [{STEPS}, {BATCH}, window], a minibatch for each step",
            "MODEL.targets": f"I32 [{STEPS}, {BATCH}]",
            "MODEL.losses": f"[{STEPS}], the sum over the minibatch before each step, in nats",
            "MODEL.before.NAME, MODEL.after.NAME": "parameters before the first and after the last step",
            "MODEL.gradient.NAME": "the gradient of the first step",
        },
        "made_with": f"bench/peers/etude_torch.py, torch {torch.__version__} in float64",
    }


def compare(vectors: dict[str, Tensor]) -> None:
    if not FILE.exists():
        raise PeerError(f"{FILE}: no such file")
    stored = load_file(str(FILE))
    if set(stored) != set(vectors):
        raise PeerError(f"{FILE}: other tensors than this script makes")
    worst = max((stored[key].to(DOUBLE) - value.to(DOUBLE)).abs().max().item() for key, value in vectors.items())
    print(f"{FILE.name}: {len(vectors)} tensors, largest difference {worst:.3g}")
    if not worst < 1e-9:
        raise PeerError(f"{FILE}: differs from what this script makes")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the vectors of whole training steps, or check them.")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(DOUBLE)  # also of the optimiser's momentum product
    vectors, about = all_steps()
    if options.check:
        compare(vectors)
    else:
        save_file(vectors, str(FILE), metadata={"about": json.dumps(about)})
        print(f"{FILE.name}: {len(vectors)} tensors, {FILE.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    run_main(main)
