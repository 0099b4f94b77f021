#include "apps/simt_ops.h"

#include <random>

#include "kernels/add.h"
#include "kernels/attention.h"
#include "kernels/dense.h"
#include "kernels/device_functions.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gru.h"
#include "kernels/leaky_relu.h"
#include "kernels/nadam.h"
#include "kernels/simt/count.h"
#include "kernels/softmax_cross_entropy.h"
#include "kernels/vocabulary_loss.h"

namespace etude::apps {
namespace {

using namespace kernels;

// Arrays on the emulated device, with the names that the report shows.
class Bench {
 public:
  explicit Bench(const Stream& stream) : stream_(stream) {}
  ~Bench() {
    for (void* array : arrays_) counted::release(stream_, array);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // Numbers between -1 and 1.
  float* in(const std::string& name, int64_t count) {
    std::vector<float> numbers(static_cast<size_t>(count));
    for (float& x : numbers) x = std::uniform_real_distribution<float>(-1, 1)(random_);
    return from(name, numbers);
  }
  int32_t* ids(const std::string& name, int64_t count, int64_t below) {
    std::vector<int32_t> numbers(static_cast<size_t>(count));
    for (int32_t& x : numbers) x = static_cast<int32_t>(random_() % static_cast<uint32_t>(below));
    return from(name, numbers);
  }
  float* out(const std::string& name, int64_t count) {
    return static_cast<float*>(raw(name, count * 4));
  }
  float* zeros(const std::string& name, int64_t count) {
    return from(name, std::vector<float>(static_cast<size_t>(count)));
  }
  template <typename T>
  T* from(const std::string& name, const std::vector<T>& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    void* array = raw(name, bytes);
    counted::copy_to_device(stream_, array, values.data(), bytes);
    return static_cast<T*>(array);
  }
  void* raw(const std::string& name, int64_t bytes) {
    arrays_.push_back(counted::allocate(stream_, bytes));
    emulator::name_array(arrays_.back(), name);
    return arrays_.back();
  }

 private:
  Stream stream_;
  std::mt19937 random_{1};
  std::vector<void*> arrays_;
};

void run_leaky_relu(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const int64_t n = sizes.at("n");
  const float* x = bench.in("x", n);
  counted::leaky_relu_forward(stream, n, 0.3f, x, bench.out("y", n));
  counted::leaky_relu_backward(stream, n, 0.3f, x, bench.in("dy", n), bench.out("dx", n),
                               Write::overwrite);
}

void run_add(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const int64_t n = sizes.at("n");
  counted::add_forward(stream, n, bench.in("a", n), bench.in("b", n), bench.out("y", n));
  counted::add_backward(stream, n, bench.in("dy", n), bench.in("da", n), Write::add);
}

void run_dropout(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const int64_t n = sizes.at("n");
  const DeviceRandomKey key{1, 2, bench.from<uint32_t>("step", {3})};
  counted::dropout_forward(stream, n, 0.2f, key, bench.in("x", n), bench.out("y", n));
  counted::dropout_backward(stream, n, 0.2f, key, bench.in("dy", n), bench.out("dx", n),
                            Write::overwrite);
}

void run_dense(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const DenseShape s{sizes.at("rows"), sizes.at("in"), sizes.at("out")};
  const float *x = bench.in("x", s.rows * s.in), *w = bench.in("w", s.in * s.out);
  counted::dense_forward(stream, s, x, w, bench.in("b", s.out), bench.out("y", s.rows * s.out));
  counted::dense_backward(
      stream, s, x, w, bench.in("dy", s.rows * s.out),
      {bench.out("dx", s.rows * s.in), Write::overwrite, bench.out("dw", s.in * s.out),
       Write::overwrite, bench.out("db", s.out), Write::overwrite});
}

void run_embedding(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const EmbeddingShape s{sizes.at("classes"), sizes.at("dim"), sizes.at("count")};
  const float* table = bench.in("table", s.classes * s.dim);
  const int32_t* ids = bench.ids("ids", s.count, s.classes);
  auto* index = static_cast<int32_t*>(bench.raw("index", 4 * counted::embedding_index_size(s)));
  counted::embedding_index(stream, s, ids, index);
  counted::embedding_forward(stream, s, table, ids, bench.out("y", s.count * s.dim));
  counted::embedding_backward(stream, s, index, bench.in("dy", s.count * s.dim),
                              bench.out("dtable", s.classes * s.dim), Write::overwrite);
}

void run_attention(const Stream& stream, const SimtSizes& sizes, int version) {
  Bench bench(stream);
  AttentionShape s{sizes.at("batch"), sizes.at("time"), sizes.at("features")};
  s.heads = sizes.at("heads");
  s.width = sizes.at("width");
  s.version = static_cast<AttentionVersion>(version);
  const int64_t count = s.batch * s.time * s.features, weights = s.features * s.features / s.heads;
  const AttentionWeights w{bench.in("Wa", weights), bench.in("ba", s.heads)};
  const float* x = bench.in("x", count);
  float *y = bench.out("y", count),
        *saved = bench.out("saved", counted::attention_saved(stream, s, {}));
  counted::attention_forward(stream, s, w, {}, x, y, saved);
  counted::attention_backward(stream, s, w, {}, x, y, bench.in("dy", count), saved,
                              bench.out("scratch", counted::attention_scratch(stream, s, {})),
                              {bench.out("dx", count), Write::overwrite, bench.out("dWa", weights),
                               Write::overwrite, bench.out("dba", s.heads), Write::overwrite});
}

void run_gru(const Stream& stream, const SimtSizes& sizes, int version) {
  Bench bench(stream);
  GruShape s{sizes.at("batch"), sizes.at("time"), sizes.at("in"), sizes.at("units")};
  s.version = static_cast<GruVersion>(version);
  const int64_t x_count = s.batch * s.time * s.in, y_count = 2 * s.batch * s.time * s.units;
  const auto weights = [&] {
    return GruWeights{bench.in("kernel", 3 * s.in * s.units),
                      bench.in("recurrent kernel", 3 * s.units * s.units),
                      bench.in("bias", 3 * s.units), bench.in("recurrent bias", 3 * s.units)};
  };
  const auto gradients = [&] {
    return GruWeightGradients{bench.out("dkernel", 3 * s.in * s.units),
                              bench.out("drecurrent kernel", 3 * s.units * s.units),
                              bench.out("dbias", 3 * s.units),
                              bench.out("drecurrent bias", 3 * s.units)};
  };
  const GruWeights w[2] = {weights(), weights()};
  const GruWeightGradients g[2] = {gradients(), gradients()};
  const float* x = bench.in("x", x_count);
  float* saved = bench.out("saved", counted::bidirectional_gru_saved(s));
  float* scratch = bench.out("scratch", counted::bidirectional_gru_scratch(s));
  counted::bidirectional_gru_forward(stream, s, w, x, bench.out("y", y_count), saved, scratch);
  counted::bidirectional_gru_backward(stream, s, w, x, bench.in("dy", y_count), saved, scratch,
                                      bench.out("dx", x_count), Write::overwrite, g,
                                      Write::overwrite);
}

void run_softmax_cross_entropy(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const CrossEntropyShape s{sizes.at("rows"), sizes.at("classes")};
  const float* logits = bench.in("logits", s.rows * s.classes);
  const int32_t* targets = bench.ids("targets", s.rows, s.classes);
  float* sums = bench.out("log of the sum", s.rows);
  counted::softmax_cross_entropy_forward(stream, s, logits, targets, bench.out("loss", s.rows),
                                         sums);
  counted::softmax_cross_entropy_backward(stream, s, 1.0f, logits, targets, sums,
                                          bench.out("dlogits", s.rows * s.classes),
                                          Write::overwrite);
}

void run_vocabulary_loss(const Stream& stream, const SimtSizes& sizes, int version) {
  Bench bench(stream);
  VocabularyLossShape s{sizes.at("rows"), sizes.at("in"), sizes.at("classes")};
  s.version = static_cast<VocabularyLossVersion>(version);
  const float *x = bench.in("x", s.rows * s.in), *w = bench.in("w", s.in * s.classes);
  const float* b = bench.in("b", s.classes);
  const int32_t* targets = bench.ids("targets", s.rows, s.classes);
  float* saved = bench.out("saved", counted::vocabulary_loss_saved(s));
  float* scratch = bench.out("scratch", counted::vocabulary_loss_scratch(s));
  counted::vocabulary_loss_forward(stream, s, x, w, b, targets, bench.out("loss", s.rows), saved,
                                   scratch);
  counted::vocabulary_loss_backward(
      stream, s, x, w, b, targets, saved, scratch,
      {bench.out("dx", s.rows * s.in), Write::overwrite, bench.out("dw", s.in * s.classes),
       Write::overwrite, bench.out("db", s.classes), Write::overwrite});
}

void run_nadam(const Stream& stream, const SimtSizes& sizes, int) {
  Bench bench(stream);
  const int64_t n = sizes.at("n");
  double product = 1;
  const auto* step = bench.from<NadamStep>("step", {nadam_step({}, 1, product)});
  counted::nadam_update(
      stream, n, step,
      {bench.in("w", n), bench.in("g", n), bench.zeros("m", n), bench.zeros("v", n)});
}

}  // namespace

const std::vector<SimtOp>& simt_ops() {
  static const std::vector<SimtOp> ops = {
      {"leaky_relu", {{"n", 6144}}, {}, run_leaky_relu},
      {"add", {{"n", 6144}}, {}, run_add},
      {"dropout", {{"n", 6144}}, {}, run_dropout},
      {"embedding", {{"classes", 500}, {"dim", 100}, {"count", 200}}, {}, run_embedding},
      {"dense", {{"rows", 96}, {"in", 64}, {"out", 100}}, {}, run_dense},
      {"gru",
       {{"batch", 4}, {"time", 3}, {"in", 8}, {"units", 64}},
       {"automatic", "stepwise", "persistent", "mma", "cluster"},
       run_gru},
      {"attention",
       {{"batch", 2}, {"time", 20}, {"features", 32}, {"heads", 1}, {"width", 15}},
       {"automatic", "simple", "tiled", "window"},
       run_attention},
      {"softmax_cross_entropy", {{"rows", 8}, {"classes", 1000}}, {}, run_softmax_cross_entropy},
      {"vocabulary_loss",
       {{"rows", 32}, {"in", 64}, {"classes", 500}},
       {"automatic", "separate", "recompute"},
       run_vocabulary_loss},
      {"nadam", {{"n", 10000}}, {}, run_nadam},
  };
  return ops;
}

}  // namespace etude::apps
