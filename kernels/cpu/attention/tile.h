// What the flash attention of every instruction set shares: the packed layout of keys and values, the walk over a
// row's key blocks, and the two functions an instruction set provides. Plain data, no intrinsics.
//
// Scores of a tile of queries and a chunk of at most 64 keys are S = Q K^T with keys on the vector lanes. K is packed
// per chunk as [panel][dword of the channels][key], V as [panel][dword of the keys][channel]; a dword holds two
// neighbouring bf16 or one f32. Both products are then the same loop: broadcast a dword of the left, multiply with a
// row of the right. Tile-matrix units read the same packed buffers. So are the products of the linear part
// (linear.h): phi(K)^T V takes phi(K)^T for P, and phi(Q) M takes phi(Q) for P and M for V.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/api/attention.h"

// Accumulators stay in registers only if every loop over them is unrolled.
#define ZT_INLINE __attribute__((always_inline)) inline
#define ZT_UNROLL _Pragma("GCC unroll 16")

namespace zt::cpu_attention {

constexpr int kTileRows = 128;                 // queries of a tile, at most
constexpr int kChunkKeys = 64;                 // keys of a packed chunk, at most
constexpr int kTileDwords = 128;               // keys of one pass over the values, in dwords: P and V panel stay in L1
constexpr int kMaxChunks = 8;                  // chunks of a pass, each at least kLanes dwords wide
constexpr int kProbStride = kTileDwords + 16;  // odd number of cache lines, so that rows do not share L1 sets
constexpr int kLanes = 16;                     // widest vector of floats: scratch rows and paddings are multiples of it
constexpr int kScoreFloats = 2 * 32 * 32;      // two blocks of scores of a tile-matrix unit

// The same bytes are read as floats, dwords and halves.
using Half = uint16_t __attribute__((may_alias));
using Dword = uint32_t __attribute__((may_alias));

// 1e24 * |V| * passes stays below the f32 maximum; a term is lost only when it is 2^-86 of the row's maximum.
constexpr float kSumLimit = 1e24f;
constexpr float kHeadroom = 40;           // log2 units a raised reference lies above the maximum seen
constexpr float kNoReference = -3.4e38f;  // no finite logit yet: the first one overflows and raises it

// What becomes of a block of logits: P; P after their maximum became the reference; only their maximum.
enum class Pass { exp, first, max };

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

struct Layout {
  int64_t head_dim = 0;
  int64_t pairs = 1;      // elements of a dword
  int64_t panel = 64;     // columns of a packed panel
  int64_t steps = 0;      // dwords of a row of q or k
  int64_t row = 0;        // dwords between staged rows: steps rounded up to whole vectors, zero filled
  int64_t channels = 0;   // head_dim rounded up to whole vectors
  int64_t features = 0;   // head_dim rounded up to kFeatureUnit (linear.h)
  int64_t key_unit = 16;  // packed keys are zero filled up to a multiple of it
  int64_t capacity = 0;   // keys of a packed chunk, a multiple of key_unit

  int64_t k_dwords() const { return steps * capacity; }
  int64_t v_dwords() const { return capacity / pairs * channels; }
  // Columns of panel i of a matrix with `columns` columns.
  int64_t panel_width(int64_t i, int64_t columns) const { return columns - i * panel < panel ? columns - i * panel : panel; }
};

// Rows of q, k, v or out: row i starts at element token(i) * stride.
struct Rows {
  void* data = nullptr;
  int64_t stride = 0;
  const int32_t* tokens = nullptr;  // null: row i is token i

  int64_t token(int64_t i) const { return tokens ? tokens[i] : i; }
};

// Rows [0, count) that will be needed after the tile at hand: fetched meanwhile, they cost nothing more. What comes from
// memory takes a tenth of the time of a sparse plan otherwise.
struct Ahead {
  Rows rows;
  int64_t count = 0;
};

// Per thread; all 64-byte aligned.
struct Scratch {
  Dword* stage = nullptr;     // [kTileRows][row] q of the tile, or a chunk being packed
  Dword* probs = nullptr;     // [kTileRows][kProbStride]
  float* out = nullptr;       // [kTileRows][channels], not yet divided by the sums
  float* sum = nullptr;       // [kTileRows][kLanes] partial sums of P
  float* tile_sum = nullptr;  // the same, of the current pass only
  float* ref = nullptr;       // [kTileRows] logit (base 2) that P is relative to
  float* tile_max = nullptr;  // [kTileRows]
  float* scores = nullptr;    // kScoreFloats
  float* mass = nullptr;      // [key blocks of a list][kTileRows] sums of P; block mass only
  float* left = nullptr;      // [kTileRows][features] left side of a product of the linear part
  float* right = nullptr;     // [kTileRows][channels] what it gives
  Dword* matrix = nullptr;    // packed matrix of one query block, for scopes that differ between query blocks
  float* sums = nullptr;      // [features] beside it
  int32_t* list = nullptr;    // key blocks that are summed for it
};

struct Chunk {
  const Dword* k = nullptr;
  const Dword* v = nullptr;
  int32_t keys = 0;
  int32_t at = 0;                  // first dword in a row of probs
  float bias = 0;                  // base 2
  const uint64_t* mask = nullptr;  // bit c of word r * mask_row keeps key c for row r of the tile; null: all kept
  int64_t mask_row = 0;
  int64_t entry = 0;  // of the walk: its key block
  int64_t first = 0;  // slot of its first key
};

// The key blocks of one query tile, cut into chunks.
struct Walk {
  const Dword* k = nullptr;  // packed chunks of the head: slot = block * chunks_per_block + part
  const Dword* v = nullptr;
  const int32_t* cols = nullptr;  // null: all blocks
  int64_t count = 0;              // blocks
  int64_t chunks_per_block = 1;
  const int32_t* valid = nullptr;
  const int64_t* starts = nullptr;       // first slot of each block
  const float* bias = nullptr;           // natural log; may be null
  const int32_t* masks = nullptr;        // beside cols: index of the block's mask or -1; null: none
  const uint64_t* mask_words = nullptr;  // of mask 0, at the tile's first row
  int64_t mask_size = 0, mask_row = 0;   // words of a mask and of its rows
  int64_t block = 0, part = 0;           // position
};

struct MassJob {
  float* to = nullptr;         // added to: row of the tile's first query block; null: not asked for
  int64_t row = 0;             // floats between query blocks
  const float* lse = nullptr;  // by token: what the probabilities are relative to; null: the tile's own
};

struct StateJob;
struct StateSum;
struct MatrixJob;
struct LinearJob;

struct TileJob {
  Rows q, out;           // out without data: no values are read
  float* lse = nullptr;  // by token, or null
  MassJob mass;
  const LinearJob* linear = nullptr;
  // Its query blocks, where they matter: the first slot of each and the end of the last. Whole ones, or a part of one.
  const int64_t* starts = nullptr;
  int64_t blocks = 0;
  int64_t first = 0;  // slot of row 0
  int rows = 0;       // 1 .. kTileRows
  DType dtype = DType::f32;
  float log2_scale = 1;  // scale * log2(e)
  Walk walk;
  Ahead ahead[4];
  int64_t row_bytes = 0, element_bytes = 0;  // of its rows
};

struct PackJob {
  Rows k, v;  // v without data: not packed
  int keys = 0;
  DType dtype = DType::f32;
  Dword* packed_k = nullptr;
  Dword* packed_v = nullptr;
};

struct RowRange {
  int64_t begin, end;
};
// Rows of a query block of the tile.
inline RowRange rows_of_block(const TileJob& job, int64_t block) {
  int64_t begin = job.starts[block] - job.first, end = job.starts[block + 1] - job.first;
  return {begin < 0 ? 0 : begin, end > job.rows ? job.rows : end};
}

// Fills chunks of the next pass, at most kTileDwords wide. Returns how many; 0 at the end.
int next_pass(Walk& walk, const Layout& layout, Chunk* chunks);

// One instruction set's functions. pack fills one chunk; attend computes one query tile over its whole list. For the
// linear part: state sums one piece of keys, sum adds floats begin..end of states, matrix packs such a sum.
struct TileKernel {
  const char* name;
  Isa isa;
  bool takes_f32;
  int pairs, panel, step_unit, key_unit;
  void (*pack)(const Layout&, const PackJob&, const Scratch&);
  void (*attend)(const Layout&, const TileJob&, const Scratch&);
  void (*state)(const Layout&, const StateJob&, const Scratch&);
  void (*sum)(const StateSum&, int64_t begin, int64_t end, double* to);
  void (*matrix)(const Layout&, const MatrixJob&, const Scratch&);
};

// kernel must outlive it.
std::shared_ptr<const AttentionExecutor> make_executor(const TileKernel& kernel);

extern const TileKernel kAvx2, kAvx512, kAvx512Bf16, kAmx;

}  // namespace zt::cpu_attention
