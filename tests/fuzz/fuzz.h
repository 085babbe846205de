// A fuzz target is one file that defines these two. It is linked twice: with libFuzzer (libfuzzer_main.cpp, `make fuzz`) and with
// a plain loop of fixed-seed mutations (short_main.cpp, `make test`).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace zt::fuzz {

// Good inputs to start from.
std::vector<std::string> seeds();
// Reads one input; a crash, a sanitizer's report or an abort is a finding.
void one(std::string_view input);

// What must hold whatever the input was.
inline void require(bool holds) {
  if (!holds) std::abort();
}

// A folder in memory for readers that want files, one a process.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp") + std::string("/zoetrope-fuzz-XXXXXX");
    path_ = mkdtemp(pattern.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }
  std::string write(const std::string& name, std::string_view bytes) const {
    std::string file = path_ + "/" + name;
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    return file;
  }

 private:
  std::string path_;
};


}  // namespace zt::fuzz
