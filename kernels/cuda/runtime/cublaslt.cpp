#include "kernels/cuda/runtime/cublaslt.h"

#include <algorithm>

#include "kernels/cuda/runtime/library.h"

namespace zt::cuda {

struct CublasLt::Calls {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) matmul;
};

struct CublasLt::Product {
  const Calls& calls;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t w = nullptr, x = nullptr, y = nullptr;
  cublasLtMatmulAlgo_t algo{};
  explicit Product(const Calls& c) : calls(c) {}
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  ~Product() {
    for (cublasLtMatrixLayout_t l : {w, x, y}) {
      if (l) calls.layout_destroy(l);
    }
    if (desc) calls.desc_destroy(desc);
  }
};

namespace {

cudaDataType_t type_of(DType t) { return t == DType::f32 ? CUDA_R_32F : CUDA_R_16BF; }

}  // namespace

Result<std::unique_ptr<CublasLt>> CublasLt::open() {
  std::unique_ptr<CublasLt> lt(new CublasLt());
  std::string why;
  const std::string versioned = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  for (const char* name : {versioned.c_str(), "libcublasLt.so"}) {
    if ((lt->library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL))) break;
    if (why.empty()) why = dlerror();
  }
  if (!lt->library_) {
    return failed("{} was not found ({}); install cuBLAS {} (package libcublas-{}-0 of NVIDIA, or the Python package nvidia-cublas with its "
                  "lib folder in LD_LIBRARY_PATH)", versioned, why, CUBLAS_VER_MAJOR, CUBLAS_VER_MAJOR);
  }
  lt->calls_ = std::make_unique<Calls>();
  Calls& c = *lt->calls_;
  void* l = lt->library_;
  bool all = find(l, "cublasLtCreate", c.create) && find(l, "cublasLtDestroy", c.destroy) && find(l, "cublasLtMatmulDescCreate", c.desc_create) &&
             find(l, "cublasLtMatmulDescDestroy", c.desc_destroy) && find(l, "cublasLtMatmulDescSetAttribute", c.desc_set) &&
             find(l, "cublasLtMatrixLayoutCreate", c.layout_create) && find(l, "cublasLtMatrixLayoutDestroy", c.layout_destroy) &&
             find(l, "cublasLtMatmulPreferenceCreate", c.preference_create) && find(l, "cublasLtMatmulPreferenceDestroy", c.preference_destroy) &&
             find(l, "cublasLtMatmulPreferenceSetAttribute", c.preference_set) && find(l, "cublasLtMatmulAlgoGetHeuristic", c.heuristic) &&
             find(l, "cublasLtMatmul", c.matmul);
  if (!all) return failed("{} lacks functions this program needs; install cuBLAS {}", versioned, CUBLAS_VER_MAJOR);
  if (cublasStatus_t s = c.create(&lt->handle_); s != CUBLAS_STATUS_SUCCESS) {
    lt->handle_ = nullptr;
    return failed("cuBLASLt could not start (status {})", int(s));
  }
  return lt;
}

CublasLt::~CublasLt() {
  products_.clear();
  if (handle_) calls_->destroy(handle_);
  // The library stays open: it has threads and destructors of its own.
}

// Column-major as the library counts: y^T [n, m] = w^T-transposed [n, k] x^T [k, m]; rows of ours are its columns.
Result<std::shared_ptr<CublasLt::Product>> CublasLt::prepare(const Gemm& g, int alignment, size_t workspace_bytes) {
  auto p = std::make_shared<Product>(*calls_);
  auto ok = [](cublasStatus_t s) { return s == CUBLAS_STATUS_SUCCESS; };
  auto set = [&](cublasLtMatmulDescAttributes_t a, const auto& v) { return ok(calls_->desc_set(p->desc, a, &v, sizeof v)); };
  const cublasOperation_t transposed = CUBLAS_OP_T;
  const bool gelu = g.act == Activation::gelu_tanh;
  const cublasLtEpilogue_t epilogue = g.bias ? (gelu ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
                                             : (gelu ? CUBLASLT_EPILOGUE_GELU : CUBLASLT_EPILOGUE_DEFAULT);
  const cudaDataType_t in = type_of(g.in), out = type_of(g.out);
  bool made = ok(calls_->desc_create(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F)) && set(CUBLASLT_MATMUL_DESC_TRANSA, transposed) &&
              set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue) &&
              ok(calls_->layout_create(&p->w, in, uint64_t(g.k), uint64_t(g.n), g.ldw)) &&
              ok(calls_->layout_create(&p->x, in, uint64_t(g.k), uint64_t(g.m), g.ldx)) &&
              ok(calls_->layout_create(&p->y, out, uint64_t(g.n), uint64_t(g.m), g.ldy));
  if (made && g.bias) made = set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, out) && set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, g.bias);
  if (!made) return failed("descriptors");
  cublasLtMatmulPreference_t preference = nullptr;
  if (!ok(calls_->preference_create(&preference))) return failed("preference");
  const uint32_t bytes = uint32_t(alignment);
  calls_->preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes);
  for (auto a : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    calls_->preference_set(preference, a, &bytes, sizeof bytes);
  }
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  cublasStatus_t s = calls_->heuristic(handle_, p->desc, p->w, p->x, p->y, p->y, preference, 1, &best, &found);
  calls_->preference_destroy(preference);
  if (!ok(s) || found == 0 || !ok(best.state)) return failed("no way");
  p->algo = best.algo;
  return p;
}

cublasStatus_t CublasLt::run(const Gemm& g, void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  uintptr_t bits = reinterpret_cast<uintptr_t>(g.x) | reinterpret_cast<uintptr_t>(g.w) | reinterpret_cast<uintptr_t>(g.y) |
                   reinterpret_cast<uintptr_t>(g.bias) | 256;
  const int alignment = int(std::min<uintptr_t>(bits & -bits, 256));
  const int flags = int(g.in == DType::bf16) | int(g.out == DType::bf16) << 1 | int(g.accumulate) << 2 | int(g.bias != nullptr) << 3;
  const Key key{g.m, g.n, g.k, g.ldx, g.ldw, g.ldy, flags, int(g.act), alignment};
  auto it = products_.find(key);
  if (it == products_.end()) {
    auto made = prepare(g, alignment, workspace_bytes);
    it = products_.emplace(key, made.ok() ? *made : nullptr).first;
  }
  Product* p = it->second.get();
  if (!p) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (g.bias) {
    cublasStatus_t s = calls_->desc_set(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g.bias, sizeof g.bias);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
  }
  const float alpha = 1, beta = g.accumulate ? 1 : 0;
  return calls_->matmul(handle_, p->desc, &alpha, g.w, p->w, g.x, p->x, &beta, g.y, p->y, g.y, p->y, &p->algo, workspace, workspace_bytes, stream);
}

}  // namespace zt::cuda
