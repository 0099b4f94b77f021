// Sixteen bits make oneDNN's products twice as fast where the processor multiplies bfloat16 (AMD
// EPYC, Zen 4, one thread: 189 to 203 GFLOP/s at the paper's shapes, 96 to 105 in fp32); rounding
// the operands takes back about a tenth of that.

#include <dnnl.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/matmul.h"
#include "kernels/parallel.h"

namespace etude::kernels::cpu {
namespace {

// Smaller products cost more to round and to look up than bfloat16 saves.
constexpr int64_t kLeastForBf16 = int64_t{1} << 22;  // multiplications

struct Product {
  int threads;  // the code is made for so many
  int64_t m, n, k;
  bool a_transposed, b_transposed, add;
  int64_t c_stride;
  auto key() const { return std::tie(threads, m, n, k, a_transposed, b_transposed, add, c_stride); }
  bool operator<(const Product& other) const { return key() < other.key(); }
};

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::desc operand(int64_t rows, int64_t columns, bool transposed) {
  const auto strides =
      transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, int64_t{1}};
  return {{rows, columns}, dnnl::memory::data_type::bf16, strides};
}

struct Prepared {
  dnnl::memory::desc a, b, c;
  dnnl::matmul primitive;
};

Prepared prepare(const Product& p) {
  Prepared out{operand(p.m, p.k, p.a_transposed),
               operand(p.k, p.n, p.b_transposed),
               {{p.m, p.n}, dnnl::memory::data_type::f32, dnnl::memory::dims{p.c_stride, 1}},
               {}};
  dnnl::primitive_attr attributes;
  if (p.add) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  out.primitive = dnnl::matmul(
      dnnl::matmul::primitive_desc(dnnl::matmul::desc(out.a, out.b, out.c), attributes, engine()));
  return out;
}

// What oneDNN generates for a shape is kept for as long as the program runs.
const Prepared& prepared(const Product& p) {
  static std::mutex mutex;
  static std::map<Product, Prepared> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(p);
  return found != known.end() ? found->second : known.emplace(p, prepare(p)).first->second;
}

// The view's numbers without gaps between the rows.
void round_operand(int64_t rows, int64_t columns, const MatrixView& x, std::vector<Bf16>& to) {
  to.resize(static_cast<size_t>(rows * columns));
  parallel_ranges(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      round_to_bf16(columns, x.data + i * x.stride, to.data() + i * columns);
  });
}

void matmul_bf16(const Product& p, const MatrixView& a, const MatrixView& b, float* c) {
  thread_local std::vector<Bf16> a_rounded, b_rounded;
  p.a_transposed ? round_operand(p.k, p.m, a, a_rounded) : round_operand(p.m, p.k, a, a_rounded);
  p.b_transposed ? round_operand(p.n, p.k, b, b_rounded) : round_operand(p.k, p.n, b, b_rounded);
  const Prepared& ready = prepared(p);
  dnnl::stream stream(engine());
  ready.primitive.execute(stream, {{DNNL_ARG_SRC, {ready.a, engine(), a_rounded.data()}},
                                   {DNNL_ARG_WEIGHTS, {ready.b, engine(), b_rounded.data()}},
                                   {DNNL_ARG_DST, {ready.c, engine(), c}}});
  stream.wait();
}

}  // namespace

void matmul(int64_t m, int64_t n, int64_t k, MatrixView a, MatrixView b, float* c, int64_t c_stride,
            Write write, float scale, Sizes sizes) {
  const bool a_transposed = a.transpose == Transpose::yes,
             b_transposed = b.transpose == Transpose::yes;
  if (precision() == Precision::bf16 && sizes == Sizes::stay && scale == 1.0f &&
      m * n * k >= kLeastForBf16)
    return matmul_bf16(
        {threads(), m, n, k, a_transposed, b_transposed, write == Write::add, c_stride}, a, b, c);
  const auto status =
      dnnl_sgemm(a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', m, n, k, scale, a.data,
                 a.stride, b.data, b.stride, write == Write::add ? 1.0f : 0.0f, c, c_stride);
  if (status != dnnl_success) throw std::runtime_error("oneDNN's sgemm failed");
}

void column_sums(int64_t rows, int64_t columns, const float* x, int64_t stride, float* sums,
                 Write write) {
  // Strips of columns, each a cache line or more wide, so that every row is read once.
  parallel_ranges(columns, 64, [&](int64_t begin, int64_t end) {
    float partial[64] = {};
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = begin; j < end; ++j) partial[j - begin] += x[i * stride + j];
    for (int64_t j = begin; j < end; ++j)
      sums[j] = partial[j - begin] + (write == Write::add ? sums[j] : 0.0f);
  });
}

}  // namespace etude::kernels::cpu
