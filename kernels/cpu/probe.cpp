#include "kernels/api/probe.h"

#include <chrono>
#include <dnnl.hpp>
#include <vector>

#include "kernels/core/parallel.h"
#include "kernels/cpu/cpu.h"

namespace zt {
namespace {

using Tag = dnnl::memory::format_tag;

class Probe final : public MatmulProbe {
 public:
  Probe(const MatmulShape& s, int threads)
      : flops_(2.0 * double(s.m) * double(s.n) * double(s.k)), threads_(threads), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    Threads scope(threads_);
    auto type = s.dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
    dnnl::memory::desc a({s.m, s.k}, type, Tag::ab), b({s.k, s.n}, type, Tag::any), c({s.m, s.n}, type, Tag::ab);
    dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a, b, c), engine_);
    matmul_ = dnnl::matmul(pd);
    args_ = {{DNNL_ARG_SRC, filled(pd.src_desc())}, {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())}, {DNNL_ARG_DST, filled(pd.dst_desc())}};
  }

  double seconds() override {
    Threads scope(threads_);
    auto begin = std::chrono::steady_clock::now();
    matmul_.execute(stream_, args_);
    stream_.wait();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  double flops() const override { return flops_; }

 private:
  // The library takes its thread count from OpenMP's current setting.
  struct Threads {
#ifdef _OPENMP
    explicit Threads(int n) : before(omp_get_max_threads()) { omp_set_num_threads(n); }
    ~Threads() { omp_set_num_threads(before); }
    int before;
#else
    explicit Threads(int) {}
#endif
  };

  // Small, finite, not constant: 0x3c.. is about 0.01 in bf16 and in the high half of f32.
  dnnl::memory filled(const dnnl::memory::desc& d) {
    dnnl::memory m(d, engine_);
    auto* p = static_cast<uint16_t*>(m.get_data_handle());
    for (size_t i = 0; i < d.get_size() / 2; ++i) p[i] = uint16_t(0x3c00u + i % 251);
    return m;
  }

  double flops_;
  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> args_;
};

std::unique_ptr<MatmulProbe> make_probe(const MatmulShape& s, const ExecContext& ctx) {
  if (s.dtype == DType::bf16 && ctx.isa < Isa::avx512_bf16) return nullptr;
  return std::make_unique<Probe>(s, ctx.threads);
}

}  // namespace

void add_cpu_probe(OpTable& table) { table.matmul_probe = make_probe; }

}  // namespace zt
