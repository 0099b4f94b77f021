#!/usr/bin/env python3
"""Times the data work of the notebook that the paper names, beside Etude's, on the same pieces.

The notebook's way: pretty_midi, a dictionary of the columns that sound, and chords as Python strings. The token
dictionary is made once; then every epoch parses every file again, sixteen songs at a time, builds every window
again as a list of 50 strings, each joined anew from its pitches, and looks all of them up. Before
any time is told, both must have made the same tokens, targets and windows (SHA-256).

    notebook_data.py --data maestro100 --markdown data.md
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from common import PeerError, machine, peak_memory_mib, run_main, warn_if_busy, write_json, write_text
from etude_program import Etude, add_etude_options

FS, WINDOW, BATCH, GROUP = 5, 50, 96, 16
EPOCHS, NOTEBOOK_MINIBATCHES = 4, 2700
PAPER_MINUTES = {
    "rnn": 79 + 39 / 60,
    "attention": 19 + 15 / 60,
    "single": 26 + 42 / 60,
    "double": 18 + 33 / 60,
    "triple": 20 + 28 / 60,
}
HASHES = ("sha256_vocabulary", "sha256_targets_i32le", "sha256_windows_i32le")

Columns = dict[int, numpy.ndarray]  # of one song: where something sounds, the pitches


def read_song(path: Path, pedal: str) -> Columns:
    import pretty_midi

    instrument = pretty_midi.PrettyMIDI(str(path)).instruments[0]
    roll = instrument.get_piano_roll(fs=FS, pedal_threshold=64 if pedal == "compat" else None)
    pitches, columns = numpy.where(roll > 0)
    return {time: pitches[numpy.where(columns == time)] for time in numpy.unique(columns)}


def chord(pitches: numpy.ndarray) -> str:
    return ",".join(str(pitch) for pitch in pitches)


def windows_of(song: Columns) -> tuple[list[list[str]], list[list[str]]]:
    """A window for each column but the last, the silence before the song and in it as `e`; and what follows."""
    inputs, targets = [], []
    times = list(song)
    first, last = times[0], times[-1]
    for now in range(first, last):
        window = []
        for column in range(now - WINDOW + 1, now + 1):
            window.append(chord(song[column]) if column >= first and column in song else "e")
        inputs.append(window)
        targets.append([chord(song[now + 1]) if now + 1 in song else "e"])
    return inputs, targets


def indices(dictionary: dict[str, int], lists: list[list[str]]) -> numpy.ndarray:
    return numpy.array([[dictionary[word] for word in words] for words in lists], dtype=numpy.int32)


class Notebook:
    def __init__(self, files: list[Path], pedal: str) -> None:
        self.files, self.pedal = files, pedal
        self.dictionary: dict[str, int] = {}

    def make_dictionary(self) -> None:
        for number, file in enumerate(self.files, start=1):
            for pitches in read_song(file, self.pedal).values():
                self.dictionary.setdefault(chord(pitches), len(self.dictionary) + 1)
            progress("dictionary", number, len(self.files))
        self.dictionary["e"] = len(self.dictionary) + 1

    def group(self, start: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """All windows of sixteen songs."""
        inputs: list[list[str]] = []
        targets: list[list[str]] = []
        for song in [read_song(file, self.pedal) for file in self.files[start : start + GROUP]]:
            more_inputs, more_targets = windows_of(song)
            inputs += more_inputs
            targets += more_targets
        return indices(self.dictionary, inputs), indices(self.dictionary, targets)


def minibatches(inputs: numpy.ndarray, targets: numpy.ndarray, random: numpy.random.Generator) -> int:
    """Shuffles and takes them one after the other; what is left over is dropped."""
    order = random.permutation(len(inputs))
    count = len(order) // BATCH
    for number in range(count):
        chosen = order[number * BATCH : (number + 1) * BATCH]
        inputs[chosen], targets[chosen]
    return count


def progress(what: str, done: int, of: int) -> None:
    end = "\n" if done == of else "\r"
    print(f"notebook: {what}, {done} of {of} files", end=end, file=sys.stderr)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


@dataclasses.dataclass
class Figures:
    first_minibatch: float  # seconds, from the files
    epoch: float  # seconds, from the files to all of its minibatches
    minibatches: int
    peak_mib: float
    hashes: dict[str, str]


def run_notebook(files: list[Path], pedal: str) -> Figures:
    notebook = Notebook(files, pedal)
    seconds, _ = timed(notebook.make_dictionary)
    words = "".join(f"{word}\n" for word in notebook.dictionary)
    windows, targets = hashlib.sha256(), hashlib.sha256()
    random = numpy.random.default_rng(1)
    figures = Figures(0, 0, 0, 0, {})
    for start in range(0, len(files), GROUP):
        making, (x, y) = timed(lambda: notebook.group(start))
        if start == 0:
            figures.first_minibatch = (
                seconds + making + timed(lambda: minibatches(x[:BATCH], y[:BATCH], random))[0]
            )
        taking, count = timed(lambda: minibatches(x, y, random))
        figures.epoch += making + taking
        figures.minibatches += count
        windows.update(x.astype("<i4").tobytes())
        targets.update(y.astype("<i4").tobytes())
        progress("epoch", min(start + GROUP, len(files)), len(files))
    figures.peak_mib = peak_memory_mib()
    digests = (hashlib.sha256(words.encode()), targets, windows)
    figures.hashes = {name: digest.hexdigest() for name, digest in zip(HASHES, digests)}
    return figures


def describe(etude: Etude, pedal: str) -> tuple[dict[str, Any], list[Path]]:
    """Etude's report on the data, and its files in its order."""
    try:
        report = json.loads(etude.run("dataset", etude.data, "--json", "--pedal", pedal).stdout)
        names = [song["file"] for song in report["per_song"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PeerError(f"`etude dataset --json`: not the JSON expected ({error!r})") from error
    data = Path(etude.data)
    folder = data if data.is_dir() else data.parent
    files = [folder / name for name in names]
    for file in files:
        if not file.is_file():
            raise PeerError(f"{file}: `etude dataset` names this file, and it is not there")
    return report, files


def run_etude(
    etude: Etude, report: dict[str, Any], pedal: str, repeats: int
) -> tuple[Figures, dict[str, list[float]]]:
    """Each a whole run of the program: files to minibatches, which it also writes."""
    count = int(report["minibatches_of_96"])
    times: dict[str, list[float]] = {"first_minibatch": [], "epoch": []}
    peak = 0.0
    with tempfile.TemporaryDirectory() as name:
        out = str(Path(name) / "minibatches.safetensors")
        for _ in range(repeats):
            for what, batches in (("first_minibatch", 1), ("epoch", count)):
                words = ("dataset", etude.data, "--no-cache", "--pedal", pedal, "--batches", str(batches), "--out", out)
                seconds, run = timed(lambda words=words: etude.run(*words))
                times[what].append(seconds)
                peak = max(peak, run.peak_mib)
    medians = (statistics.median(times[what]) for what in ("first_minibatch", "epoch"))
    return Figures(*medians, count, peak, {name: report[name] for name in HASHES}), times


def compare(theirs: Figures, ours: Figures) -> None:
    for name in HASHES:
        if theirs.hashes[name] != ours.hashes[name]:
            raise PeerError(
                f"{name} differs: the notebook's way {theirs.hashes[name]}, Etude {ours.hashes[name]}: no time is told"
            )
    if theirs.minibatches != ours.minibatches:
        raise PeerError(
            f"{theirs.minibatches} minibatches an epoch in the notebook's way, {ours.minibatches} in Etude"
        )


def table(theirs: Figures, ours: Figures) -> str:
    rows = [
        ("files to first minibatch, s", theirs.first_minibatch, ours.first_minibatch, "{:,.3f}"),
        ("an epoch's minibatches from the files, s", theirs.epoch, ours.epoch, "{:,.3f}"),
        ("peak memory, MiB", theirs.peak_mib, ours.peak_mib, "{:,.0f}"),
    ]
    lines = ["| | the notebook's way | Etude | ratio |", "|---|---|---|---|"]
    for what, a, b, form in rows:
        lines.append(f"| {what} | {form.format(a)} | {form.format(b)} | {a / b:,.1f} |")
    return "\n".join(lines) + "\n"


def shares(theirs: Figures) -> tuple[str, dict[str, Any]]:
    """What four epochs of it are of the paper's minutes, as measured and for as many minibatches as the notebook had."""
    measured = EPOCHS * theirs.epoch / 60
    scaled = measured * NOTEBOOK_MINIBATCHES / theirs.minibatches
    lines = [
        f"Four epochs of the notebook's way: {measured:.1f} minutes here ({theirs.minibatches} minibatches an epoch), "
        f"{scaled:.1f} for the notebook's {NOTEBOOK_MINIBATCHES}.",
        "",
        "| | the paper, minutes | share of it, as measured | share, for as many minibatches as the notebook had |",
        "|---|---|---|---|",
    ]
    figures: dict[str, Any] = {"minutes": measured, "minutes_scaled": scaled, "shares": {}}
    for model, minutes in PAPER_MINUTES.items():
        lines.append(f"| `{model}` | {minutes:.1f} | {measured / minutes:.0%} | {scaled / minutes:.0%} |")
        figures["shares"][model] = {"measured": measured / minutes, "scaled": scaled / minutes}
    return "\n".join(lines) + "\n", figures


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Time the notebook's data work beside Etude's on the same pieces.",
        epilog="Both run on one machine after one another; the notebook's way once (minutes for 100 pieces), Etude --repeats "
        "times (median). Etude's times are of whole runs of the program, and include writing the minibatches to a file. "
        "Exit status 1, and no times, if the tokens, targets or windows differ.",
    )
    add_etude_options(parser)
    parser.add_argument(
        "--pedal", choices=("compat", "off"), default="compat",
        help="as pretty_midi today, or as in 2019 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=5, help="of Etude (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="the figures")
    parser.add_argument("--markdown", metavar="FILE", help="the tables")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats: at least 1")
    try:
        import pretty_midi
    except ImportError as error:
        raise PeerError(f"no pretty_midi in this Python ({error}; requirements.txt)") from error
    warn_if_busy()
    etude = Etude(options.etude, options.data, options.threads)
    report, files = describe(etude, options.pedal)
    ours, times = run_etude(etude, report, options.pedal, options.repeats)
    theirs = run_notebook(files, options.pedal)
    compare(theirs, ours)
    text, share = shares(theirs)
    head = (
        f"{len(files)} pieces, {theirs.minibatches} minibatches of {BATCH} an epoch, pedal {options.pedal}; Python "
        f"{sys.version.split()[0]}, pretty_midi {pretty_midi.__version__}, numpy {numpy.__version__}. Tokens, targets and windows "
        f"are the same (SHA-256 of the windows {theirs.hashes['sha256_windows_i32le'][:12]}).\n\n"
    )
    words = f"{head}{table(theirs, ours)}\n{text}"
    print(words, end="")
    if options.markdown:
        write_text(options.markdown, words)
    if options.json:
        figures = {
            "format": "etude-notebook-data", "version": 1, "machine": machine(), "pieces": len(files),
            "pedal": options.pedal, "notebook": dataclasses.asdict(theirs), "etude": dataclasses.asdict(ours),
            "etude_times": times, "four_epochs": share,
        }  # fmt: skip
        write_json(options.json, figures)
    return 0


if __name__ == "__main__":
    run_main(main)
