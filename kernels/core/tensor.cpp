#include "kernels/core/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <optional>

namespace zt {

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) {
  ZT_CHECK(dims.size() <= kMaxRank);
  for (int64_t d : dims) dims_[size_t(rank_++)] = d;
}

int64_t Shape::count() const {
  int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= dims_[size_t(i)];
  return n;
}

bool Shape::operator==(const Shape& o) const {
  return rank_ == o.rank_ && std::equal(dims_.begin(), dims_.begin() + rank_, o.dims_.begin());
}

std::string Shape::str() const {
  std::string s = "[";
  for (int i = 0; i < rank_; ++i) s += fmt::format("{}{}", i ? ", " : "", dims_[size_t(i)]);
  return s + "]";
}

TensorView::TensorView(void* d, DType t, Shape s) : data(d), dtype(t), shape(s) {
  int64_t step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) strides[size_t(i)] = step, step *= s[i];
}

bool TensorView::dense() const {
  int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[size_t(i)] != step) return false;
    step *= shape[i];
  }
  return true;
}

TensorView TensorView::reshape(Shape s) const {
  ZT_CHECK(dense() && s.count() == count());
  TensorView v(data, dtype, s);
  v.device = device;
  return v;
}

TensorView TensorView::overlay(DType t, Shape s, size_t offset) const {
  TensorView v(static_cast<char*>(data) + offset, t, s);
  v.device = device;
  return v;
}

TensorView TensorView::slice(int axis, int64_t begin, int64_t count) const {
  ZT_CHECK(axis >= 0 && axis < rank() && begin >= 0 && count >= 0 && begin + count <= dim(axis));
  TensorView v = *this;
  v.data = static_cast<char*>(data) + begin * stride(axis) * int64_t(dtype_size(dtype));
  v.shape[axis] = count;
  return v;
}

TensorView TensorView::permute(std::initializer_list<int> order) const {
  ZT_CHECK(int(order.size()) == rank());
  TensorView v = *this;
  int i = 0;
  for (int o : order) v.shape[i] = dim(o), v.strides[size_t(i++)] = stride(o);
  return v;
}

TensorView TensorView::select(int axis, int64_t index) const {
  TensorView s = slice(axis, index, 1), v = s;
  v.shape = Shape();
  std::array<int64_t, kMaxRank> dims{};
  int n = 0;
  for (int i = 0; i < rank(); ++i) {
    if (i != axis) dims[size_t(n)] = dim(i), v.strides[size_t(n++)] = s.stride(i);
  }
  v.shape = Shape(std::span<const int64_t>(dims.data(), size_t(n)));
  return v;
}

Tensor::Tensor(Tensor&& o) noexcept
    : view_(std::exchange(o.view_, {})), bytes_(std::exchange(o.bytes_, 0)), arena_(std::exchange(o.arena_, nullptr)) {}

Tensor& Tensor::operator=(Tensor&& o) noexcept {
  if (this != &o) {
    if (arena_) arena_->give_back(view_.data, bytes_);
    view_ = std::exchange(o.view_, {});
    bytes_ = std::exchange(o.bytes_, 0);
    arena_ = std::exchange(o.arena_, nullptr);
  }
  return *this;
}

Tensor::~Tensor() {
  if (arena_) arena_->give_back(view_.data, bytes_);
}

Arena::~Arena() = default;

std::optional<size_t> checked_bytes(std::span<const int64_t> dims, DType t) {
  size_t n = dtype_size(t);
  for (int64_t d : dims) {
    if (d < 0 || __builtin_mul_overflow(n, size_t(d), &n)) return std::nullopt;
  }
  return n;
}

namespace {
constexpr size_t kAlign = 64;
constexpr size_t kPage = 4096;
// From here on blocks are aligned for huge pages; the C library maps and unmaps blocks this large directly. Only whole huge
// pages are asked for: the tail stays in small ones, or hundreds of weight matrices would waste a megabyte each.
constexpr size_t kLarge = size_t(4) << 20;
constexpr size_t kHugePage = size_t(2) << 20;

void* host_block(size_t size) {
  void* p = nullptr;
  if (posix_memalign(&p, size >= kLarge ? kHugePage : kAlign, size) != 0) return nullptr;
  if (size >= kLarge) madvise(p, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return p;
}
}  // namespace

size_t Arena::block_bytes(size_t bytes) {
  size_t unit = bytes >= kLarge ? kPage : kAlign;
  return (std::max<size_t>(bytes, 1) + unit - 1) / unit * unit;
}

Result<Tensor> Arena::make(DType t, Shape s) {
  std::array<int64_t, kMaxRank> dims{};
  for (int i = 0; i < s.rank(); ++i) dims[size_t(i)] = s[i];
  auto bytes = checked_bytes({dims.data(), size_t(s.rank())}, t);
  if (!bytes || *bytes > (size_t(1) << 46)) return too_big("a tensor {} of {} has no valid size", s.str(), dtype_name(t));
  size_t size = block_bytes(*bytes);
  if (fail_at_ >= 0 && fail_at_-- == 0) return too_big("out of memory (injected fault) for a tensor {}", s.str());
  size_t now = current_.fetch_add(size) + size;
  if (now > budget_) {
    current_ -= size;
    return too_big("memory budget of {:.2f} GiB is used up (a tensor {} of {} needs {:.1f} MiB more); raise --max-memory or choose "
                   "a smaller size", double(budget_) / double(1 << 30), s.str(), dtype_name(t), double(size) / double(1 << 20));
  }
  void* p = memory_ ? memory_->allocate(size) : host_block(size);
  if (!p) {
    current_ -= size;
    return too_big("the {} has no memory for a tensor {} of {} ({:.1f} MiB); choose a smaller size",
                   memory_ ? "GPU" : "system", s.str(), dtype_name(t), double(size) / double(1 << 20));
  }
  size_t peak = peak_;
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
  }
  Tensor out;
  out.view_ = TensorView(p, t, s);
  out.view_.device = device();
  out.bytes_ = size;
  out.arena_ = this;
  return out;
}

Result<Tensor> Arena::zeros(DType t, Shape s) {
  ZT_ASSIGN_OR_RETURN(Tensor out, make(t, s));
  if (memory_) {
    ZT_RETURN_IF_ERROR(memory_->fill(out.data(), 0, out.view().bytes()));
  } else {
    std::memset(out.data(), 0, out.view().bytes());
  }
  return out;
}

void Arena::give_back(void* p, size_t bytes) {
  if (memory_) {
    memory_->release(p, bytes);
  } else {
    std::free(p);
  }
  current_ -= bytes;
}

}  // namespace zt
