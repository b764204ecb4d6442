# SPDX-License-Identifier: MIT
#
# tools/third_party.mk - Zydis, the instruction decoder, and the zycore headers it
# needs. Downloaded once, pinned, never committed; only the decoder is compiled,
# freestanding. People not on Debian: make ZYDIS_DIR=... ZYCORE_DIR=... (directories
# that hold include/Zydis and src, and include/Zycore).
# For others: ZYDIS_OBJS (link them), ZYDIS_CFLAGS (to include <Zydis/Zydis.h>),
# ZYDIS_READY (order-only prerequisite of whatever includes it).

THIRD_PARTY := build/third_party

ZYDIS_VERSION := 4.0.0
ZYDIS_SHA256  := e990107f80c62afc1deb51de230023a1098db801b8ea6bf483e296d45459e234
ZYDIS_DIR     := $(THIRD_PARTY)/zydis-$(ZYDIS_VERSION)

ZYCORE_VERSION := 1.4.1
ZYCORE_SHA256  := 20daa9552e632c9a08443690c6933c34f2f63a8d2eb60125688823a20f7322c3
ZYCORE_DIR     := $(THIRD_PARTY)/zycore-$(ZYCORE_VERSION)

ZYDIS_READY := $(ZYDIS_DIR)/include/Zydis/Zydis.h $(ZYCORE_DIR)/include/Zycore/Types.h
ZYDIS_PARTS := Decoder DecoderData Register SharedData
ZYDIS_OBJS  := $(ZYDIS_PARTS:%=$(THIRD_PARTY)/obj/%.o)

# System headers, so that our warnings do not look into them.
ZYDIS_CFLAGS := -isystem $(ZYDIS_DIR)/include -isystem $(ZYCORE_DIR)/include \
	-DZYAN_NO_LIBC -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD \
	-DZYDIS_DISABLE_FORMATTER -DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_AVX512 -DZYDIS_DISABLE_KNC

# Position independent, so that the same objects link into nestling.elf and into the unit tests.
ZYDIS_OWN_CFLAGS := -std=gnu11 -O2 -g -w -ffreestanding -fPIE -fvisibility=hidden \
	-fno-stack-protector -fcf-protection=none -mno-red-zone -mgeneral-regs-only

# Not with ZYDIS_DIR=... or ZYCORE_DIR=...: then these files are there, or make names the one that is not.
$(THIRD_PARTY)/zydis-$(ZYDIS_VERSION)/include/Zydis/Zydis.h: | $(DEPS_STAMP)
	@tools/third_party.sh zydis $(ZYDIS_VERSION) $(ZYDIS_SHA256) $(THIRD_PARTY)/zydis-$(ZYDIS_VERSION)

# After Zydis: both use the same private apt lists.
$(THIRD_PARTY)/zycore-$(ZYCORE_VERSION)/include/Zycore/Types.h: | $(ZYDIS_DIR)/include/Zydis/Zydis.h
	@tools/third_party.sh zycore $(ZYCORE_VERSION) $(ZYCORE_SHA256) $(THIRD_PARTY)/zycore-$(ZYCORE_VERSION)

$(ZYDIS_OBJS): $(THIRD_PARTY)/obj/%.o: tools/third_party.mk | $(ZYDIS_READY)
	@echo "  CC   zydis/src/$*.c"
	@mkdir -p $(@D)
	$(CC) $(ZYDIS_OWN_CFLAGS) $(ZYDIS_CFLAGS) -I$(ZYDIS_DIR)/src -c -o $@ $(ZYDIS_DIR)/src/$*.c
