// What goes between an engine and whoever drives it: commands down, events up. Plain values; the window, the command
// line and the tests use the same ones.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/session/clip_frames.h"
#include "app/session/job_spec.h"

namespace zt {

enum class JobState : uint8_t { queued, loading, encoding, denoising, decoding, writing, done, failed, cancelled };

std::string_view state_name(JobState s);  // as written here
inline bool is_final(JobState s) { return s >= JobState::done; }

struct Progress {
  JobState state = JobState::queued;
  int64_t step = 0, steps = 0;  // of this state: denoising steps, decoded or written frames; 0 of 0 = not countable
  double elapsed_s = 0;         // since the job started
  double eta_s = -1;            // to the end of this state; negative = not known yet
  int64_t mem_mb = 0;           // resident memory of the process
  double density = 1;           // kept fraction of attention pairs in this step
};

// Exit codes of the command (design.md section 4); a result carries one so that no reader has to guess from text.
enum class ExitCode : uint8_t {
  done = 0,
  failed = 1,
  invalid = 2,
  bad_model = 3,
  too_big = 4,
  device_lost = 5,
  interrupted = 130
};

struct JobResult {
  ExitCode code = ExitCode::done;
  std::string error;  // one line; empty when done
  JobSpec spec;       // as it was run: frames snapped, seed drawn, precision settled
  std::string settings_hash;
  std::vector<std::string> files;         // final names in the order they appeared; the clip is the last one
  std::map<std::string, double> seconds;  // by state name, and "total"
  std::map<std::string, double> numbers;  // further results, e.g. "tokens"
  int64_t peak_mb = 0;                    // peak resident memory of the process
  int64_t memory_estimate_mb = 0;
  bool tiled_decode = false;
  std::string weights;  // on a GPU "resident" or "streamed", on a CPU empty
};

// What the clip looks like after a step: the estimate of the end, coarse. Sent only to whoever watches.
struct Preview {
  int64_t step = 0;
  Clip clip;
};

// Attention of one step, a cell per layer and head, row-major by layer. Vectors are empty where nothing was measured.
struct AttentionTable {
  int64_t step = 0, steps = 0, layers = 0, heads = 0;
  std::vector<float> density;  // kept fraction of pairs
  std::vector<float> recall;   // attention mass kept; negative = not measured in this cell
  std::vector<float> time_ms;
};

// One head's attention over blocks of tokens. It stands for the steps that follow, too, until the next one of its head.
struct AttentionMap {
  int64_t step = 0, layer = 0, head = 0;              // head < 0: all heads of the layer
  int64_t grid_t = 0, grid_h = 0, grid_w = 0;         // tokens, t-major
  int64_t query_block = 0, key_block = 0;             // tokens of a block: a run of them, unless
  std::vector<int32_t> query_block_of, key_block_of;  // these name the block of each token
  int64_t rows = 0, cols = 0;                         // query blocks, key blocks
  std::vector<float> mass;                            // [rows, cols], each row sums to 1; empty = not measured
  std::vector<float> kept;                            // [rows, cols], 0..1
};

struct Event {
  uint64_t request = 0;
  // std::string: a line for the user. Progress: only the newest of a request's state is kept. JobResult: the last event of a
  // request. Preview: only the newest is kept.
  std::variant<Progress, std::string, JobResult, Preview, AttentionTable, AttentionMap> payload;
};

// The head whose true attention is measured at each step, for AttentionMap::mass; layer < 0: none.
struct MeasuredHead {
  int64_t layer = -1, head = 0;
  bool operator==(const MeasuredHead&) const = default;
};

struct Command {
  enum class Kind : uint8_t { submit, cancel, cancel_all, measure };
  Kind kind = Kind::submit;
  uint64_t request = 0;   // of cancel
  JobSpec spec;           // of submit
  MeasuredHead measured;  // of measure: holds until the next one, for all jobs
};

// The queue as a whole, for drawing it.
struct Snapshot {
  struct Job {
    uint64_t request = 0;
    JobSpec spec;
    Progress progress;
  };
  std::vector<Job> jobs;  // in the order they were submitted, unfinished ones only
};

}  // namespace zt
