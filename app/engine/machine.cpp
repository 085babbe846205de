#include "app/engine/machine.h"

#include <fstream>
#include <limits>
#include <sstream>

#include "kernels/registry/registry.h"

namespace zt {
namespace {

int64_t status_mb(std::string_view key) {
  std::ifstream f("/proc/self/status");
  for (std::string line; std::getline(f, line);) {
    int64_t kib = 0;
    if (line.starts_with(key) && std::istringstream(line.substr(key.size())) >> kib) return kib / 1024;
  }
  return 0;
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::make() {
  ZT_ASSIGN_OR_RETURN(RegistryOptions options, registry_options_from_env());
  auto m = std::make_unique<Machine>();
  ZT_ASSIGN_OR_RETURN(m->ops, make_op_table(options));
  m->ctx.ops = m->ops.get(), m->ctx.arena = &m->arena, m->ctx.isa = options.isa, m->ctx.threads = physical_threads();
  return m;
}

Result<Gpu*> Machine::gpu() {
  if (!gpu_state_) {
    auto opened = open_gpu();
    gpu_state_ = opened.status();
    if (opened.ok()) {
      gpu_ = std::move(*opened);
      gpu_arena_ = std::make_unique<Arena>(std::numeric_limits<size_t>::max(), &gpu_->memory());
    }
  }
  if (!gpu_state_->ok()) return *gpu_state_;
  return gpu_.get();
}

Result<std::string> Machine::use_device(std::string_view wanted) {
  ctx.ops = ops.get(), ctx.arena = &arena, ctx.host = nullptr;
  if (wanted == "cpu") return std::string("cpu");
  Result<Gpu*> card = gpu();
  if (!card.ok() && wanted == "cuda") return invalid("device: {}", card.status().message());
  if (!card.ok()) return std::string("cpu");
  ctx.ops = &(*card)->ops(), ctx.arena = gpu_arena_.get(), ctx.host = &arena;
  return std::string("cuda");
}

std::vector<std::string> Machine::implementations() const { return describe(*ops); }

int64_t resident_mb() { return status_mb("VmRSS:"); }
int64_t peak_resident_mb() { return status_mb("VmHWM:"); }

}  // namespace zt
