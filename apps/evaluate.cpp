#include "apps/commands.h"

namespace etude::apps {

void add_evaluate(CLI::App&) {}

}  // namespace etude::apps
