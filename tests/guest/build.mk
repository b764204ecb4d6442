# SPDX-License-Identifier: MIT
# tests/guest/build.mk - the bare Multiboot 1 L1 test kernels: build/tests/guest/<t_name>.elf,
# hello.elf, echo.elf, loop.elf.
# 64-bit code in an ELF32 container, because that is what Multiboot 1 loaders take. Target: guest-kernels.

GUEST_DIR := tests/guest
GUEST_OUT := build/tests/guest
GUEST_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -fno-stack-protector -mno-red-zone \
	-mgeneral-regs-only -fcf-protection=none -Wall -Wextra -Wconversion -Wshadow \
	-Wmissing-prototypes -Wswitch-enum -Wframe-larger-than=1024 -Werror -Iinclude -I$(GUEST_DIR)/lib

GUEST_NAMES := $(patsubst $(GUEST_DIR)/%.c,%,$(wildcard $(GUEST_DIR)/t_*.c))
GUEST_KERNELS := $(GUEST_NAMES:%=$(GUEST_OUT)/%.elf) $(addprefix $(GUEST_OUT)/,hello.elf echo.elf loop.elf)
GUEST_LIB := $(patsubst $(GUEST_DIR)/%.c,$(GUEST_OUT)/%.o,$(wildcard $(GUEST_DIR)/lib/*.c)) \
	$(patsubst $(GUEST_DIR)/%.asm,$(GUEST_OUT)/%.asm.o,$(wildcard $(GUEST_DIR)/lib/*.asm))

.PHONY: guest-kernels
guest-kernels: $(GUEST_KERNELS)

$(GUEST_OUT)/%.o: $(GUEST_DIR)/%.c
	@mkdir -p $(@D)
	@$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(GUEST_OUT)/%.asm.o: $(GUEST_DIR)/%.asm
	@mkdir -p $(@D)
	@nasm -f elf64 $< -o $@

$(GUEST_OUT)/%.elf64: $(GUEST_OUT)/%.o $(GUEST_LIB) $(GUEST_DIR)/lib/link.ld
	@$(LD) -n -z noexecstack --no-warn-rwx-segments -T $(GUEST_DIR)/lib/link.ld -o $@ $(filter %.o,$^)

$(GUEST_OUT)/t_%.elf: $(GUEST_OUT)/t_%.elf64
	@objcopy -O elf32-i386 --strip-debug $< $@

$(addprefix $(GUEST_OUT)/,hello.elf echo.elf loop.elf): $(GUEST_OUT)/%.elf: $(GUEST_OUT)/%.asm.o $(GUEST_DIR)/lib/link.ld
	@$(LD) -n -z noexecstack --no-warn-rwx-segments -T $(GUEST_DIR)/lib/link.ld -o $@64 $<
	@objcopy -O elf32-i386 --strip-debug $@64 $@

.SECONDARY:
-include $(wildcard $(GUEST_OUT)/*.d $(GUEST_OUT)/lib/*.d)
