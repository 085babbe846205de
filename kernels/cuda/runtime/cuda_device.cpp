// The device of a real card.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <optional>

#include "kernels/cuda/runtime/copy_queue.h"
#include "kernels/cuda/runtime/cublaslt.h"
#include "kernels/cuda/runtime/cudnn.h"
#include "kernels/cuda/runtime/device.h"
#include "kernels/cuda/runtime/staging.h"

namespace zt::cuda {
namespace {

constexpr size_t kGemmWorkspace = size_t(32) << 20;  // what NVIDIA asks for on Hopper

std::string version(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

// Why no card can be used, from what the first call of the runtime said.
Status no_gpu(cudaError_t e) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) return invalid("no usable GPU: there is no NVIDIA driver on this machine");
  if (e == cudaErrorInsufficientDriver)
    return failed("no usable GPU: the NVIDIA driver is for CUDA {}, this program needs {}; update the driver", version(driver),
                  version(CUDART_VERSION));
  if (e == cudaErrorNoDevice) return invalid("no usable GPU: the NVIDIA driver finds no card");
  return failed("no usable GPU: {}", cudaGetErrorString(e));
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(index) {}

  Status open() {
    ZT_RETURN_IF_ERROR(start(cudaSetDevice(index_)));
    DeviceInfo i = info();
    arch_ = i.major * 10 + i.minor;
    ZT_RETURN_IF_ERROR(start(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)));
    ZT_RETURN_IF_ERROR(start(copies_.open()));
    ZT_RETURN_IF_ERROR(start(cudaDeviceGetDefaultMemPool(&pool_, index_)));
    uint64_t all = ~uint64_t(0);  // blocks given back stay in the pool, so that the next ones cost nothing
    ZT_RETURN_IF_ERROR(start(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &all)));
    auto blas = CublasLt::open();
    if (!blas.ok()) return blas.status().in("no usable GPU");
    blas_ = std::move(*blas);
    if (!(workspace_ = allocate(kGemmWorkspace))) return failed("no usable GPU: it has no memory left for the maths library");
    return {};
  }
  ~CudaDevice() override {
    kept.clear();
    if (workspace_) release(workspace_, kGemmWorkspace);
    if (stream_) cudaStreamSynchronize(stream_);
    blas_.reset(), dnn_.reset();
    if (stream_) cudaStreamDestroy(stream_);
  }

  DeviceInfo info() const override {
    DeviceInfo i;
    cudaDeviceProp p{};
    if (cudaGetDeviceProperties(&p, index_) != cudaSuccess) return i;
    i.name = p.name, i.major = p.major, i.minor = p.minor, i.processors = p.multiProcessorCount;
    i.total = p.totalGlobalMem, i.shared_a_block = p.sharedMemPerBlockOptin;
    cudaDriverGetVersion(&i.driver), cudaRuntimeGetVersion(&i.runtime);
    cudaDeviceGetAttribute(&i.clock_khz, cudaDevAttrClockRate, index_);
    size_t total = 0;
    cudaMemGetInfo(&i.free, &total);
    uint64_t reserved = 0, used = 0;  // what lies in the pool is free to us
    if (pool_ && cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved) == cudaSuccess &&
        cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used) == cudaSuccess && used <= reserved) {
      i.free += reserved - used;
    }
    return i;
  }
  int arch() const override { return arch_; }
  void* stream() const override { return stream_; }
  CopyQueue* copies() override { return &copies_; }

  void* allocate(size_t bytes) override {
    void* p = nullptr;
    if (cudaMallocAsync(&p, bytes, stream_) == cudaSuccess) return p;
    (void)cudaGetLastError();  // the refusal is the answer, not an error of later calls
    // Pieces in the pool may be too small each; what is given back to the driver can be had as a whole.
    if (cudaStreamSynchronize(stream_) != cudaSuccess || cudaMemPoolTrimTo(pool_, 0) != cudaSuccess) return nullptr;
    if (cudaMallocAsync(&p, bytes, stream_) == cudaSuccess) return p;
    (void)cudaGetLastError();
    return nullptr;
  }
  void release(void* p, size_t) override { note(cudaFreeAsync(p, stream_), "giving memory back"); }
  Status fill(void* to, uint8_t value, size_t bytes) override { return queue(cudaMemsetAsync(to, value, bytes, stream_), "filling memory"); }
  Status upload(void* to, const void* from, size_t bytes) override {
    return queue(staging_.upload(to, from, bytes, stream_), "copying to the GPU");
  }
  Status download(void* to, const void* from, size_t bytes) override {
    note(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
    return wait();
  }
  Status wait() override {
    note(cudaStreamSynchronize(stream_), "the work before");
    return state();
  }

  bool gemm(const Gemm& g) override {
    cublasStatus_t s = blas_->run(g, workspace_, kGemmWorkspace, stream_);
    if (s == CUBLAS_STATUS_NOT_SUPPORTED) return false;
    if (s != CUBLAS_STATUS_SUCCESS) {
      cudaError_t e = cudaPeekAtLastError();
      note(e != cudaSuccess ? e : cudaErrorUnknown, fmt::format("cuBLASLt (status {})", int(s)));
    }
    return true;
  }

  std::string why_no_dense_attention() override {
    if (!dnn_state_) {
      auto opened = Cudnn::open();
      dnn_state_ = opened.status();
      if (opened.ok()) dnn_ = std::move(*opened);
    }
    return dnn_state_->message();
  }
  void dense_attention(const DenseAttention& a) override {
    auto workspace = dnn_->prepare(a);
    if (!workspace.ok()) return note(cudaErrorNotSupported, workspace.status().message());
    void* scratch = *workspace > 0 ? allocate(*workspace) : nullptr;
    if (*workspace > 0 && !scratch) return note(cudaErrorMemoryAllocation, "workspace of cuDNN");
    if (cudnnStatus_t s = dnn_->run(a, scratch, stream_); s != CUDNN_STATUS_SUCCESS) note(cudaErrorUnknown, fmt::format("cuDNN (status {})", int(s)));
    if (scratch) release(scratch, *workspace);
  }

  void note(int error, std::string_view what) override {
    if (error == cudaSuccess || error_ != cudaSuccess) return;
    error_ = cudaError_t(error), what_ = what;
  }

  // Memory that ran out may be there for the next job; anything else does not heal.
  Status state() override {
    if (error_ == cudaSuccess) return {};
    if (error_ == cudaErrorMemoryAllocation) {
      error_ = cudaSuccess;
      return too_big("the GPU is out of memory ({}); choose a smaller size or fewer frames", what_);
    }
    if (error_ == cudaErrorNotSupported) {
      error_ = cudaSuccess;
      return failed("{}", what_);
    }
    return {Code::kDeviceLost, fmt::format("the GPU failed ({}: {}); start again, --resume goes on from the checkpoint", what_,
                                           cudaGetErrorString(error_))};
  }

 private:
  static Status start(cudaError_t e) { return e == cudaSuccess ? Status() : no_gpu(e); }

  Status queue(cudaError_t e, std::string_view what) {
    note(e, what);
    return state();
  }

  int index_, arch_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  std::unique_ptr<CublasLt> blas_;
  std::unique_ptr<Cudnn> dnn_;
  std::optional<Status> dnn_state_;  // of the attempt to open it
  Staging staging_;
  CudaCopyQueue copies_{*this};
  void* workspace_ = nullptr;
  cudaError_t error_ = cudaSuccess;
  std::string what_;
};

}  // namespace

Result<std::unique_ptr<Device>> open_device() {
  int count = 0;
  if (cudaError_t e = cudaGetDeviceCount(&count); e != cudaSuccess) return no_gpu(e);
  int best = -1;
  size_t most = 0;
  std::string seen;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p{};
    if (cudaGetDeviceProperties(&p, i) != cudaSuccess) continue;
    seen = fmt::format("{} (compute capability {}.{})", p.name, p.major, p.minor);
    if (p.major < 8 || p.totalGlobalMem <= most) continue;
    best = i, most = p.totalGlobalMem;
  }
  if (best < 0) return failed("no usable GPU: {} is older than compute capability 8.0 (RTX 30 and later)", seen);
  auto device = std::make_unique<CudaDevice>(best);
  ZT_RETURN_IF_ERROR(device->open());
  return std::unique_ptr<Device>(std::move(device));
}

}  // namespace zt::cuda
