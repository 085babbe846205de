#include "app/analysis/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "app/analysis/heat_map.h"
#include "app/media/clip_writer.h"

namespace zt {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX, kLeft = 58, kTop = 34, kBottom = 46, kRight = 92, kMapSide = 512;
const cv::Scalar kPaper(255, 255, 255), kInk(40, 40, 40), kBorder(255, 255, 255);

Picture picture_of(const cv::Mat& m) {
  Picture p{m.cols, m.rows, {}};
  p.rgb.assign(m.datastart, m.dataend);
  return p;
}

void write(cv::Mat& m, const std::string& text, int x, int y, double scale = 0.42, const cv::Scalar& colour = kInk) {
  cv::putText(m, text, {x, y}, kFont, scale, colour, 1, cv::LINE_AA);
}

int text_width(const std::string& text, double scale = 0.42) { return cv::getTextSize(text, kFont, scale, 1, nullptr).width; }

void write_upright(cv::Mat& m, const std::string& text, int x, int centre) {
  int width = text_width(text) + 4;
  cv::Mat line(18, width, CV_8UC3, kPaper), turned;
  write(line, text, 2, 13);
  cv::rotate(line, turned, cv::ROTATE_90_COUNTERCLOCKWISE);
  int y = std::clamp(centre - width / 2, 0, std::max(0, m.rows - width));
  turned.copyTo(m(cv::Rect(x, y, turned.cols, std::min(turned.rows, m.rows - y))));
}

// 0 .. 1 on the colour scale.
float level(const MapDrawing& d, float v) {
  if (d.scale == MapScale::fraction) return v;
  float lift = v * float(d.cols);
  return lift > 0 ? (std::log10(lift) + 2) / 4 : 0;
}

// One pixel a value, in colour.
cv::Mat colour_cells(const MapDrawing& d) {
  std::vector<float> levels(d.values.size());
  std::transform(d.values.begin(), d.values.end(), levels.begin(), [&](float v) { return level(d, v); });
  std::vector<uint8_t> rgb = heat_colours(levels);
  for (size_t i = 0; i < d.kept.size(); ++i) {
    float kept = std::clamp(d.kept[i], 0.f, 1.f);
    uint8_t* p = rgb.data() + 3 * i;
    // What is left out keeps a third of its lightness and no colour.
    float grey = (0.3f * p[0] + 0.59f * p[1] + 0.11f * p[2]) / 3 + 70;
    for (int c = 0; c < 3; ++c) p[c] = uint8_t(kept * float(p[c]) + (1 - kept) * grey);
  }
  cv::Mat cells(int(d.rows), int(d.cols), CV_8UC3);
  std::copy(rgb.begin(), rgb.end(), cells.data);
  return cells;
}

cv::Mat scaled(const cv::Mat& cells, int height, int width) {
  cv::Mat out;
  bool smaller = height < cells.rows || width < cells.cols;
  cv::resize(cells, out, {width, height}, 0, 0, smaller ? cv::INTER_AREA : cv::INTER_NEAREST);
  return out;
}

// Frame numbers that fit beside an axis.
void number_frames(cv::Mat& m, int64_t frames, int at, int side, bool vertical) {
  int64_t every = 1;
  while (double(side) / double(frames) * double(every) < 28) ++every;
  for (int64_t f = 0; f < frames; f += every) {
    int middle = at + int((double(f) + 0.5) * side / double(frames));
    std::string text = std::to_string(f);
    if (vertical) {
      write(m, text, kLeft - 6 - text_width(text), middle + 4);
    } else {
      write(m, text, middle - text_width(text) / 2, kTop + side + 15);
    }
  }
}

void colour_bar(cv::Mat& m, const MapDrawing& d, int x, int y, int height) {
  std::vector<float> levels(static_cast<size_t>(height));
  for (int i = 0; i < height; ++i) levels[size_t(i)] = 1 - float(i) / float(height - 1);
  std::vector<uint8_t> rgb = heat_colours(levels);
  for (int i = 0; i < height; ++i) {
    const uint8_t* p = rgb.data() + 3 * i;
    cv::line(m, {x, y + i}, {x + 13, y + i}, cv::Scalar(p[0], p[1], p[2]));
  }
  std::vector<std::string> names = d.scale == MapScale::lift ? std::vector<std::string>{"100x", "10x", "even", "0.1x", "0.01x"}
                                                             : std::vector<std::string>{"1", "0.75", "0.5", "0.25", "0"};
  for (size_t i = 0; i < names.size(); ++i) write(m, names[i], x + 18, y + 5 + int(i) * (height - 1) / 4);
}

}  // namespace

Status write_png(const std::string& path, const Picture& p, bool replace) {
  ClipSettings s;
  s.output = path, s.replace = replace, s.width = p.width, s.height = p.height, s.frames = 1;
  ZT_ASSIGN_OR_RETURN(s.format, choose_clip_format(path, "png", -1, "auto"));
  ZT_ASSIGN_OR_RETURN(auto writer, ClipWriter::open(s));
  ZT_RETURN_IF_ERROR(writer->push(p.rgb));
  ZT_RETURN_IF_ERROR(writer->finish());
  return writer->commit();
}

Picture draw_map(const MapDrawing& d) {
  ZT_CHECK(int64_t(d.values.size()) == d.rows * d.cols && (d.kept.empty() || d.kept.size() == d.values.size()) && d.rows > 0 && d.cols > 0);
  // Whole pixels a block where that comes close to the wanted side, so that blocks look alike.
  auto side_of = [](int64_t n) { return int(n <= kMapSide ? n * std::max<int64_t>(1, kMapSide / n) : kMapSide); };
  int height = side_of(d.rows), width = side_of(d.cols);
  cv::Mat m(kTop + height + kBottom, kLeft + width + kRight, CV_8UC3, kPaper);
  scaled(colour_cells(d), height, width).copyTo(m(cv::Rect(kLeft, kTop, width, height)));
  auto border = [&](int64_t frame, int64_t count, int side, bool rows) {
    if (frame <= 0 || frame >= count) return;
    int64_t frames = count / frame;
    for (int64_t f = 1; f < frames; ++f) {
      int at = int(f * frame * side / count);
      if (rows) {
        cv::line(m, {kLeft, kTop + at}, {kLeft + width - 1, kTop + at}, kBorder);
      } else {
        cv::line(m, {kLeft + at, kTop}, {kLeft + at, kTop + height - 1}, kBorder);
      }
    }
    number_frames(m, frames, rows ? kTop : kLeft, side, rows);
  };
  border(d.frame_rows, d.rows, height, true), border(d.frame_cols, d.cols, width, false);
  cv::rectangle(m, {kLeft - 1, kTop - 1}, {kLeft + width, kTop + height}, kInk);
  write(m, d.title, kLeft, 20, 0.45);
  bool frames = d.frame_rows > 0;
  std::string x = frames ? "key frame" : "key", y = frames ? "query frame" : "query";
  write(m, x, kLeft + (width - text_width(x)) / 2, kTop + height + 36);
  write_upright(m, y, 4, kTop + height / 2);
  colour_bar(m, d, kLeft + width + 16, kTop, height);
  return picture_of(m);
}

Picture draw_small_map(const MapDrawing& d, int64_t side) { return picture_of(scaled(colour_cells(d), int(side), int(side))); }

Picture draw_curve(const std::string& title, const std::string& x_name, std::span<const double> y, std::span<const double> fitted) {
  constexpr int kWidth = 420, kHeight = 260;
  cv::Mat m(kTop + kHeight + kBottom, kLeft + 20 + kWidth + 20, CV_8UC3, kPaper);
  int left = kLeft + 20;
  double low = 1e300, high = 0;
  for (auto values : {y, fitted}) {
    for (double v : values) {
      if (v > 0) low = std::min(low, v), high = std::max(high, v);
    }
  }
  if (!(high > 0)) low = 0.1, high = 1;
  double bottom = std::floor(std::max(std::log10(low), std::log10(high) - 8)), top = std::max(std::ceil(std::log10(high)), bottom + 1);
  auto point = [&](size_t i, double v) {
    double t = (std::log10(std::max(v, 1e-300)) - bottom) / (top - bottom);
    return cv::Point(left + int(double(i) * kWidth / double(std::max<size_t>(1, y.size() - 1))),
                     kTop + int((1 - std::clamp(t, 0.0, 1.0)) * kHeight));
  };
  for (double decade = bottom; decade <= top; ++decade) {
    int at = point(0, std::pow(10, decade)).y;
    cv::line(m, {left, at}, {left + kWidth, at}, cv::Scalar(225, 225, 225));
    std::string name = fmt::format("1e{:.0f}", decade);
    write(m, name, left - 6 - text_width(name), at + 4);
  }
  auto draw = [&](std::span<const double> values, const cv::Scalar& colour, bool dots) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (dots) cv::circle(m, point(i, values[i]), 2, colour, cv::FILLED, cv::LINE_AA);
      if (i > 0) cv::line(m, point(i - 1, values[i - 1]), point(i, values[i]), colour, 1, cv::LINE_AA);
    }
  };
  draw(fitted, {240, 150, 40}, false);
  draw(y, {50, 80, 150}, true);
  cv::rectangle(m, {left, kTop}, {left + kWidth, kTop + kHeight}, kInk);
  size_t every = std::max<size_t>(1, y.size() / 8);
  for (size_t i = 0; i < y.size(); i += every) {
    std::string name = std::to_string(i);
    write(m, name, point(i, 1).x - text_width(name) / 2, kTop + kHeight + 15);
  }
  write(m, title, left, 20, 0.45);
  write(m, x_name, left + (kWidth - text_width(x_name)) / 2, kTop + kHeight + 36);
  return picture_of(m);
}

Picture draw_sheet(const Sheet& s) {
  ZT_CHECK(s.cells.size() == s.rows.size() * s.columns.size() && s.captions.size() == s.cells.size());
  int side_x = 0, side_y = 0;
  for (const Picture& p : s.cells) side_x = std::max(side_x, int(p.width)), side_y = std::max(side_y, int(p.height));
  constexpr int kGap = 10, kCaption = 16, kHead = 52, kNames = 70;
  int rows = int(s.rows.size()), cols = int(s.columns.size());
  int width = std::max(kNames + cols * (side_x + kGap) + kGap, text_width(s.title, 0.5) + 2 * kGap);
  cv::Mat m(kHead + rows * (side_y + kGap + kCaption) + kGap, width, CV_8UC3, kPaper);
  write(m, s.title, kGap, 20, 0.5);
  for (int c = 0; c < cols; ++c) write(m, s.columns[size_t(c)], kNames + c * (side_x + kGap), kHead - 8);
  for (int r = 0; r < rows; ++r) {
    int y = kHead + r * (side_y + kGap + kCaption);
    write(m, s.rows[size_t(r)], kGap, y + side_y / 2);
    for (int c = 0; c < cols; ++c) {
      size_t i = size_t(r) * s.columns.size() + size_t(c);
      const Picture& p = s.cells[i];
      if (p.rgb.empty()) continue;
      int x = kNames + c * (side_x + kGap);
      cv::Mat cell(int(p.height), int(p.width), CV_8UC3, const_cast<uint8_t*>(p.rgb.data()));
      cell.copyTo(m(cv::Rect(x, y, int(p.width), int(p.height))));
      write(m, s.captions[i], x, y + side_y + 12, 0.36);
    }
  }
  return picture_of(m);
}

}  // namespace zt
