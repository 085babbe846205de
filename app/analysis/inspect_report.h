// The folder that `zoetrope inspect` leaves: two PNGs and a row of figures for every head looked at, a sheet for every step,
// report.json, and report.html, which holds all of it in one file and opens without a network.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "app/analysis/attention_capture.h"
#include "app/analysis/picture.h"

namespace zt {

class InspectReport {
 public:
  // policy: name of the method, for the entries.
  InspectReport(std::string folder, std::string policy, bool replace)
      : folder_(std::move(folder)), policy_(std::move(policy)), replace_(replace) {}

  // Draws and writes the pictures of one head.
  Status add(const CapturedHead& head);
  // Sheets and reports. settings: what is stored with the clip. capture_s: what looking took; clip: its name in the folder.
  Status finish(const nlohmann::ordered_json& settings, double capture_s, const std::string& clip);
  const std::vector<std::string>& files() const { return files_; }  // names in the folder

 private:
  struct Cell {
    Picture picture;
    std::string caption;
  };
  Status save(const std::string& name, const Picture& picture);
  Status save(const std::string& name, const std::string& text);
  Status write_sheets();
  std::string html(const nlohmann::ordered_json& settings, double capture_s, const std::string& clip) const;

  std::string folder_, policy_;
  bool replace_;
  std::vector<nlohmann::ordered_json> entries_;
  std::vector<std::string> files_, sheets_;
  // By step and branch, then layer and head.
  std::map<std::pair<int64_t, Branch>, std::map<std::pair<int64_t, int64_t>, Cell>> cells_;
};

}  // namespace zt
