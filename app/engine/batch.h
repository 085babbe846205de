// A queue of renders on one folder that several workers may share: what is done, what is taken, what is next. A job is done when
// its clip and its side file exist and the side file has the job's settings hash; nothing else is remembered between runs.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/engine/claim.h"
#include "app/engine/runners.h"
#include "app/session/batch_file.h"

namespace zt {

struct Shard {
  size_t index = 0, count = 1;  // jobs whose number is index modulo count
};
// "i/n", from 0 or from 1: shard n is shard 0, so either way of counting covers every job once.
Result<Shard> parse_shard(const std::string& text);
// From Slurm's job arrays (SLURM_ARRAY_TASK_ID, _MIN, _MAX, _STEP, _COUNT), when this process is part of one.
Result<std::optional<Shard>> slurm_shard();

// The files of a batch: one TOML or CSV file, or all of them in a folder, by name.
Result<std::vector<BatchInput>> read_batch_inputs(const std::string& path);

struct BatchItem {
  size_t number = 1;  // in the whole batch, from 1
  JobSpec spec;       // settled; resume is on
  std::string place, settings_hash;
  int64_t memory_mb = 0, tokens = 0;
  double expected_s = 0;
  bool tiled_decode = false;
  Status trouble;     // what its dry run said, if it can still be tried (memory)
  std::optional<Claim> claim;       // while it is ours to do
  std::optional<JobResult> result;  // of this run
  bool done = false;
};

class Batch {
 public:
  // Judges every job before any work: names, settings, methods, files, the model's configuration and memory. The first job that
  // can never run refuses the batch (kInvalid, kBadModel); one that does not fit in memory now is left to its turn. Makes
  // `folder` and what the names want below it, unless this is a dry run. `stopped` is asked between jobs (kCancelled).
  static Result<Batch> open(ModelHost& host, std::vector<BatchJob> jobs, const std::string& folder, const Shard& shard, bool dry,
                            const std::function<bool()>& stopped);

  std::span<BatchItem> items() { return items_; }
  // Claims the next job that is neither done nor tried nor taken. Null: none at the moment.
  Result<BatchItem*> next();
  // Gives the job's claim up; its result counts.
  void finish(BatchItem& item, JobResult result);
  void beat();
  // Whether a job is left that another worker holds: it may yet need us.
  bool others_at_work();

 private:
  std::vector<BatchItem> items_;
  size_t cursor_ = 0;
};

// A worker killed between giving a clip its name and tidying up leaves its claim and checkpoint; so does a job that nobody
// wants any more. Whoever can claim the job owns them.
void remove_leftovers(const std::string& output);

// Whether the clip of these settings is there.
bool is_finished(const JobSpec& spec, const std::string& settings_hash);

}  // namespace zt
