# SPDX-License-Identifier: MIT
#
# tests/unit/unit.mk - builds build/tests/unit/test_<name> from tests/unit/test_<name>.c.
# A test names the sources it links in a comment among its first lines, from the top of the
# tree:   /* links: nested/walk12.c tests/unit/fake_l1.c */   The word zydis stands for the
# decoder, lwip for lwIP (compiled with the same sanitizers). Functions named after "wraps:" in such a comment are called through __wrap_<name>
# between files. Everything is compiled for Linux, with sanitizers that end the program.

UNIT_OUT := build/tests/unit

UNIT_CFLAGS := -std=gnu11 -fms-extensions -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -Wall -Wextra -Wshadow -Wswitch-enum -Werror

comma := ,

# The pure folders see what they may include, and no more; here as in the kernel.
UNIT_INCLUDE_nested := -Iinclude
UNIT_INCLUDE_vdev   := -Iinclude
UNIT_INCLUDE_net    := -I. -Iinclude $(LWIP_CFLAGS)
unit_include = $(or $(UNIT_INCLUDE_$(firstword $(subst /, ,$(1)))),-I. -Iinclude $(ZYDIS_CFLAGS) $(LWIP_CFLAGS))

unit_words = $(shell sed -n '1,12s/ *\*\/ *$$//; 1,12s/.*$(2): *//p' tests/unit/$(1).c)
unit_links = $(call unit_words,$(1),links)
unit_wraps = $(patsubst %,-Wl$(comma)--wrap=%,$(call unit_words,$(1),wraps))
unit_objs  = $(patsubst %.c,$(UNIT_OUT)/obj/%.o,$(filter %.c,$(1))) $(if $(filter zydis,$(1)),$(ZYDIS_OBJS)) \
	$(if $(filter lwip,$(1)),$(UNIT_LWIP))
UNIT_LWIP  := $(LWIP_PARTS:%=$(UNIT_OUT)/obj/lwip/%.o)

UNIT_NAMES    := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS := $(UNIT_NAMES:%=$(UNIT_OUT)/%)

.PHONY: unit-programs unit
unit-programs: $(UNIT_PROGRAMS)

# All unit tests, or one: make unit T=walk12
unit: $(if $(T),$(UNIT_OUT)/test_$(T),$(UNIT_PROGRAMS))
	for program in $^; do $$program || exit 1; done

$(UNIT_LWIP): $(UNIT_OUT)/obj/lwip/%.o: tools/third_party.mk net/lwipopts.h net/arch/cc.h | $(DEPS_STAMP) $(LWIP_READY)
	echo "  CC   lwip/src/$*.c (unit)"
	mkdir -p $(@D)
	$(CC) $(filter-out -W%,$(UNIT_CFLAGS)) -w $(LWIP_CFLAGS) -c -o $@ $(LWIP_DIR)/src/$*.c

$(UNIT_OUT)/obj/%.o: %.c | $(DEPS_STAMP) $(ZYDIS_READY) $(LWIP_READY)
	echo "  CC   $< (unit)"
	mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) $(call unit_include,$<) -MMD -MP -c -o $@ $<

# The compiler does not name them, as lwIP's headers are system headers to it.
$(patsubst %.c,$(UNIT_OUT)/obj/%.o,$(wildcard net/*.c tests/unit/test_net*.c)): net/lwipopts.h net/arch/cc.h

define unit_program
$(UNIT_OUT)/$(1): $(UNIT_OUT)/obj/tests/unit/$(1).o $(call unit_objs,$(call unit_links,$(1)))
	echo "  LD   $$@"
	$$(CC) $$(UNIT_CFLAGS) $(call unit_wraps,$(1)) -o $$@ $$^ -lcmocka
endef
$(foreach name,$(UNIT_NAMES),$(eval $(call unit_program,$(name))))

-include $(shell find $(UNIT_OUT)/obj -name '*.d' 2>/dev/null)
