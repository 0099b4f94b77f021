#pragma once

// The program as a user runs it, and a small corpus for it.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "midi/compose.h"
#include "midi/smf_write.h"
#include "tests/midi_files.h"
#include "tests/places.h"

namespace etude::tests {

struct Result {
  int status;  // -1: ended by a signal
  std::string out, err;
};

// `etude ARGUMENTS`, through the shell, with environment variables in front ("A=1 B=2").
inline Result etude(const TemporaryFolder& folder, const std::string& arguments,
                    const std::string& environment = "") {
  const std::string out = (folder / "stdout").string(), err = (folder / "stderr").string();
  const std::string command =
      environment + " '" + program_path() + "' " + arguments + " >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  Result result{WIFEXITED(status) ? WEXITSTATUS(status) : -1, file_text(out), file_text(err)};
  std::filesystem::remove(out);
  std::filesystem::remove(err);
  return result;
}

// The program running beside the test, its signals as a terminal would leave them.
class Program {
 public:
  Program(std::vector<std::string> arguments, const std::filesystem::path& out,
          const std::filesystem::path& err) {
    arguments.insert(arguments.begin(), program_path());
    std::vector<char*> words;
    for (std::string& word : arguments) words.push_back(word.data());
    words.push_back(nullptr);
    std::cout.flush();  // or the child would write it again
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ > 0) return;
    std::signal(SIGINT, SIG_DFL);
    if (std::freopen(out.c_str(), "w", stdout) && std::freopen(err.c_str(), "w", stderr))
      execv(words[0], words.data());
    _exit(127);
  }
  ~Program() {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      wait();
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // False if the program ends, or a minute passes, before the file is there.
  bool wait_for(const std::filesystem::path& file) const {
    for (int i = 0; i < 6000 && waitpid(process_, nullptr, WNOHANG) == 0; ++i) {
      if (std::filesystem::exists(file)) return true;
      usleep(10'000);
    }
    return false;
  }
  void send(int signal) const { kill(process_, signal); }
  int wait() {  // the exit status; -N: ended by signal N
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t process_ = 0;
};

inline std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What every failure looks like: one line on stderr, nothing on stdout.
inline void check_failure(const Result& result, int status, const std::string& part) {
  INFO(result.err);
  CHECK(result.status == status);
  CHECK(result.out.empty());
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(result.err.starts_with("etude: "));
  CHECK(contains(result.err, part));
}

// Single pitches, chords of two and silences: few tokens, which a model can learn.
inline Bytes small_piece(int number, int columns) {
  std::vector<midi::PitchSet> all(static_cast<size_t>(columns));
  for (int i = 0; i < columns; ++i) {
    auto& column = all[static_cast<size_t>(i)];
    if (i % 11 != 7) column.set(60 + (i * number) % 5);
    if (i % 4 == 0) column.set(48 + number % 3);
  }
  return midi::write_smf(midi::compose(all, {}));
}

// FOLDER/pieces with `count` of them.
inline std::filesystem::path write_corpus(const TemporaryFolder& folder, int count = 3,
                                          int columns = 40) {
  for (int i = 0; i < count; ++i)
    folder.write("pieces/" + std::to_string(i) + ".mid", small_piece(i + 1, columns + i));
  return folder / "pieces";
}

inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace etude::tests
