#!/usr/bin/env python3
"""Holds Etude's piano rolls against pretty_midi's, byte for byte, on any MIDI files.

    check_rolls.py maestro100                      every file at 5, 10 and 100 columns a second, pedal and not
    check_rolls.py maestro100 --write hashes.json  pretty_midi's rolls as SHA-256, for tests/test_midi_golden.cpp
    check_rolls.py --invented 300                  files of random events: overlaps, bends, pedals, programs, tempi

Files that pretty_midi cannot read, or in which it finds no instrument, are counted: nothing can be compared. Exit
status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from common import ETUDE, PeerError, run_main, write_json

PEDALS = {"compat": 64, "off": None}  # pedal_threshold; None is what 0.2.8 and before did


def their_rolls(path: Path, rates: list[float]) -> dict[str, str] | str:
    """By "RATE PEDAL", the roll as `etude roll` prints it; or why there is none."""
    import numpy
    import pretty_midi

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            instruments = pretty_midi.PrettyMIDI(str(path)).instruments
    except Exception as error:  # whatever its reader throws
        return repr(error)
    if not instruments:
        return "no instrument"
    rolls = {}
    for rate in rates:
        for pedal, threshold in PEDALS.items():
            roll = instruments[0].get_piano_roll(fs=rate, pedal_threshold=threshold) > 0
            lines = [f"# fs={rate:g} columns={roll.shape[1]}"]
            for column in numpy.flatnonzero(roll.any(axis=0)):
                lines.append(f"{column}: " + ",".join(map(str, numpy.flatnonzero(roll[:, column]))))
            rolls[f"{rate:g} {pedal}"] = "\n".join(lines) + "\n"
    return rolls


def our_roll(etude: str, path: Path, which: str) -> str | None:
    rate, pedal = which.split()
    words = [etude, "roll", str(path), "--fs", rate, "--pedal", pedal]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def compare(etude: str, path: Path, theirs: dict[str, str]) -> list[str]:
    """What differs, in words."""
    faults = []
    for which, text in theirs.items():
        ours = our_roll(etude, path, which)
        if ours is None:
            faults.append(f"{path}: {which}: Etude refuses it")
        elif ours != text:
            line = next((n for n, (a, b) in enumerate(zip(ours.split("\n"), text.split("\n"))) if a != b), -1)
            faults.append(f"{path}: {which}: differs from line {line + 1} on")
    return faults


def invent(path: Path, seed: int) -> None:
    """Few pitches and channels, short times: notes overlap, end where they begin, stay open."""
    import mido

    draw = random.Random(seed)
    kinds = ["note_on"] * 45 + ["note_off"] * 30 + ["pedal"] * 10 + ["bend"] * 5 + ["program"] * 4 + ["tempo"] * 6
    file = mido.MidiFile(type=draw.choice([0, 1]), ticks_per_beat=draw.choice([24, 96, 220, 384, 480, 1024]))
    for _ in range(1 if file.type == 0 else draw.randint(1, 4)):
        file.tracks.append(mido.MidiTrack())
        for _ in range(draw.randint(0, 400)):
            kind = draw.choice(kinds)
            time = draw.choice([0, 0, 0, 1, draw.randint(0, 60), draw.randint(0, 600)])
            channel = draw.choice([0, 0, 0, 1, 9, draw.randint(0, 15)])
            if kind == "tempo":
                file.tracks[-1].append(mido.MetaMessage("set_tempo", tempo=draw.randint(1000, 2_000_000), time=time))
                continue
            name, values = {
                "note_on": ("note_on", {"note": draw.choice([60, 61, draw.randint(0, 127)]), "velocity": draw.choice([0, 1, 64])}),
                "note_off": ("note_off", {"note": draw.choice([60, 61, draw.randint(0, 127)])}),
                "pedal": ("control_change", {"control": draw.choice([64, 64, 66]), "value": draw.choice([0, 63, 64, 127])}),
                "bend": ("pitchwheel", {"pitch": draw.choice([0, -8192, 8191, draw.randint(-8192, 8191)])}),
                "program": ("program_change", {"program": draw.choice([0, 0, 1, 5])}),
            }[kind]
            file.tracks[-1].append(mido.Message(name, channel=channel, time=time, **values))
    file.save(path)


def files_of(paths: list[str]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".mid", ".midi")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise PeerError(f"{path}: no MIDI file")
        files += found
    return files


def check(options: argparse.Namespace, rates: list[float], files: list[Path]) -> int:
    faults: list[str] = []
    hashes: dict[str, dict[str, str]] = {}
    rolls = refused = 0
    for number, path in enumerate(files, start=1):
        theirs = their_rolls(path, rates)
        if isinstance(theirs, str):
            print(f"{path}: pretty_midi has no roll: {theirs}")
            refused += 1
        else:
            new = compare(options.etude, path, theirs)
            print("".join(f"{fault}\n" for fault in new), end="")
            faults += new
            rolls += len(theirs)
            hashes[path.name] = {k: hashlib.sha256(v.encode()).hexdigest() for k, v in theirs.items()}
        print(f"\r{number} of {len(files)} files", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"{rolls} rolls of {len(files) - refused} files compared, {refused} files without a roll there, {len(faults)} differences")
    if options.write:
        write_json(options.write, hashes)
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", metavar="PATH", help="MIDI files, or folders of them")
    parser.add_argument("--invented", type=int, default=0, metavar="N", help="so many files of random events as well")
    parser.add_argument("--fs", default="5,10,100", help="columns a second (default: %(default)s)")
    parser.add_argument("--etude", default=str(ETUDE), metavar="PROGRAM")
    parser.add_argument("--write", metavar="FILE", help="the SHA-256 of each of pretty_midi's rolls")
    options = parser.parse_args()
    try:
        rates = [float(rate) for rate in options.fs.split(",")]
    except ValueError:
        parser.error("--fs: numbers joined by commas")
    if not options.paths and not options.invented:
        parser.error("nothing to compare")
    if options.write and options.invented:
        parser.error("--write is for files that stay")
    folder = Path(tempfile.mkdtemp(prefix="invented-"))
    for seed in range(options.invented):
        invent(folder / f"{seed}.mid", seed)
    status = check(options, rates, files_of(options.paths) + sorted(folder.iterdir()))
    if status == 0:  # else they are to be looked at
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    run_main(main)
