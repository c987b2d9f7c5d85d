/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MICA_RPROC_ELF_H
#define MICA_RPROC_ELF_H

#include <linux/firmware.h>

#include "mica_rproc.h"

int mica_elf_check(struct rproc *rproc, const struct firmware *fw);
u64 mica_elf_entry(struct rproc *rproc, const struct firmware *fw);
int mica_elf_parse(struct rproc *rproc, const struct firmware *fw);
int mica_elf_load(struct mica_rproc *mica, const struct firmware *fw);
struct resource_table *mica_elf_loaded_table(struct rproc *rproc,
					     const struct firmware *fw);

#endif
