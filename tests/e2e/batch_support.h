// The real program on batches of tiny jobs.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "app/media/av.h"
#include "app/media/clip_reader.h"
#include "tests/app/headless/program.h"

namespace zt::testing {

using nlohmann::json;

// A job file beside, not in, the output folder `out`, so that the folder holds nothing but what the program leaves there.
inline void write_batch(const TempFolder& dir, int jobs, int steps, const std::string& more = "") {
  std::string text = "[defaults]\nprompt = 'a red ball'\nsize = '32x32'\nframes = 5\nthreads = 1\noutput = 'c{seed}.mp4'\n";
  text += "steps = " + std::to_string(steps) + "\n" + more + "[[job]]\nseed = [";
  for (int i = 1; i <= jobs; ++i) text += std::to_string(i) + ", ";
  write_all(dir / "night.toml", text + "]\n");
}

inline std::vector<std::string> batch_args(std::vector<std::string> more = {}) {
  std::vector<std::string> args = {"batch", "night.toml", "--output-dir", "out"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

inline std::vector<json> json_lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    json j = json::parse(line, nullptr, false);
    if (!j.is_discarded()) lines.push_back(std::move(j));  // a kill may cut the last one short
  }
  return lines;
}

inline std::set<std::string> names_in(const std::string& folder, bool hidden) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& e : std::filesystem::directory_iterator(folder, error)) {
    std::string name = e.path().filename();
    if (name.starts_with('.') == hidden) names.insert(name);
  }
  return names;
}

inline int64_t frames_in(const std::string& clip) {
  quiet_ffmpeg();
  auto reader = ClipReader::open(clip);
  if (!reader.ok()) return -1;
  std::vector<uint8_t> rgb(size_t((*reader)->info().width * (*reader)->info().height * 3));
  int64_t n = 0;
  for (;; ++n) {
    auto more = (*reader)->next(rgb.data());
    if (!more.ok()) return -1;
    if (!*more) return n;
  }
}

}  // namespace zt::testing
