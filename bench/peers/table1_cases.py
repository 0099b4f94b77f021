"""The conditions that table1.py measures."""

from __future__ import annotations

import dataclasses
from typing import Any

from common import PAPER_CLASSES, STACKS

# The smallest sizes with the same operations: what is left of a step is the host's work.
PAPER_SIZE = {"batch": 96, "units": 128, "vocab": PAPER_CLASSES}
SMALLEST = {"batch": 1, "units": 1, "vocab": 2}
SMALL_BATCH = 16
OTHER_CLASSES = (4000, 100_000)


@dataclasses.dataclass(frozen=True)
class Case:
    framework: str  # etude, torch, keras
    gru: str
    mode: str
    model: str
    batch: int
    units: int
    vocab: int
    threads: int = 0  # 0: as all

    @property
    def name(self) -> str:
        sizes = f"B{self.batch} H{self.units} V{self.vocab}" + (
            f" threads {self.threads}" if self.threads else ""
        )
        return f"{self.framework} {self.gru} {self.mode} {self.model} {sizes}"

    @property
    def title(self) -> str:
        return {"etude": "Etude", "torch": "PyTorch", "keras": "Keras"}[self.framework]

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Condition:
    """The same for all models: a row of the table of conditions."""

    framework: str
    gru: str
    mode: str
    title: str
    host: bool = False  # measured at the smallest size too
    all_models: bool = True  # otherwise `rnn` and `double`, the rows in question

    def case(self, model: str, **sizes: int) -> Case:
        return Case(self.framework, self.gru, self.mode, model, **{**PAPER_SIZE, **sizes})


CONDITIONS = (
    Condition("keras", "usual", "function", "Keras, GRU as it comes, tf.function", host=True),
    Condition("keras", "cells", "function", "Keras, RNN(GRUCell), tf.function", host=True),
    Condition("keras", "recurrent_dropout", "function", "Keras, recurrent_dropout=0.3, tf.function"),
    Condition("keras", "relu", "function", "Keras, activation='relu', tf.function", all_models=False),
    Condition("keras", "reset_before", "function", "Keras, reset_after=False, tf.function", all_models=False),
    Condition("keras", "unroll", "function", "Keras, unroll=True, tf.function", all_models=False),
    Condition("keras", "usual", "eager", "Keras, GRU as it comes, eager", host=True),
    Condition("keras", "cells", "eager", "Keras, RNN(GRUCell), eager", host=True),
    Condition("torch", "usual", "eager", "PyTorch, nn.GRU", host=True),
    Condition("torch", "cells", "eager", "PyTorch, nn.GRUCell in a loop", host=True),
    Condition("etude", "fused", "step", "Etude, fused", host=True),
    Condition("etude", "stepwise", "step", "Etude, stepwise", host=True),
)
BASE = {"keras": CONDITIONS[0], "torch": CONDITIONS[8], "etude": CONDITIONS[10]}  # each as it comes


def has_gru(model: str) -> bool:
    return model in STACKS or model == "single"


def applies(condition: Condition, model: str) -> bool:
    """Without a GRU a condition of the GRU is the usual one; it is not measured twice."""
    if condition.gru not in ("usual", "fused") and not has_gru(model):
        return False
    return condition.all_models or model in ("rnn", "double")


def all_cases(model: str, quick: bool) -> list[Case]:
    cases = []
    for condition in CONDITIONS:
        if not applies(condition, model) or (quick and condition.gru == "unroll"):
            continue
        cases.append(condition.case(model))
        if condition.host:
            cases.append(condition.case(model, **SMALLEST))
    for condition in BASE.values():
        if model in ("rnn", "double"):
            cases.append(condition.case(model, batch=SMALL_BATCH))
    if model == "rnn":
        cases += [BASE["keras"].case(model, vocab=classes) for classes in OTHER_CLASSES]
        cases.append(BASE["keras"].case(model, threads=1))
    return cases


def side_cases(model: str) -> list[tuple[str, Case]]:
    """What else Keras is asked about a model."""
    usual = BASE["keras"].case(model)
    return [("retrace", usual), ("save", usual)]
