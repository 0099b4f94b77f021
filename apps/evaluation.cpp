#include "apps/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/error.h"
#include "engine/session.h"

namespace etude::apps {
namespace {

// How many classes the model finds more probable; of equals the lower class comes first.
int64_t rank(const float* logits, int64_t classes, int32_t target) {
  const float mine = logits[target];
  return std::count_if(logits, logits + classes, [mine](float other) { return other > mine; }) +
         std::count(logits, logits + target, mine);
}

void add_batch(Session& session, const std::vector<int32_t>& inputs,
               const std::vector<int32_t>& targets, Evaluation& evaluation) {
  const auto size = static_cast<int64_t>(targets.size());
  const auto [logits, losses] =
      session.losses({size, midi::kWindow, inputs.data(), targets.data()});
  const int64_t classes = std::ssize(logits) / size;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t better =
        rank(logits.data() + i * classes, classes, targets[static_cast<size_t>(i)]);
    evaluation.loss_sum += losses[static_cast<size_t>(i)];
    evaluation.top1 += better < 1;
    evaluation.top5 += better < 5;
  }
  evaluation.samples += size;
}

}  // namespace

Evaluation evaluate_model(Checkpoint& checkpoint, const midi::Dataset& dataset, int batch,
                          const kernels::Stream& stream, const std::function<void(int64_t)>& tell) {
  Model& model = checkpoint.model;
  Session session = make_session(model, Nadam(), 0, stream);
  Evaluation evaluation;
  std::vector<int32_t> inputs, targets;
  const auto flush = [&] {
    if (!targets.empty()) add_batch(session, inputs, targets, evaluation);
    inputs.clear();
    targets.clear();
    tell(evaluation.samples + evaluation.unknown_targets);
  };
  dataset.each_window([&](int64_t offset) {
    if (dataset.target(offset) == 0) {
      ++evaluation.unknown_targets;
      return;
    }
    inputs.insert(inputs.end(), dataset.input(offset), dataset.input(offset) + midi::kWindow);
    targets.push_back(dataset.target(offset));
    if (static_cast<int>(targets.size()) == batch) flush();
  });
  flush();
  if (!std::isfinite(evaluation.loss_sum)) throw Error("the model's loss is not finite");
  if (evaluation.samples == 0)
    throw Error(fmt::format("none of the {} targets is in the model's vocabulary",
                            evaluation.unknown_targets));
  return evaluation;
}

}  // namespace etude::apps
