// Files made by hand for the tests of model/io, config and text.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "kernels/core/status.h"
#include "tests/support/testing.h"

namespace zt::testing {

// A folder of its own for the running test, empty at the start.
inline std::string test_folder() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(info->test_suite_name()) + "." + info->name();
  for (char& c : name) c = c == '/' ? '_' : c;
  std::string folder = ::testing::TempDir() + "zoetrope_io." + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

inline std::string write_file(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string u64(uint64_t v) { return std::string(reinterpret_cast<const char*>(&v), 8); }

// A safetensors file: length, header as given, `data` bytes of zeros.
inline std::string safetensors_bytes(const std::string& header, size_t data) {
  return u64(header.size()) + header + std::string(data, '\0');
}

inline std::string source_file(const std::string& path) { return std::string(ZT_SOURCE_DIR) + "/" + path; }

// kBadModel, and the message has every one of the words.
inline void expect_bad_model(const Status& s, std::initializer_list<std::string> words) {
  EXPECT_EQ(int(s.code()), int(Code::kBadModel)) << s.message();
  for (const std::string& w : words) EXPECT_THAT(s.message(), ::testing::HasSubstr(w));
  EXPECT_EQ(s.message().find('\n'), std::string::npos) << "not one line: " << s.message();
}

}  // namespace zt::testing
