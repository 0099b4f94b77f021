#!/usr/bin/env python3
"""Compares the logits of `etude forward` with PyTorch's, for one checkpoint and several windows.

check_logits.py out/triple/model.safetensors --etude build/release/apps/etude
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from common import ETUDE, PeerError, run_main
from etude_program import Etude
from etude_torch import load_checkpoint


def windows(classes: int, length: int, count: int, seed: int) -> list[tuple[str, list[int]]]:
    """A window of silence (the last class), then random ones."""
    generator = torch.Generator().manual_seed(seed)
    chosen = [("silence", [classes - 1] * length)]
    for number in range(1, count):
        tokens: Tensor = torch.randint(1, classes, (length,), generator=generator)
        chosen.append((f"random {number}", tokens.tolist()))
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compare the logits of `etude forward` with PyTorch's for one checkpoint.",
        epilog="Relative differences are taken to the largest logit of the window. Exit status 0: all within --limit.",
    )
    parser.add_argument("checkpoint", help="a checkpoint, as `etude train` writes it")
    parser.add_argument(
        "--etude", default=str(ETUDE), metavar="PROGRAM",
        help="the built `etude` program (default: build/release/apps/etude)",
    )  # fmt: skip
    parser.add_argument("--windows", type=int, default=5, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random windows (default: %(default)s)")
    parser.add_argument(
        "--limit", type=float, default=1e-4, help="on the relative difference (default: %(default)s)"
    )
    options = parser.parse_args()

    etude = Etude(options.etude)
    model, _ = load_checkpoint(options.checkpoint)
    model.eval()
    exact, _ = load_checkpoint(options.checkpoint)
    exact.double().eval()
    classes = model.config.classes
    print(f"model {model.model}, {classes} classes")
    print(
        f"{'window':12s} {'largest logit':>14s} {'max abs diff':>13s} {'relative':>10s}   PyTorch's own, to double"
    )
    worst = 0.0
    for name, tokens in windows(classes, model.config.window, options.windows, options.seed):
        found = torch.tensor(etude.logits(options.checkpoint, tokens), dtype=torch.float64)
        if len(found) != classes:
            raise PeerError(f"`etude forward` gave {len(found)} logits, not {classes}")
        batch = torch.tensor([tokens])
        with torch.no_grad():
            wanted = model(batch)[0].double()
            reference = exact(batch)[0]
        largest = reference.abs().max().item()
        difference = (found - wanted).abs().max().item()
        relative = difference / largest if largest else difference
        own = (wanted - reference).abs().max().item() / largest if largest else 0.0
        worst = max(worst, relative if relative == relative else float("inf"))
        print(f"{name:12s} {largest:14.6f} {difference:13.3g} {relative:10.3g}   {own:.3g}")
    good = worst <= options.limit
    print(
        f"{'equal' if good else 'NOT EQUAL'}: largest relative difference {worst:.3g}, limit {options.limit:g}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    run_main(main)
