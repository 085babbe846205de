#include "app/engine/model_host.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/api/transfer.h"
#include "model/io/safetensors.h"

namespace zt {
namespace {

constexpr double kGiB = double(1 << 30);

}  // namespace

std::string mib(size_t bytes) {
  return double(bytes) < kGiB ? fmt::format("{} MiB", (bytes + (1 << 20) - 1) >> 20)
                              : fmt::format("{:.1f} GiB", double(bytes) / kGiB);
}

size_t ModelHost::program_bytes() const {
  // Measured growth after this point that is no tensor: code the maths library makes, thread stacks, codec tables.
  constexpr size_t kLater = size_t(14) << 20;
  malloc_trim(0);  // what earlier jobs gave back would count as held otherwise
  size_t held = machine_->arena.current() - embeds_.bytes(), resident = size_t(resident_mb()) << 20;
  return (resident > held ? resident - held : 0) + kLater;
}

Result<PreparedJob> ModelHost::begin(const JobSpec& spec, JobKind kind, const JobControl& control) {
  ExecContext& ctx = machine_->ctx;
  std::vector<std::string> notes;
  JobSpec settled = spec;
  ZT_ASSIGN_OR_RETURN(settled.device, machine_->use_device(spec.device));
  if (spec.device == "auto" && settled.device == "cpu" && machine_->gpu().status().code() == Code::kFailed)
    control.note("device: cpu, " + machine_->gpu().status().message());
  auto job = prepare_job(settled, kind, places_, ctx.isa, notes);
  for (std::string& n : notes) control.note(std::move(n));
  if (!job.ok()) return job;
  job->faults = &machine_->faults;
  job->origin = {places_.version, std::string(isa_name(ctx.isa)), ""};
  if (machine_->on_gpu()) job->origin.isa = "cuda " + (*machine_->gpu())->facts().capability;
  if (kind == JobKind::render || kind == JobKind::decode) job->origin.model_hash = fingerprints_.of(job->model_root);
  ctx.cancel = control.cancel;
  ctx.warn = [&control](std::string_view line) { control.note(std::string(line)); };
  ctx.threads = job->spec.threads > 0 ? int(job->spec.threads) : physical_threads();
  return job;
}

Result<TextToVideo*> ModelHost::open(const PreparedJob& job) {
  if (!pipeline_ || root_ != job.model_root || pipeline_->compute() != job.compute || device_ != job.spec.device) {
    pipeline_.reset();  // the old weights go before the new ones come
    embeds_.clear();
    ZT_ASSIGN_OR_RETURN(pipeline_, TextToVideo::open(job.model_root, job.compute));
    root_ = job.model_root, device_ = job.spec.device;
  }
  return pipeline_.get();
}

Result<Tensor> ModelHost::embed(const TokenIds& ids) {
  std::string key(reinterpret_cast<const char*>(ids.ids.data()), ids.ids.size() * sizeof(ids.ids[0]));
  auto copy = [&](const TensorView& from) -> Result<Tensor> {
    ZT_ASSIGN_OR_RETURN(Tensor out, machine_->arena.make(from.dtype, from.shape));
    std::memcpy(out.data(), from.data, from.bytes());
    return out;
  };
  if (TensorView known = embeds_.find(key)) return copy(known);
  ZT_ASSIGN_OR_RETURN(Tensor fresh, pipeline_->embed(ids, ctx()));
  ZT_ASSIGN_OR_RETURN(Tensor kept, copy(fresh));
  embeds_.put(key, std::move(kept));
  return fresh;
}

void ModelHost::set_budget(const PreparedJob& job, size_t beside) {
  size_t held = machine_->arena.current(), program = program_bytes() + beside;
  double limit = job.spec.max_memory * kGiB;
  size_t budget = available_memory() + held;
  if (limit > 0) budget = std::min(budget, limit > double(program) ? size_t(limit) - program : 0);
  machine_->arena.set_budget(std::max(budget, held));
  // Not raised to what is held: parts of an earlier job that are too large for this one's limit go before its own come.
  if (machine_->on_gpu()) ctx().arena->set_budget(gpu_bytes(job));
}

size_t ModelHost::gpu_bytes(const PreparedJob& job) const {
  auto card = machine_->gpu();
  size_t held = ctx().arena->current(), free = (card.ok() ? (*card)->facts().free : 0) + held;
  double limit = job.spec.max_vram * kGiB;
  return limit > 0 ? std::min(free, size_t(limit)) : free;
}

Status ModelHost::admit(size_t bytes, const std::string& breakdown, const PreparedJob& job, const JobControl& control,
                        JobResult& result, const Instead& instead) const {
  if (machine_->on_gpu()) {
    const size_t allowed = gpu_bytes(job);
    result.memory_estimate_mb = int64_t(bytes >> 20);
    control.note(fmt::format("GPU memory: {} needed ({}), {} available", mib(bytes), breakdown, mib(allowed)));
    if (bytes <= allowed) return ok_status();
    return too_big("needs {} of GPU memory, {} are {}; {}", mib(bytes), mib(allowed), job.spec.max_vram > 0 ? "free or allowed by --max-vram" : "free",
                   instead ? instead([&](size_t b) { return b <= allowed; }) : "a smaller size or fewer frames need less");
  }
  size_t held = machine_->arena.current(), program = program_bytes();
  size_t total = program + bytes, free = available_memory() + held;
  result.memory_estimate_mb = int64_t(total >> 20);
  control.note(fmt::format("memory: {} needed (program {}, {}), {} available", mib(total), mib(program), breakdown, mib(free)));
  double limit = job.spec.max_memory * kGiB;
  auto allowed = [&](size_t b) { return limit <= 0 || double(program + b) <= limit; };
  auto fits = [&](size_t b) { return allowed(b) && b <= free; };
  if (fits(bytes)) return ok_status();
  std::string advice = instead ? instead(fits) : "a smaller size or fewer frames need less";
  if (!allowed(bytes))
    return too_big("needs {} of memory, --max-memory allows {}; {}", mib(total), mib(size_t(limit)), advice);
  return too_big("needs {} of memory, this machine has {} free; {}", mib(bytes), mib(free), advice);
}

Status ModelHost::place(const MemoryEstimate& memory, const JobControl& control, JobResult& result) {
  if (!machine_->on_gpu()) return ok_status();
  std::string parts;
  auto add = [&](bool streamed, std::string_view part, const ChainBytes& b) {
    if (streamed) parts += fmt::format("{}{} streamed, 2 x {} of {}", parts.empty() ? "" : ", ", part, mib(b.buffer()), mib(b.resident()));
  };
  add(memory.placement.transformer_streamed, "transformer", memory.transformer_weights);
  add(memory.placement.text_streamed, "text encoder", memory.text_weights);
  result.weights = parts.empty() ? "resident" : "streamed";
  control.note("weights: " + (parts.empty() ? "resident" : parts));
  if (memory.host() > machine_->arena.budget())
    return too_big("streamed weights need {} of main memory, {} are free or allowed by --max-memory; a larger --max-vram or a smaller clip may "
                   "do without streaming", mib(memory.host()), mib(machine_->arena.budget()));
  pipeline_->place(memory.placement);
  return ok_status();
}

Result<Tensor> read_tensor(std::string_view field, const std::string& path, const std::string& name, int rank,
                           const ExecContext& ctx) {
  auto file = SafetensorsFile::open(path);
  if (!file.ok()) return invalid("{}: {}", field, file.status().message());
  auto found = file->tensors.find(name);
  if (found == file->tensors.end()) return invalid("{}: {} has no tensor `{}`", field, path, name);
  const TensorView& t = found->second;
  // One leading axis of 1 more is how batches are stored elsewhere.
  bool batch = t.rank() == rank + 1 && t.dim(0) == 1;
  if (t.rank() != rank && !batch) return invalid("{}: tensor `{}` is {}, {} axes are wanted", field, name, t.shape.str(), rank);
  bool floats = t.dtype == DType::f32 || t.dtype == DType::bf16 || t.dtype == DType::f16;
  if (!floats) return invalid("{}: tensor `{}` is {}; f32, bf16 or f16 is wanted", field, name, dtype_name(t.dtype));
  if (t.count() == 0) return invalid("{}: tensor `{}` is empty", field, name);
  TensorView source = batch ? t.select(0, 0) : t;
  ZT_ASSIGN_OR_RETURN(Tensor out, host_arena(ctx).make(DType::f32, source.shape));
  convert_floats(source.data, source.dtype, out.data(), DType::f32, source.count());
  const float* p = out.as<float>();
  for (int64_t i = 0; i < source.count(); ++i) {
    if (!std::isfinite(p[i])) return invalid("{}: tensor `{}` holds a value that is not finite (element {})", field, name, i);
  }
  return out;
}

TensorView real_rows(const TensorView& embeds) {
  int64_t rows = embeds.dim(0), width = embeds.dim(1);
  const float* p = embeds.as<float>();
  while (rows > 1 && std::all_of(p + (rows - 1) * width, p + rows * width, [](float v) { return v == 0; })) --rows;
  return embeds.slice(0, 0, rows);
}

}  // namespace zt
