#include "model/vae/weights.h"

#include <algorithm>

#include "model/vae/vae.h"

namespace zt {

Status check_vae_config(const VaeConfig& c) {
  bool sane = c.base_dim > 0 && c.z_dim > 0 && c.decoder_base_dim >= 0 && c.num_res_blocks > 0 && !c.dim_mult.empty() &&
              std::all_of(c.dim_mult.begin(), c.dim_mult.end(), [](int64_t m) { return m > 0; }) &&
              c.temporal_downsample.size() + 1 >= c.dim_mult.size();
  if (!sane) return bad_model("VAE config: base_dim, z_dim, num_res_blocks and dim_mult must be positive, and temperal_downsample "
                              "must have an entry for each step between blocks");
  for (const VaeLayer& l : vae_decoder_layers(c)) {
    if (l.in < 1 || l.out < 1) return bad_model("VAE config: base_dim is too small: {} would have no channels", l.name);
  }
  return {};
}

Status claim_vae_weights(WeightStore& store, const std::vector<VaeTensor>& wanted, const std::vector<VaeTensor>& other) {
  store.rename_original_vae();
  for (const VaeTensor& t : other) store.ignore(t.name);
  for (const VaeTensor& t : wanted) store.get(t.name, t.shape);
  return store.finish();
}

Status check_vae_weights(const VaeConfig& config, WeightStore& store) {
  ZT_RETURN_IF_ERROR(check_vae_config(config));
  std::vector<VaeTensor> all = vae_decoder_tensors(config);
  for (VaeTensor& t : vae_encoder_tensors(config)) all.push_back(std::move(t));
  return claim_vae_weights(store, all, {});
}

}  // namespace zt
