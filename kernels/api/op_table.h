// The table of implementations. kernels/registry fills it once at start-up; model code only calls the entry
// points of the op headers and never names a back end.
//
// Each op has an ordered list of candidates, best first, `ref` last. A candidate that cannot take a call says why.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/api/exec_context.h"
#include "kernels/api/probe.h"

namespace zt {

// For stateless ops: Args is the op's argument struct.
template <class Args>
struct Candidate {
  std::string_view name;                                        // "avx512", "ref", ...
  std::string_view (*why_not)(const Args&, const ExecContext&);  // empty = it can
  void (*run)(const Args&, const ExecContext&);                  // cannot fail: why_not has checked everything
};

template <class Args>
using Candidates = std::vector<Candidate<Args>>;

struct NormArgs;
struct QkNormRopeArgs;
struct ChannelNormArgs;
struct BiasAttentionArgs;
struct ElementwiseArgs;
struct PatchifyArgs;
struct UnpatchifyArgs;
struct GatherRowsArgs;
struct AffineSumArgs;
struct PoolBlocksArgs;
struct BlockScoresArgs;
struct SelectBlocksArgs;
struct KeptMassArgs;
struct HeadErrorsArgs;
struct MergePartialsArgs;
class LinearBackend;
class ConvBackend;
class AttentionExecutor;

struct OpTable {
  Candidates<NormArgs> norm;
  Candidates<QkNormRopeArgs> qk_norm_rope;
  Candidates<ChannelNormArgs> channel_norm;
  Candidates<BiasAttentionArgs> bias_attention;
  Candidates<ElementwiseArgs> elementwise;
  Candidates<PatchifyArgs> patchify;
  Candidates<UnpatchifyArgs> unpatchify;
  Candidates<GatherRowsArgs> gather_rows;
  Candidates<AffineSumArgs> affine_sum;
  Candidates<PoolBlocksArgs> pool_blocks;
  Candidates<BlockScoresArgs> block_scores;
  Candidates<SelectBlocksArgs> select_blocks;
  Candidates<KeptMassArgs> kept_mass;
  Candidates<HeadErrorsArgs> head_errors;
  Candidates<MergePartialsArgs> merge_partials;
  std::vector<std::shared_ptr<const LinearBackend>> linear;
  std::vector<std::shared_ptr<const ConvBackend>> conv;
  std::vector<std::shared_ptr<const AttentionExecutor>> attention;
  MakeMatmulProbe matmul_probe = nullptr;  // not an op: for benchmarks
};

// First candidate that can take the call.
template <class Args>
void dispatch(const Candidates<Args>& list, const Args& args, const ExecContext& ctx) {
  for (const auto& c : list) {
    if (c.why_not(args, ctx).empty()) return c.run(args, ctx);
  }
  throw Bug("no implementation takes this call; `ref` must be the last candidate of every op");
}

}  // namespace zt
