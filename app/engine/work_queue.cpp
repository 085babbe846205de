#include "app/engine/work_queue.h"

#include <unistd.h>

#include <cstdio>

#include "app/engine/batch.h"
#include "app/engine/desk.h"
#include "app/engine/presets.h"
#include "app/session/queue_text.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

// As a batch judges it: by the hash of the settings that would run. The job must be one that resumes: others are refused where
// their clip is there.
bool rendered(const JobSpec& spec, const JobPlaces& places, Isa isa) {
  std::vector<std::string> notes;
  auto job = prepare_job(spec, JobKind::render, places, isa, notes);
  return job.ok() && is_finished(job->spec, settings_hash(job->spec));
}

Status parse_queue(const std::string& path, const std::string& folder, const JobPlaces& places, std::vector<BatchJob>& jobs) {
  ZT_ASSIGN_OR_RETURN(std::string text, read_small_file(path, kMaxTextBytes));
  BatchInput input{path, std::move(text)};
  if (Problem p = read_batch({&input, 1}, JobSpec(), {}, jobs); !p.empty()) return invalid("{}", p);
  for (BatchJob& job : jobs) {
    if (Status s = apply_preset(job.spec, job.given, places); !s.ok()) return s.in(job.place);
  }
  if (Problem p = settle_batch(jobs, folder); !p.empty()) return invalid("{}", p);
  return {};
}

}  // namespace

std::string queue_path(const std::string& folder) { return folder + "/queue.toml"; }

Result<std::vector<JobSpec>> read_queue(const std::string& folder, const JobPlaces& places, Isa isa) {
  std::string path = queue_path(folder);
  std::vector<BatchJob> jobs;
  if (access(path.c_str(), F_OK) != 0) return std::vector<JobSpec>();
  if (Status s = parse_queue(path, folder, places, jobs); !s.ok()) {
    std::string aside = path + ".damaged";
    if (std::rename(path.c_str(), aside.c_str()) != 0) return s;
    return invalid("{}; the file is {} now", s.message(), aside);
  }
  std::vector<JobSpec> waiting;
  for (BatchJob& job : jobs) {
    job.spec.resume = true;  // from its checkpoint, if it has one
    if (!rendered(job.spec, places, isa)) waiting.push_back(std::move(job.spec));
  }
  return waiting;
}

Status write_queue(const std::string& folder, std::span<const JobSpec> jobs) {
  std::string path = queue_path(folder);
  if (jobs.empty()) {
    unlink(path.c_str());
    return {};
  }
  size_t written = 0;
  ZT_RETURN_IF_ERROR(write_text_file(path, queue_text(jobs, folder, written)));
  if (written == jobs.size()) return {};
  return failed("{}: holds {} of {} jobs; the others are forgotten if the window closes before their turn", path, written,
                jobs.size());
}

Turn take_turn(const JobSpec& spec, const JobPlaces& places, Isa isa, std::optional<Claim>& claim) {
  auto taken = Claim::take(claim_path(spec.output));
  if (taken.ok() && !*taken) return Turn::elsewhere;
  if (taken.ok()) claim = std::move(*taken);
  if (!rendered(spec, places, isa)) return Turn::ours;
  claim.reset();
  remove_leftovers(spec.output);
  return Turn::done;
}

}  // namespace zt
