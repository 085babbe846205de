// Speed that is guarded without a GPU: what a tile takes of the tensor unit and of shared memory, counted by host execution, and
// what the compiler took of registers, beside the committed table. ZOETROPE_WRITE_TABLE=FILE writes the table as it is now.
#include <cxxabi.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "tests/cuda/host/attention_host.h"

namespace zt::testing {
namespace {

using namespace cuda_attention;

struct Shape {
  const char* name;
  TileShape tile;
  int d;
};
const std::vector<Shape> kShapes = {{"small64", kSmall64, 64},    {"tall64", kTall64, 64},    {"wide64", kWide64, 64},
                                    {"small128", kSmall128, 128}, {"tall128", kTall128, 128}, {"wide128", kWide128, 128}};

using Rows = std::map<std::string, std::string>;  // name -> what the table says of it

struct Counts {
  uint64_t products = 0, matrix_waves = 0, copy_waves = 0;
};

Counts count(const Shape& s, int tiles) {
  AttentionShape shape{1, 1, s.tile.rows, int64_t(tiles) * s.tile.keys, s.d};
  AttentionInputs in(shape, DType::bf16, false, 3, 1.f);
  std::vector<cuda_host::SiteTraffic> sites;
  host_attention(*AttentionPlan::dense(shape.nq, shape.nk), in, {.shape = s.tile, .count_traffic = true}, &sites);
  Counts c;
  for (const auto& site : sites) {
    if (site.port == cuda_host::Port::product) c.products += site.units;
    if (site.port == cuda_host::Port::matrix) c.matrix_waves += site.units;
    if (site.port == cuda_host::Port::copy_store) c.copy_waves += site.units;
  }
  return c;
}

std::string row(const Counts& c) { return fmt::format("mma {} ldmatrix_waves {} copy_waves {}", c.products, c.matrix_waves, c.copy_waves); }

// The same of six tiles less two, over four: queries, first copies and the end drop out.
Counts a_tile(const Shape& s) {
  const Counts two = count(s, 2), six = count(s, 6);
  return {(six.products - two.products) / 4, (six.matrix_waves - two.matrix_waves) / 4, (six.copy_waves - two.copy_waves) / 4};
}

// "name | text" a line; '#' begins a comment.
Rows committed() {
  Rows rows;
  std::ifstream in(ZT_SOURCE_DIR "/tests/cuda/static_table.txt");
  for (std::string line; std::getline(in, line);) {
    size_t bar = line.find(" | ");
    if (line.empty() || line[0] == '#' || bar == std::string::npos) continue;
    rows[line.substr(0, bar)] = line.substr(bar + 3);
  }
  return rows;
}

TEST(CudaStaticTable, ATileTakesWhatItNeeds) {
  const Rows table = committed();
  for (const Shape& s : kShapes) {
    const Counts c = a_tile(s);
    // Q K^T and P V, 16 x 8 x 16 each.
    EXPECT_EQ(c.products, uint64_t(2 * (s.tile.rows / 16) * (s.tile.keys / 8) * (s.d / 16))) << s.name;
    auto at = table.find(s.name);
    ASSERT_NE(at, table.end()) << s.name << " is not in tests/cuda/static_table.txt";
    EXPECT_EQ(row(c), at->second) << s.name;
  }
}

#ifdef ZT_CUDA_USAGE  // built with the toolkit
// "Forward<Bf16, 128, TileShape{64, 32, 4, 2, false, 2}, true, true>" of an entry's symbol.
std::string kernel_name(const std::string& symbol) {
  int status = 0;
  char* text = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
  if (!text) return symbol;
  std::string name = text;
  std::free(text);
  std::smatch m;
  if (std::regex_search(name, m, std::regex("entry<(.*)>\\("))) name = m[1];
  return std::regex_replace(name, std::regex("\\(anonymous namespace\\)::|zt::|cuda_attention::|hw::|cuda::| +$"), "");
}

// One line of "sm=registers" an entry, from what ptxas said of every object; spills and stack frames are failures.
Rows registers(const std::filesystem::path& folder) {
  std::map<std::string, std::map<int, int>> found;
  std::string symbol;
  int arch = 0;
  const std::regex entry("Compiling entry function '([^']+)' for 'sm_(\\d+)'"), used("Used (\\d+) registers"),
      spill("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
  for (const auto& f : std::filesystem::recursive_directory_iterator(folder)) {
    if (f.path().extension() != ".usage") continue;
    std::ifstream in(f.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch m;
      if (std::regex_search(line, m, entry)) symbol = m[1], arch = std::stoi(m[2]);
      else if (std::regex_search(line, m, spill)) EXPECT_TRUE(m[2] == "0" && m[3] == "0") << symbol << " for sm_" << arch << ": " << line;
      else if (std::regex_search(line, m, used)) found[kernel_name(symbol)][arch] = std::stoi(m[1]);
    }
  }
  Rows rows;
  for (const auto& [name, per] : found) {
    std::string text = "registers";
    for (const auto& [sm, n] : per) text += fmt::format(" sm_{}={}", sm, n);
    rows[name] = text;
  }
  return rows;
}

TEST(CudaStaticTable, RegistersAreTheCommittedOnes) {
  const Rows now = registers(ZT_CUDA_USAGE), table = committed();
  ASSERT_GT(now.size(), 20u) << "no .usage files in " << ZT_CUDA_USAGE;
  if (const char* out = std::getenv("ZOETROPE_WRITE_TABLE")) {
    std::ofstream f(out);
    f << "# What the attention kernels take, a key tile: products of a warp, waves of shared memory; and registers a thread, by card.\n"
         "# Compared by CudaStaticTable (tests/cuda/host/static_table_test.cpp). compiler " ZT_CUDA_COMPILER "\n";
    for (const Shape& s : kShapes) f << s.name << " | " << row(a_tile(s)) << "\n";
    for (const auto& [name, text] : now) f << name << " | " << text << "\n";
  }
  std::ifstream in(ZT_SOURCE_DIR "/tests/cuda/static_table.txt");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.find("compiler " ZT_CUDA_COMPILER "\n") == std::string::npos) GTEST_SKIP() << "the table was made by another compiler than " ZT_CUDA_COMPILER;
  std::set<std::string> tiles;
  for (const Shape& s : kShapes) tiles.insert(s.name);
  for (const auto& [name, what] : table) {
    if (tiles.count(name)) continue;
    auto at = now.find(name);
    EXPECT_EQ(at == now.end() ? "no such kernel in the build" : at->second, what) << name;
  }
  for (const auto& [name, what] : now) EXPECT_TRUE(table.count(name)) << name << " is not in the table";
}
#endif

}  // namespace
}  // namespace zt::testing
