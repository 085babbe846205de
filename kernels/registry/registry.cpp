#include "kernels/registry/registry.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "kernels/api/attention.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/select.h"
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"

namespace zt {
namespace {

std::string_view name_of(const auto& c) {
  if constexpr (requires { c->name(); }) {
    return c->name();
  } else {
    return c.name;
  }
}

// fn(op name, list) for every op of the table.
template <class Table, class F>
void for_each_op(Table& t, F&& fn) {
  fn("norm", t.norm);
  fn("qk_norm_rope", t.qk_norm_rope);
  fn("channel_norm", t.channel_norm);
  fn("bias_attention", t.bias_attention);
  fn("elementwise", t.elementwise);
  fn("patchify", t.patchify);
  fn("unpatchify", t.unpatchify);
  fn("gather_rows", t.gather_rows);
  fn("affine_sum", t.affine_sum);
  fn("pool_blocks", t.pool_blocks);
  fn("block_scores", t.block_scores);
  fn("select_blocks", t.select_blocks);
  fn("kept_mass", t.kept_mass);
  fn("head_errors", t.head_errors);
  fn("merge_partials", t.merge_partials);
  fn("linear", t.linear);
  fn("conv", t.conv);
  fn("attention", t.attention);
}

Status apply_force(OpTable& table, const std::string& entry) {
  size_t eq = entry.find('=');
  std::string op = entry.substr(0, eq), name = eq == std::string::npos ? "" : entry.substr(eq + 1);
  std::string ops, names;
  bool op_found = false, name_found = false;
  for_each_op(table, [&](std::string_view o, auto& list) {
    ops += fmt::format("{}{}", ops.empty() ? "" : ", ", o);
    if (o != op && op != "*") return;
    op_found = true;
    auto keep = std::find_if(list.begin(), list.end(), [&](const auto& c) { return name_of(c) == name; });
    for (const auto& c : list) names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(c));
    if (keep == list.end()) return;
    name_found = true;
    list = {*keep};
  });
  if (!op_found) return invalid("ZOETROPE_IMPL: unknown op '{}' in '{}'; known: {}", op, entry, ops);
  if (!name_found) return invalid("ZOETROPE_IMPL: op '{}' has no implementation '{}'; known: {}", op, name, names);
  return {};
}

}  // namespace

Result<RegistryOptions> registry_options_from_env() {
  RegistryOptions o;
  o.isa = detect_isa();
  if (const char* cap = std::getenv("ZOETROPE_MAX_ISA"); cap && *cap) {
    auto isa = isa_from_name(cap);
    if (!isa) return invalid("ZOETROPE_MAX_ISA: unknown instruction set '{}'; known: generic, avx2, avx512, avx512_bf16, amx", cap);
    o.isa = std::min(o.isa, *isa);
  }
  if (const char* force = std::getenv("ZOETROPE_IMPL"); force && *force) {
    std::stringstream s(force);
    for (std::string entry; std::getline(s, entry, ',');) o.force.push_back(entry);
  }
  return o;
}

Result<std::unique_ptr<const OpTable>> make_op_table(const RegistryOptions& options) {
  cap_library_isa(options.isa);
  auto table = std::make_unique<OpTable>();
  add_cpu_attention(*table);
  add_cpu_ops(*table);
  add_cpu_probe(*table);
  add_ref_attention(*table);
  add_ref_ops(*table);
  for (const auto& f : options.force) ZT_RETURN_IF_ERROR(apply_force(*table, f));
  return std::unique_ptr<const OpTable>(std::move(table));
}

std::vector<std::string> describe(const OpTable& table) {
  std::vector<std::string> lines;
  for_each_op(table, [&](std::string_view op, const auto& list) {
    std::string line = fmt::format("{}:", op);
    for (const auto& c : list) line += fmt::format(" {}", name_of(c));
    lines.push_back(line);
  });
  return lines;
}

}  // namespace zt
