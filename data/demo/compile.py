#!/usr/bin/env python3
"""Compiles abc/*.abc to midi/*.mid with abc2midi (Debian package abcmidi).

abc2midi writes one track a voice. Here the voices are joined into one track on one
channel, because a reader of piano music takes the first instrument of a file only.
Any warning of abc2midi, any bar that does not sum up and any voice that ends early
stops the run.

  compile.py                 write midi/*.mid
  compile.py --verify        compile, and compare with the files that are there
  compile.py --bars PIECE    print the notes of each bar, for proof-reading
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import smf

HERE = pathlib.Path(__file__).resolve().parent
NAMES = "C C# D Eb E F F# G Ab A Bb B".split()
VELOCITY = 80


def fail(text):
    sys.exit(f"compile.py: {text}")


def abc2midi(path):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.mid"
        try:
            run = subprocess.run(["abc2midi", str(path), "1", "-o", str(out)],
                                 capture_output=True, text=True)
        except FileNotFoundError:
            fail("abc2midi is not installed (Debian: apt install abcmidi)")
        said = (run.stdout + run.stderr).strip()
        bad = [s for s in said.splitlines() if re.search("warning|error", s, re.I)]
        if bad or not out.exists():
            fail(f"{path.name}: {said}")
        return smf.read(out.read_bytes())


def join(voices):
    """One list of notes from several voices, at most one note of a pitch at a time."""
    by_pitch = {}
    for voice in voices:
        for start, end, pitch, _ in voice:
            by_pitch.setdefault(pitch, []).append((start, end))
    out = []
    for pitch, spans in by_pitch.items():
        longest = {}
        for start, end in spans:
            # struck by two voices at once: one note, as long as the longer of the two
            longest[start] = max(end, longest.get(start, 0))
        starts = sorted(longest)
        for i, start in enumerate(starts):
            end = longest[start]
            if i + 1 < len(starts) and starts[i + 1] < end:
                end = starts[i + 1]  # struck again while held: the earlier note ends there
            out.append((start, end, pitch, VELOCITY))
    return sorted(out)


def header(path):
    """Bar length and upbeat of the piece, in quarters, and the title."""
    text = path.read_text()
    top, bottom = re.search(r"^M:(\d+)/(\d+)", text, re.M).groups()
    title = re.search(r"^T:(.*)$", text, re.M).group(1).strip()
    return 4 * int(top) / int(bottom), title


def build(path):
    midi = abc2midi(path)
    voices = []
    head, names = [], []
    bar, title = header(path)
    for number, track in enumerate(midi.tracks):
        for tick, kind, data in track:
            if kind == "meta" and data[0] in (0x51, 0x58, 0x59) and number == 0:
                head.append((tick, bytes([0xFF, data[0], len(data[1])]) + data[1]))
        # abc2midi strikes every note one tick late
        found = [(start - 1, end, pitch, v) for start, end, pitch, v in smf.notes(track)]
        if found:
            voices.append(found)
    tempos = [h for h in head if h[1][1] == 0x51]
    if len(tempos) != 1 or tempos[0][0] != 0:
        fail(f"{path.name}: one tempo at the start was expected, found {len(tempos)}")
    if len(voices) < 2:
        fail(f"{path.name}: one voice only")
    text = title.encode("ascii")
    head.insert(0, (0, b"\xff\x03" + bytes([len(text)]) + text))
    head.append((0, b"\xc0\x00"))
    joined = join(voices)
    end = max(n[1] for n in joined)
    return midi, voices, joined, smf.write_single(midi.division, head, joined, end)


def print_bars(path):
    midi, voices, joined, _ = build(path)
    bar = round(header(path)[0] * midi.division)
    upbeat = round(UPBEAT.get(path.stem, 0) * midi.division)
    count = max(n[1] for n in joined)
    number = 0 if upbeat else 1
    at = upbeat - bar if upbeat else 0
    while at < count:
        print(f"bar {number}")
        for v, voice in enumerate(voices):
            items = []
            groups = {}
            for s, e, p, _ in voice:
                if at <= s < at + bar:
                    groups.setdefault(s, []).append((p, e))
            for s in sorted(groups):
                names = "+".join(f"{NAMES[p % 12]}{p // 12 - 1}" for p, _ in sorted(groups[s]))
                items.append(f"{(s - at) / midi.division:g}:{names}")
            print(f"  v{v + 1} " + " ".join(items))
        at += bar
        number += 1


UPBEAT = {  # quarters before the first full bar
    "chopin__prelude_op_28_no_4": 1,
    "chopin__prelude_op_28_no_7": 1,
    "beethoven__fuer_elise_woo_59": 0.5,
    "schumann__wild_rider_op_68_no_8": 0.5,
    "schumann__happy_farmer_op_68_no_10": 0.5,
}


def main():
    args = sys.argv[1:]
    if args[:1] == ["--bars"]:
        for name in args[1:]:
            print_bars(HERE / "abc" / f"{pathlib.Path(name).stem}.abc")
        return
    (HERE / "midi").mkdir(exist_ok=True)
    stale = []
    for path in sorted((HERE / "abc").glob("*.abc")):
        _, voices, joined, data = build(path)
        ends = [max(n[1] for n in v) for v in voices]
        target = HERE / "midi" / f"{path.stem}.mid"
        if args == ["--verify"]:
            if not target.exists() or target.read_bytes() != data:
                stale.append(target.name)
        else:
            target.write_bytes(data)
        print(f"{path.stem}: {len(voices)} voices, {len(joined)} notes")
    if stale:
        fail("not what the ABC compiles to: " + ", ".join(stale))


if __name__ == "__main__":
    main()
