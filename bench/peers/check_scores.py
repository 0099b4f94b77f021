#!/usr/bin/env python3
"""Reads every MusicXML file of music21's corpus with Etude and with music21, and compares onsets and pitches.

Repeats are played by both, transposing parts sound, of tied notes the first counts. Grace notes have no time of their own in
music21, and move what follows in Etude: onsets of one pitch at most half a quarter note apart are a pair, and Etude may
have one more for each grace note. What differs otherwise is listed; who is right there is for a person to see: the two
unfold unusual repeats differently, and measures and ties that do not add up.

    check_scores.py --only bach --markdown scores.md
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import music21

from common import ETUDE, PeerError, run_main, write_text

Onsets = set[tuple[Fraction, int]]  # in quarter notes, with the pitch
GRACE = Fraction(1, 2)
KINDS = ["the same", "the same but for grace notes", "different", "not read by music21", "not read by Etude"]


def midi_onsets(path: Path) -> Onsets:
    midi = mido.MidiFile(path)
    onsets = set()
    for track in midi.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                onsets.add((Fraction(tick, midi.ticks_per_beat), message.note))
    return onsets


def repeats_in(score: Any) -> bool:
    if any(True for _ in score.recurse().getElementsByClass("RepeatMark")):
        return True
    bars = (bar for m in score.recurse().getElementsByClass("Measure") for bar in (m.leftBarline, m.rightBarline))
    return any(bar is not None and "Repeat" in bar.classes for bar in bars)


def pitches(element: Any) -> Iterator[int]:
    if "Harmony" in element.classes:
        return
    for note in element.notes if isinstance(element, music21.chord.ChordBase) else [element]:
        if hasattr(note, "pitch") and not (note.tie and note.tie.type in ("stop", "continue")):
            yield note.pitch.midi


def music21_onsets(path: Path) -> tuple[Onsets, int]:
    """Without grace notes, and how many of these there are."""
    score = music21.converter.parse(path, forceSource=True)
    if repeats_in(score):
        score = score.expandRepeats()
    onsets = set()
    graces = 0
    for part in score.toSoundingPitch().parts:
        for element in part.flatten().notes:
            if element.duration.isGrace:
                graces += len(list(pitches(element)))
                continue
            onset = Fraction(element.offset).limit_denominator(10000)
            onsets.update((onset, pitch) for pitch in pitches(element))
    return onsets, graces


def ask_music21(path: Path, answers: Any) -> None:
    warnings.simplefilter("ignore")
    try:
        answers.send(music21_onsets(path))
    except Exception as error:  # whatever it throws
        answers.send(repr(error))


def theirs(path: Path, seconds: float) -> tuple[Onsets, int] | str:
    """In a process of its own: some scores keep music21 busy for hours."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=ask_music21, args=(path, there))
    process.start()
    there.close()
    try:
        answer = here.recv() if here.poll(seconds) else f"more than {seconds:g} s"
    except EOFError:
        answer = "its process died"
    process.kill()
    process.join()
    return answer


def without_pairs(ours: Onsets, theirs: Onsets) -> tuple[int, int]:
    """How many onsets remain on each side once near ones of one pitch are paired."""
    left_here = left_there = 0
    for pitch in {pitch for _, pitch in ours | theirs}:
        a = sorted(onset for onset, p in ours if p == pitch)
        b = sorted(onset for onset, p in theirs if p == pitch)
        while a and b:
            if abs(a[-1] - b[-1]) <= GRACE:
                a.pop()
                b.pop()
            elif a[-1] > b[-1]:
                a.pop()
                left_here += 1
            else:
                b.pop()
                left_there += 1
        left_here += len(a)
        left_there += len(b)
    return left_here, left_there


def check(options: argparse.Namespace, path: Path, folder: Path) -> tuple[str, str]:
    """The kind of answer, and what there is to say."""
    out = folder / "score.mid"
    done = subprocess.run([options.etude, "convert", path, out], capture_output=True, text=True, check=False)
    if done.returncode:
        return KINDS[4], done.stderr.strip()
    ours, answer = midi_onsets(out), theirs(path, options.seconds)
    if isinstance(answer, str):
        return KINDS[3], answer
    other, graces = answer
    if ours == other:
        return KINDS[0], f"{len(ours)} onsets"
    here, there = without_pairs(ours - other, other - ours)
    if there == 0 and here <= graces:
        return KINDS[1], f"{len(ours)} onsets"
    return KINDS[2], f"{len(ours)} onsets, in music21 {len(other)}, without a counterpart {here} and {there}, {graces} grace notes"


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compare onsets and pitches of music21's corpus as Etude and music21 read it.",
        epilog="Exit status 0: Etude reads every file.",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="files whose path has it")
    parser.add_argument("--seconds", type=float, default=60, help="for music21, a file (default: %(default)s)")
    parser.add_argument("--markdown", metavar="FILE", help="the table")
    parser.add_argument("--etude", default=str(ETUDE), metavar="PROGRAM", help="(default: build/release/apps/etude)")
    options = parser.parse_args()
    paths = sorted(Path(p) for p in music21.corpus.getCorePaths() if Path(p).suffix in (".mxl", ".xml", ".musicxml"))
    paths = [path for path in paths if options.only in str(path)]
    if not paths:
        raise PeerError(f"no file of the corpus has {options.only} in its path")
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            kind, what = check(options, path, Path(folder))
            counts[kind] += 1
            print(f"{path.parent.name}/{path.name}: {kind}: {what}", flush=True)
    table = "| onsets and pitches | files |\n|---|---:|\n"
    table += "".join(f"| {kind} | {counts[kind]} |\n" for kind in KINDS)
    print(f"\n{table}", end="")
    if options.markdown:
        write_text(options.markdown, table)
    return 1 if counts[KINDS[4]] else 0


if __name__ == "__main__":
    run_main(main)
