#include "app/analysis/frame_metrics.h"

#include <cmath>
#include <opencv2/imgproc.hpp>

namespace zt {

double squared_difference(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  int64_t sum = 0;  // below 2^63 for any frame there is
  for (size_t i = 0; i < a.size(); ++i) {
    int d = int(a[i]) - int(b[i]);
    sum += d * d;
  }
  return double(sum);
}

double psnr_of(double mse) { return mse > 0 ? 10 * std::log10(255.0 * 255.0 / mse) : kEqualPsnr; }

double ssim(const uint8_t* a, const uint8_t* b, int64_t height, int64_t width) {
  constexpr int kWindow = 11, kBorder = kWindow / 2;
  constexpr double kSigma = 1.5, kC1 = 0.01 * 255 * 0.01 * 255, kC2 = 0.03 * 255 * 0.03 * 255;
  auto picture = [&](const uint8_t* rgb) {
    cv::Mat bytes(int(height), int(width), CV_8UC3, const_cast<uint8_t*>(rgb)), x;
    bytes.convertTo(x, CV_32FC3);
    return x;
  };
  auto blur = [&](const cv::Mat& x) {
    cv::Mat y;
    cv::GaussianBlur(x, y, {kWindow, kWindow}, kSigma, kSigma, cv::BORDER_REFLECT);
    return y;
  };
  cv::Mat x = picture(a), y = picture(b), mx = blur(x), my = blur(y);
  cv::Mat xx = blur(x.mul(x)) - mx.mul(mx), yy = blur(y.mul(y)) - my.mul(my), xy = blur(x.mul(y)) - mx.mul(my);
  cv::Mat top = (2 * mx.mul(my) + cv::Scalar::all(kC1)).mul(2 * xy + cv::Scalar::all(kC2)),
          bottom = (mx.mul(mx) + my.mul(my) + cv::Scalar::all(kC1)).mul(xx + yy + cv::Scalar::all(kC2)), map;
  cv::divide(top, bottom, map);
  if (height >= kWindow && width >= kWindow)
    map = map(cv::Rect(kBorder, kBorder, int(width) - 2 * kBorder, int(height) - 2 * kBorder));
  cv::Scalar mean = cv::mean(map);
  return (mean[0] + mean[1] + mean[2]) / 3;
}

}  // namespace zt
