#include "kernels/cuda/runtime/cudnn.h"

#include "kernels/cuda/runtime/library.h"

namespace zt::cuda {

struct Cudnn::Calls {
  decltype(&cudnnCreate) create;
  decltype(&cudnnDestroy) destroy;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnGetLastErrorString) last_error;
  decltype(&cudnnBackendCreateDescriptor) descriptor_create;
  decltype(&cudnnBackendDestroyDescriptor) descriptor_destroy;
  decltype(&cudnnBackendSetAttribute) set;
  decltype(&cudnnBackendGetAttribute) get;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;
};

// Remembers the first call that failed; later ones do nothing.
class Cudnn::Descriptor {
 public:
  Descriptor(const Calls& c, cudnnBackendDescriptorType_t type) : calls_(c) { status_ = c.descriptor_create(type, &raw_); }
  ~Descriptor() {
    if (raw_) calls_.descriptor_destroy(raw_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    if (status_ == CUDNN_STATUS_SUCCESS) status_ = calls_.set(raw_, name, type, count, values);
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other.raw_);
  }
  cudnnStatus_t finalize() {
    if (status_ == CUDNN_STATUS_SUCCESS) status_ = calls_.finalize(raw_);
    return status_;
  }
  cudnnStatus_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t room, int64_t* count, void* values) {
    return calls_.get(raw_, name, type, room, count, values);
  }
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  const Calls& calls_;
  cudnnBackendDescriptor_t raw_ = nullptr;
  cudnnStatus_t status_;
};

struct Cudnn::Plan {
  std::unique_ptr<Descriptor> execution;
  int64_t workspace = 0;
};

namespace {

enum Id : int64_t { kQ = 1, kK, kV, kOut, kScale, kLse };

std::vector<int64_t> key_of(const DenseAttention& a) {
  std::vector<int64_t> key{a.batch, a.heads, a.nq, a.nk, a.d, a.lse != nullptr};
  for (const auto* t : {&a.q, &a.k, &a.v, &a.out}) key.insert(key.end(), {t->batch, t->head, t->row});
  return key;
}

}  // namespace

Result<std::unique_ptr<Cudnn>> Cudnn::open() {
  std::unique_ptr<Cudnn> dnn(new Cudnn());
  const std::string name = fmt::format("libcudnn.so.{}", CUDNN_MAJOR);
  dnn->library_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!dnn->library_) {
    return failed("{} was not found ({}); install cuDNN {} (package cudnn9-cuda-13 of NVIDIA, or the Python package nvidia-cudnn-cu13 with its "
                  "lib folder in LD_LIBRARY_PATH)", name, dlerror(), CUDNN_MAJOR);
  }
  dnn->calls_ = std::make_unique<Calls>();
  Calls& c = *dnn->calls_;
  void* l = dnn->library_;
  bool all = find(l, "cudnnCreate", c.create) && find(l, "cudnnDestroy", c.destroy) && find(l, "cudnnSetStream", c.set_stream) &&
             find(l, "cudnnGetErrorString", c.error_string) && find(l, "cudnnGetLastErrorString", c.last_error) &&
             find(l, "cudnnBackendCreateDescriptor", c.descriptor_create) && find(l, "cudnnBackendDestroyDescriptor", c.descriptor_destroy) &&
             find(l, "cudnnBackendSetAttribute", c.set) && find(l, "cudnnBackendGetAttribute", c.get) &&
             find(l, "cudnnBackendFinalize", c.finalize) && find(l, "cudnnBackendExecute", c.execute);
  if (!all) return failed("{} lacks functions this program needs; install cuDNN {}.{} or later", name, CUDNN_MAJOR, CUDNN_MINOR);
  if (cudnnStatus_t s = c.create(&dnn->handle_); s != CUDNN_STATUS_SUCCESS) {
    dnn->handle_ = nullptr;
    return failed("cuDNN could not start: {}", c.error_string(s));
  }
  return dnn;
}

Cudnn::~Cudnn() {
  plans_.clear();
  if (handle_) calls_->destroy(handle_);
}

std::string Cudnn::reason(cudnnStatus_t s) const {
  char text[512] = "";
  calls_->last_error(text, sizeof text);
  for (char& c : text) c = c == '\n' ? ' ' : c;
  return fmt::format("{} {}", calls_->error_string(s), text);
}

Result<std::shared_ptr<Cudnn::Plan>> Cudnn::make(const DenseAttention& a) {
  const Calls& c = *calls_;
  auto refused = [&](const char* what, cudnnStatus_t s) { return failed("cuDNN has no attention for this ({}: {})", what, reason(s)); };
  std::vector<std::unique_ptr<Descriptor>> tensors;
  auto tensor = [&](int64_t id, std::vector<int64_t> dims, std::vector<int64_t> strides, cudnnDataType_t type, bool by_value) -> Descriptor& {
    auto& t = *tensors.emplace_back(std::make_unique<Descriptor>(c, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
    const int64_t alignment = by_value ? 4 : 16;
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type).set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims.data());
    t.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides.data()).set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (by_value) t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    return t;
  };
  auto matrices = [&](int64_t id, const DenseAttention::Matrices& m, int64_t rows) -> Descriptor& {
    return tensor(id, {a.batch, a.heads, rows, a.d}, {m.batch, m.head, m.row, 1}, CUDNN_DATA_BFLOAT16, false);
  };
  Descriptor &q = matrices(kQ, a.q, a.nq), &k = matrices(kK, a.k, a.nk), &v = matrices(kV, a.v, a.nk), &out = matrices(kOut, a.out, a.nq);
  Descriptor& scale = tensor(kScale, {1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_DATA_FLOAT, true);
  Descriptor* lse = a.lse ? &tensor(kLse, {a.batch, a.heads, a.nq, 1}, {a.heads * a.nq, a.nq, 1, 1}, CUDNN_DATA_FLOAT, false) : nullptr;
  for (auto& t : tensors) {
    if (cudnnStatus_t s = t->finalize(); s != CUDNN_STATUS_SUCCESS) return refused("tensor", s);
  }
  Descriptor op(c, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q).set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k).set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v);
  op.set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, out).set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale);
  if (lse) op.set(CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, *lse);
  if (cudnnStatus_t s = op.finalize(); s != CUDNN_STATUS_SUCCESS) return refused("operation", s);
  Descriptor graph(c, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_).set(CUDNN_ATTR_OPERATIONGRAPH_OPS, op);
  if (cudnnStatus_t s = graph.finalize(); s != CUDNN_STATUS_SUCCESS) return refused("graph", s);

  Descriptor choice(c, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), config(c, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
  choice.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (cudnnStatus_t s = choice.finalize(); s != CUDNN_STATUS_SUCCESS) return refused("choice", s);
  int64_t count = 0;
  cudnnBackendDescriptor_t best = config.raw();
  cudnnStatus_t s = choice.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &best);
  if (s != CUDNN_STATUS_SUCCESS || count == 0) return refused("engine", s);
  auto plan = std::make_shared<Plan>();
  plan->execution = std::make_unique<Descriptor>(c, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan->execution->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle_).set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (s = plan->execution->finalize(); s != CUDNN_STATUS_SUCCESS) return refused("plan", s);
  s = plan->execution->get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &plan->workspace);
  if (s != CUDNN_STATUS_SUCCESS) return refused("workspace", s);
  return plan;
}

Result<size_t> Cudnn::prepare(const DenseAttention& a) {
  auto key = key_of(a);
  auto it = plans_.find(key);
  if (it == plans_.end()) {
    ZT_ASSIGN_OR_RETURN(auto plan, make(a));
    it = plans_.emplace(std::move(key), std::move(plan)).first;
  }
  return size_t(it->second->workspace);
}

cudnnStatus_t Cudnn::run(const DenseAttention& a, void* workspace, cudaStream_t stream) {
  auto it = plans_.find(key_of(a));
  ZT_CHECK(it != plans_.end());
  float scale = a.scale;
  std::vector<int64_t> ids{kQ, kK, kV, kOut, kScale};
  std::vector<void*> data{a.q.data, a.k.data, a.v.data, a.out.data, &scale};
  if (a.lse) ids.push_back(kLse), data.push_back(a.lse);
  Descriptor pack(*calls_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(data.size()), data.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, int64_t(ids.size()), ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  if (cudnnStatus_t s = pack.finalize(); s != CUDNN_STATUS_SUCCESS) return s;
  if (cudnnStatus_t s = calls_->set_stream(handle_, stream); s != CUDNN_STATUS_SUCCESS) return s;
  return calls_->execute(handle_, it->second->execution->raw(), pack.raw());
}

}  // namespace zt::cuda
