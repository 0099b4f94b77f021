#pragma once

// One case object an op, and from it all checks that every op gets:
// * the reference's backward against central differences of its forward, in double;
// * the kernel's forward and backward against the reference, and its gradient against the
// differences;
// * Write::overwrite into memory full of NaN (nothing may be read), Write::add to known numbers,
//   for each gradient alone and for all at once;
// * guards around every array stay as they were, and inputs too; what a kernel reads beyond an
// input
//   is NaN, and an error under AddressSanitizer;
// * the same bits from run to run, and with 1, 2 and 3 threads where the contract promises it.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/types.h"
#include "tests/reference/types.h"

namespace etude::tests {

using kernels::Write;
using reference::Vec;
using Arrays = std::vector<Vec>;

// `rows` rows of `width` numbers, `stride` apart. 0 stands for "as wide as the row".
struct Layout {
  int64_t rows, width, stride = 0;
};

// An array of floats for a kernel, 8 bytes off any alignment it might hope for, with guards before
// it, behind it and between its rows.
class Guarded {
 public:
  explicit Guarded(Layout layout);  // full of NaN
  explicit Guarded(int64_t count) : Guarded(Layout{1, count}) {}
  Guarded(Layout layout, const Vec& numbers);  // without gaps in `numbers`
  explicit Guarded(const Vec& numbers);
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded();

  float* data();
  Vec numbers() const;
  bool guards_intact() const;

 private:
  void poison(bool on) const;

  Layout layout_;
  float guard_;
  std::vector<float> memory_;
};

// Relative to what is wanted: of the whole array, and of the worst element, where an element below
// the root mean square (or below 1e-3) counts as that large. NaN is an infinite error.
struct Errors {
  double norm, element;
};
Errors errors(const Vec& got, const Vec& want);

// Fails the test, saying what and by how much, unless the norm's error is below the tolerance and
// the worst element's below ten times that.
void check_close(const std::string& what, const Vec& got, const Vec& want, double tolerance,
                 double floor = 1e-3);
bool same_bits(const Vec& a, const Vec& b);

// The same numbers for the same seed on every machine, and each of them exactly a float.
Vec random_numbers(int64_t n, uint64_t seed, double low = -1, double high = 1);
std::vector<int32_t> random_ids(int64_t n, uint64_t seed, int32_t end);
std::vector<float> to_float(const Vec& numbers);
Vec to_double(const std::vector<float>& numbers);

struct Input {
  std::string name;
  Vec value;
  int group;  // inputs whose gradients share one Write share a group; counted from 0
  double floor =
      1e-3;  // of the gradient's scale, see errors(); large where it is 0 but for rounding
};

struct Gradient {
  float* data;
  Write write;
};

struct OpCase {
  std::string name;
  std::vector<Input> inputs;  // those that have a gradient
  Layout output;
  std::function<Vec(const Arrays& inputs)> reference_forward;
  std::function<Arrays(const Arrays& inputs, const Vec& dy)> reference_backward;
  std::function<void(const std::vector<const float*>& inputs, float* y)> forward;
  // dy is laid out as y. Runs forward itself where the op keeps something for backward.
  std::function<void(const std::vector<const float*>& inputs, const float* dy,
                     const std::vector<Gradient>& gradients)>
      backward;

  Vec dy = {};                   // random numbers if empty
  bool bits_of_threads = false;  // the same bits promised for any number of threads
  bool dx_may_be_null = false;   // the first input's gradient
  bool once = false;             // a large case: against the reference, and no more
  int probes = 64;               // elements of each input to take differences of
  // Norm-wise. Sums of thousands of floats, each rounded at 6e-8, come out with 1e-6, and with a
  // few times that where most of the sum cancels; a term forgotten or counted twice is off by 1e-3
  // or more.
  double forward_tolerance = 5e-6;
  double backward_tolerance = 3e-5;
};

// Nothing with $ETUDE_TEST_DEVICES = cuda, which is for the GPU's kernels alone.
void check(const OpCase& c);

// The CPU kernel's output and, overwriting, its gradients.
std::pair<Vec, Arrays> run_on_cpu(const OpCase& c, const Vec& dy);

// Both the reference (to 1e-9) and the kernel against numbers that somebody else computed for c.dy.
void check_against(const OpCase& c, const Vec& y, const Arrays& gradients);

}  // namespace etude::tests
