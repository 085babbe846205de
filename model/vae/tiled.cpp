// Tiles are decoded one after another, each over the whole clip with its own caches, row by row; a tile's first rows and
// columns are blended with what the tile above and the one to the left made of them (diffusers tiled_decode).
//
// Kept meanwhile: the finished part of every frame in 8 bits (that is what a video file holds), and the seams, of one
// row of tiles and of one tile, in bf16. Tiles side by side in step would need no frames kept, but a cache each.
#include <algorithm>
#include <cmath>

#include "kernels/api/transfer.h"
#include "model/vae/layers.h"
#include "model/vae/vae.h"

namespace zt {
namespace {

// In latent pixels. diffusers' default of 32 and 24 needs 0.31 GB of caches in bf16 at the real width; 20 needs 0.12.
constexpr int64_t kTile = 20, kStride = 14, kSeam = kTile - kStride;
constexpr int64_t kRgb = 3;

struct Tile {
  int64_t begin = 0, size = 0;  // in latent pixels
  bool last = false;
};

// A tile that would add nothing but its seam is left out.
std::vector<Tile> cut(int64_t length) {
  std::vector<Tile> tiles;
  for (int64_t i = 0; i == 0 || i + kSeam < length; i += kStride) tiles.push_back({i, std::min(kTile, length - i), false});
  tiles.back().last = true;
  return tiles;
}

int64_t frames_of(const VaeConfig& config, int64_t latent_t) {
  int64_t factor = 1;
  for (const VaeLayer& l : vae_decoder_layers(config)) factor *= l.kind == VaeLayerKind::up3d ? 2 : 1;
  return 1 + (latent_t - 1) * factor;
}

struct SeamSizes {
  std::vector<Shape> above;  // per column of tiles: [T, seam, width, 3]
  Shape left;                // [T, height, seam, 3]
};

SeamSizes seam_sizes(const std::vector<Tile>& rows, const std::vector<Tile>& columns, int64_t frames, int64_t scale) {
  SeamSizes s;
  if (rows.size() > 1) {
    for (const Tile& c : columns) s.above.push_back({frames, kSeam * scale, c.size * scale, kRgb});
  }
  s.left = {frames, rows[0].size * scale, columns.size() > 1 ? kSeam * scale : 0, kRgb};
  return s;
}

uint8_t to_byte(float v) { return uint8_t(std::lround((std::clamp(v, -1.f, 1.f) + 1.f) * 127.5f)); }
float from_byte(uint8_t b) { return float(b) / 127.5f - 1.f; }

class Mosaic {
 public:
  Mosaic(int64_t h, int64_t w, int64_t frames, int64_t scale)
      : rows_(cut(h)), columns_(cut(w)), height_(h * scale), width_(w * scale), frames_(frames), scale_(scale) {}

  const std::vector<Tile>& rows() const { return rows_; }
  const std::vector<Tile>& columns() const { return columns_; }

  Status allocate(Arena& arena) {
    SeamSizes s = seam_sizes(rows_, columns_, frames_, scale_);
    for (const Shape& shape : s.above) {
      ZT_ASSIGN_OR_RETURN(Tensor t, arena.make(DType::bf16, shape));
      above_.push_back(std::move(t));
    }
    ZT_ASSIGN_OR_RETURN(left_, arena.make(DType::bf16, s.left));
    ZT_ASSIGN_OR_RETURN(canvas_, arena.make(DType::u8, {frames_, height_, width_ * kRgb}));
    row_.resize(size_t(columns_[0].size * scale_ * kRgb));
    return {};
  }

  void place(const TensorView& frame, size_t i, size_t j, int64_t t) {
    ZT_CHECK(t < frames_);
    const Tile &r = rows_[i], &c = columns_[j];
    const int64_t height = r.size * scale_, line = c.size * scale_ * kRgb, seam = kSeam * scale_;
    const int64_t stride = kStride * scale_, seam_line = seam * kRgb, stride_line = stride * kRgb;
    for (int64_t y = 0; y < height; ++y) {
      std::copy_n(frame.as<float>() + y * line, line, row_.begin());
      if (i > 0 && y < seam) {
        const bf16* up = above_[j].as<bf16>() + (t * seam + y) * line;
        const float part = float(y) / float(seam);
        for (int64_t x = 0; x < line; ++x) row_[size_t(x)] = float(up[x]) * (1 - part) + row_[size_t(x)] * part;
      }
      bf16* left = left_.as<bf16>() + (t * left_.shape()[1] + y) * seam_line;
      for (int64_t x = 0; j > 0 && x < seam_line; ++x) {
        const float part = float(x / kRgb) / float(seam);
        row_[size_t(x)] = float(left[x]) * (1 - part) + row_[size_t(x)] * part;
      }
      if (!c.last) convert_floats(row_.data() + stride_line, DType::f32, left, DType::bf16, seam_line);
      if (!r.last && y >= stride) {
        convert_floats(row_.data(), DType::f32, above_[j].as<bf16>() + (t * seam + y - stride) * line, DType::bf16, line);
      }
      if (!r.last && y >= stride) continue;  // the tile below finishes these rows
      uint8_t* to = canvas_.as<uint8_t>() + ((t * height_ + r.begin * scale_ + y) * width_ + c.begin * scale_) * kRgb;
      for (int64_t x = 0; x < (c.last ? line : stride_line); ++x) to[x] = to_byte(row_[size_t(x)]);
    }
  }

  Status show(const FrameSink& sink, const ExecContext& ctx) {
    above_.clear();
    left_ = {};
    ZT_ASSIGN_OR_RETURN(Tensor frame, host_arena(ctx).make(DType::f32, {height_, width_, kRgb}));
    const int64_t count = frame.view().count();
    for (int64_t t = 0; t < frames_; ++t) {
      if (ctx.cancelled()) return {Code::kCancelled, "cancelled in the VAE"};
      const uint8_t* from = canvas_.as<uint8_t>() + t * count;
      for (int64_t i = 0; i < count; ++i) frame.as<float>()[i] = from_byte(from[i]);
      ZT_RETURN_IF_ERROR(sink(frame));
    }
    return {};
  }

 private:
  std::vector<Tile> rows_, columns_;
  int64_t height_, width_, frames_, scale_;
  std::vector<Tensor> above_;  // by column: the last rows of the tile above
  Tensor left_, canvas_;       // the last columns of the tile to the left; [T, H, W * 3] u8
  std::vector<float> row_;
};

Status decode_plain(VaeDecoder& vae, const TensorView& z, const FrameSink& sink, const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(vae.begin(z.dim(2), z.dim(3), ctx));
  for (int64_t t = 0; t < z.dim(1); ++t) ZT_RETURN_IF_ERROR(vae.push(z.select(1, t), sink, ctx));
  return vae.finish(sink, ctx);
}

}  // namespace

Status decode_tiled(VaeDecoder& vae, const VaeConfig& config, const TensorView& z, const FrameSink& sink, const ExecContext& ctx) {
  ZT_CHECK(z.rank() == 4 && z.dim(1) > 0);
  Status status;
  if (z.dim(2) <= kTile && z.dim(3) <= kTile) {
    status = decode_plain(vae, z, sink, ctx);
    vae.end();
    return status;
  }
  Mosaic mosaic(z.dim(2), z.dim(3), frames_of(config, z.dim(1)), config.spatial_factor());
  ZT_RETURN_IF_ERROR(mosaic.allocate(host_arena(ctx)));
  for (size_t i = 0; i < mosaic.rows().size() && status.ok(); ++i) {
    for (size_t j = 0; j < mosaic.columns().size() && status.ok(); ++j) {
      const Tile &r = mosaic.rows()[i], &c = mosaic.columns()[j];
      int64_t t = 0;
      auto place = [&](const TensorView& frame) {
        mosaic.place(frame, i, j, t++);
        return ok_status();
      };
      status = decode_plain(vae, z.slice(2, r.begin, r.size).slice(3, c.begin, c.size), place, ctx);
    }
  }
  vae.end();
  return status.ok() ? mosaic.show(sink, ctx) : status;
}

VaeMemory vae_tiled_memory(const VaeConfig& config, int64_t latent_h, int64_t latent_w, int64_t latent_t, DType compute,
                           const ExecContext& ctx) {
  const auto rows = cut(latent_h), columns = cut(latent_w);
  VaeMemory m = vae_decode_memory(config, rows[0].size, columns[0].size, compute, ctx);
  if (rows.size() == 1 && columns.size() == 1) return m;
  const int64_t scale = config.spatial_factor(), frames = frames_of(config, latent_t);
  const int64_t pixels = latent_h * latent_w * scale * scale * kRgb;
  size_t seams = 0;
  auto add = [&](const Shape& s) { seams += Arena::block_bytes(size_t(s.count()) * dtype_size(DType::bf16)); };
  SeamSizes sizes = seam_sizes(rows, columns, frames, scale);
  for (const Shape& s : sizes.above) add(s);
  add(sizes.left);
  const size_t canvas = Arena::block_bytes(size_t(frames * pixels)), frame = Arena::block_bytes(size_t(pixels) * 4);
  // Tiles first; then one whole frame at a time, when caches and seams are gone.
  const size_t tiles = m.cache + m.activations + seams;
  m.activations = canvas + std::max(tiles, frame) - m.cache;
  return m;
}

}  // namespace zt
