#include <nlohmann/json.hpp>

#include "app/engine/machine.h"
#include "app/engine/places.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/media/av.h"
#include "app/media/clip_format.h"
#include "model/config/config.h"
#include "model/io/low_rank.h"

namespace zt {
namespace {

Status look_at_variant(const std::string& folder) {
  ZT_ASSIGN_OR_RETURN(ModelFolder model, open_model_folder(folder));
  ZT_CHECK(model.variant);
  return LowRank::open(model.variant->delta, model.variant->rank, model.variant->alpha).status();
}

}  // namespace

std::function<int()> setup_doctor(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "print JSON");
  return [json] {
    auto machine = Machine::make();
    if (!machine.ok()) return print_status(machine.status());
    JobPlaces places = find_places();
    std::string mini = places.assets.empty() ? "" : places.assets + "/mini";
    Status model = mini.empty() ? bad_model("not found; set ZOETROPE_ASSETS") : [&] {
      auto folder = open_model_folder(mini);
      return folder.ok() ? ok_status() : folder.status();
    }();
    std::vector<std::string> codecs;
    for (const std::string& c : codec_names()) {
      std::string extension = c == "ffv1"                ? "mkv"
                              : c == "prores"            ? "mov"
                              : c == "png" || c == "gif" ? c
                              : c == "vp9"               ? "webm"
                                                         : "mp4";
      if (choose_clip_format("x." + extension, c, -1, "auto").ok()) codecs.push_back(c);
    }
    Isa isa = (*machine)->ctx.isa;
    nlohmann::ordered_json out;
    out["version"] = places.version;
    out["cpu"] = cpu_name(), out["isa"] = isa_name(detect_isa()), out["isa_used"] = isa_name(isa);
    out["precision"] = isa >= Isa::avx512_bf16 ? "bf16" : "f32";
    out["threads"] = physical_threads(), out["available_memory_mb"] = available_memory() >> 20;
    auto gpu = (*machine)->gpu();
    out["cuda"] = gpu.ok();
    if (gpu.ok()) {
      GpuFacts g = (*gpu)->facts();
      out["gpu"] = fmt::format("{} (compute capability {})", g.name, g.capability);
      out["gpu_driver"] = fmt::format("CUDA {}, this program is built with {}", g.driver, g.toolkit);
      out["gpu_memory_mb"] = g.total >> 20, out["gpu_free_memory_mb"] = g.free >> 20;
    } else {
      out["gpu"] = gpu.status().message();
    }
    out["ffmpeg"] = ffmpeg_versions(), out["codecs"] = codecs;
    out["assets"] = places.assets, out["embedded_model"] = model.ok() ? "good" : model.message();
    out["variants"] = nlohmann::ordered_json::array();
    for (const std::string& name : embedded_models(places)) {
      if (name == JobSpec().model) continue;
      Status variant = look_at_variant(embedded_folder(name, places));
      out["variants"].push_back(variant.ok() ? name : name + ": " + variant.message());
    }
    out["implementations"] = (*machine)->implementations();
    std::string text;
    for (const auto& [key, value] : out.items()) {
      if (!value.is_array()) {
        text += fmt::format("{:20} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
        continue;
      }
      text += fmt::format("{:20} ", key);
      bool lines = key == "implementations" || key == "variants";
      for (const auto& v : value) text += v.get<std::string>() + (lines ? "\n" + std::string(21, ' ') : " ");
      text.erase(text.find_last_not_of(' ') + 1);
      if (!text.ends_with('\n')) text += "\n";
    }
    *json ? print_json(out) : print_result(text);
    return print_status(model);
  };
}

}  // namespace zt
