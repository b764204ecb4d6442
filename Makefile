# SPDX-License-Identifier: MIT
#
# Makefile - builds build/nestling.elf and build/nestling.iso; one file for everything.
#   make              both            make V=1   shows each command
#   make run, test, check, ...        tests/tests.mk
#   make iso MODULES="nestling.cfg=my.cfg vmlinuz=..." OPTIONS="com1=0x2f8"
# Every source of a folder is linked: a new file needs no line here. nested/ and vdev/ are
# compiled with include/ alone in sight, so that a foreign #include does not compile.

O := build

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
ifndef V
.SILENT:
endif

# No function keeps registers for its caller, but for RBP: an exit mostly ends in the world switch, which has saved them
# all already. Zydis alone is built as usual, since the unit tests link it, too: it calls nothing of ours.
NO_SAVED_REGS := $(addprefix -fcall-used-,rbx r12 r13 r14 r15)

include tools/packages.mk
include tools/third_party.mk
include tools/payload.mk
include vdev/vdev.mk
include tests/unit/unit.mk
include tests/fuzz/fuzz.mk
include tests/guest/build.mk
include tests/bench/bench.mk
include tests/tests.mk

FOLDERS := boot kernel drivers svm nested vdev net
# svm/offsets.c is never linked: see the rule of offsets.inc.
C_FILES   := $(filter-out svm/offsets.c,$(wildcard $(FOLDERS:%=%/*.c)))
ASM_FILES := $(wildcard $(FOLDERS:%=%/*.asm))
OBJS      := $(C_FILES:%.c=$(O)/%.o) $(ASM_FILES:%.asm=$(O)/%.asm.o)
$(OBJS) $(LWIP_OBJS): Makefile # objects that agree on other registers must not be linked with new ones

CFLAGS := -std=gnu11 -fms-extensions -O2 -g -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common \
	-mno-red-zone -mgeneral-regs-only $(NO_SAVED_REGS) -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes \
	-Wswitch-enum -Wframe-larger-than=1024 -Werror
LDFLAGS := -nostdlib -static -flto=auto -flto-partition=one \
	-Wl,-n,-z,noexecstack,-z,max-page-size=4096,--build-id=none,--no-warn-rwx-segments,--fatal-warnings

# An exit passes through three of the folders: seen as one program when it is linked, it costs a fifth less. The objects
# hold ordinary code as well, for the guards.
LTO          := -flto -ffat-lto-objects
LTO_FOLDERS  := svm nested vdev
lto = $(if $(filter $(firstword $(subst /, ,$(1))),$(LTO_FOLDERS)),$(LTO))

INCLUDES        := -I. -Iinclude
INCLUDES_nested := -Iinclude
INCLUDES_vdev   := -Iinclude
INCLUDES_svm    := -I. -Iinclude $(ZYDIS_CFLAGS)
INCLUDES_net    := -I. -Iinclude $(LWIP_CFLAGS)
includes = $(or $(INCLUDES_$(firstword $(subst /, ,$(1)))),$(INCLUDES))

.PHONY: all iso clean
all: $(O)/nestling.iso

$(O)/nestling.elf: $(OBJS) $(ZYDIS_OBJS) $(LWIP_OBJS) boot/linker.ld
	echo "  LD   $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -T boot/linker.ld -o $@ $(filter %.o,$^)

$(O)/%.o: %.c | $(DEPS_STAMP) $(ZYDIS_READY) $(LWIP_READY)
	echo "  CC   $<"
	mkdir -p $(@D)
	$(CC) $(CFLAGS) $(call lto,$<) $(call includes,$<) -MMD -MP -c -o $@ $<

$(O)/%.asm.o: %.asm | $(DEPS_STAMP)
	echo "  ASM  $<"
	mkdir -p $(@D)
	nasm -f elf64 -I$(O)/ -MD $(@:.o=.d) -MP -o $@ $<

$(O)/net/page.asm.o: net/page.html
# The compiler takes what a system header includes for a system header, too, and names it not.
$(filter $(O)/net/%,$(OBJS)): net/lwipopts.h net/arch/cc.h

# Our own functions must not be turned into calls of themselves.
$(O)/kernel/string.o: CFLAGS += -fno-tree-loop-distribute-patterns

# Offsets of C structs for NASM: the compiler writes "->NAME $n" lines, sed makes them %defines.
$(O)/svm/offsets.inc: svm/offsets.c | $(DEPS_STAMP) $(ZYDIS_READY) $(LWIP_READY)
	mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCLUDES_svm) -MMD -MP -MT $@ -MF $(@:.inc=.d) -S -o $(@:.inc=.s) $<
	sed -n 's/^->\([A-Z0-9_]*\) \$$\{0,1\}\(-\{0,1\}[0-9]*\)$$/%define \1 \2/p' $(@:.inc=.s) >$@
$(O)/svm/vmrun.asm.o: $(O)/svm/offsets.inc

# What `git describe` says, in a header that changes only when the answer does.
VERSION := $(or $(shell git describe --always --dirty --tags 2>/dev/null),unknown)
VERSION_LINE := \#define NESTLING_VERSION "$(VERSION)"
ifneq ($(shell cat $(O)/version.h 2>/dev/null),$(VERSION_LINE))
$(shell mkdir -p $(O) && printf '%s\n' '$(VERSION_LINE)' >$(O)/version.h)
endif
$(O)/kernel/main.o: CFLAGS += -include $(O)/version.h

# MODULES: name=path pairs for the ISO; OPTIONS: Nestling's command line.
iso: $(O)/nestling.iso
$(O)/nestling.iso: $(O)/nestling.elf iso/mkiso.sh $(foreach m,$(MODULES),$(lastword $(subst =, ,$(m))))
	echo "  ISO  $@"
	iso/mkiso.sh -o $@ -k $< -c "$(OPTIONS)" $(MODULES)

clean:
	rm -rf $(O)

-include $(OBJS:.o=.d) $(O)/svm/offsets.d
