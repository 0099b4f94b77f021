#!/usr/bin/env python3
"""Times a training step (forward, backward, Nadam) of each model in Etude, PyTorch and Keras, by turns.

For every model the rounds alternate: some steps of Etude, then the same of PyTorch, then of Keras, in processes of
their own, on the same minibatches, with the same number of threads. Who is not asked sleeps. Each round's
first steps are warm-up and not counted.

    step_time.py --keras-python keras/bin/python --markdown step_time.md       the README's table
    step_time.py --models rnn --rounds 1 --steps 2                             only to see that it runs
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import (
    PAPER_CLASSES,
    TABLE_MODELS,
    PeerError,
    machine,
    models_of,
    read_tensors,
    run_main,
    spread,
    told,
    warn_if_busy,
    write_json,
    write_text,
)
from etude_program import Etude, add_etude_options
from worker_process import Peers, Worker

ETUDE = "Etude"
ETUDE_PRECISIONS = ("bf16", "tf32")


class EtudeSteps:
    """Etude's turn: a process each time; ms from its steps.csv."""

    def __init__(self, etude: Etude, model: str, words: list[str], options: argparse.Namespace) -> None:
        self.etude, self.model, self.options = etude, model, options
        classes = ["--vocab", str(options.vocab)] if options.vocab else []
        self.words = [
            "--batch", str(options.batch), "--dropout", str(options.dropout), "--pedal", options.pedal,
            *classes, *words,
        ]  # fmt: skip
        self.versions: dict[str, str] = {}

    def steps(self, count: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "out"
            rows, run = self.etude.train(self.model, folder, count, self.options.seed, *self.words)
            classes = len(read_tensors(folder / "model.safetensors")[0]["embedding.weight"])
        if classes != self.options.classes:
            raise PeerError(f"Etude trained with {classes} classes, not {self.options.classes}")
        return {"ms": [row["model_ms"] for row in rows], "peak_mib": run.peak_mib}

    def close(self) -> None:
        pass


class WorkerSteps:
    """A peer's turn: a process that lives through all rounds of a model, on the minibatches of Etude's run."""

    def __init__(
        self,
        framework: str,
        mode: str,
        python: str,
        model: str,
        words: list[str],
        options: argparse.Namespace,
    ) -> None:
        self.worker = Worker(
            framework, python, options.threads, "--mode", mode, "--model", model, "--classes", str(options.classes),
            "--minibatches", str(options.minibatches), "--dropout", str(options.dropout),
            "--seed", str(options.seed), *words,
        )  # fmt: skip
        self.versions = self.worker.versions

    def steps(self, count: int) -> dict[str, Any]:
        return self.worker.steps(count, first=0)

    def close(self) -> None:
        self.worker.close()


Start = Callable[[str], Any]


def columns(etude: Etude, options: argparse.Namespace) -> dict[str, Start]:
    """Title -> what starts its turns with a model."""

    def etude_column(words: list[str]) -> Start:
        return lambda model: EtudeSteps(etude, model, words + options.etude_option, options)

    def worker_column(framework: str, mode: str, python: str, words: list[str]) -> Start:
        return lambda model: WorkerSteps(framework, mode, python, model, words, options)

    found = {ETUDE: etude_column([])}
    for precision in options.etude_also:
        found[f"{ETUDE} {precision}"] = etude_column(["--precision", precision])
    found["PyTorch"] = worker_column("torch", "eager", options.torch_python, [])
    if options.torch_compile:
        found["PyTorch compiled"] = worker_column("torch", "compile", options.torch_python, [])
    for mode in options.keras_modes:
        title = "Keras" if mode == "function" else f"Keras {mode}"
        words = ["--embedding-update", options.keras_embedding]
        found[title] = worker_column("keras", mode, options.keras_python, words)
    return found


class Turns:
    """One column of one model: what was measured, or why there is nothing (more)."""

    def __init__(self, title: str, start: Callable[[], Any], peers: Peers) -> None:
        self.title, self.peers = title, peers
        self.rounds: list[list[float]] = []
        self.peak = 0.0
        self.versions: dict[str, str] = {}
        self.reason = ""
        self.runner: Any = None
        try:
            self.runner = start()
            self.versions = self.runner.versions
        except PeerError as error:
            self.reason = peers.skip(title, str(error))

    def turn(self, count: int, warmup: int) -> None:
        if self.reason:
            return
        try:
            answer = self.runner.steps(count)
        except PeerError as error:
            after = f" (after round {len(self.rounds)})" if self.rounds else ""
            self.reason = self.peers.skip(self.title, str(error)) + after
            return
        self.rounds.append(answer["ms"][warmup:])
        self.peak = max(self.peak, answer["peak_mib"])

    def close(self) -> None:
        if self.runner:
            self.runner.close()

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = {"versions": self.versions} if self.versions else {}
        if self.rounds:
            steps = [value for single in self.rounds for value in single]
            found.update(spread(steps), steps=len(steps), peak_mib=self.peak)
            found["round_medians"] = [statistics.median(single) for single in self.rounds]
        if self.reason:
            found["stopped" if self.rounds else "skipped"] = self.reason
        return found


def summarise(turns: list[Turns]) -> dict[str, Any]:
    """Each column's figures, and beside Etude's its ratios: of the medians of each round, and of the peaks."""
    result = {turn.title: turn.figures() for turn in turns}
    ours = result[ETUDE]
    for title, theirs in result.items():
        if title != ETUDE and "median" in ours and "median" in theirs:
            pairs = [b / a for a, b in zip(ours["round_medians"], theirs["round_medians"])]
            theirs["ratio"] = spread(pairs) | {"pairs": pairs}
            theirs["memory_ratio"] = theirs["peak_mib"] / ours["peak_mib"]
    return result


def measure(
    model: str, starts: dict[str, Start], peers: Peers, options: argparse.Namespace
) -> dict[str, Any]:
    """All rounds of one model. Interrupted, it gives what it has and says so in options.interrupted."""
    turns: list[Turns] = []
    try:
        for title, start in starts.items():
            turns.append(Turns(title, lambda start=start: start(model), peers))
        for number in range(1, options.rounds + 1):
            for turn in turns:
                print(
                    f"{model}: round {number} of {options.rounds}, {turn.title}   ", end="\r", file=sys.stderr
                )
                turn.turn(options.warmup + options.steps, options.warmup)
    except KeyboardInterrupt:
        options.interrupted = True
    finally:
        print(" " * 70, end="\r", file=sys.stderr)
        for turn in turns:
            turn.close()
    for title in list(starts)[len(turns) :]:
        turns.append(Turns(title, interrupted, Peers()))
    for turn in turns:
        if options.interrupted and len(turn.rounds) < options.rounds and not turn.reason:
            turn.reason = "interrupted"
    return summarise(turns)


def interrupted() -> None:
    raise PeerError("interrupted")


def text_rows(model: str, result: dict[str, Any]) -> str:
    lines = []
    for title, found in result.items():
        line = f"{model:12s} {title:17s} "
        if "median" in found:
            ratio = told(found["ratio"], 2) if "ratio" in found else ""
            memory = f"{found['memory_ratio']:.1f}" if "memory_ratio" in found else ""
            line += f"{told(found):>26s} {ratio:>22s} {found['peak_mib']:9.0f} {memory:>6s}"
        for word in ("skipped", "stopped"):
            if word in found:
                line += f" {word}: {found[word]}"
        lines.append(line.rstrip())
        model = ""
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """The README's table: ms a step, how many times faster Etude is, peak memory."""
    titles = report["columns"]
    peers = [title for title in titles if title != ETUDE]
    head = ["model", f"{ETUDE}, ms"]
    for title in peers:
        head += [f"{title}, ms", "ratio by pairs"]
    lines = [head + [f"peak MiB: {', '.join(titles)}"], ["---"] * (len(head) + 1)]
    for model, result in report["models"].items():
        line = [f"`{model}`"]
        for title in titles:
            found = result[title]
            cell = told(found) if "median" in found else ""
            for word in ("skipped", "stopped"):
                cell += f"{' ' if cell else ''}{word}: {found[word]}" if word in found else ""
            line.append(cell.replace("|", "\\|"))
            if title != ETUDE:
                line.append(told(found["ratio"], 2) if "ratio" in found else "")
        peaks = (
            f"{result[title]['peak_mib']:,.0f}" if "peak_mib" in result[title] else "-" for title in titles
        )
        lines.append([*line, ", ".join(peaks)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time a training step of each model: Etude, PyTorch and Keras by turns, on the same machine in one run.",
        epilog="The ratio is a peer's median over Etude's in the same round: the median over the rounds, and least to most. A peer "
        "that is missing or fails is named on stderr and in its column; what was measured before stays. "
        "Exit status 1 when Etude itself was not measured, 130 after Ctrl-C.",
    )
    add_etude_options(parser)
    parser.add_argument(
        "--models", default=",".join(TABLE_MODELS), help="comma-separated (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="alternations (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="counted steps a round (default: %(default)s)")
    parser.add_argument(
        "--warmup", type=int, default=3, help="uncounted steps a round (default: %(default)s)"
    )
    parser.add_argument("--batch", type=int, default=96, help="(default: %(default)s)")
    parser.add_argument(
        "--vocab", type=int, default=PAPER_CLASSES,
        help="classes; 0: as many as the data has (default: the paper's, %(default)s)",
    )  # fmt: skip
    parser.add_argument("--dropout", type=float, default=0.3, help="(default: %(default)s)")
    parser.add_argument(
        "--pedal", choices=("compat", "off"), default="compat", help="of the data (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument(
        "--etude-also",
        default="",
        metavar="PRECISION,...",
        help=f"more columns of Etude: {', '.join(ETUDE_PRECISIONS)}",
    )
    parser.add_argument(
        "--etude-option", action="append", default=[], metavar="WORD",
        help="one more word for `etude train`, as in --etude-option=--heads --etude-option=2",
    )  # fmt: skip
    parser.add_argument(
        "--torch-python", default=sys.executable, metavar="PROGRAM",
        help="the Python that has PyTorch (requirements.txt; default: the one that runs this)",
    )  # fmt: skip
    parser.add_argument("--torch-compile", action="store_true", help="one more column: torch.compile")
    parser.add_argument(
        "--keras-python", default=sys.executable, metavar="PROGRAM",
        help="the Python that has TensorFlow (requirements-keras.txt; default: the one that runs this)",
    )  # fmt: skip
    parser.add_argument(
        "--keras-modes", default="function", metavar="MODE,...",
        help="columns of Keras: function (tf.function, the notebook's), eager, xla (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--keras-embedding", choices=("sparse", "dense"), default="sparse",
        help="update of Keras' embedding: its own, or as in PyTorch and Etude (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="the figures, after every model")
    parser.add_argument("--markdown", metavar="FILE", help="the README's table")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1 or options.warmup < 0:
        parser.error("at least one round of one step")
    options.models = models_of(parser, options.models)
    options.etude_also = [word for word in options.etude_also.split(",") if word]
    options.keras_modes = options.keras_modes.split(",")
    for words, known in (
        (options.etude_also, ETUDE_PRECISIONS),
        (options.keras_modes, ("function", "eager", "xla")),
    ):
        unknown = [word for word in words if word not in known]
        if unknown:
            parser.error(f"'{unknown[0]}' is none of {', '.join(known)}")
    options.interrupted = False
    return options


def keep(report: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        write_json(options.json, report)
    if options.markdown:
        write_text(options.markdown, markdown(report))


def main() -> int:
    options = parse()
    etude = Etude(options.etude, options.data, options.threads)
    warn_if_busy()
    settings = (
        "rounds",
        "steps",
        "warmup",
        "threads",
        "batch",
        "dropout",
        "pedal",
        "seed",
        "keras_embedding",
    )
    with tempfile.TemporaryDirectory() as name:
        more = ["--batch", str(options.batch), "--pedal", options.pedal]
        data = etude.minibatches(options.warmup + options.steps, options.seed, Path(name), *more)
        options.minibatches, options.classes = data.path, options.vocab or data.classes
        starts = columns(etude, options)
        report: dict[str, Any] = {
            "format": "etude-step-time", "version": 2,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "settings": {word: getattr(options, word) for word in settings} | {"classes": options.classes},
            "columns": list(starts),
            "models": {},
        }  # fmt: skip
        print(
            f"{'model':12s} {'':17s} {'ms a step: median (spread)':>26s} {'ratio to Etude':>22s} "
            f"{'peak MiB':>9s} {'ratio':>6s}"
        )
        peers = Peers()
        for model in options.models:
            report["models"][model] = measure(model, starts, peers, options)
            print(text_rows(model, report["models"][model]), flush=True)
            report["machine"]["load_at_end"] = machine()["load"]
            keep(report, options)
            if options.interrupted:
                raise KeyboardInterrupt
    measured = all("median" in result[ETUDE] for result in report["models"].values())
    return 0 if measured else 1


if __name__ == "__main__":
    run_main(main)
