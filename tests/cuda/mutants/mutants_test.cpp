// Broken kernels, made from the real ones by changing a few words of text, must be caught, each with its kind of fault: what the
// sweep is worth. A change whose text is no longer there is an error, so the list (ZT_MUTANT_LIST) stays true.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = ZT_SOURCE_DIR, kWork = fs::path(ZT_BIN_DIR).parent_path() / ZT_MUTANT_FOLDER;

struct Change {
  std::string before, after;
};
struct Mutant {
  std::string name, file;
  std::vector<std::string> kinds;
  std::vector<Change> changes;
};

std::string text_of(const fs::path& path) {
  std::ifstream f(path);
  return {std::istreambuf_iterator<char>(f), {}};
}

// The form of the list is said in its first lines.
std::vector<Mutant> read_list() {
  std::vector<Mutant> list;
  std::ifstream f(kRoot / ZT_MUTANT_LIST);
  auto add = [](std::string& text, const std::string& line) { text += (text.empty() ? "" : "\n") + line.substr(1); };
  for (std::string line; std::getline(f, line);) {
    if (line.rfind("== ", 0) == 0) {
      std::istringstream head(line.substr(3));
      std::string bar;
      list.push_back({{}, {}, {}, {{}}});
      head >> list.back().name >> bar;
      for (std::string kind; head >> kind && kind != "|";) list.back().kinds.push_back(kind);
      head >> list.back().file;
    } else if (!line.empty() && line[0] == '-') {
      add(list.back().changes.back().before, line);
    } else if (!line.empty() && line[0] == '+') {
      add(list.back().changes.back().after, line);
    } else if (line == "~") {
      list.back().changes.emplace_back();
    }
  }
  return list;
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* p = popen((command + " 2>&1").c_str(), "r");
  for (char buffer[512]; p && std::fgets(buffer, sizeof buffer, p);) out += buffer;
  if (p) pclose(p);
  return out;
}

// Compiles the program with `file` replaced and runs it; the kind of its first fault.
std::string kind_of(const Mutant& m, std::string& said) {
  fs::path folder = kWork / m.name;
  fs::remove_all(folder);
  fs::create_directories((folder / m.file).parent_path());
  std::string text = text_of(kRoot / m.file);
  for (const Change& c : m.changes) {
    size_t at = text.find(c.before);
    if (at == std::string::npos) return said = "stale: " + c.before, "stale";
    text.replace(at, c.before.size(), c.after);
  }
  std::ofstream(folder / m.file) << text;
  std::string program = (folder / "mutant").string();
  said = output_of(ZT_MUTANT_BUILD " " + folder.string());
  if (fs::exists(program)) said = output_of("timeout 60 " + program);
  fs::remove_all(folder);
  return said.substr(0, said.find(':'));
}

void expect_caught(const std::vector<Mutant>& list) {
  for (const Mutant& m : list) {
    std::string said, kind = kind_of(m, said);
    EXPECT_TRUE(std::find(m.kinds.begin(), m.kinds.end(), kind) != m.kinds.end()) << m.name << ": " << said;
  }
}

TEST(CudaMutants, EveryChangeStillHasItsText) {
  std::vector<Mutant> list = read_list();
  EXPECT_GE(list.size(), size_t(ZT_MUTANT_COUNT));
  for (const Mutant& m : list) {
    EXPECT_FALSE(m.kinds.empty()) << m.name;
    for (const Change& c : m.changes) {
      EXPECT_FALSE(c.before.empty() || c.before == c.after) << m.name;
      EXPECT_EQ(occurrences(text_of(kRoot / m.file), c.before), 1u) << m.name << " in " << m.file << ": " << c.before;
    }
  }
}

TEST(CudaMutants, NoneIsCaughtWhereNothingIsChanged) {
  std::string said;
  EXPECT_EQ(kind_of({"none", "kernels/cuda/attention/forward.cuh", {}, {}}, said), "nothing") << said;
}

// Which third: by ZT_MUTANT_SEED, so that a run can be repeated.
TEST(CudaMutants, AThirdIsCaught) {
  std::vector<Mutant> all = read_list(), third;
  const char* seed = std::getenv("ZT_MUTANT_SEED");
  size_t first = seed ? std::strtoul(seed, nullptr, 10) % 3 : 0;
  for (size_t i = first; i < all.size(); i += 3) third.push_back(all[i]);
  expect_caught(third);
}

TEST(LongCudaMutants, AllAreCaught) { expect_caught(read_list()); }

}  // namespace
