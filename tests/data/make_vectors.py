#!/usr/bin/env python3
"""Makes the golden vectors in this folder: inputs, outputs and gradients of four operations.

Everything is computed by PyTorch in double precision and stored as F64 (indices as I32). All inputs are
exact in single precision, so that a test of single-precision code can cast them without loss.
Layouts are Etude's: matrices row-major, gates z, r, g side by side, x @ kernel.

    make_vectors.py            write the files
    make_vectors.py --check    compute again and compare with the files
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "bench" / "peers"))

import etude_torch  # noqa: E402
from etude_torch import GRU_PARTS, PeerError, run_main, swap_first_gates  # noqa: E402

Vectors = dict[str, Tensor]
DOUBLE = torch.float64


class Numbers:
    """Repeatable random numbers that are exact in single precision."""

    def __init__(self, seed: int) -> None:
        self.state = numpy.random.RandomState(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        values = (scale * self.state.standard_normal(shape)).astype(numpy.float32)
        return torch.from_numpy(values).to(DOUBLE)

    def integers(self, high: int, *shape: int) -> Tensor:
        return torch.from_numpy(self.state.randint(0, high, shape).astype(numpy.int64))


def gru_vectors() -> tuple[Vectors, dict[str, object]]:
    sizes = [
        {"batch": 3, "time": 7, "in": 5, "units": 6},
        {"batch": 2, "time": 4, "in": 33, "units": 17},
        {"batch": 5, "time": 6, "in": 8, "units": 32},
        {"batch": 1, "time": 1, "in": 1, "units": 1},
    ]
    numbers = Numbers(1)
    vectors: Vectors = {}
    for number, size in enumerate(sizes):
        case = f"case{number}"
        batch, time, width, units = size["batch"], size["time"], size["in"], size["units"]
        gru = nn.GRU(width, units, batch_first=True, bidirectional=True).to(DOUBLE)
        for value in gru.parameters():
            value.data = numbers.normal(*value.shape, scale=0.4)
        parameters: dict[str, tuple[Tensor, bool]] = {}
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            for part, key in GRU_PARTS.items():
                parameters[f"{direction}.{part}"] = (getattr(gru, key + suffix), part.endswith("kernel"))

        def ours(tensor: Tensor, matrix: bool) -> Tensor:
            tensor = swap_first_gates(tensor)
            return tensor.t() if matrix else tensor

        x = numbers.normal(batch, time, width).requires_grad_()
        vectors[f"{case}.x"] = x
        for name, (value, matrix) in parameters.items():
            vectors[f"{case}.{name}"] = ours(value, matrix)
        sequence, last = gru(x)
        outputs = {"sequence": sequence, "last": torch.cat((last[0], last[1]), dim=-1)}
        for kind, y in outputs.items():
            dy = numbers.normal(*y.shape)
            wanted = [x] + [value for value, _ in parameters.values()]
            found = torch.autograd.grad(y, wanted, dy, retain_graph=True)
            vectors[f"{case}.{kind}.y"] = y
            vectors[f"{case}.{kind}.dy"] = dy
            vectors[f"{case}.{kind}.dx"] = found[0]
            for (name, (_, matrix)), gradient in zip(parameters.items(), found[1:]):
                direction, part = name.split(".")
                vectors[f"{case}.{kind}.{direction}.d{part}"] = ours(gradient, matrix)
    return vectors, {
        "operation": "bidirectional GRU, reset_after, gates z, r, g, initial state 0",
        "cases": sizes,
        "tensors": {
            "caseN.x": "[batch, time, in]",
            "caseN.forward.kernel, caseN.backward.kernel": "[in, 3 units]",
            "caseN.*.recurrent_kernel": "[units, 3 units]",
            "caseN.*.bias, caseN.*.recurrent_bias": "[3 units]",
            "caseN.sequence.y": "[batch, time, 2 units]: forward | backward per step, in window order",
            "caseN.last.y": "[batch, 2 units]: forward at t = time-1 | backward at t = 0",
            "caseN.sequence.dy, caseN.last.dy": "the gradient that enters",
            "caseN.sequence.dx, caseN.sequence.forward.dkernel, ...": "gradients that leave, shaped as what they belong to; caseN.last.* likewise",
        },
        "made_with": f"torch.nn.GRU {torch.__version__} in float64",
        "checked_against": "keras.layers.GRU (reset_after) of Keras 2.15 by check_vectors_keras.py",
    }


def attention_vectors() -> tuple[Vectors, dict[str, object]]:
    cases: list[dict[str, object]] = []
    for heads, features in ((1, 7), (2, 10)):
        for activation in ("sigmoid", "none"):
            cases.append(
                {
                    "batch": 2,
                    "time": 60,
                    "features": features,
                    "heads": heads,
                    "width": 50,
                    "activation": activation,
                }
            )
            cases.append(
                {
                    "batch": 3,
                    "time": 9,
                    "features": features,
                    "heads": heads,
                    "width": 4,
                    "activation": activation,
                }
            )
    cases.append({"batch": 2, "time": 50, "features": 33, "heads": 1, "width": 50, "activation": "sigmoid"})
    cases.append({"batch": 2, "time": 33, "features": 12, "heads": 4, "width": 50, "activation": "sigmoid"})
    cases.append({"batch": 2, "time": 8, "features": 3, "heads": 1, "width": 5, "activation": "none"})
    cases.append({"batch": 1, "time": 1, "features": 1, "heads": 1, "width": 50, "activation": "sigmoid"})
    numbers = Numbers(2)
    vectors: Vectors = {}
    for number, case in enumerate(cases):
        name = f"case{number}"
        features, heads = int(case["features"]), int(case["heads"])
        layer = etude_torch.Attention(features, heads, int(case["width"]), str(case["activation"])).to(DOUBLE)
        layer.weight.data = numbers.normal(*layer.weight.shape, scale=0.5)
        layer.bias.data = numbers.normal(heads, scale=0.5)
        x = numbers.normal(int(case["batch"]), int(case["time"]), features, scale=0.7).requires_grad_()
        y = layer(x)
        dy = numbers.normal(*y.shape)
        dx, dwa, dba = torch.autograd.grad(y, [x, layer.weight, layer.bias], dy)
        for key, tensor in {
            "x": x,
            "wa": layer.weight,
            "ba": layer.bias,
            "y": y,
            "dy": dy,
            "dx": dx,
            "dwa": dwa,
            "dba": dba,
        }.items():
            vectors[f"{name}.{key}"] = tensor
    return vectors, {
        "operation": "multiplicative self-attention: e = s(x Wa x^T + ba), -10000 outside i - width/2 <= j < i - width/2 + width, "
        "a = softmax_j(e), y = a x; every head on its own slice of the features",
        "cases": cases,
        "tensors": {
            "caseN.x, caseN.y, caseN.dy, caseN.dx": "[batch, time, features]",
            "caseN.wa, caseN.dwa": "[heads, features/heads, features/heads]",
            "caseN.ba, caseN.dba": "[heads]",
        },
        "made_with": f"bench/peers/etude_torch.py, torch {torch.__version__} in float64",
        "checked_against": "keras-self-attention 0.50.0 (one head) by check_vectors_keras.py",
    }


def cross_entropy_vectors() -> tuple[Vectors, dict[str, object]]:
    numbers = Numbers(3)
    ordinary = numbers.normal(7, 33, scale=3.0)
    extreme = numbers.normal(6, 33)
    extreme[0] = -80.0  # certain and right
    extreme[0, 4] = 80.0
    extreme[1] = -80.0  # certain and wrong
    extreme[1, 4] = 80.0
    extreme[2] = 80.0  # all equal and large
    extreme[3] = -80.0  # all equal and small
    extreme[4, ::2] += 80.0
    extreme[4, 1::2] -= 80.0
    cases = [
        (ordinary, numbers.integers(33, 7)),
        (extreme, torch.tensor([4, 5, 32, 0, 1, 2])),
        (numbers.normal(3, 1001), torch.tensor([0, 1000, 517])),
        (numbers.normal(1, 1), torch.tensor([0])),
    ]
    vectors: Vectors = {}
    for number, (values, targets) in enumerate(cases):
        logits = values.clone().requires_grad_()
        losses = functional.cross_entropy(logits, targets, reduction="none")
        (dlogits,) = torch.autograd.grad(losses.sum(), [logits])
        vectors[f"case{number}.logits"] = logits
        vectors[f"case{number}.targets"] = targets.to(torch.int32)
        vectors[f"case{number}.losses"] = losses
        vectors[f"case{number}.dlogits"] = dlogits
    return vectors, {
        "operation": "sparse categorical cross-entropy of softmax(logits), in nats",
        "cases": [{"rows": len(values), "classes": values.shape[1]} for values, _ in cases],
        "tensors": {
            "caseN.logits": "[rows, classes]; case1 has rows with logits of +-80",
            "caseN.targets": "I32 [rows]",
            "caseN.losses": "[rows]",
            "caseN.dlogits": "[rows, classes], the gradient of the SUM of the losses",
        },
        "made_with": f"torch.nn.functional.cross_entropy {torch.__version__} in float64",
        "checked_against": "keras.losses.SparseCategoricalCrossentropy of Keras 2.15 by check_vectors_keras.py",
    }


def nadam_vectors() -> tuple[Vectors, dict[str, object]]:
    numbers = Numbers(4)
    vectors: Vectors = {}

    steps, size = 25, 13
    weight = numbers.normal(size)
    gradients = numbers.normal(steps, size)
    gradients[:, 0] = 0.0  # never a gradient: must not move
    gradients[5:, 1] = 0.0  # momentum alone
    gradients[:, 2] *= 2.0**-24  # of epsilon's size, still exact
    gradients[:, 3] *= 2.0**10
    history = etude_torch.nadam_by_formula(weight, list(gradients))
    vectors["dense.w0"] = weight
    vectors["dense.g"] = gradients
    for index, key in enumerate(("w", "m", "v")):
        vectors[f"dense.{key}"] = torch.stack([entry[index] for entry in history])

    parameter = nn.Parameter(weight.clone())
    optimiser = torch.optim.NAdam([parameter], lr=1e-3, eps=1e-7, momentum_decay=4e-3)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step()
    moved = (history[-1][0] - weight).norm()
    difference = (parameter.detach() - history[-1][0]).norm() / moved
    if difference > 1e-6:
        raise PeerError(f"torch.optim.NAdam and the formula differ by {difference:.3g} of the way")

    steps, rows, columns, count = 12, 6, 3, 4
    weight = numbers.normal(rows, columns)
    ids = numbers.integers(rows - 1, steps, count)  # the last row is never touched
    ids[2] = torch.tensor([0, 0, 0, 0])
    ids[3] = torch.tensor([1, 3, 1, 0])
    values = numbers.normal(steps, count, columns)
    summed = torch.zeros(steps, rows, columns, dtype=DOUBLE)
    for step in range(steps):
        summed[step].index_add_(0, ids[step], values[step])
    history = etude_torch.nadam_by_formula(weight, list(summed), rows=[row.tolist() for row in ids])
    vectors["sparse.w0"] = weight
    vectors["sparse.ids"] = ids.to(torch.int32)
    vectors["sparse.values"] = values
    vectors["sparse.g"] = summed
    for index, key in enumerate(("w", "m", "v")):
        vectors[f"sparse.{key}"] = torch.stack([entry[index] for entry in history])
    return vectors, {
        "operation": "Keras' Nadam: lr 1e-3, b1 0.9, b2 0.999, eps 1e-7, u_t = b1 (1 - 0.5 * 0.96^(0.004 t))",
        "tensors": {
            "dense.w0": "[13] before step 1; m and v start at 0",
            "dense.g": "[25, 13], the gradient of each step",
            "dense.w, dense.m, dense.v": "[25, 13], after each step",
            "sparse.w0": "[6, 3]",
            "sparse.ids": "I32 [12, 4], the rows that each step touches, with repeats",
            "sparse.values": "[12, 4, 3], the gradient of each mention",
            "sparse.g": "[12, 6, 3], the same summed by row; 0 in rows not touched",
            "sparse.w, sparse.m, sparse.v": "[12, 6, 3] after each step: m and v of all rows decay, only touched rows of w move",
        },
        "made_with": "the formula in float64 (nadam_by_formula in bench/peers/etude_torch.py)",
        "checked_against": f"dense: torch.optim.NAdam {torch.__version__} (eps 1e-7, momentum_decay 4e-3) by this script; "
        "dense and sparse: tf.keras.optimizers.legacy.Nadam of Keras 2.15 by check_vectors_keras.py",
    }


MAKERS = {
    "gru": gru_vectors,
    "attention": attention_vectors,
    "softmax_cross_entropy": cross_entropy_vectors,
    "nadam": nadam_vectors,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the golden vectors of the tests, or check them.")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, make in MAKERS.items():
        vectors, about = make()
        vectors = {key: value.detach().contiguous().clone() for key, value in vectors.items()}
        path = HERE / f"{name}.safetensors"
        if not options.check:
            save_file(vectors, str(path), metadata={"about": json.dumps(about)})
            print(f"{path.name}: {len(vectors)} tensors, {path.stat().st_size} bytes")
            continue
        if not path.exists():
            raise PeerError(f"{path}: no such file")
        stored = load_file(str(path))
        if set(stored) != set(vectors):
            raise PeerError(f"{path}: other tensors than this script makes")
        worst = max((stored[key].to(DOUBLE) - vectors[key].to(DOUBLE)).abs().max().item() for key in vectors)
        print(f"{path.name}: {len(vectors)} tensors, largest difference {worst:.3g}")
        if not worst < 1e-9:
            raise PeerError(f"{path}: differs from what this script makes")
    return 0


if __name__ == "__main__":
    run_main(main)
