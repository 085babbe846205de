#include <sys/stat.h>

#include "model/config/config.h"
#include "model/config/config_reader.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

bool is_folder(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}
bool is_file(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

// The part `key` of model_index.json: ["library", "Class"] with a known class, and its folder.
Result<std::string> part_folder(ConfigReader& r, const std::string& root, std::string_view key,
                                std::initializer_list<std::string_view> classes) {
  const nlohmann::json* v = r.find(key);
  if (!v) return bad_model("{}: part '{}' is missing", r.file(), key);
  if (!v->is_array() || v->size() != 2 || !(*v)[1].is_string()) {
    return bad_model("{}: part '{}' is not a pair of library and class name", r.file(), key);
  }
  const std::string& name = (*v)[1].get_ref<const std::string&>();
  bool known = classes.size() == 0;
  std::string list;
  for (std::string_view c : classes) {
    known |= c == name;
    list += (list.empty() ? "" : ", ") + std::string(c);
  }
  if (!known) return bad_model("{}: part '{}' is of class '{}', supported: {}", r.file(), key, quotable(name), list);
  std::string folder = fmt::format("{}/{}", root, key);
  if (!is_folder(folder)) return bad_model("{}: the folder of part '{}' is missing", folder, key);
  return folder;
}

}  // namespace

Result<ModelFolder> open_model_folder(const std::string& root) {
  if (!is_folder(root)) return bad_model("{}: no such model folder", root);
  if (is_variant(root)) {
    ZT_ASSIGN_OR_RETURN(Variant v, read_variant(root));
    if (!is_file(v.delta)) return bad_model("{}: delta: {} is not there or not a regular file", v.file, v.delta);
    auto base = open_model_folder(v.base);  // no variant, so this ends here
    if (!base.ok()) return base.status().in(v.file + ": base");
    base->root = root, base->variant = std::move(v);
    return base;
  }
  ZT_ASSIGN_OR_RETURN(ConfigReader r, ConfigReader::open(root + "/model_index.json"));
  r.one_of("_class_name", "", {"WanPipeline"});
  r.must_be_unset("transformer_2", "models with two experts (Wan2.2 A14B) are not supported");
  r.must_be_unset("boundary_ratio", "models with two experts (Wan2.2 A14B) are not supported");
  r.must_be_unset("expand_timesteps", "a time step per token (Wan2.2 TI2V-5B) is not supported");
  r.must_be_unset("image_encoder", "image-to-video models are not supported");
  if (!r.status().ok()) return r.status();

  ModelFolder m;
  m.root = root;
  ZT_ASSIGN_OR_RETURN(m.transformer, part_folder(r, root, "transformer", {"WanTransformer3DModel"}));
  ZT_ASSIGN_OR_RETURN(m.vae, part_folder(r, root, "vae", {"AutoencoderKLWan"}));
  ZT_ASSIGN_OR_RETURN(m.text_encoder, part_folder(r, root, "text_encoder", {"UMT5EncoderModel", "T5EncoderModel"}));
  ZT_ASSIGN_OR_RETURN(m.tokenizer, part_folder(r, root, "tokenizer", {}));
  ZT_ASSIGN_OR_RETURN(std::string scheduler, part_folder(r, root, "scheduler", {}));
  ZT_ASSIGN_OR_RETURN(m.transformer_config, read_transformer_config(m.transformer + "/config.json"));
  ZT_ASSIGN_OR_RETURN(m.vae_config, read_vae_config(m.vae + "/config.json"));
  ZT_ASSIGN_OR_RETURN(m.text_config, read_text_config(m.text_encoder + "/config.json"));
  ZT_ASSIGN_OR_RETURN(m.scheduler, read_scheduler_config(scheduler + "/scheduler_config.json"));
  if (!is_file(m.tokenizer + "/spiece.model") && !is_file(m.tokenizer + "/tokenizer.json")) {
    return bad_model("{}: neither spiece.model nor tokenizer.json is there", m.tokenizer);
  }

  if (m.transformer_config.text_dim != m.text_config.d_model) {
    return bad_model("{}: transformer text_dim is {}, text encoder d_model is {}", root, m.transformer_config.text_dim,
                     m.text_config.d_model);
  }
  if (m.transformer_config.in_channels != m.vae_config.z_dim || m.transformer_config.out_channels != m.vae_config.z_dim) {
    return bad_model("{}: transformer has {} latent channels in and {} out, VAE z_dim is {}", root,
                     m.transformer_config.in_channels, m.transformer_config.out_channels, m.vae_config.z_dim);
  }
  return m;
}

}  // namespace zt
