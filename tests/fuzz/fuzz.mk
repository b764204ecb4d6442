# SPDX-License-Identifier: MIT
#
# tests/fuzz/fuzz.mk - fuzzing of nested/, of drivers/, of net/ and of what guests are made of, on Linux.
# Each fuzz_<target>.c is one target.
#   make fuzz T=vmrun SECONDS=600    libFuzzer (clang); what it learns goes to build/fuzz/<target>,
#                                    an input that fails to build/fuzz/<target>.crash-*
#   build/tests/unit/test_fuzz_<target> [FILE...]   runs the kept corpus, or these inputs
#   make fuzz-keep T=vmrun           adds to tests/fuzz/corpus/<target> what reaches new code
# The replay programs are built with the unit tests and run with them.

FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_REPLAYS := $(FUZZ_TARGETS:%=$(UNIT_OUT)/test_fuzz_%)
FUZZ_SOURCES := $(wildcard nested/*.c) tests/fuzz/fuzz.c tests/unit/rig.c tests/unit/fake_l1.c
FUZZ_SOURCES_nic := drivers/nic.c drivers/nic_e1000.c drivers/nic_virtio.c drivers/pci.c kernel/printf.c \
	tests/unit/fake_nic.c tests/unit/fake_nic_card.c
FUZZ_SOURCES_guest := $(wildcard svm/load*.c) svm/config.c svm/files.c svm/features.c svm/answer.c kernel/printf.c
FUZZ_SOURCES_http := net/http_parse.c net/json.c net/telnet.c kernel/printf.c
FUZZ_SOURCES_net := $(filter-out net/random.c net/libc.c,$(wildcard net/*.c)) kernel/printf.c \
	tests/unit/net_rig.c tests/unit/net_peer.c
FUZZ_LWIP_net := $(LWIP_PARTS:%=$(LWIP_DIR)/src/%.c)
FUZZ_OUT     := build/fuzz
FUZZ_CORPUS  := tests/fuzz/corpus
FUZZ_BYTES   := 400
FUZZ_BYTES_net := 3000
fuzz_bytes = $(or $(FUZZ_BYTES_$(T)),$(FUZZ_BYTES))
SECONDS      ?= 60

FUZZ_CFLAGS := -std=gnu11 -fms-extensions -Wno-microsoft-anon-tag -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -Iinclude

unit-programs: $(FUZZ_REPLAYS)
ifeq ($(T),)
unit: $(FUZZ_REPLAYS)
endif

define fuzz_replay
$(UNIT_OUT)/test_fuzz_$(1): tests/fuzz/replay.c $(UNIT_OUT)/obj/tests/fuzz/fuzz_$(1).o $(patsubst %.c,$(UNIT_OUT)/obj/%.o,$(FUZZ_SOURCES) $(FUZZ_SOURCES_$(1))) $(if $(FUZZ_LWIP_$(1)),$(UNIT_LWIP))
	echo "  LD   $$@"
	$$(CC) $$(UNIT_CFLAGS) -I. -Iinclude -DFUZZ_TARGET='"$(1)"' -DFUZZ_CORPUS='"$(FUZZ_CORPUS)/$(1)"' -o $$@ $$^
endef
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_replay,$(target))))

FUZZ_HEADERS := $(wildcard nested/*.h include/*.h include/amd/*.h drivers/*.h net/*.h tests/unit/*.h tests/fuzz/*.h)

define fuzz_program
$(FUZZ_OUT)/fuzz_$(1): tests/fuzz/fuzz_$(1).c $(FUZZ_SOURCES) $(FUZZ_SOURCES_$(1)) $(FUZZ_HEADERS) \
		| $(DEPS_STAMP) $(if $(FUZZ_LWIP_$(1)),$(LWIP_READY))
	tools/install_packages.sh clang libclang-rt-dev
	mkdir -p $$(@D)
	clang $(FUZZ_CFLAGS) $(if $(FUZZ_LWIP_$(1)),$(LWIP_CFLAGS) -w) -o $$@ $$(filter %.c,$$^) $(FUZZ_LWIP_$(1))
endef
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_program,$(target))))

.PHONY: fuzz fuzz-keep
fuzz: $(FUZZ_OUT)/fuzz_$(T)
	mkdir -p $(FUZZ_OUT)/$(T) $(FUZZ_CORPUS)/$(T)
	$< -max_total_time=$(SECONDS) -max_len=$(fuzz_bytes) -timeout=10 -print_final_stats=1 \
		-artifact_prefix=$(FUZZ_OUT)/$(T).crash- $(FUZZ_OUT)/$(T) $(FUZZ_CORPUS)/$(T)

fuzz-keep: $(FUZZ_OUT)/fuzz_$(T)
	mkdir -p $(FUZZ_CORPUS)/$(T)
	$< -set_cover_merge=1 -use_counters=0 -max_len=$(fuzz_bytes) $(FUZZ_CORPUS)/$(T) $(FUZZ_OUT)/$(T)
