/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_walk12.c - any tables in any format: the walk agrees with a second one written for this test, from
 * the tables of APM2 5.2-5.4 and 8.4.2; it changes A and D bits of the entries on its way and nothing else; a neighbour
 * that it vouches for is what a walk finds there. */
#include <string.h>

#include <amd/cpu.h>

#include "tests/fuzz/fuzz.h"

#define RAM KIB(16) /* few pages, so that tables hit each other */

static struct port *l1;
static ALIGNED(8) uint8_t before[RAM];

/* --- the second walk: numbers of bits instead of names --- */

struct answer {
	bool ok;
	uint64_t at, error, size;
	bool writable, executable, dirty;
};

static bool bit(uint64_t word, unsigned n)
{
	return word >> n & 1;
}

/* Bits that must be zero in a present entry: the table of the format, in words of 64 bits. */
static uint64_t reserved_bits(const struct npt12 *f, unsigned level, bool leaf)
{
	uint64_t r;

	if (f->levels == 2)
		return leaf && level == 2 ? BIT(21) : 0;
	if (f->levels == 3 && level == 3)
		return BITS(63, 52) | BITS(8, 5) | BITS(2, 1) | (f->phys_mbz & BITS(51, 12));
	r = f->phys_mbz & BITS(51, 12);
	if (!f->nxe)
		r |= BIT(63);
	if (f->levels == 3)
		r |= BITS(62, 52);
	if (level == 4)
		r |= BIT(8) | BIT(7);
	if (leaf && level == 3)
		r |= f->pages_1g ? BITS(29, 13) : BIT(7);
	if (leaf && level == 2)
		r |= BITS(20, 13);
	return r;
}

/* In the legacy format bits 20:13 of a 4 MiB entry are address bits 39:32. */
static uint64_t page_of(const struct npt12 *f, unsigned level, uint64_t e)
{
	static const unsigned shift8[] = {0, 12, 21, 30};

	if (f->levels == 2)
		return level == 1 ? e & BITS(31, 12) : (e & BITS(31, 22)) | bits_get(e, 20, 13) << 32;
	return e & BITS(51, 0) & ~(BIT(shift8[level]) - 1);
}

static struct answer plain_walk(const struct npt12 *f, uint64_t at, uint64_t access)
{
	unsigned index_bits = f->levels == 2 ? 10 : 9, bytes = f->levels == 2 ? 4 : 8, shift;
	uint64_t table = f->levels == 3 ? f->ncr3 & BITS(51, 5) : f->ncr3 & BITS(51, 12), e;
	bool user = true, writable = true, executable = true, id = (f->nxe && f->levels != 2) || f->smep;
	uint64_t error = 4 | (access & 2) | (id ? access & 16 : 0);

	if (at >> (f->levels == 4 ? 48 : 32))
		return (struct answer){.error = error};
	for (unsigned level = f->levels;; level--) {
		bool is_pdpte = f->levels == 3 && level == 3, leaf;
		uint64_t entry_at;

		shift = 12 + (level - 1) * index_bits;
		entry_at = table + (at >> shift & ((1u << index_bits) - 1)) * bytes;
		if (entry_at + bytes > RAM || entry_at + bytes < entry_at)
			return (struct answer){.error = error | 9};
		e = 0;
		memcpy(&e, before + entry_at, bytes);
		if (!bit(e, 0))
			return (struct answer){.error = error};
		leaf = level == 1 || (bit(e, 7) && level < 4 && !is_pdpte && (f->levels != 2 || f->pse));
		if (e & reserved_bits(f, level, leaf))
			return (struct answer){.error = error | 9};
		if (leaf && (page_of(f, level, e) & f->phys_mbz))
			return (struct answer){.error = error | 9};
		if (!is_pdpte) {
			user &= bit(e, 2);
			writable &= bit(e, 1);
			executable &= !bit(e, 63);
		}
		if (leaf)
			break;
		table = e & (f->levels == 2 ? BITS(31, 12) : BITS(51, 12));
		if (table & f->phys_mbz)
			return (struct answer){.error = error | 9};
	}
	if (!user || (bit(access, 1) && !writable) || (bit(access, 4) && !executable))
		return (struct answer){.error = error | 1};
	return (struct answer){.ok = true, .at = page_of(f, (shift - 12) / index_bits + 1, e) | (at & (BIT(shift) - 1)),
			       .size = BIT(shift), .writable = writable, .executable = executable,
			       .dirty = bit(e, 6) || bit(access, 1)};
}

/* --- properties --- */

static void check_same(const struct walk12 *got, const struct answer *want)
{
	CHECK(!got->raced && got->ok == want->ok);
	if (!want->ok) {
		CHECK(got->error == want->error);
		return;
	}
	CHECK(got->l1pa.a == want->at && got->page_size == want->size);
	CHECK(got->writable == want->writable && got->executable == want->executable && got->dirty == want->dirty);
}

/* Only A and D, only set, only on the way: at most one entry per level. */
static void check_only_marks(unsigned levels)
{
	unsigned changed = 0;

	for (unsigned i = 0; i < RAM; i += sizeof(uint32_t)) {
		uint32_t old = *(const uint32_t *)(before + i), now = *fake_l1_u32(l1, i);

		changed += old != now;
		CHECK(!((old ^ now) & ~(uint32_t)(PTE_A | PTE_D)) && !(old & (old ^ now)));
	}
	CHECK(changed <= levels);
}

/* What the walk says of the pages around, and what a walk there says itself. */
static void check_neighbours(const struct npt12 *f, const struct walk12 *walk, uint64_t at)
{
	int64_t first = -(int64_t)(at / PAGE_SIZE % 16);

	memcpy(before, l1->ram, RAM);
	for (int64_t i = first; i < first + 16; i++) {
		uint64_t there = at + (uint64_t)i * PAGE_SIZE;
		struct walk12 near = npt12_neighbour(f, walk, i);
		struct answer want = plain_walk(f, there, 0);

		if (!near.ok)
			continue;
		CHECK(want.ok && near.l1pa.a == want.at);
		CHECK(near.writable == want.writable && near.executable == want.executable);
		CHECK(near.dirty == want.dirty);
	}
	CHECK(memcmp(before, l1->ram, RAM) == 0);
}

#define USUAL_INDICES 8 /* tables are used at their first entries, mostly */

static struct npt12 read_format(struct input *in)
{
	uint8_t flags = (uint8_t)input_bytes(in, 1), root = (uint8_t)input_bytes(in, 1);

	return (struct npt12){
		.levels = (uint8_t)(2 + flags % 3), .nxe = flags & 4, .pse = flags & 8, .smep = flags & 16,
		.pages_1g = flags & 32, .phys_mbz = flags & 64 ? BITS(63, 36) : BITS(63, 40),
		.ncr3 = root % 4 * PAGE_SIZE | (root & 0xF0) | (flags & 128 ? input_bytes(in, 8) : 0),
	};
}

static uint64_t read_address(struct input *in, const struct npt12 *f)
{
	uint64_t at = input_bytes(in, 2) & PAGE_MASK;
	uint8_t odd = (uint8_t)input_bytes(in, 1);

	for (unsigned level = 1; level <= f->levels; level++)
		at |= input_bytes(in, 1) % USUAL_INDICES << (12 + (level - 1) * (f->levels == 2 ? 10 : 9));
	return odd & 1 ? at ^ input_bytes(in, 8) : at;
}

static uint64_t *entry_on_path(const struct npt12 *f, uint64_t at, unsigned level)
{
	unsigned legacy = f->levels == 2, index_bits = legacy ? 10 : 9;
	uint64_t index = at >> (12 + (level - 1) * index_bits) & ((1u << index_bits) - 1);
	uint64_t table = (f->levels - level + f->ncr3 / PAGE_SIZE) % 4 * PAGE_SIZE;

	return fake_l1_u64(l1, (table + index * (legacy ? 4 : 8)) & ~UINT64_C(7));
}

/* A path to some page for the address; then single bits of it flipped, and entries put elsewhere: a page of this
 * memory, low bits, NX. */
static void read_tables(struct input *in, const struct npt12 *f, uint64_t at)
{
	uint64_t bytes = f->levels == 2 ? 4 : 8, both = f->levels == 2 ? BIT(32) | 1 : 1;

	memset(l1->ram, 0, RAM);
	for (unsigned level = f->levels; level >= 1; level--)
		*entry_on_path(f, at, level) |=
			both * ((f->levels - level + 1 + f->ncr3 / PAGE_SIZE) % 4 * PAGE_SIZE | PTE_P |
				(f->levels == 3 && level == 3 ? 0 : PTE_W | PTE_U));
	while (!input_ended(in)) {
		uint8_t where = (uint8_t)input_bytes(in, 1);
		uint64_t e;

		if (where & 0x80) {
			*entry_on_path(f, at, 1 + where % f->levels) ^= BIT(input_bytes(in, 1) % 64);
			continue;
		}
		e = input_bytes(in, 2);
		e = (e & BITS(8, 0)) | (e >> 9 & 3) * PAGE_SIZE | (e & BIT(11) ? BIT(63) : 0) |
		    (e & BIT(12) ? input_bytes(in, 8) : 0);
		memcpy(l1->ram + where % 4 * PAGE_SIZE + (where >> 2 & 31) * bytes, &e, bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t kinds[] = {0, PF_W, PF_ID, PF_W | PF_ID};
	struct input in = {data, data + size};
	struct npt12 f = read_format(&in);
	uint64_t at = read_address(&in, &f), access = kinds[input_bytes(&in, 1) % 4];
	struct answer want;
	struct walk12 got;

	if (!l1)
		l1 = fake_l1_new(RAM);
	read_tables(&in, &f, at);
	memcpy(before, l1->ram, RAM);
	want = plain_walk(&f, at, access);
	got = npt12_walk(l1, &f, l2pa(at), access);
	check_same(&got, &want);
	check_only_marks(f.levels);
	if (got.ok)
		check_neighbours(&f, &got, at);
	return 0;
}
