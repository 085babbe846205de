// One subcommand: a row of the table in subcommands.cpp, a file of its own.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

namespace zt {

struct Subcommand {
  std::string name, help;
  // Adds the options to its parser and returns what to do once they are read; the result is the exit code.
  std::function<int()> (*setup)(CLI::App& app);
};

const std::vector<Subcommand>& subcommands();

std::function<int()> setup_render(CLI::App& app);
std::function<int()> setup_batch(CLI::App& app);
std::function<int()> setup_embed(CLI::App& app);
std::function<int()> setup_encode(CLI::App& app);
std::function<int()> setup_decode(CLI::App& app);
std::function<int()> setup_models(CLI::App& app);
std::function<int()> setup_plan(CLI::App& app);
std::function<int()> setup_attn(CLI::App& app);
std::function<int()> setup_policies(CLI::App& app);
std::function<int()> setup_compare(CLI::App& app);
std::function<int()> setup_inspect(CLI::App& app);
std::function<int()> setup_doctor(CLI::App& app);
std::function<int()> setup_verify(CLI::App& app);
std::function<int()> setup_bench(CLI::App& app);

}  // namespace zt
