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
