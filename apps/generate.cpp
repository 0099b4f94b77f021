#include "apps/commands.h"

namespace etude::apps {

void add_generate(CLI::App&) {}

}  // namespace etude::apps
