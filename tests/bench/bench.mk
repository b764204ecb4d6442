# SPDX-License-Identifier: MIT
# tests/bench/bench.mk - make bench: the benchmark kernel, its Linux relative, and what runs them.

BENCH_DIR := tests/bench
BENCH_OUT := build/bench

$(BENCH_OUT)/bench_ops.o: $(BENCH_DIR)/bench_ops.c | $(DEPS_STAMP)
	echo "  CC   $<"
	mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(BENCH_OUT)/bench_ops.elf: $(BENCH_OUT)/bench_ops.o $(GUEST_LIB) $(GUEST_DIR)/lib/link.ld
	$(LD) -n -z noexecstack --no-warn-rwx-segments -T $(GUEST_DIR)/lib/link.ld -o $@64 $(filter %.o,$^)
	objcopy -O elf32-i386 --strip-debug $@64 $@

-include $(BENCH_OUT)/bench_ops.d

$(BENCH_OUT)/exitcost.so: tools/exitcost_plugin.c | $(DEPS_STAMP)
	mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -shared -fPIC -fvisibility=hidden -o $@ $<

$(BENCH_OUT)/l2-bench: $(BENCH_DIR)/l2_bench.c | $(DEPS_STAMP)
	echo "  CC   $<"
	mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -static -s -o $@ $<

$(BENCH_OUT)/l1.cpio.gz: $(BENCH_OUT)/l2-bench
$(BENCH_OUT)/l0.cpio.gz: $(BENCH_OUT)/l1.cpio.gz $(BENCH_OUT)/bench_ops.elf $(PAYLOAD)/vmlinuz $(BENCH_DIR)/l1.manifest
$(BENCH_OUT)/l0-boot.cpio.gz: $(BENCH_OUT)/l0.cpio.gz $(BENCH_DIR)/l0.manifest
$(BENCH_OUT)/%.cpio.gz: $(BENCH_DIR)/%.manifest $(BENCH_DIR)/init.sh tools/payload/mkinitrd.py $(GUEST_STAMP)
	echo "  CPIO $@"
	$(PYTHON) tools/payload/mkinitrd.py -r $(GUEST_ROOT) -o $@ $<

# RECORD=1: Nestling's figures go into tests/bench/history.tsv. KEEP=1: measures Nestling only.
BENCH_FILES := $(addprefix $(BENCH_OUT)/,bench_ops.elf l1.cpio.gz l0.cpio.gz exitcost.so)
.PHONY: bench bench-boot bench-budget bench-kernel
bench: deps
	$(MAKE) --no-print-directory build/nestling.elf $(BENCH_FILES) $(PAYLOAD)/vmlinuz
	$(PYTHON) -B tools/bench.py $(if $(RECORD),--record) $(if $(KEEP),--keep)

# Without icount, one after the other: what else the machine does counts.
bench-boot: deps
	$(MAKE) --no-print-directory build/nestling.elf $(BENCH_OUT)/l0-boot.cpio.gz $(BENCH_OUT)/exitcost.so $(PAYLOAD)/vmlinuz
	$(PYTHON) -B tools/bench_boot.py

# Lowers the figures of tests/bench/budget.tsv that have become too high.
bench-budget: deps
	$(MAKE) --no-print-directory build/nestling.elf bench-kernel
	$(PYTHON) -B tests/bench/budget.py

bench-kernel: $(BENCH_OUT)/bench_ops.elf
