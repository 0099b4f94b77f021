#!/usr/bin/env python3
"""Makes demo_rolls.json: piano rolls, tokens and samples of data/demo/midi and of rolls/, by pretty_midi.

The pieces of the demo have neither pedal nor tempo changes, so the files in rolls/ are made here
too. They are dedicated to the public domain (CC0 1.0).

    make_demo_rolls.py            write rolls/*.mid and demo_rolls.json
    make_demo_rolls.py --check    compute again and compare with the files
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import mido
import numpy
import pretty_midi
from mido import Message, MetaMessage, MidiFile

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent.parent / "data" / "demo" / "midi"
MADE = HERE / "rolls"
FILE = HERE / "demo_rolls.json"
RATES = (5, 10)
PEDALS = {"pedal": 64, "nopedal": None}  # pedal_threshold; None is what 0.2.8 and before did
WINDOW = 50
Event = tuple[int, mido.Message]  # tick, message


# Rolls


def sounding(path: Path, rate: int, pedal: str) -> list[list[int]]:
    """By column of the first instrument's piano roll, the pitches that sound, ascending."""
    instrument = pretty_midi.PrettyMIDI(str(path)).instruments[0]
    roll = instrument.get_piano_roll(fs=rate, pedal_threshold=PEDALS[pedal])
    return [numpy.flatnonzero(column).tolist() for column in roll.T]


def joined(pitches: list[int]) -> str:
    return ",".join(str(pitch) for pitch in pitches)


def roll_text(columns: list[list[int]], rate: int) -> str:
    lines = [f"# fs={rate} columns={len(columns)}"]
    lines += [f"{step}: {joined(pitches)}" for step, pitches in enumerate(columns) if pitches]
    return "".join(line + "\n" for line in lines)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def roll_figures(path: Path) -> dict[str, object]:
    figures: dict[str, object] = {}
    for pedal in PEDALS:
        for rate in RATES:
            columns = sounding(path, rate, pedal)
            figures.setdefault(pedal, {})[str(rate)] = {
                "columns": len(columns),
                "sha256": sha256(roll_text(columns, rate).encode()),
            }
    return figures


# Tokens


def vocabulary_of(songs: list[list[list[int]]]) -> dict[str, int]:
    """Chords in order of first appearance from 1, then the silence."""
    vocabulary: dict[str, int] = {}
    for columns in songs:
        for pitches in columns:
            if pitches:
                vocabulary.setdefault(joined(pitches), len(vocabulary) + 1)
    vocabulary["e"] = len(vocabulary) + 1
    return vocabulary


def samples_of(columns: list[list[int]], vocabulary: dict[str, int]) -> Iterator[tuple[list[int], int]]:
    """Windows and targets: one for each step from the first with notes up to the one before the last."""
    tokens = [vocabulary[joined(pitches) or "e"] for pitches in columns]
    silence = [vocabulary["e"]] * WINDOW
    steps = [step for step, pitches in enumerate(columns) if pitches]
    for step in range(steps[0], steps[-1]):
        past = silence + tokens[: step + 1]
        yield past[-WINDOW:], tokens[step + 1]


def i32le(numbers: Iterable[object]) -> bytes:
    return numpy.array(list(numbers), dtype="<i4").tobytes()


def token_figures(paths: list[Path], rate: int, pedal: str) -> dict[str, object]:
    songs = [sounding(path, rate, pedal) for path in paths]
    vocabulary = vocabulary_of(songs)
    samples = [sample for columns in songs for sample in samples_of(columns, vocabulary)]
    return {
        "vocabulary_size": len(vocabulary),
        "samples": len(samples),
        "sha256_targets_i32le": sha256(i32le(target for _, target in samples)),
        "sha256_windows_i32le": sha256(i32le(window for window, _ in samples)),
        "sha256_vocabulary": sha256("".join(token + "\n" for token in vocabulary).encode()),
    }


# Files made for what the demo lacks


def note(start: int, end: int, pitch: int, channel: int = 0, velocity: int = 80) -> list[Event]:
    return [
        (start, Message("note_on", note=pitch, velocity=velocity, channel=channel)),
        (end, Message("note_off", note=pitch, velocity=0, channel=channel)),
    ]


def pedal(tick: int, value: int, channel: int = 0) -> list[Event]:
    return [(tick, Message("control_change", control=64, value=value, channel=channel))]


def tempo(tick: int, beats_a_minute: float) -> list[Event]:
    return [(tick, MetaMessage("set_tempo", tempo=round(6e7 / beats_a_minute)))]


def program(tick: int, number: int, channel: int = 0) -> list[Event]:
    return [(tick, Message("program_change", program=number, channel=channel))]


def track_of(events: list[Event]) -> mido.MidiTrack:
    track = mido.MidiTrack()
    now = 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(MetaMessage("end_of_track"))
    return track


def file_of(resolution: int, tracks: list[list[Event]]) -> bytes:
    midi = MidiFile(type=1 if len(tracks) > 1 else 0, ticks_per_beat=resolution)
    midi.tracks.extend(track_of(events) for events in tracks)
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


def pedal_file() -> bytes:
    """The pedal: held notes, values about the threshold, down twice, one tick apart, never lifted."""
    events = []
    for number, pitch in enumerate((48, 55, 60, 64, 67, 72, 67, 64, 60, 55, 52, 50)):
        events += note(240 * number, 240 * number + 200, pitch)
    events += note(960, 1700, 36) + note(3100, 3500, 43) + note(3600, 3700, 47)
    for tick, value in (
        (100, 127), (900, 0),  # an ordinary one
        (1000, 63), (1200, 64), (1300, 100), (1899, 63),  # the threshold; down twice
        (1900, 80), (1901, 0), (1902, 80), (2400, 10),  # lifted for a tick
        (2450, 90), (2460, 0),  # inside a column
        (3000, 127),  # to the end
    ):  # fmt: skip
        events += pedal(tick, value)
    return file_of(480, [events])


def tempo_file() -> bytes:
    """Tempo changes, among them in the middle of notes, and an odd resolution; a pedal across them."""
    head = tempo(0, 97) + tempo(500, 61.5) + tempo(777, 61.5) + tempo(1400, 173) + tempo(2000, 120)
    notes = []
    for number in range(24):
        notes += note(96 * number, 96 * number + 90, 50 + 7 * number % 25)
    notes += note(480, 1500, 38) + note(1390, 2100, 41)
    notes += pedal(450, 127) + pedal(1410, 0) + pedal(1990, 64) + pedal(2050, 20)
    ignored = tempo(600, 30) + note(0, 480, 90, channel=1)  # tempo counts in the first track alone
    return file_of(192, [head, notes, ignored])


def tracks_file() -> bytes:
    """Several instruments, of which the first to close a note counts; notes that overlap; a bend."""
    silent = program(0, 19) + [(0, Message("note_on", note=60, velocity=70))]  # never closed
    piano = pedal(10, 127, 2) + note(0, 700, 64, 2) + note(300, 900, 64, 2)  # struck while it sounds
    piano += note(0, 500, 52, 2) + note(500, 1000, 52, 2)  # again as it ends
    piano += note(950, 1100, 71, 2) + note(960, 960, 72, 2)  # of no length
    piano += pedal(1050, 0, 2) + pedal(1850, 70, 2) + pedal(2900, 0, 2)
    piano += program(1100, 5, 2) + note(1100, 1490, 76, 2)  # another instrument
    piano += program(1500, 0, 2) + note(1500, 2600, 67, 2) + note(1800, 2200, 55, 2)
    piano += [(tick, Message("pitchwheel", pitch=bend, channel=2)) for tick, bend in ((2000, 5000), (2300, 0))]
    piano += [(3000, Message("note_on", note=80, velocity=50, channel=2))]  # never closed
    other = note(0, 1200, 40, 3)  # in the same track, first to begin
    drums = note(100, 160, 35, 9)
    return file_of(240, [tempo(0, 100), silent, other + piano, drums])


MAKERS = {"pedal.mid": pedal_file, "tempo.mid": tempo_file, "tracks.mid": tracks_file}


# The figures


def folder_figures(folder: Path) -> dict[str, object]:
    paths = sorted(folder.glob("*.mid"), key=lambda path: path.name.encode())
    return {
        "rolls": {path.name: roll_figures(path) for path in paths},
        "tokens": {pedal: {str(rate): token_figures(paths, rate, pedal) for rate in RATES} for pedal in PEDALS},
    }


def all_figures() -> dict[str, object]:
    return {
        "made_with": f"pretty_midi {pretty_midi.__version__}, mido {mido.version_info}",
        "roll": "PrettyMIDI(file).instruments[0].get_piano_roll(fs=F), pedal_threshold 64 or (nopedal) None",
        "sha256": 'of the roll as text: "# fs=F columns=C", then "t: p,p,p" for each step with notes',
        "tokens": "files by name; for each step with notes the pitches, ascending and joined by commas, a new "
        'string taking the next index from 1; "e" last. A sample for each step from the first with notes '
        'up to the one before the last: window = the 50 steps up to it, "e" for silent steps and before '
        "the first, target = the step after it",
        "sha256_vocabulary": "tokens in index order, each followed by a newline",
        "demo": folder_figures(DEMO),
        "made": folder_figures(MADE),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the piano rolls' figures, or check them.")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="Tempo, Key")  # tempo.mid is meant to have one to ignore
    files = {MADE / name: make() for name, make in MAKERS.items()}
    if not options.check:
        MADE.mkdir(exist_ok=True)
        for path, data in files.items():
            path.write_bytes(data)
    wrong = [path for path, data in files.items() if path.read_bytes() != data]
    files[FILE] = (json.dumps(all_figures(), indent=1) + "\n").encode()
    if not options.check:
        FILE.write_bytes(files[FILE])
    elif json.loads(FILE.read_text()) != json.loads(files[FILE]):
        wrong.append(FILE)
    for path in wrong:
        print(f"{path.name}: differs from what this script makes", file=sys.stderr)
    for path, data in files.items():
        print(f"{path.name}: {len(data)} bytes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
