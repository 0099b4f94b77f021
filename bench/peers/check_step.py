#!/usr/bin/env python3
"""Compares one training step of Etude with PyTorch's: the loss and every updated parameter tensor.

Both start from the same random checkpoint, take the same minibatch and use no dropout.

    check_step.py --model triple
"""

from __future__ import annotations

import argparse
import copy
import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

import etude_torch
from common import MODELS, Config, made_up_vocabulary, run_main
from etude_program import Etude, add_etude_options
from etude_torch import EtudeModel


def enliven(model: EtudeModel, seed: int) -> None:
    """Widens the embedding to (-1, 1) and fills the biases.

    From Keras' initial values all the scores of an attention are nearly equal, and the gradient of its bias is what
    remains of sums that cancel: smaller than single precision can tell. From these values every gradient is clear, and a
    bias in the wrong place shows.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        if name == "embedding.weight":
            nn.init.uniform_(value, -1.0, 1.0, generator=generator)
        elif "bias" in name:
            nn.init.normal_(value, 0.0, 0.05, generator=generator)


def relative(difference: Tensor, size: Tensor) -> float:
    length = size.norm().item()
    return difference.norm().item() / length if length else difference.norm().item()


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compare one training step of Etude with PyTorch's, tensor by tensor.",
        epilog="Relative differences are norms: |Etude - PyTorch| / |PyTorch|. `of the change`: the same difference against the "
        "change that the step made. `to double`: Etude, and PyTorch itself, against PyTorch in double precision; where PyTorch is "
        "more than a tenth of --limit off its own double, a tensor is listed but not counted. Exit status 0: all within "
        "the limits.",
    )
    add_etude_options(parser)
    parser.add_argument("--model", choices=MODELS, default="triple")
    parser.add_argument("--steps", type=int, default=1, help="how many (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the initial values and the minibatches (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=float, default=1e-4, help="on the relative differences (default: %(default)s)"
    )
    parser.add_argument(
        "--change-limit",
        type=float,
        default=0.01,
        help="on the column `of the change` (default: %(default)s)",
    )
    parser.add_argument(
        "--init", choices=("lively", "keras"), default="lively",
        help="initial values: every gradient clear, or Keras' own (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    etude = Etude(options.etude, options.data, options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = etude.minibatches(options.steps, options.seed, folder)
        config = Config.for_model(options.model, data.classes, dropout=0.0)
        twin = EtudeModel(options.model, config).initialise(options.seed)
        if options.init == "lively":
            enliven(twin, options.seed)
        etude_torch.save_checkpoint(twin, made_up_vocabulary(data.classes - 1), folder / "init.safetensors")
        before = {key: value.double() for key, value in etude_torch.export_tensors(twin).items()}
        rows, _ = etude.train(
            options.model, folder / "out", options.steps, options.seed,
            "--dropout", "0", "--init", str(folder / "init.safetensors"),
        )  # fmt: skip
        trained, _ = etude_torch.load_checkpoint(folder / "out" / "model.safetensors")

    exact = copy.deepcopy(twin).double()
    inputs, targets = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)
    losses, _ = (
        [etude_torch.train_step(model, optimiser, x, y) for x, y in zip(inputs, targets)]
        for model, optimiser in (
            (twin.train(), etude_torch.nadam(twin)),
            (exact.train(), etude_torch.nadam(exact)),
        )
    )
    found = etude_torch.export_tensors(trained)
    wanted = etude_torch.export_tensors(twin)
    reference = etude_torch.export_tensors(exact)

    print(
        f"model {options.model}, {config.classes} classes, minibatch {data.inputs.shape[1]}, {options.steps} step(s)"
    )
    print(
        f"{'tensor':36s} {'relative':>10s} {'of the change':>14s} {'max abs diff':>13s} {'to double':>10s} {'PyTorch to double':>18s}"
    )
    worst = change_worst = 0.0
    unclear = []
    for key, value in wanted.items():
        value = value.double()
        difference = found[key].double() - value
        figure = relative(difference, value)
        ours = relative(found[key].double() - reference[key], reference[key])
        own = relative(value - reference[key], reference[key])
        change = relative(difference, value - before[key])
        if figure > options.limit and own > options.limit / 10:
            unclear.append(key)
        else:
            worst = max(worst, figure if figure == figure else math.inf)
            change_worst = max(change_worst, change if change == change else math.inf)
        print(
            f"{key:36s} {figure:10.3g} {change:14.3g} {difference.abs().max().item():13.3g} {ours:10.3g} {own:18.3g}"
        )
    if unclear:
        print(f"not counted, beneath PyTorch's own single precision: {', '.join(unclear)}")
    loss_worst = 0.0
    for step, (row, loss) in enumerate(zip(rows, losses), start=1):
        figure = abs(row["loss_per_sample"] - loss) / abs(loss)
        loss_worst = max(loss_worst, figure if figure == figure else math.inf)
        print(
            f"loss per sample, step {step}: Etude {row['loss_per_sample']:.7f}, PyTorch {loss:.7f}, relative {figure:.3g}"
        )
    good = worst <= options.limit and loss_worst <= options.limit and change_worst <= options.change_limit
    print(
        f"{'equal' if good else 'NOT EQUAL'}: parameters within {worst:.3g}, loss within {loss_worst:.3g} (limit "
        f"{options.limit:g}), changes within {change_worst:.3g} (limit {options.change_limit:g})"
    )
    return 0 if good else 1


if __name__ == "__main__":
    run_main(main)
