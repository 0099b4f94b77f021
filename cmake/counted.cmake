# How kernels are compiled to run on the CPU (kernels/simt/simt.h), and to be watched while they do
# (kernels/simt/count.h): each access to memory a call, which the project answers; vectors of four
# whole, as the GPU loads them; lines for the report.
set(ETUDE_EMULATED_OPTIONS -ffp-contract=off -Wno-unused-function -Wno-unknown-pragmas
  -Wno-maybe-uninitialized)  # registers that a later step fills
set(ETUDE_COUNTED_OPTIONS -fno-sanitize=all -fsanitize=thread -O1 -g1 -fno-tree-sra
  -fno-tree-vectorize -fno-lto -DETUDE_DEVICE=counted -DETUDE_COUNTED=1)

# GCC brings a library that reads the line table; without it a report has addresses.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES backtrace)
check_cxx_source_compiles("#include <backtrace.h>
int main() { return backtrace_create_state(nullptr, 0, nullptr, nullptr) == nullptr; }" ETUDE_LINES)
unset(CMAKE_REQUIRED_LIBRARIES)
