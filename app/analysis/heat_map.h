// Densities as colours: the one scale of every picture of a plan, on the command line and in the window.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace zt {

// 0 = dark violet, 1 = yellow (the viridis scale: even steps in lightness, readable without colour). Values outside are
// cut; three bytes each.
std::vector<uint8_t> heat_colours(std::span<const float> values);

}  // namespace zt
