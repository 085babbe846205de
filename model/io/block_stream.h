// The weights of a chain of blocks (the layers of the transformer, of the text encoder) on a device that has no room for all of
// them: packed once into host memory, and copied block by block into one of two buffers on the device, the next one while the
// present one computes.
//
// They lie in locked host memory for as long as the part is loaded, not in the file: a block's copy is then one transfer at the
// full speed of the bus, and the host, which has packed and converted them once, does nothing more for it.
#pragma once

#include <memory>

#include "kernels/api/exec_context.h"

namespace zt {

// Bytes of a part's weights, upper bounds before anything is read.
struct ChainBytes {
  size_t rest = 0;     // outside the blocks
  size_t block = 0;    // of one block, in `tensors` tensors at most
  int64_t blocks = 0;
  int64_t tensors = 0;

  size_t resident() const { return rest + size_t(blocks) * block; }
  size_t buffer() const;  // of one block on the device
  size_t streamed() const { return rest + 2 * buffer(); }                 // on the device
  size_t streamed_host() const { return size_t(blocks) * buffer(); }  // and on the host
};

class BlockStream {
 public:
  // Nothing is streamed: blocks are packed into the arena and stay there.
  BlockStream();
  // Takes the buffers from ctx.arena, the memory of a device, and host memory for all blocks from its host arena.
  static Result<BlockStream> make(const ChainBytes& bytes, const ExecContext& ctx);
  BlockStream(BlockStream&&) noexcept;
  BlockStream& operator=(BlockStream&&) noexcept;
  ~BlockStream();  // the tensors of its blocks must be gone

  // The context to pack a block in. Its arena hands out the addresses that the block has on the device while it is used; what is
  // uploaded there goes to the host's copy. Nothing can be computed in it.
  ExecContext packing(int64_t block, const ExecContext& ctx) const;
  // Work that is queued from here on may read the weights of this block, and no longer those of any other.
  void use(int64_t block) const;

 private:
  struct Streamed;
  std::unique_ptr<Streamed> streamed_;
};

}  // namespace zt
