#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "engine/error.h"
#include "engine/session.h"
#include "kernels/precision.h"
#include "layers/models.h"

using namespace etude;

namespace {

ModelConfig small_config(const std::string& name) {
  ModelConfig config = default_config(name);
  config.classes = 23;
  config.window = 7;
  config.embedding = 8;
  config.units = 5;
  config.dense = 6;
  config.attention_width = 4;
  if (name == "stack") config.stack = 4;
  return config;
}

struct Minibatch {
  explicit Minibatch(const ModelConfig& config, int64_t rows = 3) : size(rows) {
    for (int64_t i = 0; i < size * config.window; ++i)
      inputs.push_back(static_cast<int32_t>((i * i + 3 * i + 1) % config.classes));
    for (int64_t i = 0; i < size; ++i)
      targets.push_back(static_cast<int32_t>((7 * i + 2) % config.classes));
    time = config.window;
  }
  Batch batch() const { return {size, time, inputs.data(), targets.data()}; }
  int64_t size, time;
  std::vector<int32_t> inputs, targets;
};

// The sum of the losses, without dropout.
double loss(Model& model, const Minibatch& minibatch) {
  Session session = make_session(model);
  const auto losses = session.losses(minibatch.batch()).losses;
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

// Larger than the initial ones, so that gates and scores leave their linear range.
void spread_parameters(Model& model) {
  model.initialise(7);
  float* w = model.params().values();
  for (Parameter& p : model.params().all())
    for (int64_t i = 0; i < count(p.node.shape); ++i)
      w[p.offset + i] +=
          0.1f * static_cast<float>(std::sin(0.7 * static_cast<double>(p.offset + i)));
}

}  // namespace

TEST_CASE("the models have the reference's numbers of parameters") {
  const std::map<std::string, int64_t> expected = {{"rnn", 6'134'903},
                                                   {"attention", 6'271'880},
                                                   {"single", 7'003'256},
                                                   {"double", 6'496'888},
                                                   {"triple", 6'858'873}};
  for (const std::string& name : table_models()) {
    CAPTURE(name);
    ModelConfig config = default_config(name);
    config.classes = 36'011;
    Model model(config);
    CHECK(model.params().parameter_count() == expected.at(name));
    int64_t sum = 0;
    for (const Model::Row& row : model.summary()) sum += row.parameters;
    CHECK(sum == expected.at(name));
  }
}

TEST_CASE("a summary has a row for every layer, also where one takes in the next") {
  const auto names = [](const std::string& model) {
    std::vector<std::string> rows;
    for (const Model::Row& row : Model(small_config(model)).summary()) rows.push_back(row.name);
    return rows;
  };
  using Names = std::vector<std::string>;
  CHECK(names("double") == Names{"embedding", "gru_1", "attention_1", "dropout_1", "gru_2",
                                 "dropout_2", "dense", "leaky_relu", "output"});
  CHECK(names("single") == Names{"embedding", "gru_1", "attention_1", "dropout_1", "flatten",
                                 "dense", "leaky_relu", "output"});
  CHECK(names("transformer") == Names{"embedding", "attention_1", "feed_forward_1", "attention_2",
                                      "feed_forward_2", "dropout_1", "flatten", "dense",
                                      "leaky_relu", "output"});
}

TEST_CASE("a stack of 1, 2 and 3 is rnn, double and triple") {
  const std::vector<std::string> twins = {"rnn", "double", "triple"};
  for (int64_t depth = 1; depth <= 3; ++depth) {
    ModelConfig config = small_config("stack");
    config.stack = depth;
    Model stack(config), twin(small_config(twins[static_cast<size_t>(depth - 1)]));
    stack.initialise(3);
    twin.initialise(3);
    const Minibatch minibatch(config);
    CHECK(loss(stack, minibatch) == loss(twin, minibatch));
  }
}

TEST_CASE("the gradient of a whole model agrees with finite differences along random directions") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    ModelConfig config = small_config(name);
    config.dropout = 0;
    config.leaky_slope = 1;  // a finite step may not cross the kink; the op has a test of its own
    Model model(config);
    spread_parameters(model);
    const Minibatch minibatch(config);
    ParamSet& params = model.params();
    const auto size = static_cast<size_t>(params.flat_size());
    const std::vector<float> start(params.values(), params.values() + size);
    Session session = make_session(model);
    session.update_table_late(false);  // so that the table's gradient is in its place
    session.train_step(minibatch.batch());
    const std::vector<float> gradient(params.gradients(), params.gradients() + size);

    for (const int direction : {1, 2, 3}) {
      // Random weights on the gradient's own elements: the slope is then well above what rounding
      // of the losses (1e-6) makes of a difference.
      std::vector<double> d(size);
      double squares = 0;
      for (size_t i = 0; i < size; ++i) {
        d[i] = gradient[i] * (1 + std::cos(1.3 * direction * static_cast<double>(i * i)));
        squares += d[i] * d[i];
      }
      for (double& element : d) element /= std::sqrt(squares);
      const auto loss_at = [&](double along) {
        for (size_t i = 0; i < size; ++i)
          params.values()[i] = static_cast<float>(start[i] + along * d[i]);
        return loss(model, minibatch);
      };
      const double step = 4e-3;
      const double numeric = (loss_at(step) - loss_at(-step)) / (2 * step);
      const double analytic = std::inner_product(gradient.begin(), gradient.end(), d.begin(), 0.0);
      CHECK(analytic == doctest::Approx(numeric).epsilon(1e-3).scale(0));
    }
  }
}

TEST_CASE("a model learns a minibatch by heart") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    ModelConfig config = small_config(name);
    config.dropout = 0;
    Model model(config);
    model.initialise(5);
    Session session = make_session(model);
    const Minibatch minibatch(config);
    const double first = session.train_step(minibatch.batch());
    CHECK(first == doctest::Approx(3 * std::log(23.0)).epsilon(0.05));
    double last = first;
    for (int i = 0; i < 600; ++i) last = session.train_step(minibatch.batch());
    CHECK(last < 0.1 * first);
  }
}

TEST_CASE("the same seed gives the same bits, another seed other ones") {
  const auto run = [](uint64_t seed) {
    Model model(small_config("triple"));
    model.initialise(seed);
    Session session = make_session(model, Nadam(), seed);
    const Minibatch minibatch(model.config());
    for (int i = 0; i < 5; ++i) session.train_step(minibatch.batch());
    const float* w = model.params().on_host(ParamSet::Flat::values);
    return std::vector<float>(w, w + model.params().flat_size());
  };
  CHECK(run(1) == run(1));
  CHECK(run(1) != run(2));
}

TEST_CASE("a table that is updated late has the bits of one that is not") {
  constexpr int kSteps = 150;  // past two flushes
  for (const std::string name : {"rnn", "attention", "single"}) {
    CAPTURE(name);
    std::vector<std::vector<float>> flat[2];
    std::vector<double> losses[2];
    for (const bool late : {false, true}) {
      ModelConfig config = small_config(name);
      config.classes = 500;  // most rows are named seldom, some never
      Model model(config);
      model.initialise(3);
      Session session = make_session(model, Nadam(), 3);
      session.update_table_late(late);
      Minibatch minibatch(config);
      for (int step = 0; step < kSteps; ++step) {
        for (int32_t& id : minibatch.inputs) id = (id * 7 + step) % 400;
        losses[late].push_back(session.train_step(minibatch.batch()));
        if (step % 40 == 17) losses[late].push_back(session.losses(minibatch.batch()).losses[0]);
      }
      for (const auto which : {ParamSet::Flat::values, ParamSet::Flat::first_moments,
                               ParamSet::Flat::second_moments}) {
        const float* numbers = model.params().on_host(which);
        flat[late].emplace_back(numbers, numbers + model.params().flat_size());
      }
    }
    CHECK(losses[0] == losses[1]);
    CHECK(flat[0] == flat[1]);
  }
}

TEST_CASE("products in bfloat16 change a step a little") {
  if (!kernels::cpu::has_bf16()) {
    MESSAGE("skipped: no AVX512-BF16 here");
    return;
  }
  ModelConfig config = small_config("triple");
  config.units = 64;
  config.window = 50;
  config.embedding = 100;
  double first[2];
  for (const bool bf16 : {false, true}) {
    Model model(config);
    model.initialise(3);
    const kernels::Stream stream = kernels::open_stream(
        kernels::Device::cpu, bf16 ? kernels::Precision::bf16 : kernels::Precision::fp32);
    Session session = make_session(model, Nadam(), 3, stream);
    const Minibatch minibatch(config, 32);
    session.train_step(minibatch.batch());
    first[bf16] = session.train_step(minibatch.batch());
  }
  kernels::cpu::use_precision(kernels::Precision::fp32);
  CHECK(first[0] != first[1]);
  CHECK(first[1] == doctest::Approx(first[0]).epsilon(0.01));
}

TEST_CASE("dropout acts in training and not in inference") {
  Model model(small_config("double"));
  model.initialise(1);
  const Minibatch minibatch(model.config());
  const double without = loss(model, minibatch);
  CHECK(loss(model, minibatch) == without);
  Session session = make_session(model);
  CHECK(session.train_step(minibatch.batch()) != without);
}

TEST_CASE("initial values are Keras'") {
  ModelConfig config = default_config("single");
  config.classes = 500;
  Model model(config);
  model.initialise(11);
  const auto values = [&](const char* name) {
    const Parameter* p = model.params().find(name);
    REQUIRE(p);
    return std::vector<float>(p->node.data, p->node.data + count(p->node.shape));
  };
  const auto deviation = [](const std::vector<float>& v) {
    double sum = 0;
    for (const float x : v) sum += static_cast<double>(x) * x;
    return std::sqrt(sum / static_cast<double>(v.size()));
  };
  const auto largest = [](const std::vector<float>& v) {
    float most = 0;
    for (const float x : v) most = std::max(most, std::abs(x));
    return most;
  };
  CHECK(largest(values("embedding.weight")) < 0.05f);
  CHECK(deviation(values("embedding.weight")) ==
        doctest::Approx(0.05 / std::sqrt(3)).epsilon(0.02).scale(0));
  CHECK(largest(values("gru_1.forward.kernel")) < std::sqrt(6.0 / (100 + 384)));
  CHECK(deviation(values("gru_1.forward.kernel")) ==
        doctest::Approx(std::sqrt(2.0 / (100 + 384))).epsilon(0.02).scale(0));
  CHECK(deviation(values("attention_1.weight")) ==
        doctest::Approx(std::sqrt(2.0 / 512)).epsilon(0.02).scale(0));
  CHECK(largest(values("gru_1.backward.bias")) == 0);
  CHECK(largest(values("output.bias")) == 0);
  CHECK(values("gru_1.forward.recurrent_kernel") != values("gru_1.backward.recurrent_kernel"));

  const auto r = values("gru_1.forward.recurrent_kernel");
  for (const auto& [i, j] : {std::pair{0, 0}, {5, 5}, {0, 1}, {64, 127}}) {
    double dot = 0;
    for (size_t k = 0; k < 384; ++k)
      dot += static_cast<double>(r[static_cast<size_t>(i) * 384 + k]) *
             r[static_cast<size_t>(j) * 384 + k];
    CHECK(dot == doctest::Approx(i == j ? 1.0 : 0.0).epsilon(1e-5));
  }
}

TEST_CASE("the sparse update leaves the rows of absent tokens where they are") {
  ModelConfig config = small_config("rnn");
  config.classes = 300;
  Model model(config);
  model.initialise(1);
  Session session = make_session(model, Nadam({}, EmbeddingUpdate::sparse), 1);
  const float* table = model.params().find("embedding.weight")->node.data;
  const std::vector<float> before(table, table + 300 * 8);
  Minibatch minibatch(config);
  session.train_step(minibatch.batch());
  std::fill(minibatch.inputs.begin(), minibatch.inputs.end(), 299);  // their moments now decay
  session.train_step(minibatch.batch());
  const Minibatch first(config);
  for (int32_t row = 0; row < 300; ++row) {
    const bool named = row == 299 || std::count(first.inputs.begin(), first.inputs.end(), row) > 0;
    const bool moved = !std::equal(table + row * 8, table + (row + 1) * 8, before.data() + row * 8);
    CAPTURE(row);
    CHECK(moved == named);
  }
}

TEST_CASE("impossible configurations and inputs are named") {
  CHECK_THROWS_WITH_AS(default_config("lstm"), doctest::Contains("no model is called \"lstm\""),
                       Error);
  ModelConfig config = small_config("attention");
  config.heads = 3;
  CHECK_THROWS_WITH_AS(Model{config}, doctest::Contains("3 heads do not divide 8"), Error);
  config = small_config("rnn");
  config.units = 0;
  CHECK_THROWS_WITH_AS(Model{config}, doctest::Contains("units"), Error);
  config = small_config("rnn");
  Model model(config);
  Minibatch minibatch(config);
  CHECK_THROWS_WITH_AS(make_session(model).logits(minibatch.batch()),
                       doctest::Contains("never set"), Error);
  model.initialise(1);
  minibatch.inputs[4] = 23;
  CHECK_THROWS_WITH_AS(make_session(model).train_step(minibatch.batch()),
                       doctest::Contains("id 23 at 4"), Error);
  minibatch.inputs[4] = 0;
  minibatch.targets[1] = -1;
  CHECK_THROWS_WITH_AS(make_session(model).train_step(minibatch.batch()),
                       doctest::Contains("target -1 at 1"), Error);
  minibatch.time = 6;
  CHECK_THROWS_WITH_AS(make_session(model).logits(minibatch.batch()),
                       doctest::Contains("windows of 7"), Error);
}

TEST_CASE("a config survives its JSON") {
  ModelConfig config = small_config("transformer");
  config.attention_sigmoid = false;
  config.dropout = 0.25f;
  const ModelConfig read = config_from_json("transformer", to_json(config));
  CHECK(to_json(read) == to_json(config));
  CHECK_THROWS_AS(config_from_json("rnn", "{}"), Error);
  CHECK_THROWS_AS(config_from_json("rnn", "not json"), Error);
}
