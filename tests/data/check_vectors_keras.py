#!/usr/bin/env python3
"""Computes the golden vectors in this folder once more, with Keras, and compares.

Needs the last Keras with the Nadam of the time (2.15, with TensorFlow 2.15) and keras-self-attention:

    python3 -m venv keras2
    keras2/bin/pip install -r bench/peers/requirements-keras.txt
    keras2/bin/python tests/data/check_vectors_keras.py
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_KERAS", "1")

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras_self_attention import SeqSelfAttention  # noqa: E402
from safetensors import safe_open  # noqa: E402

HERE = Path(__file__).resolve().parent
LIMIT = 1e-9


class Check:
    """Keeps the largest relative difference of an operation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.compared = 0
        self.worst = 0.0
        self.where = "-"

    def same(self, what: str, found: object, wanted: numpy.ndarray) -> None:
        found = numpy.asarray(found)
        if found.shape != wanted.shape:
            raise SystemExit(f"error: {self.name} {what}: shape {found.shape}, not {wanted.shape}")
        scale = max(float(numpy.abs(wanted).max()), 1e-30)
        difference = float(numpy.abs(found - wanted).max()) / scale
        self.compared += 1
        if not difference <= self.worst:
            self.worst, self.where = difference, what

    def report(self) -> bool:
        print(
            f"{self.name}: {self.compared} tensors, largest difference {self.worst:.2g} of the tensor's largest value ({self.where})"
        )
        return self.worst < LIMIT


def read(name: str) -> tuple[dict[str, numpy.ndarray], dict]:
    with safe_open(str(HERE / f"{name}.safetensors"), framework="numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["about"])


def check_gru() -> Check:
    vectors, about = read("gru")
    check = Check("gru")
    parts = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    for number, size in enumerate(about["cases"]):
        case = f"case{number}"
        for kind in ("sequence", "last"):
            layer = keras.layers.Bidirectional(
                keras.layers.GRU(size["units"], return_sequences=kind == "sequence", reset_after=True)
            )
            x = tf.Variable(vectors[f"{case}.x"])
            layer.build(x.shape)
            weights = []
            for direction in ("forward", "backward"):
                kernel, recurrent, bias, recurrent_bias = (
                    vectors[f"{case}.{direction}.{part}"] for part in parts
                )
                weights += [kernel, recurrent, numpy.stack((bias, recurrent_bias))]
            layer.set_weights(weights)
            with tf.GradientTape() as tape:
                y = layer(x)
                scalar = tf.reduce_sum(y * vectors[f"{case}.{kind}.dy"])
            gradients = tape.gradient(scalar, [x] + layer.trainable_variables)
            check.same(f"{case}.{kind}.y", y, vectors[f"{case}.{kind}.y"])
            check.same(f"{case}.{kind}.dx", gradients[0], vectors[f"{case}.{kind}.dx"])
            for index, direction in enumerate(("forward", "backward")):
                dkernel, drecurrent, dbiases = gradients[1 + 3 * index : 4 + 3 * index]
                for part, found in zip(parts, (dkernel, drecurrent, dbiases[0], dbiases[1])):
                    name = f"{case}.{kind}.{direction}.d{part}"
                    check.same(name, found, vectors[name])
    return check


def check_attention() -> Check:
    vectors, about = read("attention")
    check = Check("attention (one head)")
    for number, case in enumerate(about["cases"]):
        if case["heads"] != 1:
            continue
        name = f"case{number}"
        layer = SeqSelfAttention(
            attention_width=case["width"],
            attention_type=SeqSelfAttention.ATTENTION_TYPE_MUL,
            attention_activation=None if case["activation"] == "none" else case["activation"],
        )
        x = tf.Variable(vectors[f"{name}.x"])
        layer.build(x.shape)
        layer.set_weights([vectors[f"{name}.wa"][0], vectors[f"{name}.ba"]])
        with tf.GradientTape() as tape:
            y = layer(x)
            scalar = tf.reduce_sum(y * vectors[f"{name}.dy"])
        dx, dwa, dba = tape.gradient(scalar, [x] + layer.trainable_variables)
        check.same(f"{name}.y", y, vectors[f"{name}.y"])
        check.same(f"{name}.dx", dx, vectors[f"{name}.dx"])
        check.same(f"{name}.dwa", dwa, vectors[f"{name}.dwa"][0])
        # Without an activation the softmax does not see ba: its gradient is 0 but for rounding.
        if case["activation"] != "none" and case["time"] > 1:
            check.same(f"{name}.dba", dba, vectors[f"{name}.dba"])
    return check


def check_cross_entropy() -> Check:
    vectors, about = read("softmax_cross_entropy")
    check = Check("softmax_cross_entropy")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    for number in range(len(about["cases"])):
        name = f"case{number}"
        logits = tf.Variable(vectors[f"{name}.logits"])
        with tf.GradientTape() as tape:
            losses = loss(vectors[f"{name}.targets"], logits)
            scalar = tf.reduce_sum(losses)
        check.same(f"{name}.losses", losses, vectors[f"{name}.losses"])
        check.same(f"{name}.dlogits", tape.gradient(scalar, logits), vectors[f"{name}.dlogits"])
    return check


def check_nadam() -> Check:
    vectors, _ = read("nadam")
    check = Check("nadam (dense and sparse)")

    def exactly(value: float):
        # A plain float would be rounded to single precision first: 1 - 0.999 is then 1.3e-5 off.
        return lambda: tf.constant(value, tf.float64)

    for kind in ("dense", "sparse"):
        optimiser = tf.keras.optimizers.legacy.Nadam(exactly(1e-3), exactly(0.9), exactly(0.999), 1e-7)
        weight = tf.Variable(vectors[f"{kind}.w0"])
        for step, gradient in enumerate(vectors[f"{kind}.g"]):
            if kind == "sparse":
                gradient = tf.IndexedSlices(
                    tf.constant(vectors["sparse.values"][step]),
                    tf.constant(vectors["sparse.ids"][step]),
                    tf.constant(weight.shape, tf.int32),
                )
            else:
                gradient = tf.constant(gradient)
            optimiser.apply_gradients([(gradient, weight)])
            check.same(f"{kind}.w step {step + 1}", weight, vectors[f"{kind}.w"][step])
            check.same(
                f"{kind}.m step {step + 1}", optimiser.get_slot(weight, "m"), vectors[f"{kind}.m"][step]
            )
            check.same(
                f"{kind}.v step {step + 1}", optimiser.get_slot(weight, "v"), vectors[f"{kind}.v"][step]
            )
    return check


def main() -> int:
    keras.backend.set_floatx("float64")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print(f"Keras {keras.__version__}, TensorFlow {tf.__version__}, float64")
    good = [run().report() for run in (check_gru, check_attention, check_cross_entropy, check_nadam)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
