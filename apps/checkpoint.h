#pragma once

// A model file as the commands need it: with its vocabulary, and with how its data was read.

#include <filesystem>

#include "layers/model_file.h"
#include "midi/piano_roll.h"
#include "midi/tokens.h"

namespace etude::apps {

struct Checkpoint {
  Model model;
  midi::Vocabulary vocabulary;
  midi::RollOptions roll;  // of the training data
};

// Throws Error naming the file, the place and the fault.
Checkpoint read_checkpoint(const std::filesystem::path& path);

// Error where the model reads windows of another length than the data has.
void require_window(const Checkpoint& checkpoint, const std::filesystem::path& path);

// The entries of a model file's metadata from which `roll` is read again.
Metadata roll_metadata(const midi::RollOptions& roll);

}  // namespace etude::apps
