// Job files that nobody vetted, through the program: refused with the field named, next to no memory taken, nothing written but
// what was there.
#include <set>

#include "tests/app/session/hostile_jobs.h"
#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

std::set<std::string> tree(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& e : std::filesystem::recursive_directory_iterator(folder)) names.insert(e.path().string());
  return names;
}

// Every `stride`-th of the files. The batch runs three folders deep, so that a name that climbs out is seen.
void refuse(size_t stride) {
  TempFolder dir;
  const std::string inner = dir / "a/b/c", out = inner + "/out";
  std::filesystem::create_directories(inner);
  write_all(inner + "/good.toml", "[[job]]\nprompt = 'a'\nsize = 7\n");
  int64_t usual = run(dir, {"batch", "a/b/c/good.toml", "--output-dir", out}).peak_mb, most = 0;
  int refused = 0;
  const std::vector<HostileJob> jobs = hostile_jobs();
  for (size_t i = 0; i < jobs.size(); i += stride) {
    const HostileJob& job = jobs[i];
    const std::string name = job.csv ? "night.csv" : "night.toml";
    write_all(inner + "/" + name, job.text);
    auto before = tree(dir.path());
    before.insert(out);
    Finished f = run(dir, {"batch", "a/b/c/" + name, "--output-dir", out});
    EXPECT_TRUE(f.code == 2 || f.code == 3) << f.code << ": " << job.text << f.err;
    EXPECT_THAT(f.err, HasSubstr(job.field)) << job.text;
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << job.text << f.err;
    auto after = tree(dir.path());
    after.insert(out);
    EXPECT_EQ(after, before) << job.text;
    most = std::max(most, f.peak_mb);
    ++refused;
  }
  EXPECT_LT(most, usual + 64);
  std::printf("%d job files refused; at most %d MiB resident, %d MiB for a plain refusal\n", refused, int(most), int(usual));
}

TEST(HostileJobFiles, AreRefused) { refuse(29); }
TEST(LongHostileJobFiles, AreRefused) { refuse(1); }

}  // namespace
}  // namespace zt
