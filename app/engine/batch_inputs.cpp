// Where a batch's jobs come from and which of them are ours.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "app/engine/batch.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

namespace fs = std::filesystem;

bool has_extension(const std::string& path, std::string_view wanted) {
  std::string e = fs::path(path).extension();
  std::transform(e.begin(), e.end(), e.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return e == wanted;
}

template <class T>
bool parse(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<Shard> parse_shard(const std::string& text) {
  size_t slash = text.find('/');
  Shard s;
  bool good = slash != std::string::npos && parse(std::string_view(text).substr(0, slash), s.index) &&
              parse(std::string_view(text).substr(slash + 1), s.count);
  if (!good || s.count < 1 || s.count > kMaxBatchJobs || s.index > s.count)
    return invalid("shard: `{}` is not i/n with i in 0..n", text.substr(0, 40));
  s.index %= s.count;
  return s;
}

Result<std::optional<Shard>> slurm_shard() {
  auto number = [](const char* name, int64_t fallback) -> Result<int64_t> {
    const char* text = std::getenv(name);
    int64_t value = fallback;
    if (text && (!parse(std::string_view(text), value) || value < 0)) return invalid("{}: `{}` is not a whole number", name, text);
    return value;
  };
  if (!std::getenv("SLURM_ARRAY_TASK_ID")) return std::optional<Shard>();
  ZT_ASSIGN_OR_RETURN(int64_t id, number("SLURM_ARRAY_TASK_ID", 0));
  ZT_ASSIGN_OR_RETURN(int64_t low, number("SLURM_ARRAY_TASK_MIN", 0));
  ZT_ASSIGN_OR_RETURN(int64_t step, number("SLURM_ARRAY_TASK_STEP", 1));
  ZT_ASSIGN_OR_RETURN(int64_t count, number("SLURM_ARRAY_TASK_COUNT", 1));
  if (count < 1 || step < 1) return invalid("SLURM_ARRAY_TASK_COUNT: {} tasks in steps of {}", count, step);
  // An array such as 1,5,9-11 has no regular step; any rule that gives each task a number below the count of its own is one
  // Slurm does not help with, so the position is taken as it would be in a regular array.
  return std::optional<Shard>(Shard{size_t(std::max<int64_t>(0, id - low) / step) % size_t(count), size_t(count)});
}

Result<std::vector<BatchInput>> read_batch_inputs(const std::string& path) {
  std::error_code error;
  std::vector<std::string> files;
  if (fs::is_directory(path, error)) {
    for (const auto& e : fs::directory_iterator(path, error)) {
      std::string name = e.path();
      bool hidden = e.path().filename().string().starts_with('.');
      if (!hidden && (has_extension(name, ".toml") || has_extension(name, ".csv"))) files.push_back(name);
    }
    if (error) return invalid("{}: {}", path, error.message());
    std::sort(files.begin(), files.end());
    if (files.empty()) return invalid("{}: no .toml or .csv file in it", path);
  } else {
    files.push_back(path);
  }
  std::vector<BatchInput> inputs;
  for (const std::string& f : files) {
    auto text = read_small_file(f, kMaxTextBytes);
    if (!text.ok()) return invalid("{}", text.status().message());
    inputs.push_back({fs::path(f).filename(), std::move(*text), has_extension(f, ".csv")});
  }
  return inputs;
}

}  // namespace zt
