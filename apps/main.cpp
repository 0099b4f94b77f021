#include <cstdio>
#include <exception>

#include "apps/commands.h"

namespace {

constexpr const char* kAbout =
    "Etude trains five small recurrent and self-attention models on piano music and composes with "
    "them.";

constexpr const char* kExamples = R"(Examples:
  etude dataset data/demo/midi                     what a folder of MIDI files amounts to
  etude train --model triple --data data/demo/midi --out out/triple
  etude generate --checkpoint out/triple/model.safetensors --out piece.mid
  etude table --data data/demo/midi --max-steps 20 the five models side by side

`etude COMMAND --help` explains one command.)";

}  // namespace

int main(int argc, char** argv) {
  CLI::App program(kAbout, "etude");
  program.footer(kExamples);
  program.require_subcommand(1);
  program.set_version_flag("--version", "etude " ETUDE_VERSION);

  using namespace etude::apps;
  add_info(program);
  add_roll(program);
  add_dataset(program);
  add_params(program);
  add_train(program);
  add_table(program);
  add_generate(program);
  add_evaluate(program);
  add_forward(program);

  try {
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return program.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return program.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return program.exit(version);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "etude: %s (etude --help explains)\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "etude: %s\n", error.what());
    return 1;
  }
  return 0;
}
