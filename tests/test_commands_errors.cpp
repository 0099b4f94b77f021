// Wrong input to train, table, generate, evaluate, forward, params and report: one line on stderr
// that names the file, the place and the reason, exit status 1 (2 for usage), and nothing left.

#include <doctest/doctest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/checkpoint.h"
#include "layers/model_file.h"
#include "tests/program.h"

using namespace etude;
using namespace etude::tests;
namespace fs = std::filesystem;

namespace {

ModelConfig tiny(int64_t classes) {
  ModelConfig config = default_config("attention");
  config.classes = classes;
  config.embedding = 4;
  config.dense = 3;
  config.units = 3;
  return config;
}

fs::path write_model(const fs::path& path, const Tokens& tokens, int64_t classes,
                     const Metadata& more = {}) {
  Model model(tiny(classes));
  model.initialise(1);
  save_model(path, model, tokens, more);
  return path;
}

const Tokens kTokens = {"60", "62", "60,64", "e"};

void check_fails(const TemporaryFolder& folder, const std::string& arguments, int status,
                 const std::string& part) {
  CAPTURE(arguments);
  check_failure(etude::tests::etude(folder, arguments), status, part);
}

}  // namespace

TEST_CASE("usage: status 2") {
  const TemporaryFolder folder;
  for (const auto& [arguments, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "subcommand"},
           {"compose", "compose"},
           {"train", "--data"},
           {"train --data x", "--out"},
           {"train --data x --out y --model quartet", "quartet"},
           {"train --data x --out y --epochs 0", "--epochs"},
           {"train --data x --out y --batch none", "--batch"},
           {"train --data x --out y --dropout 1", "--dropout"},
           {"train --data x --out y --learning-rate -1", "--learning-rate"},
           {"train --data x --out y --fs 0", "--fs"},
           {"train --data x --out y --pedal half", "--pedal"},
           {"train --data x --out y --stack 0", "--stack"},
           {"train --data x --out y --resume --force", "--force"},
           {"train --data x --out y --max-steps -1", "--max-steps"},
           {"train --data x --out y --nonsense", "--nonsense"},
           {"table --data x --models rnn,quartet", "quartet"},
           {"table --data x --force", "--out"},
           {"table --data x --repeats 0", "--repeats"},
           {"table --data x --json --csv", "--csv"},
           {"table --data x --gru cell", "cell"},
           {"train --data x --out y --gru cell", "cell"},
           {"train --data x --out y --seed -1", "-1 is not a whole number"},
           {"train --data x --out y --sample-seed -1", "--sample-seed"},
           {"generate --checkpoint x --out y --seed 1.5", "1.5"},
           {"dataset x --seed 18446744073709551616", "--seed"},
           {"step --units 0", "--units"},
           {"step --model rnn --stack 2", "--stack"},
           {"generate --out x", "--checkpoint"},
           {"generate --checkpoint x --out y --temperature -1", "--temperature"},
           {"generate --checkpoint x --out y --temperature nan", "--temperature"},
           {"generate --checkpoint x --out y --seconds nan", "--seconds"},
           {"generate --checkpoint x --out y --seconds inf", "--seconds"},
           {"generate --checkpoint x --out y --fs nan", "--fs"},
           {"train --data x --out y --learning-rate nan", "--learning-rate"},
           {"roll x --fs nan", "--fs"},
           {"generate --checkpoint x --out y --top-p 0", "--top-p"},
           {"generate --checkpoint x --out y --top-k -1", "--top-k"},
           {"generate --checkpoint x --out y --min-p 2", "--min-p"},
           {"generate --checkpoint x --out y --start-pitch 128", "--start-pitch"},
           {"generate --checkpoint x --out y --start-pitch 60 --primer z", "--primer"},
           {"generate --checkpoint x --out y --variations 0", "--variations"},
           {"generate --checkpoint x --out y.wav", "y.wav: its name ends with none of .mid"},
           {"generate --checkpoint x --out y --seconds 0", "--seconds"},
           {"evaluate --checkpoint x", "--data"},
           {"forward --checkpoint x", "--tokens"},
           {"params --vocab 1", "--vocab"},
           {"report", "DIR"}})
    check_fails(folder, arguments, 2, part);
}

TEST_CASE("help: status 0 on stdout, with examples at the end") {
  const TemporaryFolder folder;
  for (const char* command : {"", "info", "roll", "dataset", "train", "table", "step", "generate",
                              "evaluate", "forward", "params", "report"}) {
    CAPTURE(command);
    const Result result = etude::tests::etude(folder, std::string(command) + " --help");
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    CHECK(contains(result.out, "Example"));
  }
  CHECK(contains(etude::tests::etude(folder, "--version").out, "etude "));
}

TEST_CASE("data: missing, empty, no music, too little") {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  const std::string train = "train --out " + quoted(out) + " --data ";
  check_fails(folder, train + quoted(folder / "none"), 1, "none");
  fs::create_directories(folder / "empty");
  check_fails(folder, train + quoted(folder / "empty"), 1, "empty");
  const auto text = folder.write("text.mid", "no music at all");
  check_fails(folder, train + quoted(text), 1, "text.mid");
  const Bytes whole = small_piece(1, 40);
  const auto cut = folder.write("cut.mid", Bytes(whole.begin(), whole.end() - 20));
  check_fails(folder, train + quoted(cut), 1, "cut.mid");
  const auto table = folder.write("t.csv", "midi_filename,split\nnone.mid,train\n");
  check_fails(folder, train + quoted(table), 1, "none.mid");
  const auto piece = folder.write("piece.mid", whole);
  check_fails(folder, train + quoted(piece), 1, "minibatch of 96");
  check_fails(folder, train + quoted(piece) + " --batch 8 --vocab 3", 1, "--vocab 3");
  check_fails(folder, train + quoted(piece) + " --sample 5", 1, "5");
  check_fails(folder, train + quoted(piece) + " --batch 8 --heads 7", 1, "heads");
  check_fails(folder, "table --max-steps 1 --data " + quoted(piece), 1, "minibatch of 96");
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("a broken file in a folder is skipped, named and counted") {
  const TemporaryFolder folder;
  const fs::path pieces = write_corpus(folder);
  folder.write("pieces/broken.mid", "no music");
  fs::create_symlink("loop.mid", pieces / "loop.mid");
  const Result result =
      etude::tests::etude(folder, "train --model attention --batch 8 --max-steps 1 --out " +
                                      quoted(folder / "out") + " --data " + quoted(pieces));
  CHECK(result.status == 0);
  CHECK(contains(result.err, "skipped broken.mid: "));
  CHECK(contains(result.err, "skipped loop.mid: "));
  CHECK(contains(result.err, "2 of 5 files skipped"));
}

TEST_CASE("messages that nobody can read stop nothing") {
  const TemporaryFolder folder;
  const fs::path pieces = write_corpus(folder), out = folder / "out";
  const std::string train = "' train --model attention --batch 8 --max-steps 2 --out " +
                            quoted(out) + " --data " + quoted(pieces);
  const std::string program = "'" ETUDE_PROGRAM;
  CHECK(std::system((program + train + " >/dev/null 2>/dev/full").c_str()) == 0);
  CHECK(fs::exists(out / "model.safetensors"));
  CHECK(WEXITSTATUS(std::system((program + "' roll none.mid 2>/dev/full").c_str())) == 1);
  CHECK(WEXITSTATUS(std::system((program + "' roll none.mid 2>&-").c_str())) == 1);
}

TEST_CASE("names that are no UTF-8 lose no results") {
  const TemporaryFolder folder;
  const fs::path pieces = folder / "\xff\xfe";
  fs::rename(write_corpus(folder), pieces);
  const Result result = etude::tests::etude(
      folder, "table --json --models attention --batch 8 --max-steps 1 --data " + quoted(pieces));
  CHECK(result.status == 0);
  CHECK(nlohmann::json::parse(result.out).at("models").size() == 1);
}

TEST_CASE("a run goes on with its own data only, whatever the indices of the tokens") {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  std::vector<midi::PitchSet> low(40), high(40);
  for (size_t i = 0; i < low.size(); ++i) {
    low[i].set(60 + static_cast<int>(i) % 5);
    high[i].set(67 + static_cast<int>(i) % 5);
  }
  const auto one = folder.write("one.mid", midi::write_smf(midi::compose(low, {})));
  const auto other = folder.write("other.mid", midi::write_smf(midi::compose(high, {})));
  const std::string train = "train --model attention --batch 8 --out " + quoted(out) + " --data ";
  CHECK(etude::tests::etude(folder, train + quoted(one) + " --max-steps 2").status == 0);
  const Bytes before = file_bytes(out / "model.safetensors");
  check_fails(folder, train + quoted(other) + " --resume", 1, "optimizer.safetensors");
  CHECK(file_bytes(out / "model.safetensors") == before);
}

TEST_CASE("a table does not replace the models of one that was stopped") {
  const TemporaryFolder folder;
  const fs::path pieces = write_corpus(folder), out = folder / "out";
  const std::string table = "table --models attention --batch 8 --max-steps 1 --data " +
                            quoted(pieces) + " --out " + quoted(out);
  CHECK(etude::tests::etude(folder, table).status == 0);
  fs::remove(out / "table.json");
  check_fails(folder, table, 1, "attention/model.safetensors");
  check_fails(folder, "table --models rnn,rnn --data " + quoted(pieces), 1, "rnn");
}

TEST_CASE("weights without a meaning give an error, not a piece") {
  const TemporaryFolder folder;
  const fs::path path = folder / "model.safetensors";
  Model model(tiny(5));
  model.initialise(1);
  std::fill_n(model.params().values(), model.params().flat_size(), 3e38f);
  save_model(path, model, kTokens);
  check_fails(folder,
              "generate --checkpoint " + quoted(path) + " --out " + quoted(folder / "x.mid"), 1,
              "finite");
  CHECK_FALSE(fs::exists(folder / "x.mid"));
  const auto piece = folder.write("piece.mid", small_piece(1, 40));
  check_fails(folder, "evaluate --checkpoint " + quoted(path) + " --data " + quoted(piece), 1,
              "finite");
}

TEST_CASE("a small checkpoint cannot ask for much memory") {
  const TemporaryFolder folder;
  const fs::path path = folder / "model.safetensors";
  Model model(tiny(5));
  model.initialise(1);
  ModelConfig lie = tiny(5);
  lie.window = 4096;
  lie.embedding = 512;
  lie.dense = 65536;
  save_parameters(path, model.params(),
                  {{"format", "etude-checkpoint"},
                   {"version", "1"},
                   {"model", "attention"},
                   {"config", to_json(lie)},
                   {"vocabulary", nlohmann::json(kTokens).dump()}});
  check_fails(folder, "forward --tokens 1 --checkpoint " + quoted(path), 1, "parameters");
}

TEST_CASE("places that cannot be written, found before the work") {
  const TemporaryFolder folder;
  const fs::path pieces = write_corpus(folder);
  const auto file = folder.write("file", "x");
  const auto model = write_model(folder / "model.safetensors", kTokens, 5);
  const std::string train = "train --model attention --data " + quoted(pieces) + " --out ";
  check_fails(folder, train + quoted(file), 1, file.string());
  check_fails(folder, train + quoted(file / "below"), 1, "file");
  check_fails(folder, train + "/proc/nothing", 1, "/proc/nothing");
  const std::string generate = "generate --checkpoint " + quoted(model) + " --out ";
  check_fails(folder, generate + quoted(folder / "no" / "piece.mid"), 1, "piece.mid");
  fs::create_directory(folder / "folder.mid");
  check_fails(folder, generate + quoted(folder / "folder.mid"), 1, "folder.mid");
  CHECK(file_text(file) == "x");
  CHECK(names_in(folder.path()) ==
        std::vector<std::string>{"file", "folder.mid", "model.safetensors", "pieces"});
}

TEST_CASE("checkpoints: missing, cut, of something else, lying") {
  const TemporaryFolder folder;
  const auto good = write_model(folder / "good.safetensors", kTokens, 5);
  const fs::path out = folder / "piece.mid";
  const Bytes whole = file_bytes(good);
  const auto optimizer = folder / "optimizer.safetensors";
  {
    Model model(tiny(5));
    save_optimizer(optimizer, model.params(), Nadam(), {});
  }
  Bytes huge_header = whole;
  huge_header[7] = 0x7F;
  Bytes not_json = whole;
  not_json[8] = '[';
  Bytes not_finite = whole;
  const uint32_t nan = 0x7FC00000;
  std::memcpy(not_finite.data() + not_finite.size() - 4, &nan, 4);
  const std::vector<std::pair<fs::path, std::string>> bad = {
      {folder / "none.safetensors", "cannot be opened"},
      {folder.path(), "cannot be opened"},
      {folder.write("empty.safetensors", ""), "byte 0"},
      {folder.write("cut.safetensors", Bytes(whole.begin(), whole.end() - 1)), "cut.safetensors"},
      {folder.write("head.safetensors", Bytes(whole.begin(), whole.begin() + 40)), "byte 0"},
      {folder.write("huge.safetensors", huge_header), "byte 0"},
      {folder.write("json.safetensors", not_json), "header"},
      {folder.write("nan.safetensors", not_finite), "tensor"},
      {optimizer, "not a model"},
      {write_model(folder / "twice.safetensors", {"60", "60", "62", "e"}, 5), "index 2"},
      {write_model(folder / "silent.safetensors", {"60", "62", "64", "65"}, 5), "\"e\""},
      {write_model(folder / "chord.safetensors", {"64,60", "60", "62", "e"}, 5), "index 1"},
      {write_model(folder / "many.safetensors", kTokens, 4), "4 tokens for 4 classes"},
      {write_model(folder / "fs.safetensors", kTokens, 5, {{"fs", "-5"}}), "fs"},
      {write_model(folder / "pedal.safetensors", kTokens, 5, {{"pedal", "half"}}), "pedal"},
  };
  const auto piece = folder.write("in.mid", small_piece(1, 40));
  for (const auto& [path, part] : bad) {
    check_fails(folder, "generate --checkpoint " + quoted(path) + " --out " + quoted(out), 1, part);
    check_fails(folder, "evaluate --checkpoint " + quoted(path) + " --data " + quoted(piece), 1,
                path.string());
  }
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("generate: what a vocabulary or a primer lacks, lengths that cannot be") {
  const TemporaryFolder folder;
  const auto model = write_model(folder / "m.safetensors", kTokens, 5);
  const fs::path out = folder / "piece.mid";
  const std::string generate =
      "generate --checkpoint " + quoted(model) + " --out " + quoted(out) + " ";
  check_fails(folder, generate + "--start-pitch 61", 1, "the nearest are 60, 62");
  check_fails(folder, generate + "--seconds 0.01", 1, "--seconds 0.01");
  check_fails(folder, generate + "--seconds 1e9", 1, "--seconds 1000000000");
  check_fails(folder, generate + "--fs 1e6", 1, "");
  check_fails(folder, generate + "--primer " + quoted(folder / "none.mid"), 1, "none.mid");
  const auto silent = folder.write("silent.mid", header(0, 1, 480) + track(kEnd));
  check_fails(folder, generate + "--primer " + quoted(silent), 1, "silent.mid");
  const auto chords = write_model(folder / "c.safetensors", {"60,64", "e"}, 3);
  check_fails(folder, "generate --checkpoint " + quoted(chords) + " --out " + quoted(out), 1,
              "no single pitch");
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("forward: tokens that are none") {
  const TemporaryFolder folder;
  const auto model = write_model(folder / "m.safetensors", kTokens, 5);
  const std::string forward = "forward --checkpoint " + quoted(model) + " --tokens ";
  std::string ids = "4";
  for (int i = 1; i < 50; ++i) ids += ",4";
  const Result result = etude::tests::etude(folder, forward + ids);
  CHECK(result.status == 0);
  CHECK(nlohmann::json::parse(result.out).at("logits").size() == 5);
  check_fails(folder, forward + "1,2,3", 1, "3 ids");
  check_fails(folder, forward + "1,x", 1, "character 3");
  check_fails(folder, forward + ids + ",", 1, "--tokens");
  check_fails(folder, forward + "9" + ids.substr(1), 1, "id 9");
  check_fails(folder, forward + "99999999999" + ids.substr(1), 1, "--tokens");
}

TEST_CASE("evaluate: a vocabulary that knows no target") {
  const TemporaryFolder folder;
  const auto model = write_model(folder / "m.safetensors", {"1", "2", "e"}, 4);
  std::vector<midi::PitchSet> columns(20);
  for (auto& column : columns) column.set(70);
  const auto piece = folder.write("in.mid", midi::write_smf(midi::compose(columns, {})));
  check_fails(folder, "evaluate --checkpoint " + quoted(model) + " --data " + quoted(piece), 1,
              "none of the 19 targets");
}

TEST_CASE("report: no table, a table that is none") {
  const TemporaryFolder folder;
  check_fails(folder, "report " + quoted(folder.path()), 1, "table.json");
  for (const char* text : {"", "[]", "{\"models\": []}", "{\"models\": [{\"name\": \"../x\"}]}",
                           "{\"models\": [{\"name\": \"rnn\"}]}"}) {
    CAPTURE(text);
    folder.write("table.json", std::string(text));
    check_fails(folder, "report " + quoted(folder.path()), 1, folder.path().string());
  }
  folder.write("rnn/steps.csv",
               std::string("step,epoch,loss_per_sample,data_ms,model_ms\n1,0,2,1,1\n"));
  check_fails(folder, "report " + quoted(folder.path()), 1, "table.json");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"rnn", "table.json"});
}

TEST_CASE("a full disk under stdout is an error") {
  const TemporaryFolder folder;
  if (!fs::exists("/dev/full")) return;
  const int status = std::system("'" ETUDE_PROGRAM "' params >/dev/full 2>/dev/null");
  CHECK(WEXITSTATUS(status) == 1);
}
