// The root of trust: the tables of lane layouts against those of CUTLASS (tests/golden/cuda_layouts.py writes the file).
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cuda/common/types.h"
#include "tests/support/cuda_host/layouts.h"

namespace zt::cuda_host {
namespace {

std::map<std::string, std::vector<int>> golden() {
  std::map<std::string, std::vector<int>> tables;
  std::ifstream f(std::string(ZT_SOURCE_DIR) + "/tests/golden/cuda_layouts.txt");
  for (std::string line; std::getline(f, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (int v; words >> v;) tables[name].push_back(v);
  }
  return tables;
}

TEST(CudaHostLayouts, MatrixFragmentsAreCutlasss) {
  auto tables = golden();
  ASSERT_EQ(tables["mma_a"].size(), 256u);
  ASSERT_EQ(tables["mma_b"].size(), 128u);
  ASSERT_EQ(tables["mma_c"].size(), 128u);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 8; ++i) EXPECT_EQ(mma_a(lane, i).row + 16 * mma_a(lane, i).column, tables["mma_a"][size_t(8 * lane + i)]);
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(mma_b(lane, i).column + 8 * mma_b(lane, i).row, tables["mma_b"][size_t(4 * lane + i)]);
      EXPECT_EQ(mma_c(lane, i).row + 16 * mma_c(lane, i).column, tables["mma_c"][size_t(4 * lane + i)]);
    }
  }
}

TEST(CudaHostLayouts, MatrixLoadsAreCutlasss) {
  auto tables = golden();
  for (bool transposed : {false, true}) {
    const std::vector<int>&source = tables[transposed ? "ldsm_t_source" : "ldsm_n_source"],
          &target = tables[transposed ? "ldsm_t_target" : "ldsm_n_target"];
    ASSERT_EQ(source.size(), 32u);
    ASSERT_EQ(target.size(), 256u);
    for (int j = 0; j < 4; ++j) {
      for (int r = 0; r < 8; ++r) EXPECT_EQ(source[size_t(ldsm_address_lane(j, r))], (8 * j + r) * 128);
    }
    for (int lane = 0; lane < 32; ++lane) {
      for (int e = 0; e < 8; ++e) {
        auto [row, column] = ldsm(lane, e % 2, transposed);
        EXPECT_EQ((8 * (e / 2) + row) * 128 + column * 16, target[size_t(8 * lane + e)]) << "lane " << lane << " element " << e;
      }
    }
  }
}

TEST(CudaHostLayouts, TheSwizzleIsCutlasss) {
  auto tables = golden();
  ASSERT_EQ(tables["swizzle"].size(), 128u);
  for (uint32_t i = 0; i < 128; ++i) EXPECT_EQ(int(hw::swizzled(i / 8, i % 8, 128)), tables["swizzle"][i]);
}

}  // namespace
}  // namespace zt::cuda_host
