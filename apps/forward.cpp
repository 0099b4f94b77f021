#include "apps/commands.h"

namespace etude::apps {

void add_forward(CLI::App&) {}

}  // namespace etude::apps
