// The queue of a window as a file in its output folder, shared with `batch`: either may render its jobs, each is rendered once.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/engine/claim.h"
#include "app/engine/job_check.h"

namespace zt {

std::string queue_path(const std::string& folder);

// Jobs of the folder's queue that are not done yet; none where there is no file. A file that cannot be understood is put
// aside under another name, and the error says so.
Result<std::vector<JobSpec>> read_queue(const std::string& folder, const JobPlaces& places, Isa isa);

// Replaces the file; an empty queue has none. Says how many jobs it holds when that is not all of them.
Status write_queue(const std::string& folder, std::span<const JobSpec> jobs);

// Whether a job may be rendered now.
enum class Turn : uint8_t {
  ours,
  done,      // by another worker, with the same settings
  elsewhere  // another worker is at it
};
// `claim` is set when it is ours, unless the place cannot be written: the job will say so by itself.
Turn take_turn(const JobSpec& spec, const JobPlaces& places, Isa isa, std::optional<Claim>& claim);

}  // namespace zt
