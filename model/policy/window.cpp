// Local windows on the token grid: GNA, of which sliding windows, Swin blocks and sliding tiles are settings.
//   sliding window         window=W                                   (stride 1)
//   Swin without shift     window=W,stride=W
//   STA                    mode=tile,tile=6x8x8,window=3x3x3          (windows counted in tiles)
//   FreeSwim               window=0x31x53                             (0 = the whole axis)
#include <algorithm>

#include "model/policy/methods.h"
#include "model/policy/static_policy.h"

namespace zt {
namespace {

// The setting both papers publish, 91% sparse; other grids take the same share of each axis, as NVIDIA's Cosmos recipes
// rescale theirs (cosmos_predict2/module/neighborhood_attn.py: rounded, at least 2).
constexpr Thw kPublishedWindow{18, 24, 24}, kPublishedGrid{30, 48, 80};

int64_t rescaled(int64_t window, int64_t base, int64_t length) {
  return std::max<int64_t>((2 * window * length + base) / (2 * base), 2);
}

class Window final : public StaticPolicy {
 public:
  Window(const WindowRule& rule, bool published, bool tiles, const Thw& tile)
      : rule_(rule), published_(published), tiles_(tiles), tile_(tile) {}
  std::string_view name() const override { return "window"; }

 protected:
  Result<PlanPtr> build(const Grid& g, const ExecContext&) override {
    WindowRule rule = rule_;
    if (published_) {
      rule.window = {rescaled(kPublishedWindow.t, kPublishedGrid.t, g.t), rescaled(kPublishedWindow.h, kPublishedGrid.h, g.h),
                     rescaled(kPublishedWindow.w, kPublishedGrid.w, g.w)};
      auto in_tiles = [](int64_t tokens, int64_t tile) { return std::max<int64_t>((2 * tokens + tile) / (2 * tile), 1); };
      if (tiles_)
        rule.window = {in_tiles(rule.window.t, tile_.t), in_tiles(rule.window.h, tile_.h), in_tiles(rule.window.w, tile_.w)};
    }
    return tiles_ ? plan_tile_window(g, rule, tile_) : plan_token_window(g, rule, tile_);
  }

 private:
  WindowRule rule_;
  bool published_, tiles_;
  Thw tile_;
};

constexpr int64_t kWholeAxis = int64_t(1) << 30;  // cut to the axis by the rule

Result<std::shared_ptr<AttentionPolicy>> make(const Parameters& p) {
  WindowRule rule{p.thw("window"), p.thw("stride"), p.thw("dilation")};
  bool tiles = p.choice("mode") == "tile";
  bool published = !p.given("window");
  Thw tile = p.thw("tile");
  if (tile.count() > 4096) return invalid("--attn {}: 'tile' holds {} tokens, allowed are 1..4096", p.spec(), tile.count());
  for (int64_t* w : {&rule.window.t, &rule.window.h, &rule.window.w}) {
    if (*w == 0) *w = kWholeAxis;
  }
  for (int axis = 0; axis < 3; ++axis) {
    if (!published && rule.stride[axis] > rule.window[axis]) {
      return invalid("--attn {}: 'stride' along {} is {}, allowed are 1..{}, the window", p.spec(), "thw"[axis],
                     rule.stride[axis], rule.window[axis]);
    }
  }
  return std::shared_ptr<AttentionPolicy>(std::make_shared<Window>(rule, published, tiles, tile));
}

PolicyParameter thw(std::string name, std::string fallback, double low, std::string unit, std::string help) {
  PolicyParameter p;
  p.name = std::move(name), p.fallback = std::move(fallback), p.unit = std::move(unit), p.help = std::move(help);
  p.type = ParameterType::thw, p.low = low, p.high = 4096;
  return p;
}

}  // namespace

Method window_method() {
  PolicyInfo info;
  info.name = "window";
  info.summary = "each query reads a box of neighbours on the token grid";
  info.citation = "GNA, arXiv 2504.16922; STA, arXiv 2502.04507; Swin, arXiv 2103.14030";
  info.advice = "GNA keeps the first 15 of 50 steps dense (dense_steps=15), STA the first 12";
  info.parameters = {
      thw("window", "18x24x24", 0, "tokens, or tiles in mode=tile",
          "size of the box, 0 = the whole axis; unless given, 18x24x24 tokens of 30x48x80, rescaled to the clip"),
      thw("stride", "1x1x1", 1, "tokens, or tiles in mode=tile",
          "queries that share one window; the window's size gives blocks as in Swin"),
      thw("dilation", "1x1x1", 1, "tokens, or tiles in mode=tile", "distance between neighbours"),
      choice_parameter("mode", {"token", "tile"}, "token", "",
                       "token: exact windows, edge blocks as bit masks; tile: windows of whole tiles, always whole blocks"),
      thw("tile", "4x4x4", 1, "tokens", "tokens that share a block; at most 4096"),
  };
  info.parameters[0].citation = "arXiv 2504.16922, table 2: 18x24x24 on 30x48x80";
  return {info, make};
}

}  // namespace zt
