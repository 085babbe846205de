#include "model/io/block_stream.h"

#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/api/transfer.h"
#include "kernels/core/copy_queue.h"

namespace zt {
namespace {

constexpr size_t kAlign = 256;  // of device memory
constexpr size_t kBuffers = 2;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// The memory one block is packed in: addresses of its buffer on the device, bytes of its image on the host.
class BlockImage final : public Memory {
 public:
  BlockImage(uint8_t* buffer, uint8_t* image, size_t size, zt::Device device)
      : buffer_(buffer), image_(image), size_(size), device_(device) {}

  zt::Device device() const override { return device_; }
  void* allocate(size_t bytes) override {
    size_t at = used_;
    used_ += aligned(bytes);
    ZT_CHECK(used_ <= size_);  // ChainBytes is an upper bound
    return buffer_ + at;
  }
  void release(void*, size_t) override {}  // with the buffer
  Status fill(void* to, uint8_t value, size_t bytes) override {
    std::memset(image_of(to, bytes), value, bytes);
    return {};
  }
  Status upload(void* to, const void* from, size_t bytes) override {
    std::memcpy(image_of(to, bytes), from, bytes);
    return {};
  }
  Status download(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, image_of(from, bytes), bytes);
    return {};
  }
  Status wait() override { return {}; }

  void copy(CopyQueue& queue) const { queue.upload(buffer_, image_, used_); }

 private:
  uint8_t* image_of(const void* p, size_t bytes) const {
    const auto at = size_t(static_cast<const uint8_t*>(p) - buffer_);
    ZT_CHECK(at <= used_ && bytes <= used_ - at);
    return image_ + at;
  }
  uint8_t *buffer_, *image_;
  size_t size_, used_ = 0;
  zt::Device device_;
};

struct Block {
  Block(uint8_t* buffer, uint8_t* image, size_t size, zt::Device device) : memory(buffer, image, size, device) {}
  BlockImage memory;
  Arena arena{std::numeric_limits<size_t>::max(), &memory};
};

}  // namespace

size_t ChainBytes::buffer() const {
  // A tensor may leave almost this much unused behind it: large ones are counted in pages (Arena::block_bytes).
  constexpr size_t kLarge = size_t(4) << 20, kPage = 4096;
  return Arena::block_bytes(aligned(block + size_t(tensors) * (block < kLarge ? kAlign : kPage)));
}

struct BlockStream::Streamed {
  explicit Streamed(CopyQueue* q) : queue(q) {}
  CopyQueue* queue;
  bool pinned = false;
  std::array<Tensor, kBuffers> buffers;
  std::array<int64_t, kBuffers> held = {-1, -1};  // block whose copy was queued last
  Tensor images;
  std::vector<std::unique_ptr<Block>> blocks;

  ~Streamed() {
    (void)queue->wait();  // a copy may be on its way, from and to memory that goes now; its error is kept
    if (pinned) queue->unpin(images.data());
  }
  void fetch(int64_t block) {
    int64_t& there = held[size_t(block) % kBuffers];
    if (there == block) return;
    blocks[size_t(block)]->memory.copy(*queue);
    there = block;
  }
};

BlockStream::BlockStream() = default;
BlockStream::BlockStream(BlockStream&&) noexcept = default;
BlockStream& BlockStream::operator=(BlockStream&&) noexcept = default;
BlockStream::~BlockStream() = default;

Result<BlockStream> BlockStream::make(const ChainBytes& bytes, const ExecContext& ctx) {
  Memory* device = ctx.arena->memory();
  ZT_CHECK(device && device->copies());
  BlockStream s;
  s.streamed_ = std::make_unique<Streamed>(device->copies());
  Streamed& m = *s.streamed_;
  const size_t size = bytes.buffer();
  for (Tensor& buffer : m.buffers) {
    ZT_ASSIGN_OR_RETURN(buffer, ctx.arena->make(DType::u8, {int64_t(size)}));
  }
  ZT_ASSIGN_OR_RETURN(m.images, host_arena(ctx).make(DType::u8, {bytes.blocks, int64_t(size)}));
  m.pinned = m.queue->pin(m.images.data(), m.images.view().bytes());
  if (!m.pinned && ctx.warn) ctx.warn("weights: the system does not lock this much memory, so that copies to the GPU are slower");
  for (int64_t i = 0; i < bytes.blocks; ++i) {
    auto* buffer = m.buffers[size_t(i) % kBuffers].as<uint8_t>();
    m.blocks.push_back(std::make_unique<Block>(buffer, m.images.as<uint8_t>() + size_t(i) * size, size, device->device()));
  }
  return s;
}

ExecContext BlockStream::packing(int64_t block, const ExecContext& ctx) const {
  ExecContext c = ctx;
  if (streamed_) c.host = &host_arena(ctx), c.arena = &streamed_->blocks[size_t(block)]->arena;
  return c;
}

void BlockStream::use(int64_t block) const {
  if (!streamed_) return;
  Streamed& m = *streamed_;
  // Where it was not fetched in time: the first block, and that of an odd number of blocks after the last, in the same buffer.
  if (m.held[size_t(block) % kBuffers] != block) {
    m.queue->join();
    m.fetch(block);
  }
  // The work from here on waits for this block's copy, and the copy from here on for the work on the block before, whose buffer
  // it takes.
  m.queue->join();
  const int64_t next = (block + 1) % int64_t(m.blocks.size());
  if (next % int64_t(kBuffers) != block % int64_t(kBuffers)) m.fetch(next);
}

}  // namespace zt
