#!/usr/bin/env python3
"""Checks midi/*.mid: length, pitches, bars, note pairs, one track and one channel, both hands.

With abc2midi installed it also compiles the ABC again and checks that the voices of each
piece end together and that the committed files are what the ABC compiles to."""
import importlib
import pathlib
import shutil
import sys

import smf

HERE = pathlib.Path(__file__).resolve().parent

# piece: (bars with repeats, quarters a bar, upbeat in quarters)
PIECES = {
    "bach__invention_1_bwv_772": (22, 4, 0),
    "bach__musette_bwv_anh_126": (48, 2, 0),
    "bach__prelude_bwv_846": (35, 4, 0),
    "bach__prelude_bwv_847": (38, 4, 0),
    "beethoven__fuer_elise_woo_59": (44, 1.5, 0.5),
    "beethoven__moonlight_sonata_op_27_no_2_i": (28, 4, 0),
    "burgmueller__arabesque_op_100_no_2": (55, 2, 0),
    "chopin__prelude_op_28_no_4": (25, 4, 1),
    "chopin__prelude_op_28_no_7": (16, 3, 1),
    "chopin__prelude_op_28_no_20": (13, 4, 0),
    "clementi__sonatina_op_36_no_1_i": (76, 4, 0),
    "mozart__theme_k_331": (36, 3, 0),
    "petzold__minuet_bwv_anh_114": (64, 3, 0),
    "petzold__minuet_bwv_anh_115": (64, 3, 0),
    "satie__gymnopedie_no_1": (78, 3, 0),
    "schumann__happy_farmer_op_68_no_10": (20, 4, 0.5),
    "schumann__melody_op_68_no_1": (24, 4, 0),
    "schumann__wild_rider_op_68_no_8": (32, 3, 0.5),
}
LEAST_SECONDS = 40.0
troubles = []


def say(name, ok, text):
    if not ok:
        troubles.append(f"{name}: {text}")


def check_midi(name, path):
    bars, bar, upbeat = PIECES[name]
    midi = smf.read(path.read_bytes())
    say(name, midi.format == 0 and len(midi.tracks) == 1, "not one track")
    track = midi.tracks[0]
    tempos = [(t, int.from_bytes(d[1], "big")) for t, k, d in track if k == "meta" and d[0] == 0x51]
    say(name, len(tempos) == 1 and tempos[0][0] == 0, "not one tempo at the start")
    channels = {d[0] for _, k, d in track if k in ("on", "off")}
    say(name, len(channels) == 1, "more than one channel")
    notes = smf.notes(track)
    seconds = max(n[1] for n in notes) * tempos[0][1] / midi.division / 1e6
    say(name, seconds >= LEAST_SECONDS, f"{seconds:.1f} s is too short")
    say(name, all(21 <= n[2] <= 108 for n in notes), "a pitch is not on the piano")
    say(name, all(n[1] > n[0] for n in notes), "a note has no length")
    sounding = {}
    for start, end, pitch, _ in notes:
        say(name, sounding.get(pitch, 0) <= start, f"pitch {pitch} overlaps itself at tick {start}")
        sounding[pitch] = end
    # The last bar must be reached, and not be passed. A last bar may be short by the upbeat
    # and may end with rests.
    beats = max(n[1] for n in notes) / midi.division
    whole = upbeat + bars * bar
    say(name, whole - bar < beats <= whole + 1e-6, f"{beats:g} quarters, {whole:g} were expected")
    # both hands: notes on both sides of the middle third of the range, in every quarter of the piece
    for part in range(4):
        span = [n[2] for n in notes if part * beats / 4 <= n[0] / midi.division < (part + 1) * beats / 4]
        say(name, span and max(span) - min(span) >= 12, f"quarter {part + 1} is not for two hands")
    # no silence of more than two bars
    edge = 0
    for start, end, _, _ in notes:
        say(name, (start - edge) / midi.division <= 2 * bar, f"silence before tick {start}")
        edge = max(edge, end)
    return len(notes), bars, seconds


def check_source(name, compiler, path):
    midi, voices, _, data = compiler.build(HERE / "abc" / f"{name}.abc")
    say(name, data == path.read_bytes(), "the MIDI is not what the ABC compiles to")
    hands = {}
    for number, track in enumerate(midi.tracks):
        total = max([t for t, _, _ in track], default=0)
        if any(k == "on" for _, k, _ in track):
            hands[number] = total
    ends = hands.values()
    say(name, max(ends) - min(ends) <= midi.division, "the voices do not end together")
    say(name, all(len(v) >= 10 for v in voices), "a voice is almost silent")


def main():
    sources = {p.stem for p in (HERE / "abc").glob("*.abc")}
    compiled = {p.stem: p for p in (HERE / "midi").glob("*.mid")}
    for name in sources ^ set(compiled):
        say(name, False, "the ABC or the MIDI is missing")
    for name in set(compiled) ^ set(PIECES):
        say(name, False, "not in the table of check.py, or missing")
    compiler = importlib.import_module("compile") if shutil.which("abc2midi") else None
    total = 0.0
    for name in sorted(set(compiled) & set(PIECES)):
        count, bars, seconds = check_midi(name, compiled[name])
        total += seconds
        if compiler:
            check_source(name, compiler, compiled[name])
        print(f"{name:44s} {bars:3d} bars {seconds:6.1f} s {count:4d} notes")
    print(f"{len(compiled)} pieces, {total:.0f} s" + ("" if compiler else " (abc2midi not found: the ABC was not checked)"))
    for text in troubles:
        print("WRONG " + text)
    sys.exit(1 if troubles else 0)


if __name__ == "__main__":
    main()
