# SPDX-License-Identifier: MIT
#
# tools/third_party.mk - Zydis, the instruction decoder, with the zycore headers it
# needs, and lwIP, the TCP/IP stack. Downloaded once, pinned, never committed; only
# what is used is compiled, freestanding. People not on Debian, and other versions:
# make ZYDIS_DIR=... ZYCORE_DIR=... LWIP_DIR=... (directories that hold include/Zydis
# and src; include/Zycore; src/include/lwip). lwIP may be 2.1.x or 2.2.x.
# For others, with X for ZYDIS and LWIP: X_OBJS (link them), X_CFLAGS (to include
# <Zydis/Zydis.h>, <lwip/...>), X_READY (order-only prerequisite of what includes it).

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

LWIP_VERSION := 2.1.3+dfsg1
LWIP_SHA256  := 0a8276d09fc4e97bbba2f953d74af2388fc2195ea156be9d7589e297a68fde24
LWIP_DIR     := $(THIRD_PARTY)/lwip-2.1.3

LWIP_READY := $(LWIP_DIR)/src/include/lwip/init.h
LWIP_CFLAGS := -Inet -isystem $(LWIP_DIR)/src/include
LWIP_PARTS := core/def core/inet_chksum core/init core/ip core/mem core/memp core/netif core/pbuf core/stats \
	core/tcp core/tcp_in core/tcp_out core/timeouts core/udp \
	$(addprefix core/ipv4/,dhcp etharp icmp igmp ip4 ip4_addr) \
	$(addprefix core/ipv6/,ethip6 icmp6 inet6 ip6 ip6_addr mld6 nd6) netif/ethernet apps/mdns/mdns
# 2.2 has mDNS in three pieces.
LWIP_PARTS += $(patsubst $(LWIP_DIR)/src/%.c,%,$(wildcard $(LWIP_DIR)/src/apps/mdns/mdns_*.c))
LWIP_OBJS := $(LWIP_PARTS:%=$(THIRD_PARTY)/obj/lwip/%.o)

LWIP_OWN_CFLAGS := -std=gnu11 -O2 -g -w -ffreestanding -fno-pic -fno-pie -fno-strict-aliasing -fno-common \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -mno-red-zone -mgeneral-regs-only \
	$(NO_SAVED_REGS)

$(THIRD_PARTY)/lwip-2.1.3/src/include/lwip/init.h: | $(ZYDIS_DIR)/include/Zydis/Zydis.h
	@tools/third_party.sh lwip $(LWIP_VERSION) $(LWIP_SHA256) $(THIRD_PARTY)/lwip-2.1.3

$(LWIP_OBJS): $(THIRD_PARTY)/obj/lwip/%.o: tools/third_party.mk net/lwipopts.h net/arch/cc.h | $(LWIP_READY)
	@echo "  CC   lwip/src/$*.c"
	@mkdir -p $(@D)
	$(CC) $(LWIP_OWN_CFLAGS) $(LWIP_CFLAGS) -c -o $@ $(LWIP_DIR)/src/$*.c
