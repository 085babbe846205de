#include "app/engine/checkpoint.h"

#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "app/media/output_file.h"
#include "app/session/job_text.h"
#include "kernels/plan/attention_plan.h"
#include "kernels/plan/sha256.h"
#include "model/io/safetensors_header.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

constexpr std::string_view kFormat = "zoetrope-checkpoint 1", kSolver = "solver.", kPolicy = "policy", kReport = "report", kLatents = "latents";
// Ours are below 8 KiB with the 5 KiB state of a Mersenne twister in them.
constexpr uint64_t kMaxHeader = 1 << 20;
constexpr size_t kMaxTensors = 16;
constexpr int64_t kMaxSteps = 10000;

using Metadata = std::map<std::string, std::string>;

// Of names, types, shapes and bytes in name order, and of all metadata but the checksum. Lengths go first, so that no two
// files read the same.
std::string checksum(const Metadata& metadata, const std::map<std::string, TensorView>& tensors) {
  Sha256 sha;
  auto text = [&](std::string_view s) {
    uint64_t n = s.size();
    sha.add(&n, sizeof n);
    sha.add(s);
  };
  for (const auto& [key, value] : metadata) {
    if (key != "checksum") text(key), text(value);
  }
  for (const auto& [name, t] : tensors) {
    text(name), text(dtype_name(t.dtype)), text(t.shape.str());
    sha.add(t.data, t.bytes());
  }
  return hex(sha.finish());
}

Result<int64_t> whole_number(const Metadata& m, const std::string& key, int64_t low, int64_t high) {
  auto found = m.find(key);
  if (found == m.end()) return invalid("{}: is missing", key);
  const std::string& s = found->second;
  int64_t value = 0;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size()) return invalid("{}: is not a whole number", key);
  if (value < low || value > high) return invalid("{}: {} is outside {}..{}", key, value, low, high);
  return value;
}

Status expect(const Metadata& m, const std::string& key, std::string_view want, std::string_view otherwise) {
  auto found = m.find(key);
  if (found == m.end()) return invalid("{}: is missing", key);
  return found->second == want ? ok_status() : invalid("{}: {}", key, otherwise);
}

}  // namespace

std::string checkpoint_path(const std::string& output) {
  std::string place = without_slash(output);
  std::string stem = stem_of(place);
  return folder_of(place) + "/" + (stem.starts_with('.') ? "" : ".") + stem + ".checkpoint";
}

Status write_checkpoint(const std::string& path, const CheckpointKey& key, const DenoiseState& state, WriteFaults* faults, bool sync,
                        std::string_view report) {
  std::map<std::string, TensorView> tensors = {{std::string(kLatents), state.latents}};
  for (const auto& [name, view] : state.solver) tensors.emplace(std::string(kSolver) + name, view);
  auto add_bytes = [&](std::string_view name, std::string_view bytes) {
    if (!bytes.empty()) tensors.emplace(name, TensorView(const_cast<char*>(bytes.data()), DType::u8, {int64_t(bytes.size())}));
  };
  add_bytes(kPolicy, state.policy), add_bytes(kReport, report);
  Metadata metadata = {{"format", std::string(kFormat)}, {"settings_hash", key.settings_hash},     {"attention", key.attention},
                       {"noise", state.noise},           {"step", std::to_string(state.step)}, {"steps", std::to_string(state.steps)},
                       {"model_hash", key.model_hash}};
  metadata["checksum"] = checksum(metadata, tensors);
  std::vector<NamedTensor> list;
  for (const auto& [name, view] : tensors) list.push_back({name, view});
  SafetensorsLayout layout = lay_out_safetensors(list, metadata);
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path, true, false, faults));
  ZT_ASSIGN_OR_RETURN(OutputStream out, file.open());
  ZT_RETURN_IF_ERROR(out.write(layout.head.data(), layout.head.size()));
  for (const TensorView& t : layout.data) ZT_RETURN_IF_ERROR(out.write(t.data, t.bytes()));
  ZT_RETURN_IF_ERROR(out.close());
  return file.commit(sync);
}

Result<Checkpoint> read_checkpoint(const std::string& path, const CheckpointKey& key) {
  Checkpoint c;
  ZT_ASSIGN_OR_RETURN(c.file, MappedFile::open(path));
  const uint8_t* data = c.file->data();
  uint64_t size = c.file->size(), header = 0;
  if (size < sizeof header) return invalid("header: {} bytes are too short for one", size);
  std::memcpy(&header, data, sizeof header);
  if (header > kMaxHeader) return invalid("header: {} bytes, at most {} are possible", header, kMaxHeader);
  if (header > size - sizeof header) return invalid("header: {} bytes, longer than the file", header);
  const uint8_t* base = data + sizeof header + header;
  ZT_ASSIGN_OR_RETURN(SafetensorsHeader h, parse_safetensors_header({reinterpret_cast<const char*>(data) + sizeof header, size_t(header)},
                                                                    size - sizeof header - header));
  const Metadata& m = h.metadata;
  // What it is and whose comes first: the rest has a meaning only for this job.
  ZT_RETURN_IF_ERROR(expect(m, "format", kFormat, "is not that of a checkpoint of this program"));
  ZT_RETURN_IF_ERROR(expect(m, "settings_hash", key.settings_hash, "it belongs to a job with other settings"));
  ZT_RETURN_IF_ERROR(expect(m, "model_hash", key.model_hash, "the model's weights are others now"));
  ZT_RETURN_IF_ERROR(expect(m, "attention", key.attention, "the files of the attention spec have changed"));
  for (const auto& [name, value] : m) {
    constexpr std::string_view kKnown[] = {"format", "settings_hash", "model_hash", "attention", "step", "steps", "noise", "checksum"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown))
      return invalid("metadata: unknown key {}", json_quoted(name.substr(0, 40)));
  }
  ZT_ASSIGN_OR_RETURN(c.state.steps, whole_number(m, "steps", 1, kMaxSteps));
  if (c.state.steps != key.steps) return invalid("steps: {}, this job has {}", c.state.steps, key.steps);
  ZT_ASSIGN_OR_RETURN(c.state.step, whole_number(m, "step", 1, c.state.steps));
  auto noise = m.find("noise");
  if (noise == m.end()) return invalid("noise: is missing");
  c.state.noise = noise->second;

  if (h.entries.size() > kMaxTensors) return invalid("tensors: {}, at most {} are possible", h.entries.size(), kMaxTensors);
  std::map<std::string, TensorView> tensors;
  for (const HeaderEntry& e : h.entries) {
    bool solver = e.name.starts_with(kSolver), bytes = e.name == kPolicy || e.name == kReport;
    if (!solver && !bytes && e.name != kLatents) return invalid("tensor {}: no checkpoint has it", json_quoted(e.name.substr(0, 40)));
    DType want = bytes ? DType::u8 : DType::f32;
    if (e.dtype != want) return invalid("{}: is {}, {} is wanted", e.name.substr(0, 40), dtype_name(e.dtype), dtype_name(want));
    if (e.shape.rank() != (bytes ? 1 : 4)) return invalid("{}: is {}", e.name.substr(0, 40), e.shape.str());
    if (e.shape.count() == 0) return invalid("{}: is empty", e.name.substr(0, 40));
    if ((uintptr_t(base) + e.begin) % dtype_size(e.dtype) != 0) return invalid("{}: is not aligned to its type", e.name.substr(0, 40));
    tensors.emplace(e.name, TensorView(const_cast<uint8_t*>(base) + e.begin, e.dtype, e.shape));
  }
  auto latents = tensors.find(std::string(kLatents));
  if (latents == tensors.end()) return invalid("latents: are missing");
  for (const auto& [name, t] : tensors) {
    if (t.dtype == DType::f32 && t.shape != latents->second.shape)
      return invalid("{}: is {}, the latents are {}", name.substr(0, 40), t.shape.str(), latents->second.shape.str());
  }
  ZT_RETURN_IF_ERROR(expect(m, "checksum", checksum(m, tensors), "does not fit the content; the file is damaged"));

  c.state.latents = latents->second;
  for (const auto& [name, t] : tensors) {
    if (name.starts_with(kSolver)) c.state.solver.emplace_back(name.substr(kSolver.size()), t);
    if (name == kPolicy) c.state.policy.assign(static_cast<const char*>(t.data), t.bytes());
    if (name == kReport) c.report.assign(static_cast<const char*>(t.data), t.bytes());
    if (t.dtype == DType::u8) continue;
    const float* p = t.as<float>();
    for (int64_t i = 0; i < t.count(); ++i) {
      if (!std::isfinite(p[i])) return invalid("{}: element {} is not finite", name.substr(0, 40), i);
    }
  }
  return c;
}

Result<JobCheckpoint> JobCheckpoint::open(const PreparedJob& job, const std::function<void(std::string)>& note) {
  JobCheckpoint c;
  c.path_ = checkpoint_path(job.spec.output), c.note_ = note, c.faults_ = job.faults;
  ZT_ASSIGN_OR_RETURN(std::string attention, spec_hash(job.spec.attn));
  c.key_ = {settings_hash(job.spec), attention, job.spec.steps, job.origin.model_hash};
  if (!job.spec.resume || access(c.path_.c_str(), F_OK) != 0) return c;
  auto found = read_checkpoint(c.path_, c.key_);
  if (!found.ok()) {
    note(fmt::format("resume: {}: {}; starting from the beginning", c.path_, found.status().message()));
    return c;
  }
  c.found_ = std::move(*found);
  c.saved_ = c.found_->state.step;
  note(fmt::format("resume: going on after step {} of {}", c.saved_, c.key_.steps));
  return c;
}

void JobCheckpoint::save(const DenoiseState& state, std::string_view report) {
  // A kill never hurts what was written; a cut of power may, and the checksum will say so. Waiting for the disk is worth it once
  // some seconds of work hang on the file.
  constexpr std::chrono::seconds kWorthASync{5};
  auto now = std::chrono::steady_clock::now();
  bool sync = now - synced_ >= kWorthASync;
  Status s = write_checkpoint(path_, key_, state, faults_, sync, report);
  if (sync) synced_ = now;
  if (s.ok()) saved_ = state.step;
  if (s.ok() || warned_) return;
  warned_ = true;
  note_("checkpoint: " + s.message() + "; the job goes on without");
}

void JobCheckpoint::remove() {
  found_.reset();
  if (saved_ > 0) unlink(path_.c_str());
  saved_ = 0;
}

std::string JobCheckpoint::hint() const {
  if (saved_ == 0) return {};
  if (saved_ == key_.steps) return "the finished latents are kept, --resume decodes them";
  return fmt::format("--resume goes on after step {} of {}", saved_, key_.steps);
}

}  // namespace zt
