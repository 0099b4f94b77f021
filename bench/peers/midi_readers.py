#!/usr/bin/env python3
"""Reads the same MIDI files with Etude, symusic, mido and pretty_midi, one thread each, by turns.

Parsing to notes: the files' bytes lie in memory, and each reader makes its notes of all of them. To
tokens: from the files on disk to one array of tokens, Etude's way and with pretty_midi and the notebook's functions
(notebook_data.py). Ratios are taken within a round, and are medians over the rounds with least and most.

    midi_readers.py --data maestro100 --markdown readers.md
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import REPOSITORY, PeerError, machine, run_main, spread, told, warn_if_busy, write_json, write_text
from worker_process import LineProcess

PROGRAM = REPOSITORY / "build" / "release" / "bench" / "bench_midi_readers"
Reader = Callable[[bytes], int]  # a file's bytes to the number of its notes (mido: of its events)


def symusic_reader(unit: str) -> Reader:
    import symusic

    return lambda data: sum(len(track.notes) for track in symusic.Score.from_midi(data, ttype=unit).tracks)


def read_with_mido(data: bytes) -> int:
    import mido

    return sum(len(track) for track in mido.MidiFile(file=io.BytesIO(data)).tracks)


def read_with_pretty_midi(data: bytes) -> int:
    import pretty_midi

    return sum(len(i.notes) for i in pretty_midi.PrettyMIDI(io.BytesIO(data)).instruments)


def make_tokens(files: list[Path]) -> tuple[int, int]:
    """The notebook's functions: the dictionary, and each song's columns looked up in it."""
    import numpy
    from notebook_data import chord, read_song

    songs = [read_song(file, "compat") for file in files]
    dictionary: dict[str, int] = {}
    for song in songs:
        for pitches in song.values():
            dictionary.setdefault(chord(pitches), len(dictionary) + 1)
    dictionary["e"] = len(dictionary) + 1
    arrays = []
    for song in songs:
        first, last = min(song), max(song)
        columns = range(first, last + 1)
        arrays.append(numpy.array([dictionary[chord(song[c]) if c in song else "e"] for c in columns]))
    tokens = numpy.concatenate(arrays)
    return len(dictionary), len(tokens) + 49 * len(files)  # 49 silences before each song


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return (time.perf_counter() - start) * 1e3, result


class Contest:
    """By name of reader: ms of each round, and the counts that it came to."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {}
        self.ratio: dict[str, list[float]] = {}
        self.counts: dict[str, Any] = {}

    def add(self, name: str, ms: float, count: Any, beside: float) -> None:
        if self.counts.setdefault(name, count) != count:
            raise PeerError(f"{name}: {count} where it had {self.counts[name]} before")
        self.ms.setdefault(name, []).append(ms)
        self.ratio.setdefault(name, []).append(ms / beside)

    def rows(self, files: int, size: int, noun: str) -> list[str]:
        lines = [
            f"| reader | ms (least to most) | files/s | MB/s | {noun} | time / Etude's (least to most) |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for name, ms in self.ms.items():
            median = spread(ms)["median"]
            lines.append(
                f"| {name} | {told(spread(ms))} | {files / median * 1e3:,.0f} | {size / median / 1e3:,.1f} | "
                f"{self.counts[name]:,} | {told(spread(self.ratio[name]), 2)} |"
            )
        return lines


def parsing(etude: LineProcess, data: list[bytes], rounds: int, slow_rounds: int) -> Contest:
    contest = Contest()
    readers: dict[str, tuple[str, Reader, int]] = {
        "symusic, to notes in ticks": ("notes", symusic_reader("tick"), rounds),
        "symusic, to notes in seconds": ("seconds", symusic_reader("second"), rounds),
        "mido, to events": ("events", read_with_mido, slow_rounds),
        "pretty_midi, to notes in seconds": ("seconds", read_with_pretty_midi, slow_rounds),
    }
    for round_number in range(rounds):
        for name, (what, read, most) in readers.items():
            if round_number >= most:
                continue
            ours = etude.ask({"do": what})
            theirs, count = timed(lambda read=read: sum(read(d) for d in data))
            unit = {"notes": "to notes in ticks", "seconds": "to notes in seconds", "events": "to events"}[what]
            contest.add(f"Etude, {unit}", ours["ms"], ours.get("notes", ours.get("events")), ours["ms"])
            contest.add(name, theirs, count, ours["ms"])
        tell(f"parsing, round {round_number + 1} of {rounds}")
    if contest.counts["pretty_midi, to notes in seconds"] != contest.counts["Etude, to notes in seconds"]:
        raise PeerError(f"pretty_midi and Etude differ in the number of notes: {contest.counts}")
    return contest


def tokens(etude: LineProcess, files: list[Path], rounds: int, slow_rounds: int) -> Contest:
    contest = Contest()
    etude.ask({"do": "tokens, cached"})  # fills the cache
    for round_number in range(rounds):
        ours = etude.ask({"do": "tokens"})
        for what in ("tokens", "tokens, all cores", "tokens, cached"):
            answer = ours if what == "tokens" else etude.ask({"do": what})
            contest.add(f"Etude, {what}", answer["ms"], answer["tokens"], ours["ms"])
        if round_number < slow_rounds:
            theirs, (vocabulary, count) = timed(lambda: make_tokens(files))
            if vocabulary != ours["vocabulary"]:
                raise PeerError(f"{vocabulary} tokens in the notebook's dictionary, {ours['vocabulary']} in Etude's")
            contest.add("pretty_midi and the notebook's functions", theirs, count, ours["ms"])
        tell(f"tokens, round {round_number + 1} of {rounds}")
    if len(set(contest.counts.values())) != 1:
        raise PeerError(f"the arrays differ in length: {contest.counts}")
    return contest


def tell(text: str) -> None:
    print(f"\r{text}   ", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def versions() -> dict[str, str]:
    import importlib.metadata

    try:
        return {name: importlib.metadata.version(name) for name in ("symusic", "mido", "pretty_midi", "numpy")}
    except importlib.metadata.PackageNotFoundError as error:
        raise PeerError(f"{error.name} is not in this Python (requirements.txt)") from error


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=str(PROGRAM), help="the built bench_midi_readers")
    parser.add_argument("--data", required=True, metavar="FOLDER", help="of .mid and .midi files")
    parser.add_argument("--rounds", type=int, default=15, help="of the fast readers (default: %(default)s)")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of mido and pretty_midi (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="the figures")
    parser.add_argument("--markdown", metavar="FILE", help="the tables")
    options = parser.parse_args()
    if options.rounds < 1 or not 1 <= options.slow_rounds <= options.rounds:
        parser.error("at least one round, and no more slow ones than fast ones")
    return options


def main() -> int:
    options = parse_options()
    files = sorted(p for p in Path(options.data).rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    if not files:
        raise PeerError(f"{options.data}: no .mid or .midi file in it")
    found = versions()
    warn_if_busy()
    data = [file.read_bytes() for file in files]
    size = sum(map(len, data))
    with tempfile.TemporaryDirectory() as cache:
        etude = LineProcess(1, options.program, options.data, cache, *map(str, files))
        try:
            reading = parsing(etude, data, options.rounds, options.slow_rounds)
            making = tokens(etude, files, options.rounds, options.slow_rounds)
        finally:
            etude.close()
    tell("")
    head = (
        f"{len(files)} files, {size / 1e6:.1f} MB, one thread each but where it says all cores; "
        + ", ".join(f"{name} {version}" for name, version in found.items())
        + f", Python {sys.version.split()[0]}; {options.rounds} rounds ({options.slow_rounds} of mido and pretty_midi).\n\n"
    )
    lines = reading.rows(len(files), size, "notes or events") + ["", *making.rows(len(files), size, "tokens")]
    text = head + "\n".join(lines) + "\n"
    print(text, end="")
    if options.markdown:
        write_text(options.markdown, text)
    if options.json:
        contests = {name: vars(c) for name, c in (("parsing", reading), ("tokens", making))}
        write_json(options.json, {"format": "etude-midi-readers", "version": 1, "machine": machine(),
                                  "files": len(files), "bytes": size, "versions": found, **contests})  # fmt: skip
    return 0


if __name__ == "__main__":
    run_main(main)
