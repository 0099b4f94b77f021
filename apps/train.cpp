#include "apps/commands.h"

namespace etude::apps {

void add_train(CLI::App&) {}

}  // namespace etude::apps
