#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>

#include "apps/commands.h"
#include "apps/messages.h"
#include "apps/stop_request.h"

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

int fail(int status, const std::string& reason) {
  etude::apps::tell_line(reason);
  return status;
}

// "cannot create directories: Permission denied [/a/b]" names the path last.
std::string one_line(const std::filesystem::filesystem_error& error) {
  return fmt::format("{}: {}", error.path1().string(), error.code().message());
}

// CLI11 only says that a command is missing, also where there was a word for one.
std::string usage_error(const CLI::App& program, const CLI::ParseError& error, int argc,
                        char** argv) {
  const auto chosen = program.get_subcommands();
  if (!chosen.empty())
    return fmt::format("{} (etude {} --help explains)", error.what(), chosen[0]->get_name());
  if (argc > 1 && argv[1][0] != '-')
    return fmt::format("there is no command \"{}\" (etude --help names them)", argv[1]);
  return fmt::format("{} (etude --help explains)", error.what());
}

int run(CLI::App& program, int argc, char** argv) {
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {  // or the version
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    return fail(2, usage_error(program, error, argc, argv));
  } catch (const etude::apps::Interrupted& stop) {
    return fail(128 + stop.signal, stop.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(1, one_line(error));
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program(kAbout, "etude");
  program.footer(kExamples);
  program.require_subcommand(1);
  program.set_version_flag("--version", "etude " ETUDE_VERSION);

  using namespace etude::apps;
  add_fetch(program);
  add_info(program);
  add_roll(program);
  add_convert(program);
  add_dataset(program);
  add_params(program);
  add_train(program);
  add_table(program);
  add_step(program);
  add_generate(program);
  add_evaluate(program);
  add_forward(program);
  add_report(program);
  add_profile(program);
  add_doctor(program);
  add_simt(program);

  const int status = run(program, argc, argv);
  // A full disk may show itself only here.
  const bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
  return status == 0 && !written ? fail(1, "stdout: cannot be written") : status;
}
