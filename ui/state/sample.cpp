#include "ui/state/sample.h"

#include <cmath>

#include "ui/state/parts.h"
#include "ui/state/reduce.h"

namespace zt::ui {
namespace {

constexpr int64_t kLayers = 12, kHeads = 12, kFrames = 9, kRows = 8, kColumns = 8, kBlock = 8;

// Two kinds of heads: those that look within a frame, and those that follow a place through time.
AttentionMap sample_map(int64_t layer, int64_t head) {
  AttentionMap m;
  m.step = 1, m.layer = layer, m.head = head;
  m.grid_t = kFrames, m.grid_h = kRows, m.grid_w = kColumns, m.query_block = m.key_block = kBlock;
  m.rows = m.cols = kFrames * kRows * kColumns / kBlock;
  bool spatial = (layer + head) % 3 != 0;
  for (int64_t q = 0; q < m.rows; ++q) {
    std::vector<float> row;
    float sum = 0;
    for (int64_t k = 0; k < m.cols; ++k) {
      double frames = double(std::abs(q / kRows - k / kRows)), rows = double(std::abs(q % kRows - k % kRows));
      row.push_back(float(spatial ? std::exp(-1.1 * frames - 0.35 * rows) : std::exp(-0.25 * frames - 1.3 * rows)));
      sum += row.back();
    }
    for (float v : row) m.mass.push_back(v / sum), m.kept.push_back(v / sum > 0.004f ? 1.f : 0.f);
  }
  return m;
}

}  // namespace

void show_sample(AppState& state) {
  AttentionTable t;
  t.step = 1, t.steps = 1, t.layers = kLayers, t.heads = kHeads;
  for (int64_t l = 0; l < kLayers; ++l) {
    for (int64_t h = 0; h < kHeads; ++h) {
      double wave = 0.5 + 0.5 * std::sin(double(l) * 0.9 + double(h * h) * 0.7);
      t.density.push_back(float(l < 1 ? 1 : 0.12 + 0.6 * wave * std::exp(-double(l) / 9)));
      t.recall.push_back(float(l < 1 ? 1 : 0.91 + 0.09 * wave));
      t.time_ms.push_back(0.4f + 2 * t.density.back());
    }
  }
  state.inspector = Inspector();
  take_table(state, t);
  take_map(state, sample_map(4, 5));
  pick_cell(state, 4, 5);
  state.inspector.query = 36;
  state.inspector.sample = state.inspector.true_attention = true;
}

}  // namespace zt::ui
