// Reads every #include of the project against the table of tests/support/include_table.txt, and the length of every file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = ZT_SOURCE_DIR;
constexpr int kMaxLines = 500;

using Table = std::map<std::string, std::set<std::string>>;

Table read_table() {
  Table table;
  std::ifstream f(kRoot / "tests/support/include_table.txt");
  for (std::string line; std::getline(f, line);) {
    size_t colon = line.find(':');
    if (line.empty() || line[0] == '#' || colon == std::string::npos) continue;
    std::istringstream names(line.substr(colon + 1));
    auto& allowed = table[line.substr(0, colon)];
    for (std::string n; names >> n;) allowed.insert(n);
  }
  return table;
}

std::vector<fs::path> sources() {
  std::vector<fs::path> files;
  for (const char* top : {"app", "model", "kernels", "ui", "tests"}) {
    for (const auto& e : fs::recursive_directory_iterator(kRoot / top)) {
      std::string ext = e.path().extension();
      if (e.is_regular_file() && (ext == ".h" || ext == ".cpp" || ext == ".cu" || ext == ".cuh" || ext == ".inc")) {
        files.push_back(e.path().lexically_relative(kRoot));
      }
    }
  }
  return files;
}

// The box a project path lies in: the longest box name that is a prefix of it.
std::string box_of(const std::string& path, const Table& table) {
  std::string best;
  for (const auto& [box, allowed] : table) {
    if (path.rfind(box + "/", 0) == 0 && box.size() > best.size()) best = box;
  }
  return best;
}

// Package of an include outside the project; empty for the standard library and the system.
std::string package_of(const std::string& include) {
  static const std::vector<std::pair<std::regex, std::string>> packages = {
      {std::regex("fmt/.*"), "fmt"},
      {std::regex("spdlog/.*"), "spdlog"},
      {std::regex("nlohmann/.*"), "nlohmann"},
      {std::regex("toml\\+\\+/.*"), "toml++"},
      {std::regex("CLI/.*"), "CLI"},
      {std::regex("(oneapi/.*|dnnl.*)"), "dnnl"},
      {std::regex("lib(av|sw).*/.*"), "ffmpeg"},
      {std::regex("opencv2/.*"), "opencv"},
      {std::regex("imgui.*"), "imgui"},
      {std::regex("GLFW/.*"), "glfw"},
      {std::regex("(cuda|cublas|cudnn|mma).*"), "cuda"},
      {std::regex("(.*intrin\\.h|.*mmintrin\\.h)"), "intrinsics"},
      {std::regex("(gtest|gmock|benchmark)/.*"), "tests"},
  };
  for (const auto& [pattern, name] : packages) {
    if (std::regex_match(include, pattern)) return name;
  }
  return "";
}

TEST(IncludeTable, EveryIncludeIsAnAllowedArrow) {
  Table table = read_table();
  ASSERT_GE(table.size(), 10u);
  std::regex include(R"(^\s*#\s*include\s+["<]([^">]+)[">])");
  int seen = 0;
  for (const auto& path : sources()) {
    std::string box = box_of(path.string(), table);
    ASSERT_FALSE(box.empty()) << path << " lies in no box of the table";
    const auto& allowed = table[box];
    std::ifstream f(kRoot / path);
    int number = 0;
    for (std::string line; std::getline(f, line);) {
      ++number;
      std::smatch m;
      if (!std::regex_search(line, m, include)) continue;
      ++seen;
      std::string target = m[1], other = box_of(target, table);
      std::string arrow = other.empty() ? package_of(target) : other;
      bool ok = arrow.empty() || arrow == box || allowed.count("*") || allowed.count(arrow);
      EXPECT_TRUE(ok) << path.string() << ":" << number << ": " << box << " may not include " << target << " (" << arrow << ")";
    }
  }
  EXPECT_GT(seen, 100);
}

TEST(FileSize, NoFileIsLongerThan500Lines) {
  for (const auto& path : sources()) {
    if (path.string().find("/instances/") != std::string::npos || path.extension() == ".inc") continue;
    std::ifstream f(kRoot / path);
    int lines = 0;
    for (std::string line; std::getline(f, line);) ++lines;
    EXPECT_LE(lines, kMaxLines) << path.string() << ": split it by role";
  }
}

TEST(Layout, OnlyTheSixFoldersAndTheNamedFilesAtTheTop) {
  std::set<std::string> allowed = {"app",        "model",    "kernels", "ui",     "assets",           "tests",
                                   "CMakeLists.txt", "README.md", "Makefile", "LICENSE", "CMakePresets.json", "NOTICE"};
  for (const auto& e : fs::directory_iterator(kRoot)) {
    std::string name = e.path().filename();
    if (name[0] == '.' || name.rfind("build", 0) == 0) continue;
    EXPECT_TRUE(allowed.count(name)) << name << " does not belong at the top level";
  }
}

}  // namespace
