#!/usr/bin/env bash
# Everything that is measured on a machine with a GPU, made for short stays: `--help` explains.
set -uo pipefail

usage() {
  cat <<'TEXT'
bench/gpu.sh pack [--data DIR] [--jobs N] [--build DIR]
    On the machine that builds (Debian's packages, nvcc): build/gpu (or the build in DIR, of preset
    gpu), and from it build/gpu-pack.tar.xz: the programs, the tests, the libraries that they need
    beside glibc, the commit, and with --data the MIDI files. Carry that file, in a checkout of the same
    commit, to the machine with the GPU.

bench/gpu.sh run [STAGE...] [--data DIR] [--out DIR] [--seconds N] [--precision P,...] [--models M,...] [--build DIR]
    On the machine with the GPU: takes the pack if it is there, otherwise builds (or takes the build in
    DIR). Needs a driver and Python ($ETUDE_PYTHON, or python3); for the comparisons PyTorch; for
    `sanitizer` compute-sanitizer. Each stage ends within --seconds (520) and writes one JSON file into
    --out (bench/results/GPU-NAME):

    check       driver, doctor, versions
    tests       every kernel against its reference and the CPU's
    sanitizer   memcheck, racecheck and synccheck over the kernels' tests
    kernels     each operation beside its floor, and PyTorch's (cuDNN, cuBLAS)
    models      ms a step of the five models
    peers       ms a step by turns with PyTorch: eager, graph, compiled
    table       the paper's table: four whole epochs of each model
    curves      300 steps' losses beside the CPU's and PyTorch's
    all         (the default) all of them, in this order

bench/gpu.sh dry [STAGE...]
    Any machine: the same on the CPU with tiny sizes, fp32 and one model, to see that it runs; into
    build/gpu-dry. Takes options as run; with --build build/release no second build is made.
TEXT
}

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd) || exit 1
cd "$here" || exit 1
pack=build/gpu-pack
archive=build/gpu-pack.tar.xz
all_stages=(check tests sanitizer kernels models peers table curves)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "gpu.sh: $*"
  exit 1
}

misuse() {
  say "gpu.sh: $*"
  exit 2
}

data='' out='' built='' seconds=520 jobs=$(nproc) dry='' stages=()
precisions=fp32,tf32,bf16 models=rnn,attention,single,double,triple

options() { # of the command line, behind the command
  while [ $# -gt 0 ]; do
    case $1 in
    --data | --out | --build | --seconds | --jobs | --precision | --models)
      [ $# -gt 1 ] || misuse "$1 needs a value"
      case $1 in
      --data) data=$2 ;;
      --out) out=$2 ;;
      --build) built=$2 ;;
      --seconds) seconds=$2 ;;
      --jobs) jobs=$2 ;;
      --precision) precisions=$2 ;;
      --models) models=$2 ;;
      esac
      shift 2
      ;;
    -*) misuse "there is no option $1 (--help explains)" ;;
    *)
      [[ " ${all_stages[*]} all " == *" $1 "* ]] || misuse "there is no stage $1 (--help names them)"
      [ "$command" != pack ] || misuse "pack takes no stage"
      stages+=("$1")
      shift
      ;;
    esac
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || misuse "--seconds $seconds: not a whole number"
  [ -z "$data" ] || [ -e "$data" ] || misuse "$data: not there"
  if [ ${#stages[@]} -eq 0 ] || [[ " ${stages[*]} " == *' all '* ]]; then stages=("${all_stages[@]}"); fi
}

# Building and packing.

commit_json() { # BUILD
  local commit clean=null
  commit=$(git rev-parse HEAD 2>/dev/null) || commit=''
  if [ -n "$commit" ]; then
    if [ -z "$(git status --porcelain)" ]; then clean=true; else clean=false; fi
  fi
  printf '{"commit": "%s", "clean": %s, "build": "%s"}\n' "${commit:-unknown}" "$clean" "$1"
}

tested_here() { # the tests that have anything to do with a device
  case $1 in
  test_kernel_* | test_simt* | *device* | *cuda* | test_models | test_training_run) true ;;
  *) false ;;
  esac
}

names_of_tests() { # PATH...: programs or sources
  local test
  for test in "$@"; do
    test=$(basename "$test" .cpp)
    if tested_here "$test"; then echo "$test"; fi
  done
}

build() {
  local targets
  command -v cmake >/dev/null || die "no cmake here, and no pack (bench/gpu.sh pack makes it where all packages are)"
  say "building build/gpu"
  mkdir -p build
  mapfile -t targets < <(names_of_tests tests/test_*.cpp)
  { cmake --preset gpu && cmake --build build/gpu --target etude bench_kernels "${targets[@]}" --parallel "$jobs"; } \
    >build/log-gpu.txt 2>&1 || {
    tail -n 20 build/log-gpu.txt >&2
    die "the build failed: build/log-gpu.txt (without Debian's packages: carry a pack here)"
  }
}

has_cuda() { # BUILD
  [ -e "$1/kernels/CMakeFiles/etude_kernels.dir/device_cuda.cu.o" ]
}

# The libraries that a program loads and that are not part of glibc or of the driver.
libraries_of() {
  ldd "$@" | awk '/=> \// { print $3 }' | sort -u |
    grep -Ev '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux-x86-64|libcuda|libnvidia[^/]*)\.so'
}

gather() { # from $built into $pack
  local name library
  rm -rf "$pack"
  mkdir -p "$pack/bin" "$pack/lib"
  cp "$built/apps/etude" "$built/bench/bench_kernels" "$pack/bin/" || die "$built lacks a program"
  for name in $(names_of_tests tests/test_*.cpp); do
    cp "$built/tests/$name" "$pack/bin/" || say "$name is not in the pack"
  done
  libraries_of "$pack"/bin/* | while read -r library; do cp -L "$library" "$pack/lib/"; done
  strip "$pack"/bin/* "$pack"/lib/*
  commit_json pack >"$pack/commit.json"
  if [ -n "$data" ]; then
    mkdir "$pack/data"
    find -L "$data" -maxdepth 1 -iname '*.mid*' -exec cp {} "$pack/data/" \;
    ls "$pack"/data/*.mid* >/dev/null 2>&1 || die "$data: no MIDI files in this folder"
    basename "$(readlink -f "$data")" >"$pack/data/NAME"
  fi
}

make_pack() {
  local size
  if [ -z "$built" ]; then
    build
    built=build/gpu
  fi
  has_cuda "$built" || say "$built has no CUDA (no nvcc?): this pack shows only that packing works"
  gather
  for program in "$pack"/bin/*; do
    LD_LIBRARY_PATH='' ldd "$program" | grep 'not found' && die "$program lacks a library"
  done
  # The tests have most of their bytes in common: a dictionary that reaches from one to the next.
  tar -C build -c gpu-pack | xz --lzma2=preset=3,dict=64MiB -c >"$archive.new" || die "$archive: not written"
  mv "$archive.new" "$archive"
  size=$(($(stat -c %s "$archive") / 1048576 + 1))
  du -h --max-depth=1 "$pack" >&2
  [ "$size" -lt 40 ] || die "$archive is larger than 40 MiB"
  echo "$archive: at most $size MiB, commit $(cat "$pack/commit.json")"
}

# The programs to run: of the pack, or built here.
find_programs() {
  if [ -f "$archive" ] && { [ ! -d "$pack" ] || [ "$archive" -nt "$pack/commit.json" ]; }; then
    rm -rf "$pack"
    # Python has xz's decoder where there is no xz.
    "$python" -W ignore -m tarfile -e "$archive" build || {
      rm -rf "$pack"
      die "$archive: cannot be unpacked"
    }
    touch "$pack/commit.json"
  fi
  if [ -z "$built" ] && [ -d "$pack" ]; then
    tests_in=$here/$pack/bin
    etude=$tests_in/etude bench=$tests_in/bench_kernels
    ETUDE_COMMIT=$(cat "$pack/commit.json")
    [[ $ETUDE_COMMIT == *"$(git rev-parse HEAD 2>/dev/null)"* ]] ||
      say "the pack is of another commit than this checkout: $ETUDE_COMMIT"
  else
    [ -n "$built" ] || build
    [ -n "$dry" ] || has_cuda "${built:-build/gpu}" || die "${built:-build/gpu} has no CUDA: no nvcc here?"
    built=$(readlink -f "${built:-build/gpu}")
    etude=$built/apps/etude bench=$built/bench/bench_kernels tests_in=$built/tests
    ETUDE_COMMIT=$(commit_json here)
  fi
  [ -x "$etude" ] || die "$etude: no such program"
  export ETUDE_COMMIT ETUDE_SOURCE_DIR=$here ETUDE_PROGRAM=$etude
}

find_data() {
  if [ -z "$data" ] && [ -d "$pack/data" ]; then
    data=$pack/data
    data_name=$(cat "$pack/data/NAME")
  elif [ -z "$data" ]; then
    data=data/demo/midi
  fi
  data_name=${data_name-$(basename "$(readlink -f "$data")")}
  [ "$data" != data/demo/midi ] || say "no --data and none in the pack: the demo's pieces, not MAESTRO"
}

# Where CUDA's own libraries are missing, those that PyTorch brought.
find_cublas() {
  local place
  [ -z "${ETUDE_CUBLAS-}" ] || return 0
  for place in "${CUDA_HOME-/usr/local/cuda}"/lib64/libcublas.so.1[0-9]; do [ -e "$place" ] && return 0; done
  ldconfig -p 2>/dev/null | grep -q 'libcublas\.so\.1[0-9]' && return 0
  place=$("$python" - <<'PYTHON' 2>/dev/null
import glob, site, sys
folders = site.getsitepackages() + [site.getusersitepackages()] + sys.path
for folder in folders:
    for found in sorted(glob.glob(folder + "/nvidia/**/libcublas.so.1[0-9]", recursive=True)):
        print(found)
        raise SystemExit
PYTHON
  ) || place=''
  if [ -n "$place" ]; then
    export ETUDE_CUBLAS=$place
    say "cuBLAS: $place"
  fi
}

find_sanitizer() {
  local found
  found=$(command -v compute-sanitizer) || found=${CUDA_HOME-/usr/local/cuda}/bin/compute-sanitizer
  sanitizer=("$found" --error-exitcode 99 --print-limit 5)
  if [ -n "$dry" ]; then sanitizer=(); fi
}

# Stages. Each is some parts; a part has what is left of the stage's time, or less.

begin_stage() { # NAME SETTING...
  stage=$1
  shift
  file=$out/$stage.json
  deadline=$((SECONDS + seconds))
  say "== $stage"
  "$python" bench/gpu_record.py begin "$file" "$stage" "data=$data_name" "device=$device" "$@" || die "$file: not written"
}

end_stage() { "$python" bench/gpu_record.py end "$file"; }

# part NAME LIMIT JSON COMMAND...: the command's result is in the file JSON ('-': what it prints).
part() {
  local name=$1 limit=$2 json=$3 left=$((deadline - SECONDS)) log=$work/log begin=$SECONDS status text
  shift 3
  [ "$limit" -lt "$left" ] || limit=$left
  rm -f "$log"
  if [ "$limit" -lt 5 ]; then
    "$python" bench/gpu_record.py part "$file" "$name" 'no time left' 0
    return 1
  fi
  if [ "$json" = - ]; then
    timeout -k 5 "$limit" "$@" >"$work/stdout" 2>"$log" </dev/null
    status=$?
    json=$work/stdout
  else
    rm -f "$json"
    timeout -k 5 "$limit" "$@" >"$log" 2>&1 </dev/null
    status=$?
  fi
  case $status in
  0) text=ok ;;
  124 | 137) text="stopped after $limit s" ;;
  *) text="exit $status" ;;
  esac
  say "   $name: $text, $((SECONDS - begin)) s"
  [ "$status" -eq 0 ] || tail -q -n 6 "$log" "$json" >&2 2>/dev/null
  "$python" bench/gpu_record.py part "$file" "$name" "$text" $((SECONDS - begin)) "$log" "$json"
  return "$status"
}

stage_check() {
  begin_stage check
  part doctor 60 - "$etude" doctor --json
  [ -n "$dry" ] || part device 60 - "$etude" doctor --device "$device"
  [ -n "$dry" ] || part nvidia-smi 30 - nvidia-smi
  part torch 120 - "$python" -c 'import torch; print(torch.__version__, torch.version.cuda, torch.backends.cudnn.version(), torch.cuda.is_available())'
  end_stage
}

tests() { # the names of those that were built
  local name
  for name in $(names_of_tests "$tests_in"/test_*); do [ ! -x "$tests_in/$name" ] || echo "$name"; done
}

stage_tests() {
  local name
  begin_stage tests
  export ETUDE_TEST_DEVICES=$device
  for name in $(tests); do part "$name" 200 - "$tests_in/$name"; done
  end_stage
}

# memcheck goes first over all tests: of the others, which are slower, the time may leave some out.
stage_sanitizer() {
  local tool name
  begin_stage sanitizer
  export ETUDE_TEST_DEVICES=$device
  for tool in memcheck racecheck synccheck; do
    for name in $(tests | grep '^test_kernel_'); do
      part "$tool $name" 90 - "${sanitizer[@]}" ${sanitizer[@]:+--tool "$tool"} "$tests_in/$name"
    done
  done
  end_stage
}

stage_kernels() {
  begin_stage kernels
  part kernels 240 "$work/result.json" "$bench" --device "$device" --precision "$precisions" \
    --benchmark_out="$work/result.json" "${small[@]}" "${bench_time[@]}"
  grep -E '^benchmark |^ceiling|(moon|aim|must|missed)$' "$work/log" >&2
  part pytorch 280 "$work/result.json" "$python" bench/peers/gpu_torch.py operations "${torch_device[@]}" \
    --precision "$precisions" --json "$work/result.json" "${small[@]}"
  end_stage
}

stage_models() {
  local precision
  begin_stage models "models=$models" "steps=$steps"
  for precision in ${precisions//,/ }; do
    part "$precision" 170 - "$etude" table --data "$data" --models "$models" --max-steps "$steps" --json \
      "${etude_device[@]}" --precision "$precision" "${batch[@]}"
  done
  end_stage
}

stage_peers() {
  local precision
  begin_stage peers "models=$models"
  for precision in ${precisions//,/ }; do
    part "$precision" 175 "$work/result.json" "$python" bench/peers/gpu_torch.py models "${torch_device[@]}" \
      --etude "$etude" --data "$data" --models "$models" --precision "$precision" --json "$work/result.json" \
      "${torch_rounds[@]}" "${batch[@]}"
    grep 'ms a step' "$work/log" >&2
  done
  end_stage
}

stage_table() {
  local precision
  begin_stage table "models=$models" epochs=4
  for precision in ${precisions//,/ }; do
    part "$precision" 300 - "$etude" table --data "$data" --models "$models" --json \
      "${etude_device[@]}" --precision "$precision" "${table_steps[@]}" "${batch[@]}"
  done
  end_stage
}

stage_curves() {
  local precision
  begin_stage curves "model=$curve_model" "steps=$curve_steps"
  for precision in ${precisions//,/ }; do
    part "$precision" 240 "$work/result.json" "$python" bench/peers/curves.py --etude "$etude" --data "$data" \
      --model "$curve_model" --steps "$curve_steps" --device "$curve_device" --precision "$precision" --with-cpu \
      --threads "$(nproc)" --json "$work/result.json" "${curve_more[@]}"
    tail -n 3 "$work/log" >&2
  done
  end_stage
}

run() {
  local failed=() name
  python=${ETUDE_PYTHON-$(command -v python3)} || die "no python3 here"
  device=cuda steps=2000 curve_steps=300 curve_device=cuda curve_model=triple
  small=() bench_time=(--benchmark_min_time=0.03) batch=() table_steps=() torch_device=() torch_rounds=(--rounds 2 --compile-seconds 60) etude_device=(--device cuda)
  curve_more=(--limit 0.02)
  if [ -n "$dry" ]; then dry_settings; else
    nvidia-smi -L >/dev/null 2>&1 || die "no GPU here: nvidia-smi finds none (dry runs anywhere)"
  fi
  find_programs
  find_data
  find_cublas
  find_sanitizer
  if [ -z "$out" ]; then
    name=$(nvidia-smi -i 0 --query-gpu=name --format=csv,noheader | tr -cs 'A-Za-z0-9\n' -)
    out=bench/results/$name
  fi
  mkdir -p "$out" || die "$out: cannot be made"
  work=$(mktemp -d) || exit 1
  trap 'rm -rf "$work"' EXIT
  for name in "${stages[@]}"; do "stage_$name" || failed+=("$name"); done
  # shellcheck disable=SC2046
  "$python" bench/gpu_record.py summary $(printf "$out/%s.json " "${stages[@]}")
  say "the figures are in $out"
  [ ${#failed[@]} -eq 0 ] || die "not all well: ${failed[*]}"
}

dry_settings() {
  device=simt out=${out:-build/gpu-dry} steps=2 curve_steps=25 curve_device=cpu curve_model=attention
  precisions=fp32 models=attention
  small=(--small) bench_time=() batch=(--batch 8) table_steps=(--max-steps 2) torch_device=(--device cpu)
  torch_rounds=(--rounds 1 --repetitions 1 --steps 2 --warmup 1 --modes eager --etude-steps 12)
  etude_device=(--device cpu)
  curve_more=(--limit 1)
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
pack)
  options "$@"
  make_pack
  ;;
run)
  options "$@"
  run
  ;;
dry)
  options "$@"
  dry=1
  run
  ;;
-h | --help | help) usage ;;
*)
  usage >&2
  exit 2
  ;;
esac
