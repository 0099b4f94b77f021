"""A small reader and writer of Standard MIDI Files, enough for compile.py and check.py."""
import struct


def _vlq(data, pos):
    value = 0
    while True:
        byte = data[pos]
        pos += 1
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, pos


def _to_vlq(value):
    out = [value & 0x7F]
    value >>= 7
    while value:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    return bytes(reversed(out))


class Midi:
    """tracks: a list of tracks, each a list of (tick, kind, data).

    kind is 'on' (data: channel, pitch, velocity), 'off' (channel, pitch),
    'program' (channel, number), 'meta' (type, bytes) or 'other' (the bytes)."""

    def __init__(self, fmt, division, tracks):
        self.format = fmt
        self.division = division
        self.tracks = tracks


def read(data):
    if data[:4] != b"MThd":
        raise ValueError("not a MIDI file")
    length, fmt, count, division = struct.unpack(">IHHH", data[4:14])
    if division & 0x8000:
        raise ValueError("SMPTE time is not read")
    pos = 8 + length
    tracks = []
    for _ in range(count):
        if data[pos:pos + 4] != b"MTrk":
            raise ValueError("a track header is missing")
        (size,) = struct.unpack(">I", data[pos + 4:pos + 8])
        tracks.append(_read_track(data[pos + 8:pos + 8 + size]))
        pos += 8 + size
    return Midi(fmt, division, tracks)


def _read_track(data):
    events, pos, tick, status = [], 0, 0, 0
    while pos < len(data):
        delta, pos = _vlq(data, pos)
        tick += delta
        if data[pos] & 0x80:
            status = data[pos]
            pos += 1
        if status == 0xFF:
            kind = data[pos]
            size, pos = _vlq(data, pos + 1)
            events.append((tick, "meta", (kind, data[pos:pos + size])))
            pos += size
        elif status in (0xF0, 0xF7):
            size, pos = _vlq(data, pos)
            pos += size
        else:
            high, channel = status & 0xF0, status & 0x0F
            size = 1 if high in (0xC0, 0xD0) else 2
            body = data[pos:pos + size]
            pos += size
            if high == 0x90 and body[1] > 0:
                events.append((tick, "on", (channel, body[0], body[1])))
            elif high == 0x80 or high == 0x90:
                events.append((tick, "off", (channel, body[0])))
            elif high == 0xC0:
                events.append((tick, "program", (channel, body[0])))
            else:
                events.append((tick, "other", bytes([status]) + body))
    return events


def notes(track):
    """The notes of a track as (start, end, pitch, velocity), each off closing the oldest open on."""
    out, held = [], {}
    for tick, kind, data in track:
        if kind == "on":
            held.setdefault((data[0], data[1]), []).append((tick, data[2]))
        elif kind == "off":
            queue = held.get((data[0], data[1]))
            if not queue:
                raise ValueError(f"a note off without a note on: pitch {data[1]} at tick {tick}")
            start, velocity = queue.pop(0)
            out.append((start, tick, data[1], velocity))
    for (_, pitch), queue in held.items():
        if queue:
            raise ValueError(f"pitch {pitch} is never let go")
    return sorted(out)


def write_single(division, head, note_list, end):
    """A format 0 file: head is a list of (tick, bytes) put before the notes of the same tick."""
    events = [(tick, 0, order, body) for order, (tick, body) in enumerate(head)]
    for start, stop, pitch, velocity in note_list:
        events.append((stop, 1, pitch, bytes([0x80, pitch, 64])))
        events.append((start, 2, pitch, bytes([0x90, pitch, velocity])))
    events.sort(key=lambda e: e[:3])
    body, now = b"", 0
    for tick, _, _, data in events:
        body += _to_vlq(tick - now) + data
        now = tick
    body += _to_vlq(max(0, end - now)) + b"\xff\x2f\x00"
    return (b"MThd" + struct.pack(">IHHH", 6, 0, 1, division)
            + b"MTrk" + struct.pack(">I", len(body)) + body)
