#!/usr/bin/env python3
"""Etude's five models of the table in Keras 2 on TensorFlow, as the notebook that the paper names has them.

Keras' own layers; the attention of the package keras-self-attention as a layer of its own; a training step of
GradientTape, the losses' sum and Nadam, in tf.function. Needs no PyTorch.

    etude_keras.py self-test
    etude_keras.py show FILE.safetensors
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from common import (
    PAPER_CLASSES,
    PAPER_PARAMETERS,
    STACKS,
    TABLE_MODELS,
    Checkpoint,
    Config,
    PeerError,
    check_tensors,
    read_checkpoint,
    run_main,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
try:
    import tensorflow as tf
    from tensorflow import keras
except ImportError as failure:
    WHY = f"no TensorFlow in this Python ({failure}); requirements-keras.txt, --keras-python"
    if __name__ == "__main__":
        sys.exit(f"error: {WHY}")
    raise PeerError(WHY) from failure
if not hasattr(keras.optimizers, "legacy"):
    raise PeerError(f"TensorFlow {tf.__version__} has not the Nadam of Keras 2; 2.15 has")

MODES = ("function", "eager", "xla")
EMBEDDING_UPDATES = ("sparse", "dense")
BACKEND = keras.backend


class SelfAttention(keras.layers.Layer):
    """Multiplicative self-attention, computed as keras-self-attention does.

    e = s(x Wa x^T + ba), then -10000 outside the band i - width/2 <= j < i + width/2, a = softmax(e), out = a x.
    """

    def __init__(self, width: int, activation: str, **more: Any) -> None:
        super().__init__(**more)
        self.width = width
        self.activation = keras.activations.get(None if activation == "none" else activation)

    def build(self, shape: Any) -> None:
        features = int(shape[-1])
        self.wa = self.add_weight("wa", (features, features), initializer="glorot_normal")
        self.ba = self.add_weight("ba", (1,), initializer="zeros")
        super().build(shape)

    def call(self, x: Any) -> Any:
        scores = BACKEND.batch_dot(BACKEND.dot(x, self.wa), BACKEND.permute_dimensions(x, (0, 2, 1)))
        scores = self.activation(scores + self.ba[0])
        column = tf.range(tf.shape(x)[1])
        lower = column[:, None] - self.width // 2
        band = tf.cast((column >= lower) & (column < lower + self.width), scores.dtype)
        return BACKEND.batch_dot(tf.nn.softmax(scores - 10000.0 * (1.0 - band)), x)


Gru = Callable[[int, bool], Any]  # units, whether the layer gives its whole sequence


def usual_gru(units: int, sequence: bool) -> Any:
    return keras.layers.GRU(units, return_sequences=sequence)


def build_model(name: str, config: Config, make_gru: Gru = usual_gru) -> keras.Model:
    """Tokens [batch, window] in, probabilities [batch, classes] out."""
    if name not in TABLE_MODELS or config.heads != 1:
        raise PeerError(
            f"model '{name}' with {config.heads} heads: Keras has {', '.join(TABLE_MODELS)}, one head"
        )
    layers = keras.layers
    tokens = layers.Input((config.window,), dtype="int32")
    x = layers.Embedding(config.classes, config.embedding, name="embedding")(tokens)

    def gru(number: int, x: Any, sequence: bool) -> Any:
        return layers.Bidirectional(make_gru(config.units, sequence), name=f"gru_{number}")(x)

    def attention(number: int, x: Any) -> Any:
        layer = SelfAttention(config.attention_width, config.attention_activation, name=f"attention_{number}")
        return layers.Dropout(config.dropout)(layer(x))

    if name == "attention":
        x = layers.Flatten()(attention(1, x))
    elif name == "single":
        x = layers.Flatten()(attention(1, gru(1, x, True)))
    else:
        depth = STACKS[name]
        for number in range(1, depth):
            x = attention(number, gru(number, x, True))
        x = layers.Dropout(config.dropout)(gru(depth, x, False))
    x = layers.LeakyReLU(config.leaky_slope)(layers.Dense(config.dense, name="dense")(x))
    return keras.Model(tokens, layers.Dense(config.classes, activation="softmax", name="output")(x))


GRU_PARTS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def checkpoint_shapes(model: keras.Model) -> dict[str, list[int]]:
    """Etude's names and shapes. The gates' order and the matrices' layout are Keras'."""
    shapes: dict[str, list[int]] = {}
    for layer in model.layers:
        sizes = [list(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.Bidirectional):
            for number, direction in enumerate(("forward", "backward")):
                kernel, recurrent, bias = sizes[3 * number : 3 * number + 3]
                for part, shape in zip(GRU_PARTS, (kernel, recurrent, bias[1:], bias[1:])):
                    shapes[f"{layer.name}.{direction}.{part}"] = shape
        elif isinstance(layer, SelfAttention):
            shapes[f"{layer.name}.weight"], shapes[f"{layer.name}.bias"] = [1, *sizes[0]], sizes[1]
        elif sizes:
            shapes.update((f"{layer.name}.{part}", shape) for part, shape in zip(("weight", "bias"), sizes))
    return shapes


def load_tensors(model: keras.Model, tensors: dict[str, numpy.ndarray], source: str) -> None:
    check_tensors(tensors, checkpoint_shapes(model), source)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Bidirectional):
            values = []
            for direction in ("forward", "backward"):
                parts = [tensors[f"{layer.name}.{direction}.{part}"] for part in GRU_PARTS]
                values += [parts[0], parts[1], numpy.stack(parts[2:])]
            layer.set_weights(values)
        elif isinstance(layer, SelfAttention):
            layer.set_weights([tensors[f"{layer.name}.weight"][0], tensors[f"{layer.name}.bias"]])
        elif layer.weights:
            names = (f"{layer.name}.{part}" for part in ("weight", "bias"))
            layer.set_weights([tensors[name] for name in names if name in tensors])


def model_of(checkpoint: Checkpoint, source: str) -> keras.Model:
    model = build_model(checkpoint.model, checkpoint.config)
    load_tensors(model, checkpoint.tensors, source)
    return model


def nadam() -> keras.optimizers.legacy.Optimizer:
    """Keras 2's Nadam, schedule 0.96^(0.004 t). The new one of the same name, in TensorFlow since 2.11, has 0.96^t."""
    return keras.optimizers.legacy.Nadam(1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7)


def train_step(
    model: keras.Model, mode: str, embedding_update: str, dropout: bool
) -> Callable[[Any, Any], Any]:
    """One step on the sum of the cross-entropy; gives the sum.

    A `sparse` gradient of the embedding is TensorFlow's own way: all rows of m and v decay, but only the rows
    that the minibatch touched move. `dense` makes it a whole matrix first, as PyTorch does.
    """
    optimiser = nadam()
    variables = model.trainable_variables

    def step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(targets, model(inputs, training=dropout))
        gradients = tape.gradient(losses, variables)
        if embedding_update == "dense":
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimiser.apply_gradients(zip(gradients, variables))
        return tf.reduce_sum(losses)

    if mode == "eager":
        return step
    return tf.function(step, jit_compile=mode == "xla" or None)


def use_threads(count: int) -> None:
    """Before anything runs. Two directions of a GRU may run beside one another, so operations get as many."""
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def attention_by_formula(x: numpy.ndarray, wa: numpy.ndarray, ba: float, width: int) -> numpy.ndarray:
    out = numpy.empty_like(x)
    for i in range(x.shape[1]):
        e = 1 / (1 + numpy.exp(-(numpy.einsum("bf,fg,bjg->bj", x[:, i], wa, x) + ba)))
        for j in range(x.shape[1]):
            if not i - width // 2 <= j < i + width - width // 2:
                e[:, j] -= 10000
        a = numpy.exp(e - e.max(axis=1, keepdims=True))
        out[:, i] = numpy.einsum("bj,bjf->bf", a / a.sum(axis=1, keepdims=True), x)
    return out


def nadam_by_formula(
    w: numpy.ndarray, gradients: list[numpy.ndarray], rows: list[list[int]] | None
) -> numpy.ndarray:
    """With `rows`, only those move in each step."""
    m, v, product = numpy.zeros_like(w), numpy.zeros_like(w), 1.0
    for t, g in enumerate(gradients, start=1):
        u, following = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * step)) for step in (t, t + 1))
        product *= u
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        direction = (1 - u) * g / (1 - product) + following * m / (1 - product * following)
        move = 1e-3 * direction / (numpy.sqrt(v / (1 - 0.999**t)) + 1e-7)
        if rows is None:
            w = w - move
        else:
            w = w.copy()
            w[rows[t - 1]] -= move[rows[t - 1]]
    return w


def check(name: str, figure: float, limit: float) -> None:
    if not figure <= limit:
        raise PeerError(f"self-test: {name}: {figure:.3g} is more than {limit:.3g}")
    print(f"ok   {name}: {figure:.3g}")


def check_nadam(random: numpy.random.Generator) -> None:
    start = random.standard_normal((11, 3)).astype("float32")
    steps = [random.standard_normal((11, 3)).astype("float32") for _ in range(40)]
    rows = [sorted(random.choice(11, 4, replace=False).tolist()) for _ in steps]
    for kind in EMBEDDING_UPDATES:
        weight, optimiser = tf.Variable(start), nadam()
        wanted = [g.astype("float64") for g in steps]
        for g, touched, exact in zip(steps, rows, wanted):
            if kind == "sparse":
                exact[[row for row in range(11) if row not in touched]] = 0
                g = tf.IndexedSlices(tf.constant(g[touched]), tf.constant(touched), tf.constant(g.shape))
            optimiser.apply_gradients([(tf.convert_to_tensor(g) if kind == "dense" else g, weight)])
        exact = nadam_by_formula(start.astype("float64"), wanted, rows if kind == "sparse" else None)
        check(f"Nadam, {kind}, 40 steps", float(abs(weight.numpy() - exact).max()), 1e-5)


def self_test() -> None:
    """Raises PeerError at the first thing that is not as it should be."""
    for name, wanted in PAPER_PARAMETERS.items():
        found = build_model(name, Config.for_model(name, PAPER_CLASSES)).count_params()
        if found != wanted:
            raise PeerError(f"self-test: {name} has {found} parameters, not {wanted}")
        print(f"ok   {name}: {found:,} parameters")
    random = numpy.random.default_rng(7)
    x = random.standard_normal((2, 9, 6)).astype("float32")
    layer = SelfAttention(4, "sigmoid")
    layer.build(x.shape)
    wa, ba = random.standard_normal((6, 6)).astype("float32"), numpy.float32([0.3])
    layer.set_weights([wa, ba])
    check("attention", float(abs(layer(x).numpy() - attention_by_formula(x, wa, 0.3, 4)).max()), 1e-5)
    check_nadam(random)


def main() -> int:
    parser = argparse.ArgumentParser(description="Etude's models in Keras: self-test, show a checkpoint.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("self-test", help="parameter counts, the attention and Nadam against their formulas")
    show = commands.add_parser("show", help="the layers of a checkpoint")
    show.add_argument("checkpoint", type=Path)
    options = parser.parse_args()
    if options.command == "self-test":
        self_test()
        print("all passed")
    else:
        model_of(read_checkpoint(options.checkpoint), str(options.checkpoint)).summary()
    return 0


if __name__ == "__main__":
    run_main(main)
