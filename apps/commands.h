#pragma once

// The subcommands of `etude`. Each adds itself with its options to the program; when it is chosen,
// its callback does the work. Results go to stdout, messages to stderr. A failure is an exception
// whose what() is the one line that the user reads; main prints it and exits with 1.

#include <CLI/CLI.hpp>

namespace etude::apps {

void add_fetch(CLI::App& program);
void add_info(CLI::App& program);
void add_roll(CLI::App& program);
void add_convert(CLI::App& program);
void add_dataset(CLI::App& program);
void add_params(CLI::App& program);
void add_train(CLI::App& program);
void add_table(CLI::App& program);
void add_step(CLI::App& program);
void add_generate(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_forward(CLI::App& program);
void add_report(CLI::App& program);
void add_doctor(CLI::App& program);
void add_simt(CLI::App& program);
void add_profile(CLI::App& program);

}  // namespace etude::apps
