// Small files that ask for much: MusicXML and ZIP archives whose cost must not grow faster than
// their size. Each is read in a process of its own, with a bound on its time and on its memory.

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "midi/archive.h"
#include "midi/error.h"
#include "midi/musicxml.h"
#include "midi/score_file.h"
#include "tests/midi_files.h"
#include "tests/program.h"
#include "tests/zip_files.h"

using namespace etude;
using namespace etude::tests;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryCounts = false;  // the sanitizer's own is far more
#else
constexpr bool kMemoryCounts = true;
#endif
constexpr rlim_t kSeconds = 5;  // of the processor: others on the machine take nothing from it

struct Cost {
  std::string error;  // "none", or what() of the midi::Error
  long mebibytes;     // beyond what the test had before
};

std::string outcome_of(const std::function<void()>& work) {
  try {
    work();
    return "none";
  } catch (const midi::LimitError& error) {
    return std::string("limit: ") + error.what();
  } catch (const midi::Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("not an Error: ") + error.what();
  }
}

long resident_kibibytes() {
  long size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

Cost cost_of(const std::function<void()>& work) {
  const TemporaryFolder folder;
  const long before = resident_kibibytes();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit limit = {kSeconds, kSeconds};
    setrlimit(RLIMIT_CPU, &limit);
    folder.write("outcome", outcome_of(work));
    _exit(0);
  }
  int status = 0;
  rusage usage = {};
  REQUIRE(wait4(child, &status, 0, &usage) == child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return {fmt::format("ended by signal {}", WIFSIGNALED(status) ? WTERMSIG(status) : 0), 0};
  return {file_text(folder / "outcome"), (usage.ru_maxrss - before) / 1024};
}

void check(const Bytes& file, const std::string& error, long mebibytes) {
  const Cost cost = cost_of([&] { midi::parse_score(file, "x"); });
  CAPTURE(file.size());
  INFO(cost.error);
  CHECK(contains(cost.error, error));
  if (kMemoryCounts) CHECK(cost.mebibytes <= mebibytes);
}
void check(const std::string& text, const std::string& error, long mebibytes) {
  check(Bytes(text.begin(), text.end()), error, mebibytes);
}

std::string times(size_t count, const std::function<std::string(size_t)>& text) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text(i);
  return all;
}
std::string times(size_t count, const std::string& text) {
  return times(count, [&](size_t) { return text; });
}

std::string score(const std::string& content) {
  return "<score-partwise>" + content + "</score-partwise>";
}

const std::string kNote =
    "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>";

Bytes compressed(const std::string& container, const std::string& text) {
  const Bytes a(container.begin(), container.end()), b(text.begin(), text.end());
  return midi::write_archive(std::array{midi::NewArchiveEntry{"META-INF/container.xml", a},
                                        midi::NewArchiveEntry{"a.xml", b}});
}
const std::string kContainer =
    "<container><rootfiles><rootfile full-path='a.xml'/></rootfiles></container>";

}  // namespace

TEST_CASE("many attributes of one element") {
  const std::string attributes = times(40'000, [](size_t i) { return fmt::format(" a{}=''", i); });
  const std::string refusal = "more than 100 attributes of an element are not read";
  check(score("\n<part" + attributes + "/>"), "limit: x: line 2: " + refusal, 32);
  check(compressed("<container" + attributes + "/>", score("")),
        "limit: x: META-INF/container.xml: line 1: " + refusal, 32);
  const std::string some = times(100, [](size_t i) { return fmt::format(" a{}='<=>'", i); });
  check(score("<!-- <a" + attributes + "/> --><part" + some + "><measure>" + kNote + "<![CDATA[<a" +
              attributes + "/>]]></measure></part>"),
        "none", 32);
}

TEST_CASE("many instructions, comments and sections, ended and not") {
  for (const char* piece :
       {"<?xml?>", "<?xml a", "<?a?>", "<?xml a?>", "<!---->", "<![CDATA[]]>", "<!-->-->"}) {
    INFO(piece);
    std::string text;
    while (text.size() < 4'000'000) text += piece;
    const Cost cost = cost_of([&] { midi::parse_musicxml(Bytes(text.begin(), text.end()), "x"); });
    CHECK(cost.error != "none");
    CHECK_FALSE(contains(cost.error, "signal"));
  }
}

TEST_CASE("many jumps among many measures") {
  const auto piece = [](const std::string& first, const std::string& each,
                        const std::string& last) {
    return score("<part><measure>" + first + kNote + "</measure>" +
                 times(60'000, "<measure>" + each + "</measure>") + "<measure>" + last +
                 "</measure></part>");
  };
  check(piece("", "<sound dalsegno='x'/>", ""), "none", 128);
  check(piece("", "<sound tocoda='x'/>", "<sound dacapo='yes'/>"), "none", 128);
  check(piece("<sound segno='x'/>", "<sound dalsegno='y'/>", ""),
        "measures with repeats written out are not read", 256);
  // A coda that stands before its To Coda: no end but the limit's.
  check(score("<part><measure><sound coda='x'/></measure><measure><sound tocoda='y'/></measure>" +
              times(20'000, "<measure/>") + "<measure><sound dacapo='yes'/></measure></part>"),
        "measures with repeats written out are not read", 256);
}

TEST_CASE("long and deep names in an archive") {
  const auto open = [](const std::string& name) {
    const Bytes bytes = zip_file({{name, Bytes{'x'}}});
    return cost_of([&] { const midi::Archive archive(bytes, "x"); }).error;
  };
  CHECK(open(times(20'000, "x/") + "y").ends_with(": has a name longer than is read"));
  CHECK(open(times(101, "x/") + "y").ends_with(": lies in more folders than are read"));
  CHECK(open(times(100, "x/") + "y") == "none");
  CHECK(open(std::string(midi::kMaxEntryName, 'x')) == "none");
}

TEST_CASE("markup that asks for more memory than its size") {
  const std::string many = score(times(8'000'000, "<a/>"));
  check(compressed(kContainer, many), "limit: x: a.xml: 32000033 bytes, more than ", 64);
  check(many, "limit: x: line 1: more than 3145728 elements, attributes and texts are not read",
        128);
  const std::string texts = score(times(midi::kMaxNodes / 2, "<a/>x"));
  check(texts, "elements, attributes and texts are not read", 128);
  check(score("<part>" + times(midi::kMaxMeasures, "\n<measure/>") + "</part>"), "none", 128);
  check(score("<part>" + times(midi::kMaxMeasures + 1, "\n<measure/>") + "</part>"),
        "limit: x: line 100002: more than 100000 measures are not read", 128);
}

TEST_CASE("a small score may be as repetitive as it likes") {
  const std::string whole =
      score("<part>" + times(10'000, "<measure>" + kNote + "</measure>") + "</part>");
  check(compressed(kContainer, whole), "none", 128);
}

TEST_CASE("parts that have few of the measures") {
  check(score("<part id='a'>" + times(4'000, "<measure/>") + "</part>" +
              times(900, "<part><measure/></part>")),
        "none", 100);
  const std::string parts =
      times(2'000, [](size_t i) { return fmt::format("<part id='{}'/>", i); });
  const std::string all = "<measure>" + parts + "</measure>";
  check("<score-timewise>" + all + times(20'000, "<measure/>") + all + "</score-timewise>",
        "limit: x: line 1: 20002 measures in 2000 staves are more than are read", 100);
}

TEST_CASE("what one element says of many parts or staves") {
  const auto of_parts = [](const std::string& content) {
    return score("<part-list><score-part id='a'>" + content + "</score-part></part-list>" +
                 times(5'000, "<part id='a'><measure/></part>"));
  };
  check(of_parts("<part-name>" + std::string(100'000, 'x') + "</part-name>"),
        "limit: x: line 1: part names of more than 1000 bytes are not read", 64);
  check(of_parts(
            times(1'000, [](size_t i) { return fmt::format("<score-instrument id='{}'/>", i); })),
        "limit: x: line 1: more than 131070 instruments are not read", 128);
  check(score("<part><measure><attributes><staves>64</staves>" +
              times(70'000,
                    [](size_t i) { return fmt::format("<key><fifths>{}</fifths></key>", i % 7); }) +
              "</attributes></measure></part>"),
        "limit: x: line 1: more than 4194304 keys and programs are not read", 256);
}
