#include "apps/commands.h"

namespace etude::apps {

void add_table(CLI::App&) {}

}  // namespace etude::apps
