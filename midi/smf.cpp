#include "midi/smf.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "midi/error.h"
#include "midi/instrument.h"
#include "midi/smf_track.h"

namespace etude::midi {
namespace {

using Bytes = std::span<const uint8_t>;

uint32_t big_endian(Bytes bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[at + static_cast<size_t>(i)];
  return value;
}

bool has_id(Bytes bytes, size_t at, std::string_view id) {
  return bytes.size() - at >= id.size() &&
         std::equal(id.begin(), id.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

class Parser {
 public:
  // Offsets are those of `bytes`, the whole file; [begin, end) is the part that holds the SMF.
  Parser(Bytes bytes, size_t begin, size_t end, Reading reading, Score& score)
      : bytes_(bytes.first(end)),
        at_(begin),
        score_(score),
        findings_(score, reading),
        track_(bytes_, score, findings_) {}

  void file() {
    header();
    while (bytes_.size() - at_ >= 8) {
      if (!chunk()) break;
    }
    if (at_ < bytes_.size()) {
      findings_.tolerate(
          Deviation::trailing_bytes, at_,
          fmt::format("{} trailing bytes after the last chunk", bytes_.size() - at_));
    }
    if (score_.tracks.empty())
      throw Error::at(score_.name, at_, "no track (MTrk chunk) in the file");
    count_tracks();
  }

 private:
  void header() {
    const size_t start = at_;
    if (bytes_.size() == start) throw Error::at(score_.name, start, "the file is empty");
    if (!has_id(bytes_, start, "MThd")) {
      throw Error::at(score_.name, start, "not a MIDI file: it does not begin with MThd");
    }
    if (bytes_.size() - start < 14) {
      throw Error::at(score_.name, bytes_.size(), "the file ends inside its header");
    }
    const uint32_t length = big_endian(bytes_, start + 4, 4);
    if (length < 6) {
      throw Error::at(score_.name, start + 4, fmt::format("header length {} is below 6", length));
    }
    if (length > bytes_.size() - start - 8) {
      throw Error::at(score_.name, start + 4,
                      fmt::format("header length {} runs past the file", length));
    }
    score_.format = static_cast<int>(big_endian(bytes_, start + 8, 2));
    if (score_.format > 2) {
      findings_.tolerate(Deviation::unknown_format, start + 8,
                         fmt::format("format {} is not 0, 1 or 2", score_.format));
    }
    score_.tracks_declared = static_cast<int>(big_endian(bytes_, start + 10, 2));
    division(start + 12);
    if (length > 6) {
      findings_.tolerate(Deviation::extra_header_bytes, start + 14,
                         fmt::format("{} extra header bytes skipped", length - 6));
    }
    at_ = start + 8 + length;
  }

  void count_tracks() {
    const auto declared = static_cast<size_t>(score_.tracks_declared), found = score_.tracks.size();
    if (found != declared) {
      findings_.tolerate(found < declared ? Deviation::too_few_tracks : Deviation::too_many_tracks,
                         at_, fmt::format("header says {} tracks, {} found", declared, found));
    }
    if (score_.format == 0 && found > 1) {
      findings_.tolerate(Deviation::several_tracks_in_format_0, at_,
                         "format 0 with more than one track");
    }
  }

  void division(size_t at) {
    const auto word = static_cast<int>(big_endian(bytes_, at, 2));
    if (word == 0) throw Error::at(score_.name, at, "ticks per quarter note is 0");
    if (word < 0x8000) {
      score_.division.ticks_per_quarter = word;
      return;
    }
    const int code = 256 - (word >> 8);
    const int ticks = word & 0xFF;
    if ((code != 24 && code != 25 && code != 29 && code != 30) || ticks == 0) {
      throw Error::at(
          score_.name, at,
          fmt::format("SMPTE division of {} frames a second with {} ticks", code, ticks));
    }
    score_.division = {.ticks_per_quarter = 0, .frame_code = code, .ticks_per_frame = ticks};
  }

  // Letters, as the id of a chunk must have; or nothing any more.
  bool chunk_may_begin(size_t at) const {
    return at == bytes_.size() ||
           (bytes_.size() - at >= 8 && std::ranges::all_of(bytes_.subspan(at, 4), [](uint8_t c) {
              return c >= 0x20 && c < 0x7F;
            }));
  }

  // One chunk from at_ on; false when what is there is no chunk.
  bool chunk() {
    if (!chunk_may_begin(at_)) return false;
    if (has_id(bytes_, at_, "MThd")) return false;  // another file behind this one
    const size_t start = at_, begin = at_ + 8;
    const size_t declared = big_endian(bytes_, start + 4, 4);
    if (has_id(bytes_, start, "MTrk")) {
      at_ = track(start, begin, declared);
      return true;
    }
    const auto id = bytes_.subspan(start, 4);
    findings_.tolerate(
        Deviation::unknown_chunk, start,
        fmt::format("unknown chunk '{}' skipped", std::string(id.begin(), id.end())));
    at_ = begin + std::min(declared, bytes_.size() - begin);
    return true;
  }

  // Returns where the next chunk begins.
  size_t track(size_t start, size_t begin, size_t declared) {
    const size_t there = bytes_.size() - begin;
    const size_t end = begin + std::min(declared, there);
    auto read = track_.read(begin, end);
    if (read.how == TrackReader::End::at_end_of_track) {
      return behind_end_of_track(start, declared, read.offset, end);
    }
    if (declared > there) {
      findings_.damage(start + 4,
                       fmt::format("track length runs {} bytes past the file", declared - there));
      return end;
    }
    if (!chunk_may_begin(end)) {  // is the length too small?
      track_.forget();
      const auto longer = track_.read(begin, bytes_.size());
      if (longer.how == TrackReader::End::at_end_of_track) {
        wrong_length(start, declared, longer.offset - begin);
        return longer.offset;
      }
      track_.forget();
      read = track_.read(begin, end);
    }
    if (read.how == TrackReader::End::at_damage) {
      findings_.damage(read.offset, read.damage);
    } else {
      findings_.tolerate(Deviation::missing_end_of_track, end, "no End of Track");
    }
    return end;
  }

  size_t behind_end_of_track(size_t start, size_t declared, size_t offset, size_t end) {
    const bool track_follows = bytes_.size() - offset >= 8 && has_id(bytes_, offset, "MTrk");
    const bool past = declared > end - start - 8;
    if (past ||
        (offset < end && track_follows && (end == bytes_.size() || !chunk_may_begin(end)))) {
      wrong_length(start, declared, offset - start - 8);
      return track_follows || past ? offset : end;
    }
    if (offset < end) {
      findings_.tolerate(Deviation::bytes_after_end_of_track, offset,
                         fmt::format("{} bytes after End of Track", end - offset));
    }
    return end;
  }

  void wrong_length(size_t start, size_t declared, size_t found) {
    findings_.tolerate(Deviation::wrong_chunk_length, start + 4,
                       fmt::format("track length {}, End of Track after {}", declared, found));
  }

  Bytes bytes_;
  size_t at_;
  Score& score_;
  Findings findings_;
  TrackReader track_;
};

// RIFF: "RIFF" size "RMID" then chunks of id and little-endian size, padded to even; "data" is the
// SMF.
bool find_rmid(Bytes bytes, const std::string& name, size_t& begin, size_t& end) {
  if (!has_id(bytes, 0, "RIFF")) return false;
  if (bytes.size() < 12 || !has_id(bytes, 8, "RMID")) {
    throw Error::at(name, 0, "not a MIDI file: a RIFF file that is not RMID");
  }
  size_t at = 12;
  while (bytes.size() - at >= 8) {
    size_t size = 0;
    for (size_t i = 4; i > 0; --i) size = size << 8 | bytes[at + 3 + i];
    const size_t there = bytes.size() - at - 8;
    if (has_id(bytes, at, "data")) {
      begin = at + 8;
      end = begin + std::min(size, there);
      return true;
    }
    if (size + (size & 1) > there) break;
    at += 8 + size + (size & 1);
  }
  throw Error::at(name, at, "RIFF RMID without a data chunk");
}

}  // namespace

Score parse_smf(Bytes bytes, const std::string& name, Reading reading) {
  if (bytes.size() > kMaxFileBytes) {
    throw LimitError(
        name, fmt::format("{} bytes, more than {} are not read", bytes.size(), kMaxFileBytes));
  }
  Score score;
  score.name = name;
  size_t begin = 0;
  size_t end = bytes.size();
  if (find_rmid(bytes, name, begin, end)) {
    Findings(score, reading).tolerate(Deviation::riff_wrapper, 0, "RIFF RMID wrapper removed");
  }
  Parser(bytes, begin, end, reading, score).file();
  if (reading == Reading::strict) {
    for (const Finding& finding : doubtful_notes(score))
      throw Error::at(name, finding.place, finding.what);
  }
  return score;
}

}  // namespace etude::midi
