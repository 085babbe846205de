// zt_cuda_ops_check [--part ops|speed|render|model]... [--op NAME] [--model DIR] [--latents F] [--steps N] [--size WxH] [--frames N]
//                   [--model-frames N] [--seconds N]
// The CUDA ops on a real card, one JSON line an event on stdout. Exit code 0: all as it must be; 1: not; 3: no usable GPU.
// Every part is tried on its own; after --seconds (default 480) the program ends whatever it is doing.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <thread>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/runtime/device.h"
#include "kernels/ref/ref.h"
#include "tests/cuda/device/json.h"
#include "tests/cuda/device/parts.h"

namespace zt::testing {
namespace {

struct Options {
  std::set<std::string> parts;
  std::string op, model, latents;
  int64_t steps = 20, width = 128, height = 128, frames = 33, model_frames = 17;
  int seconds = 480;
};

Options read_options(int argc, char** argv) {
  Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--part") o.parts.insert(value);
    else if (key == "--op") o.op = value;
    else if (key == "--model") o.model = value;
    else if (key == "--latents") o.latents = value;
    else if (key == "--steps") o.steps = std::atol(value.c_str());
    else if (key == "--frames") o.frames = std::atol(value.c_str());
    else if (key == "--model-frames") o.model_frames = std::atol(value.c_str());
    else if (key == "--seconds") o.seconds = std::atoi(value.c_str());
    else if (key == "--size") std::sscanf(value.c_str(), "%ldx%ld", &o.width, &o.height);
    else std::fprintf(stderr, "unknown option %s\n", key.c_str()), std::exit(2);
  }
  return o;
}

void end_after(int seconds) {
  std::thread([seconds] {
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    print_line({{"event", "timeout"}, {"seconds", seconds}});
    _exit(1);
  }).detach();
}

int run(const Options& o) {
  end_after(o.seconds);
  auto opened = cuda::open_device();
  if (!opened.ok()) {
    print_line({{"event", "no_gpu"}, {"why", opened.status().message()}});
    return 3;
  }
  cuda::Device& card = **opened;
  cuda::DeviceInfo info = card.info();
  print_line({{"event", "device"},
              {"name", info.name},
              {"capability", fmt::format("{}.{}", info.major, info.minor)},
              {"driver", info.driver},
              {"runtime", info.runtime},
              {"processors", info.processors},
              {"clock_mhz", info.clock_khz / 1000},
              {"memory_gib", double(info.total) / double(1 << 30)},
              {"free_gib", double(info.free) / double(1 << 30)}});
  OpTable plain, table;
  add_ref_attention(plain), add_ref_ops(plain);
  add_cuda_ops(table);
  bool well = true;
  {
    Arena host_memory, memory(info.free, &card);
    ExecContext host, device;
    host.ops = &plain, host.arena = &host_memory, host.threads = int(std::max(1u, std::thread::hardware_concurrency()));
    device.ops = &table, device.arena = &memory, device.host = &host_memory, device.threads = host.threads;
    auto part = [&](const char* name, const std::function<bool()>& body) {
      if (!o.parts.empty() && !o.parts.count(name)) return;
      const double begin = now_seconds();
      std::string error;
      bool ok = false;
      try {
        ok = body();
      } catch (const std::exception& e) {
        error = e.what();
      }
      Status state = card.wait();
      if (!state.ok()) error += (error.empty() ? "" : "; ") + state.message();
      ok = ok && error.empty();
      print_line({{"event", "part"}, {"part", name}, {"ok", ok}, {"seconds", now_seconds() - begin}, {"error", error}});
      well = well && ok;
    };
    part("ops", [&] { return check_ops(host, device, o.op); });
    part("speed", [&] { return time_ops(host, device); });
    if (!o.model.empty()) part("render", [&] { return check_render(device, o.model, o.latents, o.steps, o.width, o.height, o.frames); });
    part("model", [&] { return time_model(device, o.model_frames); });
    print_line({{"event", "end"}, {"ok", well}, {"device_memory_left", memory.current()}});
  }
  return well ? 0 : 1;
}

}  // namespace
}  // namespace zt::testing

int main(int argc, char** argv) {
  const int code = zt::testing::run(zt::testing::read_options(argc, argv));
  std::fflush(stdout);
  _exit(code);  // a driver in a bad state may not come back from its own end
}
