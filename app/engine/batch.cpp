#include "app/engine/batch.h"

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/engine/checkpoint.h"
#include "app/engine/presets.h"
#include "app/media/clip_format.h"
#include "app/media/output_file.h"
#include "app/session/job_text.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

namespace fs = std::filesystem;

// The settings hash a side file states; empty when it is none of ours.
std::string stated_hash(const std::string& side_file) {
  auto json = read_json_file(side_file, {.bytes = 2 * kMaxTextBytes});
  if (!json.ok() || !json->is_object() || !json->contains("zoetrope")) return {};
  auto found = json->find("settings_hash");
  return found != json->end() && found->is_string() ? found->get<std::string>() : "";
}

// The folders a name wants, and that they lie where they seem to: a link must not lead out of the batch's folder.
Status make_folders(const std::string& folder, const std::string& output) {
  std::error_code error;
  fs::path parent = fs::path(folder_of(output));
  fs::create_directories(parent, error);
  if (error) return invalid("{}: cannot make the folder: {}", parent.string(), error.message());
  fs::path root = fs::canonical(folder, error), real = fs::canonical(parent, error);
  auto [end, rest] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  if (end != root.end()) return invalid("{}: leads out of {} through a link", output, folder);
  return ok_status();
}

}  // namespace

void remove_leftovers(const std::string& output) {
  std::string checkpoint = checkpoint_path(output), claim_file = claim_path(output);
  if (access(checkpoint.c_str(), F_OK) != 0 && access(claim_file.c_str(), F_OK) != 0) return;
  auto claim = Claim::take(claim_file);
  if (claim.ok() && *claim) unlink(checkpoint.c_str());
}

bool is_finished(const JobSpec& spec, const std::string& settings_hash) {
  if (existing_output(spec.output).empty()) return false;
  return spec.no_metadata || stated_hash(side_file_of(spec.output)) == settings_hash;
}

Result<Batch> Batch::open(ModelHost& host, std::vector<BatchJob> jobs, const std::string& folder, const Shard& shard, bool dry,
                          const std::function<bool()>& stopped) {
  for (BatchJob& job : jobs) {
    if (Status s = apply_preset(job.spec, job.given, host.places()); !s.ok()) return s.in(job.place);
  }
  if (Problem p = settle_batch(jobs, folder); !p.empty()) return invalid("{}", p);
  std::error_code error;
  if (!dry) fs::create_directories(folder, error);
  if (!dry && !fs::is_directory(folder, error)) return invalid("--output-dir {}: is not a folder and cannot be made", folder);

  Batch batch;
  JobControl quiet;
  std::atomic<bool> never{false};
  quiet.cancel = &never;
  quiet.note = [](std::string) {};
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (i % shard.count != shard.index) continue;
    if (stopped()) return Status(Code::kCancelled, "stopped before the first job");
    const BatchJob& job = jobs[i];
    BatchItem item;
    item.number = i + 1, item.place = job.place, item.spec = job.spec;
    bool may_replace = item.spec.overwrite;
    item.spec.resume = true;
    for (std::string JobSpec::*name : kOutputNames) {
      std::string& path = item.spec.*name;
      if (path.empty()) continue;
      if (Status s = dry ? ok_status() : make_folders(folder, path); !s.ok()) return s.in(job.place);
      // A dry run makes no folder; the checks need one that is there.
      if (dry && !fs::is_directory(folder_of(path), error)) path = (fs::temp_directory_path(error) / fs::path(path).filename()).string();
    }
    JobResult judged;
    auto prepared = dry_run(host, item.spec, quiet, judged);
    if (!prepared.ok() && prepared.status().code() != Code::kTooBig) return prepared.status().in(job.place);
    if (!prepared.ok()) item.trouble = prepared.status().in(job.place);
    item.spec = judged.spec;
    for (std::string JobSpec::*name : kOutputNames) item.spec.*name = job.spec.*name;
    item.settings_hash = judged.settings_hash;
    item.memory_mb = judged.memory_estimate_mb, item.tiled_decode = judged.tiled_decode;
    item.tokens = int64_t(judged.numbers["tokens"]), item.expected_s = judged.numbers["expected_s"];
    item.done = is_finished(item.spec, item.settings_hash);
    if (item.done && !dry) remove_leftovers(item.spec.output);
    bool foreign = !existing_output(item.spec.output).empty() && !item.spec.no_metadata && stated_hash(side_file_of(item.spec.output)).empty();
    if (foreign && !may_replace)
      return invalid("{}: {}: exists already and is not from a batch (--overwrite replaces it)", job.place, item.spec.output);
    batch.items_.push_back(std::move(item));
  }
  return batch;
}

Result<BatchItem*> Batch::next() {
  // Round the list, so that workers that start together do not all stand at the first job for long.
  for (size_t seen = 0; seen < items_.size(); ++seen) {
    BatchItem& item = items_[cursor_];
    cursor_ = (cursor_ + 1) % items_.size();
    if (item.done || item.result || item.claim) continue;
    ZT_ASSIGN_OR_RETURN(std::optional<Claim> claim, Claim::take(claim_path(item.spec.output)));
    if (!claim) continue;
    if (is_finished(item.spec, item.settings_hash)) {  // by another worker, before we had its claim
      item.done = true;
      unlink(checkpoint_path(item.spec.output).c_str());
      continue;
    }
    item.claim = std::move(claim);
    return &item;
  }
  return nullptr;
}

void Batch::finish(BatchItem& item, JobResult result) {
  item.done = result.code == ExitCode::done;
  item.result = std::move(result);
  item.claim.reset();
}

void Batch::beat() {
  for (BatchItem& item : items_) {
    if (item.claim) item.claim->beat();
  }
}

bool Batch::others_at_work() {
  for (const BatchItem& item : items_) {
    if (!item.done && !item.result) return true;
  }
  return false;
}

}  // namespace zt
