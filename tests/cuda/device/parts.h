// The parts of zt_cuda_ops_check. Each prints its lines and returns whether it is content; what goes wrong is thrown.
#pragma once

#include <string>

#include "kernels/api/exec_context.h"

namespace zt::testing {

// Every op beside the plain one.
bool check_ops(const ExecContext& host, const ExecContext& device, const std::string& only);
// Rates of products, norms, attention and a convolution at the sizes of Wan 1.3B.
bool time_ops(const ExecContext& host, const ExecContext& device);
// A whole clip by the model in `root`: prompt to frames; with a file of latents, those it must come close to.
bool check_render(const ExecContext& device, const std::string& root, const std::string& latents, int64_t steps, int64_t width, int64_t height,
                  int64_t frames);
// One forward of Wan 1.3B with synthetic weights and the decoder at 480x832.
bool time_model(const ExecContext& device, int64_t frames);

}  // namespace zt::testing
