// `etude fetch maestro` against a server with faults, and what --data maestro is then.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "apps/datasets.h"
#include "apps/download.h"
#include "engine/error.h"
#include "midi/archive.h"
#include "midi/sha256.h"
#include "tests/http_server.h"
#include "tests/program.h"
#include "tests/zip_files.h"

using namespace etude;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

constexpr int kPieces = 3;
const std::string kTop = "maestro-v3.0.0/";

// The layout of MAESTRO v3; the licence's text stands for the size of the rest.
Bytes maestro_archive(unsigned seed = 1, const std::string& missing = "") {
  std::mt19937 random(seed);
  Bytes licence(300'000);
  for (uint8_t& byte : licence) byte = static_cast<uint8_t>(random());
  std::string csv =
      "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n";
  std::vector<std::pair<std::string, Bytes>> files = {{"LICENSE", licence}};
  for (int i = 0; i < kPieces; ++i) {
    const std::string file = "2004/piece_" + std::to_string(i) + ".midi";
    csv += "A,\"B, C\"," + std::string(i ? "train" : "test") + ",2004," + file + ",x.wav,8.0\n";
    files.emplace_back(file, small_piece(i + 1, 40));
  }
  files.emplace_back("maestro-v3.0.0.csv", Bytes(csv.begin(), csv.end()));
  files.emplace_back("maestro-v3.0.0.json", Bytes{'{', '}'});
  std::vector<midi::NewArchiveEntry> entries;
  for (const auto& [name, bytes] : files) {
    if (name != missing) entries.push_back({kTop + name, bytes, name == "LICENSE"});
  }
  return midi::write_archive(entries);
}

std::string sha256(const Bytes& bytes) {
  midi::Sha256 sum;
  sum.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return sum.hex();
}

// A cache of the test's own, and no proxy between it and its server.
struct Cache {
  TemporaryFolder folder;
  fs::path etude_folder = folder / "cache/etude";
  fs::path part = etude_folder / "maestro-v3.0.0.zip.part";

  Cache() {
    setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
    setenv("no_proxy", "*", 1);
  }
  Result run(const std::string& arguments, const std::string& before = "") const {
    return etude::tests::etude(folder, arguments, before);
  }
  Result fetch(const std::string& url, const Bytes& archive, const std::string& more = "",
               const std::string& before = "") const {
    return run("fetch maestro --url '" + url + "' --sha256 " + sha256(archive) + " " + more,
               before);
  }
  std::vector<std::string> names() const {
    auto names = names_in(etude_folder);
    std::erase(names, "tokens");  // of commands that read the data
    return names;
  }
};

const std::vector<std::string> kFetched = {"lock", "maestro-v3.0.0"};
const std::vector<std::string> kNothing = {"lock"};

void check_fetched(const Cache& cache, const Result& result) {
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(contains(result.out, "3 pieces, in " + (cache.etude_folder / "maestro-v3.0.0").string()));
  CHECK(contains(result.out, "etude dataset maestro"));
  CHECK(cache.names() == kFetched);
}

// The last line is the error's; those before tell what is going on.
void check_refused(const Result& result, const std::string& part) {
  INFO(result.err);
  CHECK(result.status == 1);
  CHECK(result.out.empty());
  CHECK(contains(result.err, part));
  CHECK(result.err.ends_with("\n"));
}

}  // namespace

TEST_CASE("fetched once, there from then on, and data by its name") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  check_failure(cache.run("dataset maestro"), 1, "run `etude fetch maestro`");
  check_failure(cache.run("train --model rnn --data maestro-v3 --out x"), 1, "etude fetch maestro");

  check_fetched(cache, cache.fetch(server.url(), archive));
  CHECK(server.requests().size() == 1);
  Result again = cache.fetch(server.url(), archive);
  check_fetched(cache, again);
  CHECK(contains(again.err, "it is there already"));
  CHECK(server.requests().size() == 1);

  for (const char* name : {"maestro", "maestro-v3"}) {
    const Result dataset = cache.run(std::string("dataset ") + name);
    INFO(dataset.err);
    CHECK(dataset.status == 0);
    CHECK(contains(dataset.out, "songs                            3"));
  }
  CHECK(contains(cache.run("dataset maestro --split test").out,
                 "songs                            1"));
  CHECK(cache
            .run("train --model attention --data maestro --split train --batch 8 --max-steps 1 "
                 "--out " +
                 quoted(cache.folder / "out"))
            .status == 0);
  // A folder that is called so is meant before the fetched one.
  cache.folder.write("here/maestro/one.mid", small_piece(1, 40));
  const Result here = cache.run("dataset maestro", "cd " + quoted(cache.folder / "here") + " && ");
  CHECK(contains(here.out, "songs                            1"));

  fs::remove(cache.etude_folder / kTop / "2004/piece_1.midi");
  check_fetched(cache, cache.fetch(server.url(), archive));
  CHECK(server.requests().size() == 2);
  // Another archive takes its place.
  const Bytes other = maestro_archive(2);
  server.serve(other, "\"two\"");
  check_fetched(cache, cache.fetch(server.url(), other));
  CHECK(server.requests().size() == 3);
}

TEST_CASE("an archive that is here: a file, a file:// address") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  const fs::path file = cache.folder.write("own.zip", archive);
  check_fetched(cache,
                cache.run("fetch maestro --from " + quoted(file) + " --sha256 " + sha256(archive)));
  CHECK(fs::exists(file));
  fs::remove_all(cache.etude_folder);
  check_fetched(cache, cache.fetch("file://" + file.string(), archive));
  CHECK(fs::exists(file));
  fs::remove_all(cache.etude_folder);
  // MAESTRO's own hash is asked of it where no other is given.
  check_refused(cache.run("fetch maestro --from " + quoted(file)), "not 70470ee253295c8d");
  check_refused(cache.run("fetch maestro --from " + quoted(cache.folder / "none.zip")),
                "none.zip: cannot be opened");
  check_refused(cache.fetch("file:///no/such/file", archive), "file:///no/such/file: ");
  CHECK(fs::exists(file));
}

TEST_CASE("a connection that breaks: only the rest is asked for") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  server.next({{.break_after = 100'000}, {.break_after = 50'000}});
  const Result result = cache.fetch(server.url(), archive);
  check_fetched(cache, result);
  CHECK(contains(result.err, "trying again"));
  CHECK(server.body_bytes() == static_cast<int64_t>(archive.size()));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK_FALSE(contains(requests[0], "Range:"));
  CHECK(contains(requests[1], "\r\nRange: bytes=100000-\r\nIf-Range: \"one\"\r\n"));
  CHECK(contains(requests[2], "\r\nRange: bytes=150000-\r\n"));
}

TEST_CASE("a program that gave up leaves what came to the next one") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  server.next({{.break_after = 100'000}});
  check_refused(cache.fetch(server.url(), archive, "--retries 0"), server.url());
  CHECK(fs::file_size(cache.part) == 100'000);
  SUBCASE("the same file") {
    check_fetched(cache, cache.fetch(server.url(), archive));
    CHECK(server.body_bytes() == static_cast<int64_t>(archive.size()));
  }
  SUBCASE("a server that ignores ranges") {
    server.next({{.ignore_range = true}});
    check_fetched(cache, cache.fetch(server.url(), archive));
    CHECK(server.body_bytes() == static_cast<int64_t>(100'000 + archive.size()));
  }
  SUBCASE("a server that sends another range") {
    server.next({{.wrong_range = true}});
    check_fetched(cache, cache.fetch(server.url(), archive));
    CHECK_FALSE(contains(server.requests().back(), "Range:"));
  }
  SUBCASE("another file under the address") {
    const Bytes other = maestro_archive(2);
    server.serve(other, "\"two\"");
    check_fetched(cache, cache.fetch(server.url(), other));
    CHECK(server.requests().size() == 2);
  }
  SUBCASE("another address") {
    check_fetched(cache, cache.fetch(server.url("/mirror.zip"), archive));
    CHECK_FALSE(contains(server.requests().back(), "Range:"));
  }
  SUBCASE("all of it, but for the end of the program") {
    cache.folder.write("cache/etude/maestro-v3.0.0.zip.part", archive);
    check_fetched(cache, cache.fetch(server.url(), archive));
    CHECK(server.body_bytes() == 100'000);
  }
  SUBCASE("more than the server has") {
    cache.folder.write("cache/etude/maestro-v3.0.0.zip.part", archive + Bytes{1, 2});
    check_fetched(cache, cache.fetch(server.url(), archive));
  }
}

TEST_CASE("Ctrl-C, and on") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  server.next({{.break_after = 100'000, .stall = true}});
  Program program({"fetch", "maestro", "--url", server.url(), "--sha256", sha256(archive)},
                  cache.folder / "out", cache.folder / "err");
  REQUIRE(program.wait_for(cache.part));
  for (int i = 0; i < 1000 && fs::file_size(cache.part) < 100'000; ++i) usleep(10'000);
  program.send(SIGINT);
  CHECK(program.wait() == 128 + SIGINT);
  CHECK(contains(file_text(cache.folder / "err"), "interrupted: 0.1 MB are kept"));
  CHECK(fs::file_size(cache.part) == 100'000);
  check_fetched(cache, cache.fetch(server.url(), archive));
  CHECK(server.body_bytes() == static_cast<int64_t>(archive.size()));
}

TEST_CASE("a connection that falls silent") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  server.next({{.break_after = 100'000, .stall = true}});
  const Result result = cache.fetch(server.url(), archive, "--timeout 2");
  check_fetched(cache, result);
  CHECK(contains(result.err, "nothing came for 2 s; trying again"));
  CHECK(server.body_bytes() == static_cast<int64_t>(archive.size()));
}

TEST_CASE("answers that are not the file") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  SUBCASE("busy, then not") {
    server.next({{.status = 503}});
    check_fetched(cache, cache.fetch(server.url(), archive));
  }
  SUBCASE("busy") {
    server.next({{.status = 503}, {.status = 429}});
    check_refused(cache.fetch(server.url(), archive, "--retries 1"), "the server answers 429");
    CHECK(server.requests().size() == 2);
  }
  SUBCASE("not there") {
    server.next({{.status = 404}});
    const Result result = cache.fetch(server.url(), archive);
    check_refused(result, server.url() + ": the server answers 404");
    CHECK(contains(result.err, "--from FILE.zip"));
    CHECK(server.requests().size() == 1);
  }
  SUBCASE("elsewhere") {
    server.next({{.status = 302, .location = "/elsewhere"}});
    check_fetched(cache, cache.fetch(server.url(), archive));
    CHECK(server.requests().back().starts_with("GET /elsewhere "));
  }
  SUBCASE("in a file of this machine") {
    const fs::path file = cache.folder.write("own.zip", archive);
    server.next({{.status = 302, .location = "file://" + file.string()}});
    check_refused(cache.fetch(server.url(), archive), server.url());
  }
  SUBCASE("elsewhere, for ever") {
    server.next(std::vector<Fault>(50, {.status = 302, .location = "/elsewhere"}));
    check_refused(cache.fetch(server.url(), archive), "redirects");
    CHECK(server.requests().size() < 10);
  }
  SUBCASE("more than is wanted") {
    server.next({{.declare = 300'000'000}});
    check_refused(cache.fetch(server.url(), archive), "more than 268435456 bytes");
  }
  SUBCASE("more is declared than comes: asked for again, and then it is whole") {
    server.next({{.declare = static_cast<int64_t>(archive.size()) + 10}});
    check_fetched(cache, cache.fetch(server.url(), archive));
    CHECK(server.body_bytes() == static_cast<int64_t>(archive.size()));
  }
  SUBCASE("less is declared than comes") {
    server.next({{.declare = 100'000}});
    check_refused(cache.fetch(server.url(), archive), "its sha256 is ");
    CHECK(cache.names() == kNothing);
  }
  SUBCASE("an empty file") {
    server.serve({}, "\"empty\"");
    check_refused(cache.fetch(server.url(), archive), server.url() + ": nothing came");
    CHECK(cache.names() == kNothing);
  }
}

TEST_CASE("no network") {
  const Cache cache;
  const Result result = cache.fetch("http://127.0.0.1:1/maestro.zip", maestro_archive());
  check_refused(result, "etude: http://127.0.0.1:1/maestro.zip: Failed to connect");
  CHECK(contains(result.err, "`etude fetch maestro --from FILE.zip`"));
  CHECK_FALSE(contains(result.err, "trying again"));
  CHECK(cache.names() == kNothing);
}

TEST_CASE("a folder is no archive") {
  const Cache cache;
  const std::string url = "file://" + cache.folder.path().string();
  check_refused(cache.fetch(url, maestro_archive()), "etude: " + url + ": ");
  CHECK(cache.names() == kNothing);
}

TEST_CASE("archives that are refused, and of which nothing stays") {
  const Cache cache;
  const Bytes good = maestro_archive();
  HttpServer server(good);
  const auto refused = [&](const Bytes& archive, const std::string& why) {
    server.serve(archive, "\"" + sha256(archive) + "\"");
    check_refused(cache.fetch(server.url(), archive), why);
    CHECK(cache.names() == kNothing);
    CHECK_FALSE(fs::exists(cache.folder / "cache/outside"));
  };
  server.serve(good, "\"one\"");
  check_refused(
      cache.fetch(server.url(), maestro_archive(2)),
      server.url() + ": its sha256 is " + sha256(good) + ", not " + sha256(maestro_archive(2)));
  CHECK(cache.names() == kNothing);
  refused(Bytes(1000, 'x'), "not a ZIP archive");
  refused(zip_file({{"../outside", {'x'}}}), "has a path with \"..\"");
  refused(zip_file({{.name = kTop + "link", .bytes = {'/'}, .mode = 0120777}}), "symbolic link");
  refused(maestro_archive(1, "maestro-v3.0.0.csv"), "no maestro-v3.0.0/maestro-v3.0.0.csv in it");
  refused(maestro_archive(1, "2004/piece_2.midi"),
          "row 3 (line 4): 2004/piece_2.midi is not there");
  Bytes damaged = good;
  damaged[1000] ^= 1;
  refused(damaged, "LICENSE: cannot be unpacked: CRC error");

  // What was fetched before is not touched by one that is refused.
  server.serve(good, "\"good\"");
  check_fetched(cache, cache.fetch(server.url(), good));
  server.serve(damaged, "\"damaged\"");
  check_refused(cache.fetch(server.url(), damaged), "CRC error");
  CHECK(cache.run("dataset maestro").status == 0);
  CHECK(cache.names() == kFetched);
}

TEST_CASE("a disk that is full") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  // A limit on a file's size stands for it: write() fails in the same way.
  const Result result = cache.fetch(server.url(), archive, "", "trap '' XFSZ; ulimit -f 100; ");
  check_refused(result, "maestro-v3.0.0.zip.part: cannot be written: ");
  CHECK_FALSE(contains(result.err, "--from"));
  CHECK(fs::file_size(cache.part) == 100 * 512);
  check_fetched(cache, cache.fetch(server.url(), archive));
  CHECK(contains(server.requests().back(), "Range: bytes=51200-"));
}

TEST_CASE("two at once: one fetches, the other waits for it") {
  const Cache cache;
  const Bytes archive = maestro_archive();
  HttpServer server(archive);
  server.next({{.break_after = 100'000, .stall = true}});
  const std::vector<std::string> arguments = {
      "fetch", "maestro", "--url", server.url(), "--sha256", sha256(archive), "--timeout", "5"};
  // (The first has a silent connection, five seconds of it: time for the second to begin.)
  Program first(arguments, cache.folder / "out1", cache.folder / "err1");
  REQUIRE(first.wait_for(cache.part));
  Program second(arguments, cache.folder / "out2", cache.folder / "err2");
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
  CHECK(contains(file_text(cache.folder / "err2"), "another `etude fetch` is at work"));
  CHECK(contains(file_text(cache.folder / "err2"), "it is there already"));
  CHECK(server.requests().size() == 2);
  CHECK(cache.names() == kFetched);
}

TEST_CASE("usage") {
  const Cache cache;
  check_failure(cache.run("fetch"), 2, "etude fetch --help");
  check_failure(cache.run("fetch bach"), 2, "etude fetch --help");
  check_failure(cache.run("fetch maestro --url http://x"), 2, "--sha256");
  check_failure(cache.run("fetch maestro --url http://x --sha256 12"), 2, "64 hexadecimal digits");
  check_failure(cache.run("fetch maestro --version 2"), 2, "only version 3 is known");
  check_failure(cache.run("fetch maestro", "env -u HOME -u XDG_CACHE_HOME"), 1, "XDG_CACHE_HOME");
  check_refused(cache.fetch("gopher://x/y", {}), "gopher://x/y: ");
}

TEST_CASE("a download's own limit, where the server does not say how long the file is") {
  const Cache cache;
  HttpServer server(Bytes(1000, 'x'));
  server.next({{.declare = 50}});
  apps::StopRequest stop;
  const fs::path part = cache.folder / "part";
  CHECK_THROWS_AS(apps::download(server.url(), part, {.title = "x", .limit = 49}, stop), Error);
  CHECK_FALSE(fs::exists(part));
  apps::download(server.url(), part, {.title = "x", .limit = 1000}, stop);
  CHECK(fs::file_size(part) == 1000);
  apps::remove_download(part);
  CHECK(names_in(cache.folder.path()).empty());
}

TEST_CASE("the cache is where the XDG specification has it") {
  const Cache cache;
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/someone", 1);
  CHECK(apps::fetched_folder() == "/home/someone/.cache/etude");
  setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  CHECK(apps::fetched_folder() == "/elsewhere/etude");
  CHECK(apps::resolve_data("maestro/") == "maestro/");
  CHECK(apps::resolve_data("a/maestro") == "a/maestro");
  CHECK_THROWS_AS(apps::resolve_data("maestro"), Error);
}
