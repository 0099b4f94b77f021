#!/usr/bin/env python3
"""Opens what `etude convert` writes in music21, and in MuseScore where there is one, and compares the notes.

Each file is laid on its grid and written as MIDI, as MusicXML and as compressed MusicXML. From the MusicXML music21
must read, without a warning, the notes that mido reads from the MIDI: onset, pitch and length, ties merged.

    check_notation.py data/demo/midi --musescore musescore3
"""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import music21

from common import ETUDE, PeerError, run_main

Notes = collections.Counter  # of (onset, length, pitch), in quarter notes
DRUM = -1  # a pitch: music21 does not say which key of a drum kit a note is


def run(*words: str) -> str:
    """Returns what the program told on both streams."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    except OSError as error:
        raise PeerError(f"{words[0]}: {error.strerror}") from error
    if done.returncode:
        raise PeerError(f"{' '.join(words)}: ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout + done.stderr


def midi_notes(path: Path, early: int = 0) -> list[tuple[int, Fraction, Fraction, int]]:
    """Channel, onset, length, pitch. `early`: by how many ticks notes are let go before their end."""
    midi = mido.MidiFile(path)
    beat = midi.ticks_per_beat
    notes = []
    for track in midi.tracks:
        tick = 0
        sounding: dict[tuple[int, int], int] = {}
        for message in track:
            tick += message.time
            if message.type not in ("note_on", "note_off"):
                continue
            channel, pitch = message.channel, message.note
            if message.type == "note_on" and message.velocity:
                sounding[channel, pitch] = tick
            elif (channel, pitch) in sounding:
                onset = sounding.pop((channel, pitch))
                notes.append((channel, Fraction(onset, beat), Fraction(tick + early - onset, beat), pitch))
        if sounding:
            raise PeerError(f"{path}: {len(sounding)} notes without an end")
    return notes


def as_music21_tells(notes: list[tuple[int, Fraction, Fraction, int]]) -> Notes:
    return Notes((onset, length, DRUM if channel == 9 else pitch) for channel, onset, length, pitch in notes)


def as_musescore_plays(notes: list[tuple[int, Fraction, Fraction, int]]) -> Notes:
    """MuseScore does not strike a key that the other hand of the part holds: of two notes of one pitch, one within the
    other's time, it plays the longer."""
    played: Notes = Notes()
    ends: dict[tuple[int, int], Fraction] = {}  # of the note that holds a key, by channel and pitch
    for channel, onset, length, pitch in sorted(notes, key=lambda note: (note[1], -note[2])):
        if onset + length <= ends.get((channel, pitch), Fraction()):
            continue
        ends[channel, pitch] = onset + length
        played[onset, length, pitch] += 1
    return played


def sounds(part: Any) -> Iterator[tuple[Fraction, Fraction, int, str]]:
    """Every written note with what its tie is: start, stop, continue or nothing."""
    for element in part.recurse().notes:
        onset = Fraction(element.getOffsetInHierarchy(part)).limit_denominator(4800)
        length = Fraction(element.quarterLength).limit_denominator(4800)
        for note in element.notes if isinstance(element, music21.chord.ChordBase) else [element]:
            pitch = DRUM if isinstance(note, music21.note.Unpitched) else note.pitch.midi
            yield onset, length, pitch, note.tie.type if note.tie else ""


def music21_notes(path: Path) -> Notes:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = music21.converter.parse(path, forceSource=True).toSoundingPitch()
    notes: Notes = Notes()
    for part in score.parts:
        open_ties: dict[int, tuple[Fraction, Fraction]] = {}  # onset and end so far, by pitch
        for onset, length, pitch, tie in sorted(sounds(part)):
            begun = onset
            if tie in ("stop", "continue"):
                begun, end = open_ties.pop(pitch, (None, None))
                if end != onset:
                    raise PeerError(f"{path}: a tie to pitch {pitch} at {onset} that comes from nowhere")
            if tie in ("start", "continue"):
                open_ties[pitch] = (begun, onset + length)
            else:
                notes[begun, onset + length - begun, pitch] += 1
        if open_ties:
            raise PeerError(f"{path}: {len(open_ties)} ties that lead nowhere")
    return notes


def difference(one: Notes, other: Notes) -> str:
    missing, more = one - other, other - one
    if not missing and not more:
        return ""
    first = min(missing + more)
    return f"{missing.total()} missing, {more.total()} more; the first at {first[0]}, pitch {first[2]}"


class Checker:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder

    def convert(self, source: Path, name: str) -> Path:
        path = self.folder / name
        run(self.options.etude, "convert", str(source), str(path), "--grid", self.options.grid)
        return path

    def check(self, source: Path) -> list[str]:
        """Returns what is wrong."""
        notes = midi_notes(self.convert(source, "notes.mid"))
        expected = as_music21_tells(notes)
        text = self.convert(source, "notation.musicxml")
        compressed = self.convert(source, "notation.mxl")
        faults = []
        for path in (text, compressed):
            if found := difference(expected, music21_notes(path)):
                faults.append(f"music21, {path.suffix}: {found}")
        with zipfile.ZipFile(compressed) as archive:
            if archive.read("score.musicxml") != text.read_bytes():
                faults.append("the .mxl holds another text than the .musicxml")
        if self.options.musescore:
            faults += self.musescore(text, as_musescore_plays(notes))
        print(f"{source.name}: {expected.total()} notes{', '.join([''] + faults)}", flush=True)
        return faults

    def musescore(self, text: Path, expected: Notes) -> list[str]:
        played = self.folder / "played.mid"
        said = run(self.options.musescore, "-o", str(played), str(text))
        if "not a valid MusicXML file" in said:
            return ["MuseScore: not valid"]
        # It lets go of every note one tick early.
        found = difference(expected, as_musescore_plays(midi_notes(played, early=1)))
        return [f"MuseScore: {found}"] if found else []


def files_of(paths: Iterable[str]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        files += sorted(path.glob("*.mid")) if path.is_dir() else [path]
    return files


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Compare the notes of `etude convert`'s MusicXML, as music21 and MuseScore read it, with its own.",
        epilog="Exit status 0: every file opens without a warning and has the same notes.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="MIDI or MusicXML files, or folders of .mid files")
    parser.add_argument("--grid", default="auto", help="columns a quarter note (default: %(default)s)")
    parser.add_argument("--musescore", metavar="PROGRAM", help="MuseScore 3, if it is to open the files too")
    parser.add_argument("--etude", default=str(ETUDE), metavar="PROGRAM", help="(default: build/release/apps/etude)")
    options = parser.parse_args()
    files = files_of(options.files)
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        checker = Checker(options, Path(folder))
        for file in files:
            faults += bool(checker.check(file))
    print(f"{len(files)} files, {faults} with faults")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    run_main(main)
