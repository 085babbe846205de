#include "kernels/cuda/attention/executor.h"

#include <cmath>
#include <list>

#include "kernels/api/checks.h"
#include "kernels/cuda/attention/call.h"
#include "kernels/cuda/runtime/device.h"

namespace zt::cuda {
namespace {

using cuda_attention::DeviceTables;
using cuda_attention::Matrices;
using cuda_attention::PlanTables;
using cuda_attention::linear_sizes;

// A plan's tables in device memory, for one type, scale and number of heads.
class Prepared {
 public:
  Prepared(const AttentionPlan& plan, const AttentionProblem& p, float scale, Device& device)
      : plan_(plan.weak_from_this()), problem_(p), scale_(scale), device_(device) {
    tables_ = make_tables(plan, p.dtype, int(p.head_dim), p.heads, scale, cuda_attention::tile_size(device.arch(), int(p.head_dim), plan),
                          p.block_mass);
    on_device_ = upload_tables(tables_, [&](std::span<const std::byte> bytes) -> const void* {
      void* at = device.allocate(bytes.size());
      complete_ = complete_ && at && device.upload(at, bytes.data(), bytes.size()).ok();
      if (at) pieces_.emplace_back(at, bytes.size());
      return at;
    });
    for (auto* l : {&tables_.lists, &tables_.mass_lists}) l->query_tiles = {}, l->key_tiles = {}, l->mask_words = {};  // the device has them now
  }
  ~Prepared() {
    for (auto [at, bytes] : pieces_) device_.release(at, bytes);
  }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

  bool complete() const { return complete_; }
  bool of(const AttentionPlan& plan, const AttentionProblem& p, float scale) const {
    return plan_.lock().get() == &plan && problem_.dtype == p.dtype && problem_.heads == p.heads && problem_.head_dim == p.head_dim &&
           problem_.block_mass == p.block_mass && scale_ == scale;
  }
  bool stale() const { return plan_.expired(); }
  const PlanTables& tables() const { return tables_; }
  const DeviceTables& on_device() const { return on_device_; }

 private:
  std::weak_ptr<const AttentionPlan> plan_;
  AttentionProblem problem_;
  float scale_;
  Device& device_;
  PlanTables tables_;
  DeviceTables on_device_;
  std::vector<std::pair<void*, size_t>> pieces_;
  bool complete_ = true;
};

// The latest plans': a static method asks for the same one in every layer and step, cross-attention has one a prompt.
struct Latest final : Device::Kept {
  static constexpr size_t kMost = 8;
  std::list<Prepared> plans;

  Prepared& of(const AttentionPlan& plan, const AttentionProblem& p, float scale, Device& device) {
    plans.remove_if([](const Prepared& known) { return known.stale(); });
    for (auto it = plans.begin(); it != plans.end(); ++it) {
      if (!it->of(plan, p, scale)) continue;
      plans.splice(plans.begin(), plans, it);
      return plans.front();
    }
    plans.emplace_front(plan, p, scale, device);
    if (plans.size() > kMost) plans.pop_back();
    return plans.front();
  }
};

Matrices matrices(const TensorView& t) { return t ? Matrices{t.data, t.stride(0), t.stride(1), t.stride(2)} : Matrices{}; }

size_t rows_bytes(const AttentionProblem& p, int64_t rows, size_t element) {
  return (size_t(p.batch * p.heads * rows) * element + 255) / 256 * 256;
}

constexpr size_t kMostStateBytes = size_t(512) << 20;

class FlashAttention final : public AttentionExecutor {
 public:
  std::string_view name() const override { return "cuda"; }

  std::string why_not(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext&) const override {
    if (p.dtype != DType::bf16) return "bf16 only";
    if (p.head_dim != 64 && p.head_dim != 128) return "heads of 64 or 128 channels only";
    size_t states = size_t(linear_sizes(plan).pieces) * size_t(p.head_dim) * size_t(p.head_dim + 1) * 4;
    if (states > kMostStateBytes) {
      return fmt::format("the linear part would keep {} MiB of sums a head, one [{}, {}] for each of {} key blocks: make them larger",
                         states >> 20, p.head_dim, p.head_dim, plan.parts().k.count());
    }
    if (p.scale < 0) return "negative scale";
    return {};
  }

  // A linear part keeps its states; tokens that move into block order are packed, and block mass may need log-sum-exps nobody asked
  // for; the model's own tensors lie on 16 bytes and need nothing.
  size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext&) const override {
    const size_t linear = cuda_attention::linear_workspace(linear_sizes(plan), int(p.head_dim), p.batch * p.heads);
    const size_t rows = (plan.has_order() || p.block_mass ? 2 * rows_bytes(p, plan.nq(), 4) : 0) + linear;
    if (!plan.has_order()) return rows;
    const size_t width = size_t(p.head_dim) * 2;
    return 2 * rows_bytes(p, plan.nq(), width) + 2 * rows_bytes(p, plan.nk(), width) + rows;
  }

  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void* workspace, const ExecContext& ctx) const override {
    check_attention(plan, p, a);
    Device& device = device_of(ctx);
    ZT_CHECK(a.q.device == zt::Device::cuda && a.k.device == zt::Device::cuda && (!a.out || a.out.device == zt::Device::cuda));
    const float scale = p.scale != 0 ? p.scale : float(1 / std::sqrt(double(p.head_dim)));
    auto& kept = device.kept[this];
    if (!kept) kept = std::make_unique<Latest>();
    const Prepared& prepared = static_cast<Latest&>(*kept).of(plan, p, scale, device);
    if (!prepared.complete()) return device.note(2, "attention lists");  // 2: cudaErrorMemoryAllocation
    cuda_attention::AttentionCall c;
    c.q = matrices(a.q), c.k = matrices(a.k), c.v = matrices(a.v), c.out = matrices(a.out);
    c.lse = a.lse ? a.lse.as<float>() : nullptr;
    c.batch = int(p.batch), c.heads = int(p.heads), c.head_dim = int(p.head_dim), c.nq = plan.nq(), c.nk = plan.nk(), c.scale = scale;
    if (a.proj_weight) c.proj_weight = a.proj_weight.as<float>(), c.proj_bias = a.proj_bias.as<float>();
    if (a.block_mass) {
      c.mass = a.block_mass.as<float>(), c.mass_lse = a.mass_lse ? a.mass_lse.as<float>() : nullptr;
      c.q_blocks = int(a.block_mass.dim(2)), c.k_blocks = int(a.block_mass.dim(3));
      if (!device.fill(c.mass, 0, a.block_mass.bytes()).ok()) return;  // the error is kept
    }
    const size_t need = attention_workspace(prepared.tables(), c), given = workspace_bytes(plan, p, ctx);
    void* own = need > given ? device.allocate(need) : nullptr;
    if (need > given && !own) return device.note(2, "attention on rows that are not aligned");
    device.note(run_attention(prepared.tables(), prepared.on_device(), c, own ? own : workspace, device.stream()), "attention");
    if (own) device.release(own, need);
  }
};

}  // namespace

std::shared_ptr<const AttentionExecutor> make_flash_attention() { return std::make_shared<FlashAttention>(); }

}  // namespace zt::cuda
