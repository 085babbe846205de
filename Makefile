# make build | demo | test | test-long | fuzz | bench | install | clean. Each first makes sure the packages are there.
BUILD ?= build
JOBS ?= $(shell nproc)
PACKAGES := $(shell sed 's/\#.*//' tests/support/packages.txt)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
CMAKE_FLAGS ?=

.PHONY: all setup build demo test test-long fuzz bench install clean

all: build

# Asks apt only when something is missing, so it costs nothing the second time.
setup:
	@missing=""; for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; \
	  $(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; fi

$(BUILD)/build.ninja: CMakeLists.txt | setup
	cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release $(CMAKE_FLAGS)

build: setup $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS)

demo: setup $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS) zoetrope
	$(BUILD)/bin/zoetrope render -p "a red balloon rises in a blue sky" -o $(BUILD)/demo.mp4 --overwrite
	@echo "the clip is $(BUILD)/demo.mp4, its settings are beside it in $(BUILD)/demo.json"

test: build
	ctest --test-dir $(BUILD) --output-on-failure -j 1 -LE long

# What takes longer: the tests labelled long (hundreds of kills, every n-th fault); then the usual ones, faults and damaged clips under
# address and undefined-behaviour sanitizers; then the engine and the window under the thread sanitizer, with one thread in the maths
# library: it is not built for this sanitizer, which would take its own threads for racing.
test-long: build
	ctest --test-dir $(BUILD) --output-on-failure -j 1
	cmake -S . -B $(BUILD)-asan --preset asan && ninja -C $(BUILD)-asan -j $(JOBS)
	ctest --test-dir $(BUILD)-asan --output-on-failure -j 1 -LE long
	ctest --test-dir $(BUILD)-asan --output-on-failure -R 'LongFaults|LongIsolatedReader'
	cmake -S . -B $(BUILD)-tsan --preset tsan && ninja -C $(BUILD)-tsan -j $(JOBS) test_app test_ui
	OMP_NUM_THREADS=1 TSAN_OPTIONS=suppressions=$(CURDIR)/tests/support/tsan.supp ctest --test-dir $(BUILD)-tsan --output-on-failure -R '^(app\.(Engine|Media)|ui\.)'

# Hours: FUZZ_RUNS inputs a reader under address and undefined-behaviour sanitizers. Corpora and logs stay in $(BUILD)-fuzz;
# tests/fuzz/README.md keeps the summary. One allocation above 64 MiB, one input above ten seconds, or any report ends a target.
FUZZ_RUNS ?= 2000000
FUZZ_TARGETS ?= safetensors index tokenizer job plan checkpoint
fuzz:
	$(MAKE) setup PACKAGES="$(PACKAGES) clang libclang-rt-14-dev"
	cmake -S . -B $(BUILD)-fuzz --preset fuzz && ninja -C $(BUILD)-fuzz -j $(JOBS) $(addprefix fuzz_,$(FUZZ_TARGETS))
	for t in $(FUZZ_TARGETS); do mkdir -p $(BUILD)-fuzz/corpus/$$t && \
	  ZT_FUZZ_SEEDS=$(BUILD)-fuzz/seeds/$$t $(BUILD)-fuzz/bin/fuzz/fuzz_$$t -runs=0 >/dev/null 2>&1 && \
	  $(BUILD)-fuzz/bin/fuzz/fuzz_$$t -runs=$(FUZZ_RUNS) -max_len=65536 -malloc_limit_mb=64 -timeout=10 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)-fuzz/$$t- $(BUILD)-fuzz/corpus/$$t $(BUILD)-fuzz/seeds/$$t 2> $(BUILD)-fuzz/$$t.log || \
	    { tail -40 $(BUILD)-fuzz/$$t.log; exit 1; }; \
	  grep -E "stat::(number_of_executed|peak_rss)" $(BUILD)-fuzz/$$t.log | sed "s/^/$$t /"; done

bench: build
	$(BUILD)/bin/zoetrope bench ops
	$(BUILD)/bin/zoetrope bench attention
	$(BUILD)/bin/zoetrope bench render

install: build
	cmake --install $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz
