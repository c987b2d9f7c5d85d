// SPDX-License-Identifier: Apache-2.0
#include "exit_record.h"

#include "io.h"
#include "power.h"

#define EXIT_MAGIC 0x5458454du // "MEXT" in memory

struct exit_record {
	uint32_t magic;
	uint32_t kind;
	uint32_t status;
	uint32_t heartbeat;
};

// In .bss, so it is zeroed at the start: without a magic number the host ignores the record.
static volatile struct exit_record exit_record __attribute__((used, aligned(16)));

#if __SIZEOF_POINTER__ == 8
#define ADDRESS ".8byte	exit_record"
#else
#define ADDRESS ".4byte	exit_record, 0"
#endif

// The ELF note by which the host finds the record. In assembly, since a note is aligned to 4 bytes and
// its 64-bit address is not.
__asm(".pushsection .note.micrun, \"a\", %note\n"
      "	.balign	4\n"
      "	.4byte	7, 8, 1\n"		// namesz, descsz, type
      "	.asciz	\"micrun\"\n"
      "	.balign	4\n"
      "	" ADDRESS "\n"
      "	.popsection\n");

void beat(void)
{
	exit_record.heartbeat++;
}

_Noreturn void exit_firmware(enum exit_kind kind, uint32_t status)
{
	mask_interrupts();
	exit_record.kind = kind;
	exit_record.status = status;
	dsb();
	exit_record.magic = EXIT_MAGIC;
	dsb();
	power_off();
}
