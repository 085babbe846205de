// Timing for `zoetrope bench`: candidates take turns in one process, so that a busy neighbour hits all alike; medians.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/session/job_spec.h"
#include "kernels/api/exec_context.h"
#include "kernels/api/probe.h"
#include "model/pipeline/text_to_video.h"

namespace zt::bench {

struct Timing {
  double median = 0, best = 0;  // seconds
};

// Runs every candidate once untimed, then `rounds` times in turns. A candidate runs once per call.
std::vector<Timing> in_turns(int rounds, const std::vector<std::function<void()>>& candidates);

// The library's matrix product as a candidate; null when the machine has none for the type.
std::unique_ptr<MatmulProbe> probe(DType type, const ExecContext& ctx);

// One line of a table: what ran, how fast, and its share of the library's matrix product measured in the same turns.
struct Line {
  std::string what, implementation;
  double seconds = 0, gflops = 0, matmul_gflops = 0;
  double share() const { return matmul_gflops > 0 ? gflops / matmul_gflops : 0; }
};

// Rows under columns of their own; printed as a Markdown table. A null cell is not known.
struct Table {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<nlohmann::json>> rows;
  std::string markdown() const;
};

// One report of any bench: lines, tables and free facts; printed as text or as one JSON object.
struct Report {
  std::string name;
  nlohmann::json facts;
  std::vector<Line> lines;
  std::vector<Table> tables{};
  std::string table() const;
  nlohmann::json json() const;
};

// CPU, instruction set, threads: what every report starts with.
nlohmann::json machine_facts(const ExecContext& ctx);

Report bench_ops(const ExecContext& ctx, DType type, int rounds);

// Dense attention, then methods beside it: random blocks, and `specs` or, where there are none, every method there is.
struct AttentionBench {
  std::vector<std::string> specs;
  bool large = false;  // also 12 heads of 32,760 tokens
};
Result<Report> bench_attention(const AttentionBench& bench, const ExecContext& ctx, DType type, int rounds);

// One forward of the transformer and the decode of a clip at a real model's size, random weights made in memory.
struct RealShape {
  std::string model = "wan2.1-t2v-1.3b";
  int64_t width = 256, height = 256, frames = 17;
  bool transformer = true, decode = true, tiled = false;
};
Result<Report> bench_real(const RealShape& shape, const ExecContext& ctx, DType type, int rounds);

// Whole renders of a model folder in this process, stage by stage.
Result<Report> bench_whole(const std::string& model, const ClipShape& clip, int64_t steps, const ExecContext& ctx, DType type, int rounds);

// Renders of one prompt with one method after another by the engine's own runner: what each costs and what it changes.
struct MethodsBench {
  JobSpec job;                     // size, frames, steps, model, precision, threads
  std::vector<std::string> specs;  // empty = every method there is
  int rounds = 1;
};
Result<Report> bench_methods(const MethodsBench& bench);

}  // namespace zt::bench
