// TensorView never owns and is copied freely; Tensor owns, moves only, and takes its bytes from an Arena,
// which counts them against a budget. No operators, no lazy graph, no silent cast or copy.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <span>

#include "kernels/core/dtype.h"
#include "kernels/core/memory.h"
#include "kernels/core/status.h"

namespace zt {

constexpr int kMaxRank = 5;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[size_t(i < 0 ? i + rank_ : i)]; }
  int64_t& operator[](int i) { return dims_[size_t(i < 0 ? i + rank_ : i)]; }
  int64_t count() const;
  bool operator==(const Shape& o) const;
  std::string str() const;  // "[2, 3]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  Device device = Device::cpu;
  Shape shape;
  std::array<int64_t, kMaxRank> strides{};  // in elements

  TensorView() = default;
  // Dense, row-major.
  TensorView(void* d, DType t, Shape s);
  explicit operator bool() const { return data != nullptr; }
  int rank() const { return shape.rank(); }
  int64_t dim(int i) const { return shape[i]; }
  int64_t stride(int i) const { return strides[size_t(i < 0 ? i + rank() : i)]; }
  int64_t count() const { return shape.count(); }
  bool dense() const;
  size_t bytes() const { return size_t(count()) * dtype_size(dtype); }  // of the elements, not of the span
  template <class T> T* as() const {
    ZT_CHECK(dtype == dtype_of<T>::value);
    return static_cast<T*>(data);
  }
  // Same bytes, other shape; the view must be dense.
  TensorView reshape(Shape s) const;
  // A dense tensor of its own type and shape, on the same device, that begins `offset` bytes behind this one's first element.
  TensorView overlay(DType t, Shape s, size_t offset = 0) const;
  TensorView slice(int axis, int64_t begin, int64_t count) const;
  TensorView permute(std::initializer_list<int> order) const;
  TensorView select(int axis, int64_t index) const;  // drops the axis
};

class Arena;

class Tensor {
 public:
  Tensor() = default;
  Tensor(Tensor&& o) noexcept;
  Tensor& operator=(Tensor&& o) noexcept;
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor();
  const TensorView& view() const { return view_; }
  operator TensorView() const { return view_; }  // NOLINT: a Tensor is usable wherever a view is
  template <class T> T* as() const { return view_.as<T>(); }
  void* data() const { return view_.data; }
  explicit operator bool() const { return bool(view_); }
  const Shape& shape() const { return view_.shape; }

 private:
  friend class Arena;
  TensorView view_;
  size_t bytes_ = 0;
  Arena* arena_ = nullptr;
};

// Hands out 64-byte aligned memory and keeps the books: current, peak, budget. Thread-safe. It must outlive
// its tensors. Large blocks are advised to huge pages. `fail_at` is for fault injection (n-th allocation fails).
// With a Memory (not owned, outlives the arena) the bytes are a device's.
class Arena {
 public:
  explicit Arena(size_t budget_bytes = std::numeric_limits<size_t>::max(), Memory* memory = nullptr)
      : memory_(memory), budget_(budget_bytes) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Contents are undefined. kTooBig when over budget or when the system has no memory.
  Result<Tensor> make(DType t, Shape s);
  Result<Tensor> zeros(DType t, Shape s);
  Memory* memory() const { return memory_; }  // null: host
  Device device() const { return memory_ ? memory_->device() : Device::cpu; }
  size_t current() const { return current_; }
  size_t peak() const { return peak_; }
  void reset_peak() { peak_ = current_.load(); }
  size_t budget() const { return budget_; }
  void set_budget(size_t b) { budget_ = b; }
  void fail_at(int64_t n) { fail_at_ = n; }  // n = 0: the next one; < 0: never
  // What a tensor of this many bytes counts for: estimates use it, so that they equal the peak.
  static size_t block_bytes(size_t bytes);

 private:
  friend class Tensor;
  void give_back(void* p, size_t bytes);
  Memory* memory_ = nullptr;
  std::atomic<size_t> current_{0}, peak_{0}, budget_;
  std::atomic<int64_t> fail_at_{-1};
};

// Product of dims times element size, or nullopt when it overflows or a dim is negative.
std::optional<size_t> checked_bytes(std::span<const int64_t> dims, DType t);

}  // namespace zt
