"""What the peer scripts share: the machine line, peak memory, timing."""

import json
import os
import resource
import time

import torch


def peak_rss_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_name():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")


def set_up(threads):
    torch.set_grad_enabled(False)
    torch.set_num_threads(threads)
    return dict(cpu=cpu_name(), torch=torch.__version__, capability=torch.backends.cpu.get_cpu_capability(), threads=threads,
                cores=len(os.sched_getaffinity(0)))


def timed(fn, repeat, warm=1):
    """Seconds of each of `repeat` calls, after `warm` untimed ones."""
    for _ in range(warm):
        fn()
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        fn()
        seconds.append(time.perf_counter() - begin)
    return seconds


def emit(**record):
    print(json.dumps({k: (round(v, 6) if isinstance(v, float) else v) for k, v in record.items()}), flush=True)


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
