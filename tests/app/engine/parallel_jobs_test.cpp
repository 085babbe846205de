// How many jobs of a batch run side by side.
#include "app/engine/parallel_jobs.h"

#include <gtest/gtest.h>

namespace zt {
namespace {

constexpr size_t kGiB = size_t(1) << 30;

std::vector<BatchItem> jobs(int count, int64_t tokens, int64_t memory_mb = 100) {
  std::vector<BatchItem> items(static_cast<size_t>(count));
  for (BatchItem& i : items) i.spec.device = "cpu", i.tokens = tokens, i.memory_mb = memory_mb;
  return items;
}

TEST(ParallelJobs, FollowTheLargestJob) {
  EXPECT_EQ(parallel_jobs(jobs(16, 576), 0, 2, 8 * kGiB), 2);
  EXPECT_EQ(parallel_jobs(jobs(40, 576), 0, 16, 8 * kGiB), 16);
  EXPECT_EQ(parallel_jobs(jobs(40, 5376), 0, 16, 8 * kGiB), 5);
  EXPECT_EQ(parallel_jobs(jobs(40, 32760), 0, 16, 8 * kGiB), 1);
  auto mixed = jobs(40, 576);
  mixed[7].tokens = 32760;
  EXPECT_EQ(parallel_jobs(mixed, 0, 16, 8 * kGiB), 1);
  mixed[7].done = true;
  EXPECT_EQ(parallel_jobs(mixed, 0, 16, 8 * kGiB), 16);
}

TEST(ParallelJobs, NeverMoreThanAreLeftOrFit) {
  EXPECT_EQ(parallel_jobs(jobs(3, 576), 0, 16, 8 * kGiB), 3);
  EXPECT_EQ(parallel_jobs(jobs(3, 576), 8, 2, 8 * kGiB), 3);
  EXPECT_EQ(parallel_jobs(jobs(40, 576, 512), 0, 16, 4 * kGiB), 4);
  EXPECT_EQ(parallel_jobs(jobs(40, 576, 8000), 0, 16, 4 * kGiB), 1);
  EXPECT_EQ(parallel_jobs({}, 0, 16, 4 * kGiB), 1);
  EXPECT_EQ(parallel_jobs(jobs(40, 576), 0, 16, 0), 1);
}

TEST(ParallelJobs, OneWhereAJobSaysWhatItMayTake) {
  for (auto change : {+[](BatchItem& i) { i.spec.threads = 1; }, +[](BatchItem& i) { i.spec.max_memory = 1; },
                      +[](BatchItem& i) { i.spec.device = "cuda"; }, +[](BatchItem& i) { i.trouble = Status(Code::kTooBig, "too big"); }}) {
    auto items = jobs(16, 576);
    change(items[3]);
    EXPECT_EQ(parallel_jobs(items, 0, 4, 8 * kGiB), 1);
    EXPECT_EQ(parallel_jobs(items, 3, 4, 8 * kGiB), 3) << "who says how many is obeyed";
  }
}

}  // namespace
}  // namespace zt
