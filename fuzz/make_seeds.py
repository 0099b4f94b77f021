#!/usr/bin/env python3
"""Makes fuzz/seeds again: one small file for each thing that a reader knows."""

import json
import pathlib
import struct
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = HERE / "seeds"


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def chunk(name, data):
    return name + struct.pack(">I", len(data)) + data


def smf(form, division, *tracks):
    head = chunk(b"MThd", struct.pack(">HHh", form, len(tracks), division))
    return head + b"".join(chunk(b"MTrk", track) for track in tracks)


END = b"\x00\xff\x2f\x00"
TEMPO = b"\x00\xff\x51\x03\x07\xa1\x20"
NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x40"


def midi():
    running = b"\x00\x90\x3c\x40\x60\x3c\x00\x00\x40\x40\x60\x40\x00"
    pedal = b"\x00\xb0\x40\x7f\x00\x90\x3c\x40\x20\x80\x3c\x40\x20\xb0\x40\x00"
    bends = b"\x00\x90\x3c\x40\x10\xe0\x00\x7f\x10\xe0\x00\x40\x10\x80\x3c\x40"
    others = b"\x00\xc0\x05\x00\xa0\x3c\x10\x00\xd0\x20" + NOTE
    drums = b"\x00\x99\x24\x40\x60\x89\x24\x40"
    sysex = b"\x00\xf0\x03\x7e\x7f\xf7\x00\xf7\x02\x01\x02" + NOTE
    marks = (b"\x00\xff\x03\x01A\x00\xff\x58\x04\x04\x02\x18\x08\x00\xff\x59\x02\xfd\x00"
             b"\x00\xff\x7f\x03abc\x81\x48\xff\x51\x03\x03\xd0\x90" + NOTE)
    twice = b"\x00\x90\x3c\x40\x10\x90\x3c\x50\x10\x80\x3c\x40\x00\x90\x3c\x40\x00\x80\x3c\x00"
    stray = b"\x00\xf1\x01\x00\xf2\x01\x02\x00\xf8" + NOTE
    files = {
        "format0": smf(0, 480, TEMPO + NOTE + END),
        "format1": smf(1, 96, TEMPO + END, NOTE + END, drums + END),
        "format2": smf(2, 24, TEMPO + NOTE + END, NOTE + END),
        "smpte": smf(0, -25 * 256 + 40, NOTE + END),
        "running_status": smf(0, 480, running + END),
        "pedal": smf(0, 480, pedal + END),
        "bends": smf(0, 480, bends + END),
        "other_messages": smf(0, 480, others + END),
        "sysex": smf(0, 480, sysex + END),
        "meta": smf(1, 480, marks + END),
        "notes_twice": smf(0, 480, twice + END),
        "stray_messages": smf(0, 480, stray + END),
        "no_end": smf(0, 480, NOTE),
        "unknown_chunk": smf(0, 480, NOTE + END) + chunk(b"XFIH", b"abc"),
        "cut_short": smf(0, 480, NOTE + NOTE + END)[:-7],
        "long_delta": smf(0, 1, b"\xff\xff\xff\x7f\x90\x3c\x40\x60\x80\x3c\x40" + END),
    }
    file = files["format0"]
    files["riff"] = b"RIFF" + struct.pack("<I", len(file) + 12) + b"RMIDdata" + struct.pack(
        "<I", len(file)) + file
    for name, data in files.items():
        write("midi", name + ".mid", data)
        write("convert", name + ".mid", data)
    demo = HERE.parent / "data/demo/midi/chopin__prelude_op_28_no_7.mid"
    write("midi", "prelude.mid", demo.read_bytes())


def table():
    head = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n"
    rows = ['A,"B, ""C""",train,2004,2004/a.midi,a.wav,1.5', "D,E,test,2006,2006/b.midi,b.wav,2"]
    write("table", "table.csv", (head + "\n".join(rows) + "\n").encode())
    write("table", "windows.csv", b"\xef\xbb\xbf" + (head + "\r\n".join(rows)).encode())
    write("table", "short.csv", b'midi_filename\n"a\nb"\n\nc\n')
    write("table", "open_quote.csv", b'midi_filename\n"a\n')
    columns = {"midi_filename": {"0": "a.midi", "1": "b.midi"}, "split": {"1": "test", "0": "train"},
               "canonical_composer": {"0": "A"}, "canonical_title": {}}
    write("table", "columns.json", json.dumps(columns).encode())
    array = [{"midi_filename": "a.midi", "split": "train", "canonical_title": "B \u00fc"}]
    write("table", "array.json", json.dumps(array).encode())


def archive():
    date = (1980, 1, 1, 0, 0, 0)

    def made(name, entries, comment=b""):
        path = SEEDS / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as file:
            file.comment = comment
            for entry, data, method, mode in entries:
                info = zipfile.ZipInfo(entry, date)
                info.compress_type = method
                info.external_attr = mode << 16
                file.writestr(info, data)

    stored, deflated = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
    made("stored.zip", [("mimetype", b"text", stored, 0o100644)])
    made("deflated.zip", [("a/b.txt", b"x" * 300, deflated, 0o100644), ("a/c", b"", stored, 0)])
    made("folders.zip", [("a/", b"", stored, 0o040755), ("a/b", b"b", stored, 0o100644)])
    made("link.zip", [("a", b"/etc", stored, 0o120777)])
    made("outside.zip", [("../a", b"a", stored, 0o100644)])
    made("bzip2.zip", [("a", b"abcabcabc", zipfile.ZIP_BZIP2, 0o100644)])
    made("comment.zip", [("\u00fc", b"u", stored, 0o100644)], b"a comment")


def safetensors():
    def made(name, header, data):
        text = json.dumps(header, separators=(",", ":")).encode()
        write("safetensors", name, struct.pack("<Q", len(text)) + text + data)

    made("two.safetensors", {
        "__metadata__": {"format": "etude"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "I32", "shape": [1, 1], "data_offsets": [8, 12]},
    }, struct.pack("<ffi", 1, 2, 3))
    made("infinite.safetensors", {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
         struct.pack("<f", float("inf")))
    made("scalar.safetensors", {"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}},
         struct.pack("<f", 1))
    made("empty.safetensors", {"a": {"dtype": "BF16", "shape": [0, 3], "data_offsets": [0, 0]}}, b"")
    made("hole.safetensors", {"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, b"ab")


def musicxml():
    def note(step, duration, more="", first=""):
        return (f"<note>{first}<pitch><step>{step}</step><octave>4</octave></pitch>"
                f"<duration>{duration}</duration>{more}</note>")

    def measure(content, tag="measure number='1'"):
        return f"<{tag}>{content}</{tag.split()[0]}>"

    def score(*measures, start=""):
        body = "".join(measure(content) for content in measures)
        return (f"<?xml version='1.0'?>{start}<score-partwise><part-list><score-part id='P1'>"
                "<part-name>A</part-name></score-part></part-list>"
                f"<part id='P1'>{body}</part></score-partwise>").encode()

    head = ("<attributes><divisions>6</divisions><key><fifths>-1</fifths></key><time><beats>2</beats>"
            "<beat-type>4</beat-type></time><staves>2</staves></attributes>")
    back = "<barline><repeat direction='backward' times='3'/></barline>"

    def ending(number, kind):
        return f"<barline><ending number='{number}' type='{kind}'/></barline>"

    files = {
        "notes": score(head + note("C", 6) + note("E", 6, "<staff>2</staff>", "<chord/>") +
                       "<backup><duration>3</duration></backup>" + note("G", 3, "<voice>2</voice>")),
        "ties": score(head + note("C", 12, "<tie type='start'/>"), note("C", 6, "<tie type='stop'/>")),
        "repeats": score(head + note("C", 6), ending("1", "start") + note("D", 6) + back +
                         ending("1", "stop"), ending("2", "start") + note("E", 6) + ending("2", "stop"),
                         "<sound dacapo='yes'/>" + note("F", 6)),
        "graces": score(head + "<note><grace slash='yes'/><pitch><step>D</step><octave>5</octave>"
                        "</pitch></note>" + note("C", 6) + "<note><grace/><pitch><step>B</step>"
                        "<alter>-0.5</alter><octave>3</octave></pitch></note>"),
        "marks": score(head + "<direction><direction-type><metronome><beat-unit>half</beat-unit>"
                       "<per-minute>60</per-minute></metronome></direction-type><offset>2</offset>"
                       "</direction><direction><direction-type><dynamics><fp/></dynamics>"
                       "</direction-type></direction>" + note("C", 6)),
        "doctype": score(note("C", 1), start="<!DOCTYPE score-partwise [<!ENTITY a 'b'>]>"),
    }
    files["timewise"] = ("<score-timewise>" + measure(measure(head + note("A", 1.5), "part id='P1'"))
                         + "</score-timewise>").encode()
    files["utf16"] = files["notes"].decode().encode("utf-16")
    for name, data in files.items():
        write("musicxml", name + ".musicxml", data)

    container = b"<container><rootfiles><rootfile full-path='score.xml'/></rootfiles></container>"
    write("mxl", "two_files", container + b"\0" + files["ties"])
    write("mxl", "no_score", container.replace(b"score", b"other") + b"\0" + files["ties"])
    with zipfile.ZipFile(SEEDS / "mxl" / "ties.mxl", "w") as file:
        for name, data in (("META-INF/container.xml", container), ("score.xml", files["ties"])):
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


if __name__ == "__main__":
    midi()
    table()
    archive()
    safetensors()
    musicxml()
