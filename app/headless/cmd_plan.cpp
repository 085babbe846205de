#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/analysis/npy.h"
#include "app/analysis/plan_picture.h"
#include "app/headless/print.h"
#include "app/headless/read_grid.h"
#include "app/headless/subcommand.h"
#include "app/media/output_file.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

// As the methods have it: a 4K clip of 81 frames has 685,440 tokens. A dense plan would count blocks far beyond memory.
constexpr int64_t kMaxTokens = int64_t(1) << 20;
constexpr double kMaxArray = double(int64_t(1) << 32);  // bytes of one output

struct Options {
  std::string attn, grid, mask, token_mask, png;
  int64_t heads = 1;
  bool json = false;
};

Status write_outputs(const AttentionPlan& plan, const Grid& grid, const Options& o) {
  // Equal heads are written once.
  int64_t heads = plan.model_heads() > 0 ? plan.model_heads() : 1;
  auto fits = [&](int64_t rows, int64_t cols) {
    return double(heads) * double(rows) * double(cols) <= kMaxArray ? ok_status()
                                                                    : too_big("a mask of {} x {} x {} bytes", heads, rows, cols);
  };
  // All or nothing: what cannot be made is known before the first file is written.
  if (!o.mask.empty()) ZT_RETURN_IF_ERROR(fits(plan.parts().q.count(), plan.parts().k.count()));
  std::vector<uint8_t> tokens;
  if (!o.token_mask.empty()) {
    if (plan.nq() <= AttentionPlan::kMaxExpand) ZT_RETURN_IF_ERROR(fits(plan.nq(), plan.nk()));
    for (int64_t h = 0; h < heads; ++h) {
      ZT_ASSIGN_OR_RETURN(std::vector<uint8_t> mask, plan.expand(h));
      tokens.insert(tokens.end(), mask.begin(), mask.end());
    }
  }
  if (!o.mask.empty()) {
    std::vector<uint8_t> data;
    for (int64_t h = 0; h < heads; ++h) {
      std::vector<uint8_t> map = plan.block_map(plan.set_of(h));
      data.insert(data.end(), map.begin(), map.end());
    }
    ZT_RETURN_IF_ERROR(write_npy(o.mask, data, {heads, plan.parts().q.count(), plan.parts().k.count()}));
  }
  if (!o.token_mask.empty()) ZT_RETURN_IF_ERROR(write_npy(o.token_mask, tokens, {heads, plan.nq(), plan.nk()}));
  if (!o.png.empty()) {
    // The figure first: a long method runs out of the picture.
    std::string title = fmt::format("density {:.3f}: {}", plan.density(), o.attn);
    ZT_RETURN_IF_ERROR(write_png(o.png, draw_plan(plan, grid, title), true));
  }
  return {};
}

nlohmann::ordered_json as_json(const AttentionPlan& plan, const Options& o, double plan_ms) {
  const PlanParts& p = plan.parts();
  double all = double(p.heads) * double(p.q.count()) * double(p.k.count());
  nlohmann::ordered_json j;
  j["attn"] = o.attn, j["grid"] = o.grid, j["tokens"] = plan.nq();
  j["q_blocks"] = p.q.count(), j["k_blocks"] = p.k.count(), j["kept_blocks"] = plan.kept_blocks();
  j["density"] = plan.density(), j["sparsity"] = all > 0 ? 1 - double(plan.kept_blocks()) / all : 0.0;
  j["partly_kept_blocks"] = plan.stats().masked_blocks, j["empty_rows"] = plan.stats().empty_rows;
  j["block_q"] = p.q.block, j["block_k"] = p.k.block, j["permuted"] = plan.has_order();
  j["list_sets"] = p.heads, j["bytes"] = plan.stats().bytes, j["plan_ms"] = plan_ms, j["hash"] = hex(plan.hash());
  return j;
}

Status run(const Options& o) {
  ZT_ASSIGN_OR_RETURN(Grid grid, read_grid(o.grid));
  // The product of three sides may not fit 64 bits; that of two does.
  if (grid.t * grid.h > kMaxTokens / grid.w) return invalid("--grid {}: at most {} tokens are allowed", o.grid, kMaxTokens);
  if (o.heads < 1 || o.heads > 4096) return invalid("--heads {}: allowed are 1..4096", o.heads);
  std::vector<std::string> outputs;
  for (const std::string* path : {&o.mask, &o.token_mask, &o.png}) {
    if (path->empty()) continue;
    ZT_RETURN_IF_ERROR(check_output(*path, true));
    if (std::find(outputs.begin(), outputs.end(), *path) != outputs.end()) return invalid("{}: named for two outputs", *path);
    outputs.push_back(*path);
  }
  ZT_ASSIGN_OR_RETURN(auto policy, make_policy(o.attn));
  auto begin = std::chrono::steady_clock::now();
  ZT_ASSIGN_OR_RETURN(PlanPtr plan, static_plan(*policy, grid, o.heads, {}));
  double plan_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  ZT_RETURN_IF_ERROR(write_outputs(*plan, grid, o));
  auto j = as_json(*plan, o, plan_ms);
  o.json ? print_json(j) : print_result(figures_text(j));
  return {};
}

}  // namespace

std::function<int()> setup_plan(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--attn", o->attn, "attention method: name[:key=value,...] or @FILE; see `zoetrope policies`")->required();
  app.add_option("--grid", o->grid, "token grid as TxHxW")->required();
  app.add_option("--heads", o->heads, "heads, for plan files that tell them apart");
  app.add_option("--mask", o->mask, "write the block map here: .npy, u8 [1 or heads, q blocks, k blocks]");
  app.add_option("--token-mask", o->token_mask, "write the mask of tokens here: .npy, u8 [1 or heads, N, N], N up to 16384");
  app.add_option("--png", o->png, "write a picture of it here: kept fractions in the order of its blocks, drawn as `inspect` does");
  app.add_flag("--json", o->json, "print the figures as JSON");
  return [o] { return print_status(run(*o)); };
}

}  // namespace zt
