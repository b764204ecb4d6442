/* SPDX-License-Identifier: MIT */
/* tests/fuzz/replay.c - runs a fuzz target without libFuzzer: over its corpus, then over inputs made at random from a
 * fixed seed, with mutations of the corpus among them. Prints TAP like the unit tests. With arguments: those files.
 * FUZZ_TARGET names the target, FUZZ_CORPUS the folder. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 4096
#define FILES_MAX 512
#define RANDOM_INPUTS 1500u

static struct {
	uint8_t bytes[INPUT_MAX];
	size_t size;
} corpus[FILES_MAX];
static unsigned corpus_count;

static void read_input(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f || corpus_count == FILES_MAX) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	corpus[corpus_count].size = fread(corpus[corpus_count].bytes, 1, INPUT_MAX, f);
	corpus_count++;
	fclose(f);
}

static void read_corpus(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		char path[1024];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			read_input(path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* A corpus input with some bytes changed, or bytes of no origin. */
static void run_random(void)
{
	static uint8_t bytes[INPUT_MAX];
	size_t size = (unsigned)rand() % 300;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)rand();
	if (corpus_count && rand() % 4) {
		unsigned from = (unsigned)rand() % corpus_count;

		size = corpus[from].size;
		memcpy(bytes, corpus[from].bytes, size);
		for (unsigned i = (unsigned)rand() % 8; i > 0 && size; i--)
			bytes[(unsigned)rand() % size] ^= (uint8_t)(1u << rand() % 8);
	}
	LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		read_input(argv[i]);
	if (argc == 1)
		read_corpus(FUZZ_CORPUS);
	puts("1..2");
	for (unsigned i = 0; i < corpus_count; i++)
		LLVMFuzzerTestOneInput(corpus[i].bytes, corpus[i].size);
	printf("%sok 1 - corpus_of_%s # %u inputs\n", corpus_count ? "" : "not ", FUZZ_TARGET, corpus_count);
	srand(1);
	for (unsigned i = 0; argc == 1 && i < RANDOM_INPUTS; i++)
		run_random();
	printf("ok 2 - random_inputs_of_%s\n", FUZZ_TARGET);
	return corpus_count ? 0 : 1;
}
