#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zt {

// Ordered: each level includes the ones before it. AMX stands above AVX-512-BF16.
enum class Isa : uint8_t { generic, avx2, avx512, avx512_bf16, amx };

std::string_view isa_name(Isa isa);  // "generic", "avx2", "avx512", "avx512_bf16", "amx"
std::optional<Isa> isa_from_name(std::string_view name);

// What this processor and kernel can run (AMX only after the kernel granted tile data to the process).
Isa detect_isa();
std::string cpu_name();
int physical_threads();       // logical CPUs this process may use
size_t available_memory();    // bytes: MemAvailable, capped by the cgroup limit

}  // namespace zt
