#!/usr/bin/env bash
# Registers, spills and shared memory of every CUDA kernel, for each architecture, as a table.
#
#   bench/registers.sh [FILE.cu...]      compiles them (default: all of kernels/) and reads what ptxas says
#   bench/registers.sh --objects [DIR]   reads build/gpu (or DIR) with cuobjdump; that tells no spills, but
#                                        local memory, which is where they go
#
# Registers: 65,536 a multiprocessor, at most 255 a thread. More than 0 bytes of spills: see why.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
PATH=$PATH:${CUDA_HOME-/usr/local/cuda}/bin
architectures=(80 90a)

# Each line: architecture, kernel (mangled), registers, stack, spill stores, spill loads, shared bytes.
from_ptxas() {
  awk '
    /Compiling entry function/ { split($0, quoted, "\047"); kernel = quoted[2]; arch = quoted[4]; next }
    /bytes stack frame/ { stack = $1; stores = $5; loads = $9; next }
    /Used [0-9]+ registers/ {
      registers = 0; shared = 0
      for (i = 1; i <= NF; ++i) {
        if ($i == "Used") registers = $(i + 1)
        if ($i ~ /^smem/) shared = $(i - 2)
      }
      print arch, kernel, registers, stack, stores, loads, shared
    }'
}

from_cuobjdump() {
  awk '
    /^arch = / { arch = $3 }
    /Function / { kernel = $2; sub(/:$/, "", kernel); next }
    /REG:/ {
      delete value
      for (i = 1; i <= NF; ++i) { split($i, pair, ":"); value[pair[1]] = pair[2] }
      print arch, kernel, value["REG"], value["STACK"], "-", value["LOCAL"], value["SHARED"]
    }'
}

table() { # FILE: its lines as a table
  local name=$1
  c++filt -p | sed -e 's/etude::kernels::cuda:://g' -e 's/(anonymous namespace):://g' -e 's/(\(int\|bool\|unsigned int\))//g' |
    sort -k2 | awk -v file="$name" '{
      kernel = $2
      for (i = 3; i <= NF - 5; ++i) kernel = kernel " " $i
      printf "%-22s %-44s %-7s %5s %6s %7s %7s %8s\n", file, kernel, $1, $(NF-4), $(NF-3), $(NF-2), $(NF-1), $NF
    }'
}

head_line() {
  printf '%-22s %-44s %-7s %5s %6s %7s %7s %8s\n' file kernel arch regs stack spill-st spill-ld shared
}

if [ "${1-}" = --objects ]; then
  command -v cuobjdump >/dev/null || {
    echo "registers.sh: no cuobjdump here; without --objects it compiles, which needs nvcc alone" >&2
    exit 1
  }
  head_line
  find "${2-build/gpu}" -name '*.cu.o' | sort | while read -r object; do
    cuobjdump --dump-resource-usage "$object" 2>/dev/null | from_cuobjdump | table "$(basename "$object" .o)"
  done
  exit
fi

command -v nvcc >/dev/null || {
  echo "registers.sh: no nvcc here (CUDA_HOME says where it is)" >&2
  exit 1
}
[ $# -gt 0 ] || set -- kernels/*.cu
code=()
for architecture in "${architectures[@]}"; do
  code+=(-gencode "arch=compute_$architecture,code=sm_$architecture")
done
head_line
for file in "$@"; do
  report=$(nvcc -std=c++20 -O3 -diag-suppress 177 "${code[@]}" -Xptxas -v -DETUDE_CUDA=1 \
    -DETUDE_CUDA_ARCHITECTURES='""' -I. -c "$file" -o /dev/null 2>&1) || {
    printf '%s\n' "$report" >&2
    exit 1
  }
  from_ptxas <<<"$report" | table "$(basename "$file")"
done
