#include "kernels/ref/ref.h"
#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

template <class Args>
void add(Candidates<Args>& list, void (*run)(const Args&, const ExecContext&)) {
  list.push_back({"ref", [](const Args&, const ExecContext&) { return std::string_view(); }, run});
}

}  // namespace

void add_ref_ops(OpTable& t) {
  add(t.norm, ref_norm);
  add(t.qk_norm_rope, ref_qk_norm_rope);
  add(t.channel_norm, ref_channel_norm);
  add(t.bias_attention, ref_bias_attention);
  add(t.elementwise, ref_elementwise);
  add(t.affine_sum, ref_affine_sum);
  add(t.patchify, ref_patchify);
  add(t.unpatchify, ref_unpatchify);
  add(t.gather_rows, ref_gather_rows);
  add(t.pool_blocks, ref_pool_blocks);
  add(t.block_scores, ref_block_scores);
  add(t.select_blocks, ref_select_blocks);
  add(t.kept_mass, ref_kept_mass);
  add(t.head_errors, ref_head_errors);
  add(t.merge_partials, ref_merge_partials);
  t.linear.push_back(make_ref_linear());
  t.conv.push_back(make_ref_conv());
}

}  // namespace zt
