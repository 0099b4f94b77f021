#include "apps/profiler.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "apps/statistics.h"

namespace etude::apps {
namespace {

using kernels::SpanKind;
using Events = std::vector<Trace::Event>;

constexpr int64_t kWarmUp = 3;

bool is_layer(SpanKind kind) {
  return kind == SpanKind::forward || kind == SpanKind::backward || kind == SpanKind::stage;
}
bool is_kernel(SpanKind kind) { return kind == SpanKind::kernel || kind == SpanKind::part; }

double length(const Trace::Event& event) { return event.end - event.begin; }

// One line of a table: what it took in each step, and outside of steps.
struct Line {
  std::vector<double> in_step;
  double outside = 0;
  int64_t calls = 0;
  kernels::Work work;

  // What only few steps do is shared out among all.
  double seconds() const {
    const double steps = static_cast<double>(in_step.size());
    if (2 * std::ranges::count(in_step, 0.0) < std::ssize(in_step))
      return median(in_step) + outside / steps;
    return (std::accumulate(in_step.begin(), in_step.end(), 0.0) + outside) / steps;
  }
};

class Summary {
 public:
  explicit Summary(const Events& events) : events_(events), between_kernels_(), between_layers_() {
    for (const Trace::Event& event : events)
      if (event.kind == SpanKind::step) lengths_.push_back(length(event));
    between_kernels_ = between_layers_ = lengths_;
    int64_t step = -1;
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].kind == SpanKind::step) ++step;
      add(events[i], inside_step(events[i]) ? step : -1);
    }
  }

  Profile profile() {
    Profile profile;
    profile.steps = std::ssize(lengths_);
    profile.profiled = median(lengths_);
    for (const Key& key : order_) place(profile, key, lines_.at(key));
    profile.between_kernels = median(between_kernels_);
    profile.between_layers = median(between_layers_);
    return profile;
  }

 private:
  // pass, layer, kernel, part; a layer's own line has no kernel, a kernel's no part.
  using Key = std::tuple<SpanKind, std::string, std::string, std::string>;

  const Trace::Event* parent(const Trace::Event& event) const {
    return event.parent < 0 ? nullptr : &events_[static_cast<size_t>(event.parent)];
  }
  template <typename Wanted>
  const Trace::Event* nearest_above(const Trace::Event& event, const Wanted& wanted) const {
    const Trace::Event* above = parent(event);
    while (above && !wanted(above->kind)) above = parent(*above);
    return above;
  }
  bool inside_step(const Trace::Event& event) const {
    return nearest_above(event, [](SpanKind kind) { return kind == SpanKind::step; });
  }

  void add(const Trace::Event& event, int64_t step) {
    if (is_layer(event.kind)) {
      add(Key{event.kind, event.name, "", ""}, event, length(event), step, between_layers_);
      // A layer inside of another has a line of its own.
      if (const Trace::Event* outer = nearest_above(event, is_layer))
        add(Key{outer->kind, outer->name, "", ""}, *outer, -length(event), step, between_layers_);
    } else if (is_kernel(event.kind)) {
      add_kernel(event, step);
    }
  }

  void add_kernel(const Trace::Event& event, int64_t step) {
    const Trace::Event* layer = nearest_above(event, is_layer);
    const SpanKind pass = layer ? layer->kind : SpanKind::stage;
    const std::string name = layer ? layer->name : "";
    const Trace::Event* outer = nearest_above(event, is_kernel);
    if (!outer)
      add(Key{pass, name, event.name, ""}, event, length(event), step, between_kernels_);
    else if (!nearest_above(*outer, is_kernel))  // what is inside of a part is the trace's alone
      add(Key{pass, name, outer->name, event.name}, event, length(event), step, nothing_);
  }

  void add(const Key& key, const Trace::Event& event, double seconds, int64_t step,
           std::vector<double>& between) {
    const auto [found, is_new] = lines_.try_emplace(key);
    Line& line = found->second;
    if (is_new) {
      order_.push_back(key);
      line.in_step.resize(lengths_.size());
    }
    if (seconds >= 0) ++line.calls, line.work = line.work + event.work;
    if (step < 0) {
      line.outside += seconds;
      return;
    }
    line.in_step[static_cast<size_t>(step)] += seconds;
    if (!between.empty()) between[static_cast<size_t>(step)] -= seconds;
  }

  void place(Profile& profile, const Key& key, const Line& line) const {
    const auto& [pass, layer, kernel, part] = key;
    if (kernel.empty()) {
      auto found = std::find_if(profile.layers.begin(), profile.layers.end(),
                                [&](const LayerTimes& times) { return times.name == layer; });
      if (found == profile.layers.end()) found = profile.layers.insert(found, {.name = layer});
      (pass == SpanKind::forward    ? found->forward
       : pass == SpanKind::backward ? found->backward
                                    : found->stage) += line.seconds();
      return;
    }
    const double steps = static_cast<double>(lengths_.size());
    ProfileRow row{pass,
                   layer,
                   part.empty() ? kernel : part,
                   static_cast<double>(line.calls) / steps,
                   line.seconds(),
                   {line.work.flops / steps, line.work.bytes / steps},
                   {}};
    if (part.empty()) {
      profile.kernels.push_back(std::move(row));
      return;
    }
    const auto whole =
        std::find_if(profile.kernels.begin(), profile.kernels.end(), [&](const ProfileRow& r) {
          return r.pass == pass && r.layer == layer && r.name == kernel;
        });
    whole->parts.push_back(std::move(row));
  }

  const Events& events_;
  std::vector<double> lengths_, between_kernels_, between_layers_, nothing_;
  std::map<Key, Line> lines_;
  std::vector<Key> order_;
};

}  // namespace

double Profile::sum() const {
  return std::accumulate(kernels.begin(), kernels.end(), between_kernels,
                         [](double sum, const ProfileRow& row) { return sum + row.seconds; });
}

Profile summarise(const Events& events) { return Summary(events).profile(); }

int64_t steps_to_profile(const kernels::Stream& stream, int64_t steps) {
  const int64_t most_at_once = stream.device == kernels::Device::cuda ? 64 : 1;
  return kWarmUp + 2 * (steps + 2 * most_at_once);
}

Profile profile_training(Trainer& trainer, Trace& trace, int64_t steps, Progress& progress) {
  while (trainer.steps_done() < kWarmUp) trainer.advance();
  std::vector<double> plain;
  for (int64_t done = 0; done < steps;) {
    const auto seen = static_cast<size_t>(trainer.steps_done());
    trainer.advance();
    const StepRecord& record = trainer.record();
    for (size_t i = seen; i < record.size(); ++i) plain.push_back(record[i].total_ms() / 1e3);
    const int64_t before = trainer.steps_done();
    {
      const Trace::Listening listening(trace);
      trainer.advance();
    }
    done += trainer.steps_done() - before;
    progress.advance(std::min(done, steps));
  }
  Profile profile = summarise(trace.events());
  profile.plain = median(plain);
  return profile;
}

}  // namespace etude::apps
