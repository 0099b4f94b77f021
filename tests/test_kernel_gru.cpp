#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>
#include <string>

#include "tests/gru_case.h"
#include "tests/reference/vectors.h"

using namespace etude;
using namespace etude::tests;
using kernels::GruVersion;

namespace {

OpCase direction_case(const GruShape& shape, int64_t gap = 0) {
  OpCase c;
  c.name = fmt::format("gru B{} T{} in{} units{}{}{}{} gap{}", shape.batch, shape.time, shape.in,
                       shape.units, shape.reverse ? " reverse" : "", shape.last_only ? " last" : "",
                       shape.version == GruVersion::stepwise ? " stepwise" : "", gap);
  c.inputs = {{"x", random_numbers(shape.batch * shape.time * shape.in, 5), 0}};
  add_weights(shape, "", 1, c);
  const int64_t stride = shape.units + gap;
  c.output = {output_rows(shape), shape.units, stride};
  c.reference_forward = [=](const Arrays& in) {
    return reference::gru_forward(shape, reference_weights(in, 1), in[0]).y;
  };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) -> Arrays {
    const auto g = reference::gru_backward(shape, reference_weights(in, 1), in[0], dy);
    return {g.dx, g.dkernel, g.drecurrent_kernel, g.dbias, g.drecurrent_bias};
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    kernel_forward(shape, in, 1, y, stride);
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& gradients) {
    kernel_backward(shape, in, 1, dy, stride, gradients, gradients[0].write);
  };
  c.dx_may_be_null = true;
  c.probes = probes_for(shape);
  return c;
}

OpCase direction_case_at_paper_size(const GruShape& shape, int64_t gap) {
  OpCase c = direction_case(shape, gap);
  c.once = true;
  c.probes = 0;
  return c;
}

// The input comes as a table's rows, of which every position reads one.
OpCase distinct_case(const GruShape& shape, int32_t table_rows) {
  const std::vector<int32_t> ids = random_ids(shape.batch * shape.time, 3, table_rows);
  const kernels::EmbeddingShape table{table_rows, shape.in, std::ssize(ids)};
  auto memory = std::make_shared<std::vector<int32_t>>(kernels::cpu::distinct_rows_size(table));
  const auto rows = kernels::cpu::distinct_rows(table, ids.data(), memory->data());
  OpCase c = direction_case(shape);
  const OpCase plain = c;
  c.name += " of distinct rows";
  c.inputs[0].value = random_numbers(rows.count * shape.in, 5);
  const auto spread = [=](Arrays in) {
    Vec x;
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto row = in[0].begin() + (*memory)[ids.size() + i] * shape.in;
      x.insert(x.end(), row, row + shape.in);
    }
    in[0] = x;
    return in;
  };
  c.reference_forward = [=](const Arrays& in) { return plain.reference_forward(spread(in)); };
  c.reference_backward = [=](const Arrays& in, const Vec& dy) {
    Arrays g = plain.reference_backward(spread(in), dy);
    Vec dx(in[0].size());
    for (size_t i = 0; i < ids.size(); ++i)
      for (int64_t j = 0; j < shape.in; ++j)
        dx[rows.place[i] * shape.in + j] += g[0][i * shape.in + j];
    g[0] = dx;
    return g;
  };
  c.forward = [=](const std::vector<const float*>& in, float* y) {
    SavedArrays saved(shape);
    Guarded projection(rows.count * 3 * shape.units);
    auto pointers = saved.pointers();
    pointers.projection = projection.data();
    kernels::cpu::gru_forward(shape, kernel_weights(in, 1), {in[0], &rows}, y, shape.units,
                              pointers);
    CHECK(projection.guards_intact());
  };
  c.backward = [=](const std::vector<const float*>& in, const float* dy,
                   const std::vector<Gradient>& g) {
    SavedArrays saved(shape);
    Guarded projection(rows.count * 3 * shape.units);
    auto pointers = saved.pointers();
    pointers.projection = projection.data();
    std::vector<float> y(output_rows(shape) * shape.units);
    kernels::cpu::gru_forward(shape, kernel_weights(in, 1), {in[0], &rows}, y.data(), shape.units,
                              pointers);
    kernels::cpu::gru_backward(
        shape, kernel_weights(in, 1), {in[0], &rows}, dy, shape.units, pointers,
        {g[0].data, g[0].write, g[1].data, g[2].data, g[3].data, g[4].data, g[1].write});
    saved.check();
    CHECK(projection.guards_intact());
  };
  return c;
}

}  // namespace

TEST_CASE("the GRU reads the distinct rows of a table") {
  check(distinct_case({3, 7, 4, 6}, 5));
  check(distinct_case({7, 9, 33, 16, true}, 40));
  check(distinct_case({5, 11, 20, 33, false, true}, 1));
  check(distinct_case({24, 20, 100, 128}, 150));
}

TEST_CASE("the GRU meets its reference in either direction, with every output and stride") {
  for (const bool reverse : {false, true})
    for (const bool last_only : {false, true})
      for (const int64_t gap : {0, 5}) check(direction_case({3, 7, 4, 6, reverse, last_only}, gap));
}

TEST_CASE("the GRU meets its reference at odd sizes") {
  bool last_only = false;
  for (const GruShape& shape :
       {GruShape{1, 1, 1, 1}, GruShape{33, 50, 1, 1}, GruShape{1, 33, 33, 1},
        GruShape{7, 33, 33, 5}, GruShape{96, 2, 1, 5}, GruShape{33, 5, 100, 16},
        GruShape{1, 50, 33, 16}, GruShape{96, 3, 33, 33}, GruShape{7, 33, 1, 33},
        GruShape{33, 3, 100, 128}, GruShape{1, 20, 100, 128}, GruShape{7, 4, 33, 130},
        GruShape{96, 2, 100, 130}}) {
    for (const bool reverse : {false, true}) {
      GruShape variant = shape;
      variant.reverse = reverse;
      variant.last_only = last_only = !last_only;
      check(direction_case(variant, variant.units % 3));
    }
    last_only = !last_only;
  }
}

TEST_CASE("two directions of a GRU share one output and one gradient of the input") {
  check(bidirectional_case({3, 6, 5, 7}));
  check(bidirectional_case({7, 9, 33, 16, false, true}));
}

TEST_CASE("the stepwise GRU meets the reference, and the other version within rounding") {
  const auto stepwise = [](GruShape shape) {
    shape.version = GruVersion::stepwise;
    return shape;
  };
  for (const bool reverse : {false, true})
    for (const bool last_only : {false, true}) {
      check(direction_case(stepwise({3, 7, 4, 6, reverse, last_only}), 5));
      check(direction_case(stepwise({33, 5, 3, 33, reverse, last_only})));
    }
  check(direction_case(stepwise({1, 1, 1, 1})));
  check(bidirectional_case(stepwise({7, 9, 33, 16, false, true})));
  check(direction_case_at_paper_size(stepwise({8, 50, 100, 128, true}), 128));

  const GruShape shape{20, 11, 9, 37};
  OpCase c = direction_case(stepwise(shape));
  Arrays inputs;
  for (const Input& input : c.inputs) inputs.push_back(input.value);
  std::vector<std::vector<float>> floats;
  std::vector<const float*> pointers;
  for (const Vec& v : inputs) floats.push_back(to_float(v));
  for (const auto& f : floats) pointers.push_back(f.data());
  Guarded fused(output_rows(shape) * shape.units), separate(output_rows(shape) * shape.units);
  kernel_forward(shape, pointers, 1, fused.data(), shape.units);
  c.forward(pointers, separate.data());
  check_close("y", separate.numbers(), fused.numbers(), c.forward_tolerance);
}

TEST_CASE("the GRU meets its reference at the paper's sizes") {
  check(direction_case_at_paper_size({96, 50, 256, 128}, 128));
  check(direction_case_at_paper_size({8, 50, 100, 128, true}, 128));
  check(direction_case_at_paper_size({8, 50, 256, 128, true, true}, 128));
}

TEST_CASE("the GRU saves gates, candidates and states as its contract says") {
  for (const bool reverse : {false, true}) {
    const GruShape shape{7, 9, 5, 33, reverse};
    const OpCase c = direction_case(shape);
    Arrays inputs;
    for (const Input& input : c.inputs) inputs.push_back(input.value);
    const auto want = reference::gru_forward(shape, reference_weights(inputs, 1), inputs[0]);
    std::vector<std::vector<float>> floats;
    std::vector<const float*> pointers;
    for (const Vec& v : inputs) floats.push_back(to_float(v));
    for (const auto& f : floats) pointers.push_back(f.data());
    Guarded y(shape.batch * shape.time * shape.units);
    SavedArrays saved(shape);
    kernels::cpu::gru_forward(shape, kernel_weights(pointers, 1), pointers[0], y.data(),
                              shape.units, saved.pointers());
    check_close("gates", saved.gates.numbers(), want.gates, c.forward_tolerance);
    check_close("candidate", saved.candidate.numbers(), want.candidate, c.forward_tolerance);
    check_close("previous", saved.previous.numbers(), want.previous, c.forward_tolerance);
  }
}

TEST_CASE("the GRU computes what PyTorch's computes") {
  const Vectors vectors("gru");
  const auto cases = vectors.cases();
  REQUIRE(cases.size() >= 4);
  for (size_t n = 0; n < cases.size(); ++n)
    for (const std::string kind : {"sequence", "last"}) {
      const std::string key = fmt::format("case{}.", n);
      OpCase c = bidirectional_case({cases[n].at("batch"), cases[n].at("time"), cases[n].at("in"),
                                     cases[n].at("units"), false, kind == "last"});
      Arrays gradients;
      for (Input& input : c.inputs) {
        input.value = vectors.numbers(key + input.name);
        const size_t part = input.name.find('.') + 1;  // behind the direction, if there is one
        gradients.push_back(vectors.numbers(fmt::format(
            "{}{}.{}d{}", key, kind, input.name.substr(0, part), input.name.substr(part))));
      }
      c.dy = vectors.numbers(key + kind + ".dy");
      check_against(c, vectors.numbers(key + kind + ".y"), gradients);
    }
}
