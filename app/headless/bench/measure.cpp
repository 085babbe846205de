#include "app/headless/bench/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "kernels/api/op_table.h"
#include "kernels/core/cpu_features.h"

namespace zt::bench {

std::vector<Timing> in_turns(int rounds, const std::vector<std::function<void()>>& candidates) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> times(candidates.size());
  for (const auto& c : candidates) c();
  for (int r = 0; r < rounds; ++r) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      auto begin = Clock::now();
      candidates[i]();
      times[i].push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
  }
  std::vector<Timing> out;
  for (auto& t : times) {
    std::sort(t.begin(), t.end());
    out.push_back({t[t.size() / 2], t.front()});
  }
  return out;
}

std::unique_ptr<MatmulProbe> probe(DType type, const ExecContext& ctx) {
  return ctx.ops->matmul_probe ? ctx.ops->matmul_probe({2048, 2048, 2048, type}, ctx) : nullptr;
}

std::string Table::markdown() const {
  std::string out = "|";
  for (const auto& c : columns) out += " " + c + " |";
  out += "\n|";
  for (size_t i = 0; i < columns.size(); ++i) out += "---|";
  for (const auto& row : rows) {
    out += "\n|";
    for (const auto& cell : row) {
      std::string text = cell.is_string() ? cell.get<std::string>() : cell.is_null() ? "–" : cell.dump();
      if (cell.is_number_float()) {
        double v = cell.get<double>();
        text = v < 1000 ? fmt::format("{:.4g}", v) : fmt::format("{:.0f}", v);
      }
      out += " " + text + " |";
    }
  }
  return out + "\n";
}

std::string Report::table() const {
  std::string out = fmt::format("{}\n", name);
  for (const auto& [key, value] : facts.items()) out += fmt::format("  {}: {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  if (!lines.empty())
    out +=
        fmt::format("  {:<44} {:>16} {:>10} {:>9} {:>9} {:>7}\n", "what", "implementation", "ms", "GFLOP/s", "matmul", "share");
  for (const auto& l : lines) {
    out += fmt::format("  {:<44} {:>16} {:>10.2f} {:>9.1f} {:>9.1f} {:>6.1f}%\n", l.what, l.implementation, l.seconds * 1e3, l.gflops,
                       l.matmul_gflops, 100 * l.share());
  }
  for (const Table& t : tables) out += "\n" + t.name + "\n\n" + t.markdown();
  return out;
}

nlohmann::json Report::json() const {
  nlohmann::json j = {{"bench", name}, {"facts", facts}, {"lines", nlohmann::json::array()}};
  for (const auto& l : lines) {
    j["lines"].push_back({{"what", l.what},
                          {"implementation", l.implementation},
                          {"ms", l.seconds * 1e3},
                          {"gflops", l.gflops},
                          {"matmul_gflops", l.matmul_gflops},
                          {"share", l.share()}});
  }
  for (const Table& t : tables) {
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& row : t.rows) {
      nlohmann::json r = nlohmann::json::object();
      for (size_t i = 0; i < row.size(); ++i) r[t.columns[i]] = row[i];
      rows.push_back(std::move(r));
    }
    j["tables"].push_back({{"name", t.name}, {"rows", std::move(rows)}});
  }
  return j;
}

nlohmann::json machine_facts(const ExecContext& ctx) {
  const char* device = ctx.arena->device() == Device::cuda ? "cuda" : "cpu";
  return {{"cpu", cpu_name()}, {"isa", std::string(isa_name(ctx.isa))}, {"threads", ctx.threads}, {"device", device}};
}

}  // namespace zt::bench
