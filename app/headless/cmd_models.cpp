#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/engine/places.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "model/io/weights.h"
#include "model/pipeline/text_to_video.h"

namespace zt {
namespace {

struct ModelLine {
  std::string name, path, problem;
  int64_t parameters = 0;
  size_t bytes = 0;
};

ModelLine describe_model(const std::string& name, const std::string& path) {
  ModelLine line{name, path, "", 0, 0};
  auto model = open_model_folder(path);
  if (!model.ok()) {
    line.problem = model.status().message();
    return line;
  }
  line.parameters = model->transformer_config.parameters();
  for (const std::string& part : {model->transformer, model->vae, model->text_encoder}) {
    auto store = WeightStore::open(part);
    if (store.ok()) {
      line.bytes += store->bytes();
    } else {
      line.problem = store.status().message();
    }
  }
  return line;
}

int list(const std::vector<std::string>& folders, bool json) {
  std::vector<ModelLine> lines;
  JobPlaces places = find_places();
  if (!places.assets.empty()) lines.push_back(describe_model("mini", places.assets + "/mini"));
  // A folder named by the user is a model, or holds models.
  for (const std::string& f : folders) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (fs::exists(fs::path(f) / "model_index.json", error)) lines.push_back(describe_model(fs::path(f).filename().string(), f));
    for (const auto& e : fs::directory_iterator(f, error)) {
      if (fs::exists(e.path() / "model_index.json", error))
        lines.push_back(describe_model(e.path().filename().string(), e.path().string()));
    }
    if (error) return print_status(bad_model("{}: {}", f, error.message()));
  }
  nlohmann::ordered_json out;
  out["models"] = nlohmann::ordered_json::array();
  std::string text;
  for (const ModelLine& m : lines) {
    nlohmann::ordered_json j;
    j["name"] = m.name, j["path"] = m.path, j["transformer_parameters"] = m.parameters, j["bytes"] = m.bytes;
    if (!m.problem.empty()) j["problem"] = m.problem;
    out["models"].push_back(std::move(j));
    text += fmt::format("{:16} {:8.1f} M parameters, {:8.1f} MB  {}{}\n", m.name, double(m.parameters) / 1e6,
                        double(m.bytes) / 1e6, m.path, m.problem.empty() ? "" : "  PROBLEM: " + m.problem);
  }
  print_result(json ? out.dump() + "\n" : text);
  return 0;
}

int verify(const std::string& folder, bool json) {
  JobPlaces places = find_places();
  std::string root = folder == JobSpec().model && !places.assets.empty() ? places.assets + "/" + folder : folder;
  auto check = [&]() -> Status {
    std::error_code error;
    if (!std::filesystem::exists(root, error)) return bad_model("{}: does not exist", root);
    ZT_ASSIGN_OR_RETURN(auto pipeline, TextToVideo::open(root, DType::f32));
    return pipeline->verify();
  };
  Status s = check();
  if (json) {
    nlohmann::ordered_json out;
    out["model"] = root, out["good"] = s.ok();
    if (!s.ok()) out["problem"] = s.message();
    print_json(out);
  } else if (s.ok()) {
    print_result(root + ": good\n");
  }
  return print_status(s);
}

}  // namespace

std::function<int()> setup_models(CLI::App& app) {
  struct Options {
    std::vector<std::string> folders;
    std::string model = "mini";
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  app.require_subcommand(0, 1);
  CLI::App* listed = app.add_subcommand("list", "the embedded model and those in the folders named");
  listed->add_option("folder", o->folders, "folders to look into");
  CLI::App* verified = app.add_subcommand("verify", "read every byte of a model: names, shapes, values");
  verified->add_option("model", o->model, "model folder");
  for (CLI::App* a : {&app, listed, verified}) a->add_flag("--json", o->json, "print JSON");
  return [o, verified] { return verified->parsed() ? verify(o->model, o->json) : list(o->folders, o->json); };
}

}  // namespace zt
