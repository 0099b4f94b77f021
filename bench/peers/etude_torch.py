#!/usr/bin/env python3
"""Etude's models in PyTorch: the twin that every comparison uses.

The six models (rnn, attention, single, double, triple, transformer) and the deeper
stacks, written with PyTorch's own modules, and the conversion between their
parameters and Etude's checkpoint file in both directions.

As a program it tests itself, describes a checkpoint, or makes one:

    etude_torch.py self-test
    etude_torch.py show FILE.safetensors
    etude_torch.py init --model triple --vocabulary 36010 --seed 1 --out FILE.safetensors
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from common import (
    MODELS,
    PAPER_CLASSES,
    PAPER_PARAMETERS,
    STACKS,
    Config,
    PeerError,
    check_tensors,
    made_up_vocabulary,
    read_checkpoint,
    run_main,
)


class Attention(nn.Module):
    """Multiplicative self-attention without a value projection.

    e = s(x Wa x^T + ba), then -10000 outside the band i - width/2 <= j < i + width/2,
    a = softmax(e), out = a x. Each head has its own slice of the features, Wa and ba.
    """

    def __init__(self, features: int, heads: int, width: int, activation: str) -> None:
        super().__init__()
        if features % heads:
            raise PeerError(f"{features} features do not split into {heads} heads")
        if activation not in ("sigmoid", "none"):
            raise PeerError(f"unknown attention activation '{activation}'")
        self.heads = heads
        self.width = width
        self.activation = activation
        self.weight = nn.Parameter(torch.empty(heads, features // heads, features // heads))
        self.bias = nn.Parameter(torch.zeros(heads))

    def band(self, length: int, device: torch.device) -> Tensor:
        """True where position i may look at position j."""
        positions = torch.arange(length, device=device)
        lower = (positions - self.width // 2)[:, None]
        return (positions >= lower) & (positions < lower + self.width)

    def forward(self, x: Tensor) -> Tensor:
        penalty = -10000.0 * (~self.band(x.shape[1], x.device)).to(x.dtype)
        if self.heads == 1:
            scores = torch.matmul(torch.matmul(x, self.weight[0]), x.transpose(1, 2)) + self.bias
            if self.activation == "sigmoid":
                scores = torch.sigmoid(scores)
            return torch.matmul(torch.softmax(scores + penalty, dim=-1), x)
        slices = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        scores = torch.matmul(torch.matmul(slices, self.weight), slices.transpose(2, 3))
        scores = scores + self.bias[:, None, None]
        if self.activation == "sigmoid":
            scores = torch.sigmoid(scores)
        out = torch.matmul(torch.softmax(scores + penalty, dim=-1), slices)
        return out.transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    """contract(leaky_relu(expand(x))), the second half of a transformer block."""

    def __init__(self, features: int, inner: int, slope: float) -> None:
        super().__init__()
        self.expand = nn.Linear(features, inner)
        self.contract = nn.Linear(inner, features)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(functional.leaky_relu(self.expand(x), self.slope))


class EtudeModel(nn.Module):
    """One of the models. Tokens [batch, window] in, logits [batch, classes] out."""

    def __init__(self, model: str, config: Config) -> None:
        super().__init__()
        if model not in MODELS + ("stack",):
            raise PeerError(f"unknown model '{model}' (one of {', '.join(MODELS)}, stack)")
        self.model = model
        self.config = config
        self.depth = STACKS.get(model, config.stack)
        if model == "stack" and self.depth < 1:
            raise PeerError("model 'stack' needs a depth of at least 1")
        states = 2 * config.units
        self.embedding = nn.Embedding(config.classes, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        if model == "attention":
            self.attention_1 = self._attention(config.embedding)
            features = config.window * config.embedding
        elif model == "single":
            self.gru_1 = self._gru(config.embedding)
            self.attention_1 = self._attention(states)
            features = config.window * states
        elif model == "transformer":
            for number in (1, 2):
                setattr(self, f"attention_{number}", self._attention(config.embedding))
                setattr(
                    self,
                    f"feed_forward_{number}",
                    FeedForward(config.embedding, 4 * config.embedding, config.leaky_slope),
                )
            features = config.window * config.embedding
        else:
            width = config.embedding
            for number in range(1, self.depth + 1):
                setattr(self, f"gru_{number}", self._gru(width))
                if number < self.depth:
                    setattr(self, f"attention_{number}", self._attention(states))
                width = states
            features = states
        self.dense = nn.Linear(features, config.dense)
        self.output = nn.Linear(config.dense, config.classes)

    def _gru(self, width: int) -> nn.GRU:
        return nn.GRU(width, self.config.units, batch_first=True, bidirectional=True)

    def _attention(self, features: int) -> Attention:
        config = self.config
        return Attention(features, config.heads, config.attention_width, config.attention_activation)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        if self.model == "attention":
            x = self.dropout(self.attention_1(x)).flatten(1)
        elif self.model == "single":
            x = self.dropout(self.attention_1(self.gru_1(x)[0])).flatten(1)
        elif self.model == "transformer":
            for number in (1, 2):
                x = x + getattr(self, f"attention_{number}")(x)
                x = x + getattr(self, f"feed_forward_{number}")(x)
            x = self.dropout(x).flatten(1)
        else:
            for number in range(1, self.depth):
                x = getattr(self, f"gru_{number}")(x)[0]
                x = self.dropout(getattr(self, f"attention_{number}")(x))
            _, last = getattr(self, f"gru_{self.depth}")(x)
            x = self.dropout(torch.cat((last[0], last[1]), dim=-1))
        x = functional.leaky_relu(self.dense(x), self.config.leaky_slope)
        return self.output(x)

    def initialise(self, seed: int) -> EtudeModel:
        """Keras' initial values, from one seed."""
        generator = torch.Generator().manual_seed(seed)
        for name, module in self.named_modules():
            if isinstance(module, nn.Embedding):
                nn.init.uniform_(module.weight, -0.05, 0.05, generator=generator)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, Attention):
                # Keras' glorot normal is cut off at two deviations and widened to make up for it.
                width = module.weight.shape[-1]
                deviation = math.sqrt(1.0 / width) / 0.87962566103423978
                nn.init.trunc_normal_(
                    module.weight, 0.0, deviation, -2 * deviation, 2 * deviation, generator=generator
                )
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.GRU):
                for key, value in module.named_parameters():
                    if key.startswith("weight_ih"):
                        nn.init.xavier_uniform_(value, generator=generator)
                    elif key.startswith("weight_hh"):
                        nn.init.orthogonal_(value, generator=generator)
                    else:
                        nn.init.zeros_(value)
        return self

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def swap_first_gates(tensor: Tensor) -> Tensor:
    """z, r, g <-> r, z, n along the first axis. Its own inverse."""
    first, second, third = tensor.chunk(3, dim=0)
    return torch.cat((second, first, third), dim=0)


GRU_PARTS = {
    "kernel": "weight_ih_l0",
    "recurrent_kernel": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _transposed(tensor: Tensor) -> Tensor:
    return tensor.t()


def _gates_transposed(tensor: Tensor) -> Tensor:
    return swap_first_gates(tensor).t()


def _gates_untransposed(tensor: Tensor) -> Tensor:
    return swap_first_gates(tensor.t())


Conversion = Callable[[Tensor], Tensor]


def checkpoint_names(model: EtudeModel) -> dict[str, tuple[nn.Parameter, Conversion, Conversion]]:
    """Etude's name -> PyTorch's parameter, conversion to Etude's layout, conversion back."""
    names: dict[str, tuple[nn.Parameter, Conversion, Conversion]] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            names[f"{name}.weight"] = (module.weight, _same, _same)
        elif isinstance(module, nn.Linear):
            names[f"{name}.weight"] = (module.weight, _transposed, _transposed)
            names[f"{name}.bias"] = (module.bias, _same, _same)
        elif isinstance(module, Attention):
            names[f"{name}.weight"] = (module.weight, _same, _same)
            names[f"{name}.bias"] = (module.bias, _same, _same)
        elif isinstance(module, nn.GRU):
            for direction, suffix in (("forward", ""), ("backward", "_reverse")):
                for part, key in GRU_PARTS.items():
                    matrix = part.endswith("kernel")
                    names[f"{name}.{direction}.{part}"] = (
                        getattr(module, key + suffix),
                        _gates_transposed if matrix else swap_first_gates,
                        _gates_untransposed if matrix else swap_first_gates,
                    )
    return names


def export_tensors(model: EtudeModel, gradients: bool = False) -> dict[str, Tensor]:
    """Parameters (or their gradients) under Etude's names and in Etude's layout."""
    return {
        name: convert((value.grad if gradients else value).detach()).contiguous().clone()
        for name, (value, convert, _) in checkpoint_names(model).items()
    }


def load_tensors(model: EtudeModel, tensors: dict[str, numpy.ndarray], source: str) -> None:
    """Copies Etude's tensors into the model; every one must be there with its shape."""
    names = checkpoint_names(model)
    check_tensors(tensors, {name: list(to(value).shape) for name, (value, to, _) in names.items()}, source)
    with torch.no_grad():
        for name, (value, _, back) in names.items():
            value.copy_(back(torch.from_numpy(tensors[name])))


def load_checkpoint(path: str | Path) -> tuple[EtudeModel, list[str]]:
    """The model in a checkpoint file, and its vocabulary."""
    checkpoint = read_checkpoint(path)
    model = EtudeModel(checkpoint.model, checkpoint.config)
    load_tensors(model, checkpoint.tensors, str(path))
    return model, checkpoint.vocabulary


def save_checkpoint(model: EtudeModel, vocabulary: list[str], path: str | Path) -> None:
    """Writes the model as a checkpoint that Etude takes with --init or --checkpoint."""
    if len(vocabulary) + 1 != model.config.classes:
        raise PeerError(
            f"{len(vocabulary)} tokens need {len(vocabulary) + 1} classes, not {model.config.classes}"
        )
    metadata = {
        "format": "etude-checkpoint",
        "version": "1",
        "model": model.model,
        "config": json.dumps(dataclasses.asdict(model.config)),
        "vocabulary": json.dumps(vocabulary, separators=(",", ":")),
    }
    save_file(export_tensors(model), str(path), metadata=metadata)


def nadam(model: nn.Module) -> torch.optim.Optimizer:
    """Keras' Nadam: PyTorch's, with Keras' epsilon and momentum schedule."""
    return torch.optim.NAdam(model.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-7, momentum_decay=4e-3)


def train_step(model: EtudeModel, optimiser: torch.optim.Optimizer, inputs: Tensor, targets: Tensor) -> float:
    """One step on the sum of the cross-entropy. Returns the loss per sample."""
    optimiser.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(model(inputs), targets, reduction="sum")
    loss.backward()
    optimiser.step()
    return loss.item() / inputs.shape[0]


def gru_by_formula(
    x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor, recurrent_bias: Tensor
) -> Tensor:
    """Keras' reset_after GRU, one direction, written out: [B, T, in] -> [B, T, H]."""
    hidden = recurrent.shape[0]
    state = x.new_zeros(x.shape[0], hidden)
    states = []
    for t in range(x.shape[1]):
        from_input = x[:, t] @ kernel + bias
        from_state = state @ recurrent + recurrent_bias
        xz, xr, xg = from_input.split(hidden, dim=1)
        hz, hr, hg = from_state.split(hidden, dim=1)
        z = torch.sigmoid(xz + hz)
        r = torch.sigmoid(xr + hr)
        g = torch.tanh(xg + r * hg)
        state = z * state + (1 - z) * g
        states.append(state)
    return torch.stack(states, dim=1)


def attention_by_formula(x: Tensor, weight: Tensor, bias: Tensor, width: int, activation: str) -> Tensor:
    """The attention written out row by row and head by head."""
    heads, part, _ = weight.shape
    length = x.shape[1]
    outputs = []
    for head in range(heads):
        s = x[..., head * part : (head + 1) * part]
        rows = []
        for i in range(length):
            e = torch.einsum("bf,fg,bjg->bj", s[:, i], weight[head], s) + bias[head]
            if activation == "sigmoid":
                e = torch.sigmoid(e)
            outside = torch.tensor(
                [0.0 if i - width // 2 <= j < i + width - width // 2 else 10000.0 for j in range(length)],
                dtype=x.dtype,
            )
            rows.append(torch.einsum("bj,bjf->bf", torch.softmax(e - outside, dim=-1), s))
        outputs.append(torch.stack(rows, dim=1))
    return torch.cat(outputs, dim=-1)


def nadam_by_formula(
    weight: Tensor,
    gradients: list[Tensor],
    rows: list[list[int]] | None = None,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Keras' Nadam written out. With `rows`, only those rows of the weight move in each step."""
    w, m, v = weight.clone(), torch.zeros_like(weight), torch.zeros_like(weight)
    product = 1.0
    history = []
    for t, g in enumerate(gradients, start=1):
        u = beta1 * (1 - 0.5 * 0.96 ** (0.004 * t))
        u_next = beta1 * (1 - 0.5 * 0.96 ** (0.004 * (t + 1)))
        product *= u
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        direction = (1 - u) * g / (1 - product) + u_next * m / (1 - product * u_next)
        move = lr * direction / (torch.sqrt(v / (1 - beta2**t)) + epsilon)
        if rows is not None:
            mask = torch.zeros_like(w)
            mask[rows[t - 1]] = 1.0
            move = move * mask
        w = w - move
        history.append((w.clone(), m.clone(), v.clone()))
    return history


def _largest(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def self_test() -> None:
    """Raises PeerError at the first thing that is not as it should be."""

    def check(name: str, figure: float, limit: float) -> None:
        if not figure <= limit:
            raise PeerError(f"self-test: {name}: {figure:.3g} is more than {limit:.3g}")
        print(f"ok   {name}: {figure:.3g}")

    for model, wanted in PAPER_PARAMETERS.items():
        with torch.device("meta"):
            found = EtudeModel(model, Config.for_model(model, PAPER_CLASSES)).parameter_count()
        if found != wanted:
            raise PeerError(f"self-test: {model} has {found} parameters, not {wanted}")
        print(f"ok   {model}: {found:,} parameters")

    torch.manual_seed(7)
    double = torch.float64
    gru = nn.GRU(5, 6, batch_first=True, bidirectional=True).to(double)
    x = torch.randn(3, 7, 5, dtype=double)
    y, last = gru(x)
    swap = swap_first_gates
    ahead = gru_by_formula(
        x, swap(gru.weight_ih_l0).t(), swap(gru.weight_hh_l0).t(), swap(gru.bias_ih_l0), swap(gru.bias_hh_l0)
    )
    back = gru_by_formula(
        x.flip(1),
        swap(gru.weight_ih_l0_reverse).t(),
        swap(gru.weight_hh_l0_reverse).t(),
        swap(gru.bias_ih_l0_reverse),
        swap(gru.bias_hh_l0_reverse),
    ).flip(1)
    check("GRU sequence against its formula", _largest(y, torch.cat((ahead, back), -1)), 1e-12)
    check(
        "GRU last state against its formula",
        _largest(torch.cat((last[0], last[1]), -1), torch.cat((ahead[:, -1], back[:, 0]), -1)),
        1e-12,
    )

    for heads in (1, 2):
        for activation in ("sigmoid", "none"):
            attention = Attention(6, heads, 4, activation).to(double)
            nn.init.normal_(attention.weight)
            nn.init.normal_(attention.bias)
            x = torch.randn(2, 9, 6, dtype=double)
            other = attention_by_formula(x, attention.weight, attention.bias, 4, activation)
            check(f"attention, {heads} heads, {activation}", _largest(attention(x), other), 1e-12)

    weight = nn.Parameter(torch.randn(11, dtype=double))
    gradients = [torch.randn(11, dtype=double) for _ in range(40)]
    history = nadam_by_formula(weight.detach(), gradients)
    optimiser = torch.optim.NAdam([weight], lr=1e-3, eps=1e-7, momentum_decay=4e-3)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimiser.step()
    check("NAdam against Keras' formula, 40 steps", _largest(weight.detach(), history[-1][0]), 1e-7)

    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS + ("stack",):
            config = Config.for_model(model, 30, dropout=0.0)
            if model == "stack":
                config.stack = 4
            twin = EtudeModel(model, config).initialise(3).eval()
            path = Path(folder) / f"{model}.safetensors"
            save_checkpoint(twin, made_up_vocabulary(29), path)
            again, vocabulary = load_checkpoint(path)
            tokens = torch.randint(1, 30, (2, 50))
            check(f"{model}: saved, loaded, same logits", _largest(twin(tokens), again.eval()(tokens)), 0.0)
            if len(vocabulary) != 29 or len(set(vocabulary)) != 29 or vocabulary[-1] != "e":
                raise PeerError("self-test: the vocabulary came back changed")


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Etude's models in PyTorch: self-test, show a checkpoint, make a random one.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("self-test", help="parameter counts, formulas and the checkpoint's round trip")
    show = commands.add_parser("show", help="list a checkpoint's tensors and its configuration")
    show.add_argument("checkpoint")
    init = commands.add_parser("init", help="write a checkpoint with random weights (Keras' initial values)")
    init.add_argument("--model", choices=MODELS + ("stack",), default="triple")
    init.add_argument("--stack", type=int, default=4, help="depth, for --model stack")
    init.add_argument("--vocabulary", type=int, default=36010, help="number of tokens; classes are one more")
    init.add_argument("--seed", type=int, default=1)
    init.add_argument("--out", required=True)
    options = parser.parse_args()

    if options.command == "self-test":
        self_test()
        print("all passed")
    elif options.command == "show":
        model, vocabulary = load_checkpoint(options.checkpoint)
        print(f"model {model.model}, {model.parameter_count():,} parameters, {len(vocabulary)} tokens")
        print(json.dumps(dataclasses.asdict(model.config)))
        for name, tensor in export_tensors(model).items():
            print(f"{name:34s} {str(list(tensor.shape)):18s} norm {tensor.norm().item():.6g}")
    else:
        changes = {"stack": options.stack} if options.model == "stack" else {}
        config = Config.for_model(options.model, options.vocabulary + 1, **changes)
        model = EtudeModel(options.model, config).initialise(options.seed)
        save_checkpoint(model, made_up_vocabulary(options.vocabulary), options.out)
    return 0


if __name__ == "__main__":
    run_main(main)
