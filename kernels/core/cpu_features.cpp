#include "kernels/core/cpu_features.h"

#include <cpuid.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <sstream>

namespace zt {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"generic", "avx2", "avx512", "avx512_bf16", "amx"};

struct Regs {
  unsigned a, b, c, d;
};

Regs cpuid(unsigned leaf, unsigned sub) {
  Regs r{};
  __cpuid_count(leaf, sub, r.a, r.b, r.c, r.d);
  return r;
}

uint64_t xcr0() {
  uint32_t lo, hi;
  asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return uint64_t(hi) << 32 | lo;
}

// Linux hands out AMX tile data only after the process has asked for it once.
bool ask_for_amx() {
  constexpr int kArchReqXcompPerm = 0x1023, kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}

Isa detect() {
  auto bit = [](unsigned reg, int i) { return ((reg >> i) & 1u) != 0; };
  if (cpuid(0, 0).a < 7) return Isa::generic;
  Regs one = cpuid(1, 0), seven = cpuid(7, 0);
  if (!bit(one.c, 27)) return Isa::generic;  // OSXSAVE
  uint64_t x = xcr0();
  bool ymm = (x & 0x6) == 0x6, zmm = (x & 0xe6) == 0xe6, tiles = (x & 0x60000) == 0x60000;
  if (!(ymm && bit(seven.b, 5) && bit(one.c, 12) && bit(one.c, 29))) return Isa::generic;  // AVX2, FMA, F16C
  // F, DQ, BW, VL, CD as one level: every AVX-512 server core has them together.
  if (!(zmm && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31) && bit(seven.b, 28))) return Isa::avx2;
  if (!bit(cpuid(7, 1).a, 5)) return Isa::avx512;
  bool amx = tiles && bit(seven.d, 24) && bit(seven.d, 22) && ask_for_amx();  // AMX-TILE, AMX-BF16
  return amx ? Isa::amx : Isa::avx512_bf16;
}

// Smallest memory limit of the cgroup (v2) this process sits in, minus what is used.
size_t cgroup_headroom() {
  std::ifstream max_file("/sys/fs/cgroup/memory.max"), cur_file("/sys/fs/cgroup/memory.current");
  size_t limit = 0, used = 0;
  if (max_file >> limit && cur_file >> used) return limit > used ? limit - used : 0;
  return std::numeric_limits<size_t>::max();
}

}  // namespace

std::string_view isa_name(Isa isa) { return kNames[size_t(isa)]; }

std::optional<Isa> isa_from_name(std::string_view name) {
  auto it = std::find(kNames.begin(), kNames.end(), name);
  if (it == kNames.end()) return std::nullopt;
  return Isa(it - kNames.begin());
}

Isa detect_isa() {
  static const Isa isa = detect();
  return isa;
}

std::string cpu_name() {
  std::ifstream f("/proc/cpuinfo");
  for (std::string line; std::getline(f, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

int physical_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

size_t available_memory() {
  std::ifstream f("/proc/meminfo");
  size_t kib = 0;
  for (std::string line; std::getline(f, line);) {
    if (line.starts_with("MemAvailable:")) std::istringstream(line.substr(13)) >> kib;
  }
  return std::min(kib * 1024, cgroup_headroom());
}

}  // namespace zt
