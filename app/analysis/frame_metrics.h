// How far two pictures are apart.
#pragma once

#include <cstdint>
#include <span>

namespace zt {

// Sum of squared differences of bytes.
double squared_difference(std::span<const uint8_t> a, std::span<const uint8_t> b);

// Decibels for a mean squared error of bytes: 10 log10(255^2 / mse); equal pictures give kEqualPsnr, which no pair of
// different clips below 10^11 samples reaches with an error of one step in one sample.
constexpr double kEqualPsnr = 150;
double psnr_of(double mean_squared_error);

// Structural similarity (Wang et al., IEEE TIP 13(4), 2004): Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 =
// 0.03, L = 255, mean over the pixels whose window lies inside the picture and over R, G, B. Pictures with a side below 11
// use all pixels, reflected at the border.
double ssim(const uint8_t* a, const uint8_t* b, int64_t height, int64_t width);

}  // namespace zt
