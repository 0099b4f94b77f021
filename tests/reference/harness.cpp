#include "tests/reference/harness.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <random>

#include "kernels/parallel.h"
#include "tests/places.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace etude::tests {
namespace {

constexpr int64_t kMargin = 66;           // floats of guard on either side
constexpr double kDifference = 1e-5;      // step of the central differences
constexpr double kSlopeTolerance = 1e-6;  // reference backward against differences
constexpr double kFloatSlopeTolerance = 1e-3;
constexpr double kVectorTolerance = 1e-9;  // reference against vectors, both in double

// A NaN that no other array has: a copy of another's guard is seen.
float next_guard() {
  static uint32_t payload = 0;
  payload = (payload + 1) % (1 << 22);
  return std::bit_cast<float>(0x7fc00000 | payload);
}

Layout with_stride(Layout layout) {
  if (layout.stride == 0) layout.stride = std::max<int64_t>(layout.width, 1);
  return layout;
}

int64_t extent(const Layout& layout) {
  return layout.rows == 0 ? 0 : (layout.rows - 1) * layout.stride + layout.width;
}

// ETUDE_SHOW_ERRORS=1 prints every error, for choosing tolerances.
void show(const std::string& what, const Errors& e, double tolerance) {
  static const bool wanted = std::getenv("ETUDE_SHOW_ERRORS") != nullptr;
  if (wanted) std::printf("%9.2e %9.2e of %7.0e  %s\n", e.norm, e.element, tolerance, what.c_str());
}

std::vector<Write> all(const OpCase& c, Write write) {
  return std::vector<Write>(c.inputs.size(), write);
}

Arrays values(const OpCase& c) {
  Arrays out;
  for (const Input& input : c.inputs) out.push_back(input.value);
  return out;
}

// The inputs of one call, fresh, each between guards.
class GuardedInputs {
 public:
  explicit GuardedInputs(const OpCase& c) : case_(c) {
    for (const Input& input : c.inputs) {
      pointers_.push_back(arrays_.emplace_back(input.value).data());
      before_.push_back(arrays_.back().numbers());
    }
  }
  const std::vector<const float*>& pointers() const { return pointers_; }
  void check_untouched() const {
    for (size_t i = 0; i < arrays_.size(); ++i) {
      INFO("input ", case_.inputs[i].name);
      CHECK(arrays_[i].guards_intact());
      CHECK(same_bits(arrays_[i].numbers(), before_[i]));
    }
  }

 private:
  const OpCase& case_;
  std::deque<Guarded> arrays_;
  Arrays before_;
  std::vector<const float*> pointers_;
};

Vec run_forward(const OpCase& c) {
  const GuardedInputs inputs(c);
  Guarded y(c.output);
  c.forward(inputs.pointers(), y.data());
  inputs.check_untouched();
  CHECK_MESSAGE(y.guards_intact(), "written outside y");
  return y.numbers();
}

// The gradients start as NaN where they are overwritten and as `base` where they are added to.
Arrays run_backward(const OpCase& c, const Vec& dy, const std::vector<Write>& writes,
                    const Arrays& base, bool without_dx = false) {
  const GuardedInputs inputs(c);
  Guarded guarded_dy(c.output, dy);
  const Vec dy_before = guarded_dy.numbers();
  std::deque<Guarded> arrays;
  std::vector<Gradient> gradients;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Layout layout{1, std::ssize(c.inputs[i].value)};
    Guarded& array = writes[i] == Write::add ? arrays.emplace_back(layout, base[i])
                                             : arrays.emplace_back(layout);
    gradients.push_back({without_dx && i == 0 ? nullptr : array.data(), writes[i]});
  }
  c.backward(inputs.pointers(), guarded_dy.data(), gradients);
  inputs.check_untouched();
  CHECK_MESSAGE(guarded_dy.guards_intact(), "written outside dy");
  CHECK_MESSAGE(same_bits(guarded_dy.numbers(), dy_before), "dy was changed");
  Arrays out;
  for (size_t i = 0; i < arrays.size(); ++i) {
    CHECK_MESSAGE(arrays[i].guards_intact(), "written outside the gradient of ", c.inputs[i].name);
    out.push_back(arrays[i].numbers());
  }
  return out;
}

// Slopes of sum(dy y) along some elements of one input.
struct Slopes {
  std::vector<int64_t> elements;
  Vec values;
  Vec pick(const Vec& from) const {
    Vec out;
    for (const int64_t e : elements) out.push_back(from[e]);
    return out;
  }
};

double slope(const OpCase& c, Arrays inputs, const Vec& dy, size_t input, int64_t element) {
  const double middle = inputs[input][element];
  inputs[input][element] = middle + kDifference;
  const Vec above = c.reference_forward(inputs);
  inputs[input][element] = middle - kDifference;
  const Vec below = c.reference_forward(inputs);
  double sum = 0;  // of differences: what the element has no part in cancels exactly
  for (size_t i = 0; i < dy.size(); ++i) sum += dy[i] * (above[i] - below[i]);
  return sum / (2 * kDifference);
}

Slopes slopes(const OpCase& c, const Arrays& inputs, const Vec& dy, size_t input) {
  Slopes out;
  std::mt19937_64 engine(input);
  const int64_t size = std::ssize(inputs[input]);
  for (int64_t p = 0; p < std::min<int64_t>(size, c.probes); ++p) {
    out.elements.push_back(size <= c.probes ? p : static_cast<int64_t>(engine() % size));
    out.values.push_back(slope(c, inputs, dy, input, out.elements.back()));
  }
  return out;
}

void check_writes(const OpCase& c, const Vec& dy, const Arrays& want,
                  const std::vector<Write>& writes) {
  Arrays base, sum = want;
  for (size_t i = 0; i < want.size(); ++i) {
    double largest = 1e-3;
    for (const double w : want[i]) largest = std::max(largest, std::abs(w));
    base.push_back(random_numbers(std::ssize(want[i]), 1000 + i, -largest, largest));
    for (size_t k = 0; k < want[i].size() && writes[i] == Write::add; ++k) sum[i][k] += base[i][k];
  }
  const Arrays got = run_backward(c, dy, writes, base);
  for (size_t i = 0; i < want.size(); ++i)
    check_close(
        "d" + c.inputs[i].name + (writes[i] == Write::add ? ", added" : ", beside an added one"),
        got[i], sum[i], c.backward_tolerance, c.inputs[i].floor);
}

void check_all_writes(const OpCase& c, const Vec& dy, const Arrays& want) {
  check_writes(c, dy, want, all(c, Write::add));
  for (int group = 0; group <= c.inputs.back().group && c.inputs.back().group > 0; ++group) {
    std::vector<Write> writes;
    for (const Input& input : c.inputs)
      writes.push_back(input.group == group ? Write::add : Write::overwrite);
    check_writes(c, dy, want, writes);
  }
}

void check_without_dx(const OpCase& c, const Vec& dy, const Arrays& want) {
  const Arrays got = run_backward(c, dy, all(c, Write::overwrite), {}, true);
  for (size_t i = 1; i < want.size(); ++i)
    CHECK_MESSAGE(same_bits(got[i], want[i]), "d", c.inputs[i].name, " differs without dx");
}

// `y` and `gradients` were made by two threads.
void check_threads(const OpCase& c, const Vec& dy, const Vec& y, const Arrays& gradients) {
  for (const int threads : {2, 1, 3}) {
    INFO(threads, " threads");
    kernels::cpu::set_threads(threads);
    const Vec again = run_forward(c);
    const Arrays gradients_again = run_backward(c, dy, all(c, Write::overwrite), {});
    if (threads == 2 || c.bits_of_threads) {
      CHECK_MESSAGE(same_bits(again, y), "y has other bits");
      for (size_t i = 0; i < gradients.size(); ++i)
        CHECK_MESSAGE(same_bits(gradients_again[i], gradients[i]), "d", c.inputs[i].name,
                      " has other bits");
    } else {
      check_close("y, other threads", again, y, c.forward_tolerance);
      for (size_t i = 0; i < gradients.size(); ++i)
        check_close("d" + c.inputs[i].name + ", other threads", gradients_again[i], gradients[i],
                    c.backward_tolerance, c.inputs[i].floor);
    }
  }
  kernels::cpu::set_threads(2);
}

}  // namespace

Guarded::Guarded(Layout layout)
    : layout_(with_stride(layout)),
      guard_(next_guard()),
      memory_(extent(layout_) + 2 * kMargin, guard_) {
  poison(true);
}

Guarded::Guarded(Layout layout, const Vec& numbers) : Guarded(layout) {
  for (int64_t i = 0; i < std::ssize(numbers); ++i)
    data()[i / layout_.width * layout_.stride + i % layout_.width] = static_cast<float>(numbers[i]);
}

Guarded::Guarded(const Vec& numbers) : Guarded(Layout{1, std::ssize(numbers)}, numbers) {}

Guarded::~Guarded() { poison(false); }

float* Guarded::data() { return memory_.data() + kMargin; }

void Guarded::poison(bool on) const {
  const float* begin = memory_.data();
  const float* end = begin + memory_.size();
  for (const float* margin : {begin, end - kMargin})
    if (on)
      ASAN_POISON_MEMORY_REGION(margin, kMargin * sizeof(float));
    else
      ASAN_UNPOISON_MEMORY_REGION(margin, kMargin * sizeof(float));
}

Vec Guarded::numbers() const {
  Vec out;
  for (int64_t row = 0; row < layout_.rows; ++row)
    for (int64_t i = 0; i < layout_.width; ++i)
      out.push_back(memory_[kMargin + row * layout_.stride + i]);
  return out;
}

bool Guarded::guards_intact() const {
  poison(false);
  bool intact = true;
  for (int64_t i = 0; i < std::ssize(memory_); ++i) {
    const int64_t at = i - kMargin;
    const bool inside = at >= 0 && at < extent(layout_) && at % layout_.stride < layout_.width;
    intact = intact &&
             (inside || std::bit_cast<uint32_t>(memory_[i]) == std::bit_cast<uint32_t>(guard_));
  }
  poison(true);
  return intact;
}

Errors errors(const Vec& got, const Vec& want, double floor) {
  const double infinite = std::numeric_limits<double>::infinity();
  if (got.size() != want.size()) return {infinite, infinite};
  double squares = 0, wrong = 0, worst = 0;
  for (const double w : want) squares += w * w;
  const double count = static_cast<double>(std::max<size_t>(want.size(), 1));
  const double typical = std::max(std::sqrt(squares / count), floor);
  for (size_t i = 0; i < want.size(); ++i) {
    const double off = std::abs(got[i] - want[i]);
    if (std::isnan(off)) return {infinite, infinite};
    wrong += off * off;
    worst = std::max(worst, off / std::max(std::abs(want[i]), typical));
  }
  return {std::sqrt(wrong / count) / typical, worst};
}

void check_close(const std::string& what, const Vec& got, const Vec& want, double tolerance,
                 double floor) {
  const Errors e = errors(got, want, floor);
  show(what, e, tolerance);
  CHECK_MESSAGE(e.norm <= tolerance, what, ": relative error ", e.norm, " of the whole");
  CHECK_MESSAGE(e.element <= 10 * tolerance, what, ": relative error ", e.element,
                " of an element");
}

bool same_bits(const Vec& a, const Vec& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double v, double w) {
    return std::bit_cast<uint64_t>(v) == std::bit_cast<uint64_t>(w);
  });
}

Vec random_numbers(int64_t n, uint64_t seed, double low, double high) {
  std::mt19937_64 engine(seed);
  Vec out(n);
  for (double& v : out) {
    const double unit = static_cast<double>(engine() >> 11) * 0x1p-53;
    v = static_cast<float>(low + (high - low) * unit);
  }
  return out;
}

std::vector<int32_t> random_ids(int64_t n, uint64_t seed, int32_t end) {
  std::mt19937_64 engine(seed);
  std::vector<int32_t> out(n);
  for (int32_t& id : out) id = static_cast<int32_t>(engine() % static_cast<uint64_t>(end));
  return out;
}

std::vector<float> to_float(const Vec& numbers) {
  std::vector<float> out;
  for (const double v : numbers) out.push_back(static_cast<float>(v));
  return out;
}

Vec to_double(const std::vector<float>& numbers) { return {numbers.begin(), numbers.end()}; }

void check(const OpCase& c) {
  if (devices_under_test() == "cuda") return;
  INFO(c.name);
  const Arrays inputs = values(c);
  const Vec want_y = c.reference_forward(inputs);
  const Vec dy = c.dy.empty() ? random_numbers(std::ssize(want_y), 99) : c.dy;
  const Arrays want = c.reference_backward(inputs, dy);
  kernels::cpu::set_threads(2);
  const Vec y = run_forward(c);
  const Arrays got = run_backward(c, dy, all(c, Write::overwrite), {});
  check_close(c.name + ": y", y, want_y, c.forward_tolerance);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = c.name + ": d" + c.inputs[i].name;
    const Slopes slope = slopes(c, inputs, dy, i);
    check_close(name + ", reference and differences", slope.pick(want[i]), slope.values,
                kSlopeTolerance, c.inputs[i].floor);
    check_close(name + ", kernel and differences", slope.pick(got[i]), slope.values,
                kFloatSlopeTolerance, c.inputs[i].floor);
    check_close(name, got[i], want[i], c.backward_tolerance, c.inputs[i].floor);
  }
  if (c.once) return;
  check_all_writes(c, dy, want);
  if (c.dx_may_be_null) check_without_dx(c, dy, got);
  check_threads(c, dy, y, got);
}

std::pair<Vec, Arrays> run_on_cpu(const OpCase& c, const Vec& dy) {
  return {run_forward(c), run_backward(c, dy, all(c, Write::overwrite), {})};
}

void check_against(const OpCase& c, const Vec& y, const Arrays& gradients) {
  INFO(c.name);
  check_close(c.name + ": reference's y", c.reference_forward(values(c)), y, kVectorTolerance);
  check_close(c.name + ": kernel's y", run_forward(c), y, c.forward_tolerance);
  const Arrays reference = c.reference_backward(values(c), c.dy);
  const Arrays kernel = run_backward(c, c.dy, all(c, Write::overwrite), {});
  for (size_t i = 0; i < gradients.size(); ++i) {
    const std::string name = "d" + c.inputs[i].name;
    check_close(c.name + ": reference's " + name, reference[i], gradients[i], kVectorTolerance,
                c.inputs[i].floor);
    check_close(c.name + ": kernel's " + name, kernel[i], gradients[i], c.backward_tolerance,
                c.inputs[i].floor);
  }
}

}  // namespace etude::tests
