#include "apps/commands.h"

namespace etude::apps {

void add_params(CLI::App&) {}

}  // namespace etude::apps
