#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/messages.h"
#include "apps/model_options.h"
#include "layers/models.h"

namespace etude::apps {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  int64_t classes = kNotebookClasses;
  ModelOptions model;
  bool json = false;
};

std::vector<std::string> models_to_show() {
  std::vector<std::string> names = table_models();
  names.push_back("transformer");
  return names;
}

void print_model(const std::string& name, Model& model) {
  fmt::print("{}\n", name);
  for (const Model::Row& row : model.summary())
    fmt::print("  {:<18} {:>14} {:>12}\n", row.name, to_string(row.output), row.parameters);
  fmt::print("  {:<18} {:>14} {:>12}\n\n", "total", "", model.params().parameter_count());
}

void params(Options options) {
  Json totals, layers;
  std::vector<std::string> names = models_to_show();
  if (options.model.stack) names.push_back("stack");
  for (const std::string& name : names) {
    ModelOptions one = options.model;
    one.model = name;
    if (name != "stack") one.stack.reset();
    Model model(make_config(one, options.classes));
    if (!options.json) print_model(name, model);
    totals[name] = model.params().parameter_count();
    for (const Model::Row& row : model.summary())
      layers[name].push_back(
          {{"layer", row.name}, {"output", row.output}, {"parameters", row.parameters}});
  }
  if (options.json)
    fmt::print(
        "{}\n",
        dump(Json{{"classes", options.classes}, {"parameters", totals}, {"layers", layers}}));
}

}  // namespace

void add_params(CLI::App& program) {
  auto* command = program.add_subcommand("params", "Parameters by layer and model");
  auto options = std::make_shared<Options>();
  command
      ->add_option("--vocab", options->classes,
                   "Classes of the softmax: the tokens, and the unused 0")
      ->capture_default_str()
      ->check(CLI::Range(2, 10'000'000));
  add_stack_option(*command, options->model, "Also a stack of so many bidirectional GRUs");
  add_shared_model_options(*command, options->model);
  command->add_flag("--json", options->json, "Totals and layers as JSON");
  command->footer("Examples:\n  etude params\n  etude params --vocab 41736 --stack 5 --json");
  command->callback([options] { params(*options); });
}

}  // namespace etude::apps
