#include "layers/models.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/ops.h"

namespace etude {
namespace {

// The two layers that every model has and that are the Model's own.
constexpr const char *kEmbedding = "embedding", *kOutput = "output";

// Strings layers together, each named by its kind and its number among its kind, and keeps the
// shape that one batch row has reached.
class Builder {
 public:
  Builder(const ModelConfig& config, ParamSet& params)
      : config_(config), params_(params), shape_{config.window, config.embedding} {}

  void gru(ops::GruOutput output) {
    append(make_bidirectional_gru(numbered("gru", ++grus_), params_, shape_, config_.units, output,
                                  config_.gru_version));
  }
  void attention_and_dropout() {
    ++dropouts_;
    append(make_attention_layer(
        ThenDropout{numbered("dropout", dropouts_), config_.dropout, dropouts_}));
  }
  void dropout() {
    ++dropouts_;
    append(make_dropout(numbered("dropout", dropouts_), config_.dropout, dropouts_));
  }
  void flatten() { append(make_flatten("flatten")); }

  void transformer_block() {
    std::vector<LayerPointer> inner;
    inner.push_back(make_attention_layer());
    append(make_residual(numbered("attention", attentions_), std::move(inner)));

    const std::string name = numbered("feed_forward", ++feed_forwards_);
    const Shape wide = {shape_[0], 4 * shape_[1]};
    inner.clear();
    inner.push_back(make_dense(name + ".expand", params_, shape_, wide[1],
                               ThenLeakyRelu{name + ".leaky_relu", config_.leaky_slope}));
    inner.push_back(make_dense(name + ".contract", params_, wide, shape_[1]));
    append(make_residual(name, std::move(inner)));
  }

  std::vector<LayerPointer> finish() {
    append(make_dense("dense", params_, shape_, config_.dense,
                      ThenLeakyRelu{"leaky_relu", config_.leaky_slope}));
    return std::move(layers_);
  }

 private:
  static std::string numbered(const char* kind, uint32_t number) {
    return fmt::format("{}_{}", kind, number);
  }
  LayerPointer make_attention_layer(std::optional<ThenDropout> dropout = {}) {
    return make_attention(numbered("attention", ++attentions_), params_, shape_, config_.heads,
                          config_.attention_width, config_.attention_sigmoid, std::move(dropout));
  }
  void append(LayerPointer layer) {
    shape_ = layer->output(shape_);
    layers_.push_back(std::move(layer));
  }

  const ModelConfig& config_;
  ParamSet& params_;
  Shape shape_;
  std::vector<LayerPointer> layers_;
  uint32_t grus_ = 0, attentions_ = 0, dropouts_ = 0, feed_forwards_ = 0;
};

// Figures 3, 6 and 7, at any depth: 1 is `rnn`, 2 `double`, 3 `triple`.
void build_stack(Builder& b, int64_t depth) {
  for (int64_t i = 1; i < depth; ++i) {
    b.gru(ops::GruOutput::sequence);
    b.attention_and_dropout();
  }
  b.gru(ops::GruOutput::last);
  b.dropout();
}

// Figure 2.
void build_attention(Builder& b) {
  b.attention_and_dropout();
  b.flatten();
}

// Figure 5.
void build_single(Builder& b) {
  b.gru(ops::GruOutput::sequence);
  b.attention_and_dropout();
  b.flatten();
}

// Figure 1: attention and feed-forward, twice. The residual connections are ours: without them two
// averages over the window leave the positions hard to tell apart.
void build_transformer(Builder& b) {
  b.transformer_block();
  b.transformer_block();
  b.dropout();
  b.flatten();
}

std::vector<LayerPointer> build(const ModelConfig& config, ParamSet& params) {
  Builder b(config, params);
  if (config.model == "rnn") build_stack(b, 1);
  if (config.model == "attention") build_attention(b);
  if (config.model == "single") build_single(b);
  if (config.model == "double") build_stack(b, 2);
  if (config.model == "triple") build_stack(b, 3);
  if (config.model == "stack") build_stack(b, config.stack);
  if (config.model == "transformer") build_transformer(b);
  return b.finish();
}

}  // namespace

Model::Model(const ModelConfig& config) : config_(config), params_(std::make_unique<ParamSet>()) {
  check(config);
  table_ = std::make_unique<LayerParameter>(*params_, "embedding.weight",
                                            Shape{config.classes, config.embedding});
  layers_ = build(config_, *params_);
  output_weight_ = std::make_unique<LayerParameter>(*params_, "output.weight",
                                                    Shape{config.dense, config.classes});
  output_bias_ = std::make_unique<LayerParameter>(*params_, "output.bias", Shape{config.classes});
}

void Model::initialise(uint64_t seed) {
  params_->allocate();
  initial::uniform(table_->tensor(), 0.05, table_->random(seed));
  for (const LayerPointer& layer : layers_) layer->initialise(seed);
  initial::glorot_uniform(output_weight_->tensor(), config_.dense, config_.classes,
                          output_weight_->random(seed));
}

Tensor Model::embedded(Tape& tape, const Batch& batch) const {
  const Tape::LayerScope scope(tape, kEmbedding);
  return ops::embedding(tape, table_->tensor(),
                        {batch.size, batch.time, batch.inputs, batch.index, batch.distinct});
}

Tensor Model::hidden(Tape& tape, const Batch& batch) const {
  if (batch.time != config_.window)
    throw Error(
        fmt::format("the model reads windows of {} tokens, not {}", config_.window, batch.time));
  if (!table_->tensor().data()) throw Error("the model's parameters were never set");
  Tensor x = embedded(tape, batch);
  for (const LayerPointer& layer : layers_) {
    const Tape::LayerScope scope(tape, layer->name());
    x = layer->forward(tape, x);
  }
  return x;
}

Tensor Model::forward(Tape& tape, const Batch& batch) const {
  const Tensor x = hidden(tape, batch);
  const Tape::LayerScope scope(tape, kOutput);
  return ops::dense(tape, x, output_weight_->tensor(), output_bias_->tensor());
}

Tensor Model::losses(Tape& tape, const Batch& batch) const {
  const Tensor x = hidden(tape, batch);
  const Tape::LayerScope scope(tape, kOutput);
  return ops::vocabulary_loss(tape, x, output_weight_->tensor(), output_bias_->tensor(),
                              batch.targets);
}

std::vector<Model::Row> Model::summary() const {
  Shape shape = {config_.window, config_.embedding};
  std::vector<Row> rows = {{kEmbedding, shape, table_->count()}};
  for (const LayerPointer& layer : layers_) {
    shape = layer->output(shape);
    rows.push_back({layer->name(), shape, layer->parameters()});
    for (const std::string& name : layer->fused()) rows.push_back({name, shape, 0});
  }
  rows.push_back({kOutput, {config_.classes}, output_weight_->count() + output_bias_->count()});
  return rows;
}

Session make_session(Model& model, const Nadam& optimizer, uint64_t seed,
                     const kernels::Stream& stream) {
  const Network network{
      [&model](Tape& tape, const Batch& batch) { return model.forward(tape, batch); },
      [&model](Tape& tape, const Batch& batch) { return model.losses(tape, batch); }};
  return Session(model.params(), model.embedding_table(), network, optimizer, seed, stream);
}

}  // namespace etude
