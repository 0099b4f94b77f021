#include "kernels/simt/lines.h"

#if ETUDE_LINES
#include <backtrace.h>
#endif

namespace etude::emulator {

#if ETUDE_LINES

namespace {

void ignore(void*, const char*, int) {}

// Called for each function of an inlined stack, the innermost first.
int take(void* found, uintptr_t, const char* file, int number, const char*) {
  if (!file) return 0;
  auto& line = *static_cast<Line*>(found);
  line = {file, number};
  return line.file.find("kernels/simt/") == std::string::npos &&
         line.file.find("/include/") == std::string::npos;
}

}  // namespace

Line line_of(uintptr_t return_address) {
  static backtrace_state* const state = backtrace_create_state(nullptr, 0, ignore, nullptr);
  Line line;
  if (state) backtrace_pcinfo(state, return_address - 1, take, ignore, &line);
  return line;
}

#else

Line line_of(uintptr_t) { return {}; }

#endif

}  // namespace etude::emulator
