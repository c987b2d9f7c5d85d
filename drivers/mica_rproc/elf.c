// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads the ELF file of a firmware. The file is hostile until it is checked:
 * every offset, size and address is bounded before it is used, and only the RAM
 * of the instance is written. The generic loader of remoteproc trusts some of
 * them (program and section header tables, section names).
 */
#include <linux/elf.h>
#include <linux/firmware.h>
#include <linux/remoteproc.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "elf.h"
#include "exit_record.h"
#include "table.h"

#define MAX_SEGMENTS	64
#define MAX_SECTIONS	4096
#define MAX_TABLE	SZ_64K

/* The note that holds the address of the exit record: docs/FIRMWARE.md */
#define NOTE_OWNER	"micrun"
#define NOTE_TYPE	1

struct exit_note {
	struct elf64_note header;
	char owner[ALIGN(sizeof(NOTE_OWNER), 4)];
	__le32 address[2];
};

static bool in_file(const struct firmware *fw, u64 offset, u64 len)
{
	return len <= fw->size && offset <= fw->size - len;
}

/* Copies the header, because nothing in the file needs to be aligned. */
static struct elf64_hdr read_header(const struct firmware *fw)
{
	struct elf64_hdr header;

	memcpy(&header, fw->data, sizeof(header));
	return header;
}

static struct elf64_phdr read_segment(const struct firmware *fw,
				      const struct elf64_hdr *header,
				      unsigned int i)
{
	struct elf64_phdr segment;

	memcpy(&segment, fw->data + header->e_phoff + i * sizeof(segment),
	       sizeof(segment));
	return segment;
}

static struct elf64_shdr read_section(const struct firmware *fw,
				      const struct elf64_hdr *header,
				      unsigned int i)
{
	struct elf64_shdr section;

	memcpy(&section, fw->data + header->e_shoff + i * sizeof(section),
	       sizeof(section));
	return section;
}

static int check_header(struct device *dev, const struct firmware *fw)
{
	struct elf64_hdr header;

	if (fw->size < sizeof(header)) {
		dev_err(dev, "firmware is cut off: no ELF header\n");
		return -EINVAL;
	}
	header = read_header(fw);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_AARCH64 || header.e_type != ET_EXEC) {
		dev_err(dev, "firmware is not a static ELF file for AArch64\n");
		return -EINVAL;
	}
	if (header.e_phentsize != sizeof(struct elf64_phdr) ||
	    !header.e_phnum || header.e_phnum > MAX_SEGMENTS ||
	    !in_file(fw, header.e_phoff,
		     header.e_phnum * sizeof(struct elf64_phdr))) {
		dev_err(dev, "firmware has no usable program headers\n");
		return -EINVAL;
	}
	if (header.e_shentsize != sizeof(struct elf64_shdr) ||
	    header.e_shnum > MAX_SECTIONS ||
	    header.e_shstrndx >= header.e_shnum ||
	    !in_file(fw, header.e_shoff,
		     header.e_shnum * sizeof(struct elf64_shdr))) {
		dev_err(dev, "firmware has no usable section headers: do not strip them\n");
		return -EINVAL;
	}
	return 0;
}

static int check_segments(struct mica_rproc *mica, const struct firmware *fw)
{
	struct device *dev = &mica->rproc->dev;
	struct elf64_hdr header = read_header(fw);
	bool entry_found = false;
	unsigned int i;

	for (i = 0; i < header.e_phnum; i++) {
		struct elf64_phdr segment = read_segment(fw, &header, i);

		if (segment.p_type != PT_LOAD || !segment.p_memsz)
			continue;
		if (segment.p_filesz > segment.p_memsz ||
		    !in_file(fw, segment.p_offset, segment.p_filesz)) {
			dev_err(dev, "segment %u is cut off\n", i);
			return -EINVAL;
		}
		if (!mica_region_has(&mica->ram, segment.p_paddr,
				     segment.p_memsz)) {
			dev_err(dev, "segment %u at 0x%llx, size 0x%llx, is outside of the firmware's RAM\n",
				i, segment.p_paddr, segment.p_memsz);
			return -EINVAL;
		}
		if (segment.p_flags & PF_X &&
		    header.e_entry >= segment.p_paddr &&
		    header.e_entry - segment.p_paddr < segment.p_filesz)
			entry_found = true;
	}
	if (!entry_found || !IS_ALIGNED(header.e_entry, 4)) {
		dev_err(dev, "entry point 0x%llx is in no executable segment\n",
			header.e_entry);
		return -EINVAL;
	}
	return 0;
}

static bool section_named(const struct firmware *fw,
			  const struct elf64_shdr *names,
			  const struct elf64_shdr *section, const char *name)
{
	size_t len = strlen(name) + 1;	/* with the final NUL */

	return section->sh_name < names->sh_size &&
	       len <= names->sh_size - section->sh_name &&
	       !memcmp(fw->data + names->sh_offset + section->sh_name, name,
		       len);
}

/* Finds the section of the resource table. Returns whether there is one. */
static bool find_table(const struct firmware *fw, struct elf64_shdr *found)
{
	struct elf64_hdr header = read_header(fw);
	struct elf64_shdr names = read_section(fw, &header, header.e_shstrndx);
	unsigned int i;

	if (!in_file(fw, names.sh_offset, names.sh_size))
		return false;
	for (i = 0; i < header.e_shnum; i++) {
		*found = read_section(fw, &header, i);
		if (section_named(fw, &names, found, ".resource_table"))
			return true;
	}
	return false;
}

static int check_table(struct mica_rproc *mica, const struct firmware *fw)
{
	struct device *dev = &mica->rproc->dev;
	struct elf64_shdr section;

	if (!find_table(fw, &section)) {
		dev_err(dev, "firmware has no section .resource_table\n");
		return -EINVAL;
	}
	if (section.sh_type == SHT_NOBITS || section.sh_size > MAX_TABLE ||
	    !in_file(fw, section.sh_offset, section.sh_size)) {
		dev_err(dev, "resource table is cut off\n");
		return -EINVAL;
	}
	if (!IS_ALIGNED(section.sh_addr, 4) ||
	    !mica_region_has(&mica->ram, section.sh_addr, section.sh_size)) {
		dev_err(dev, "resource table at 0x%llx is misaligned or outside of the firmware's RAM\n",
			section.sh_addr);
		return -EINVAL;
	}
	return 0;
}

/* rproc_ops.sanity_check */
int mica_elf_check(struct rproc *rproc, const struct firmware *fw)
{
	struct mica_rproc *mica = rproc->priv;
	int ret;

	ret = check_header(&rproc->dev, fw);
	if (!ret)
		ret = check_segments(mica, fw);
	if (!ret)
		ret = check_table(mica, fw);
	return ret;
}

/* rproc_ops.get_boot_addr */
u64 mica_elf_entry(struct rproc *rproc, const struct firmware *fw)
{
	return read_header(fw).e_entry;
}

/*
 * rproc_ops.parse_fw. The remoteproc core works on a copy of the resource table
 * and frees it.
 */
int mica_elf_parse(struct rproc *rproc, const struct firmware *fw)
{
	struct resource_table *table;
	struct elf64_shdr section;
	int ret;

	if (!find_table(fw, &section))
		return -EINVAL;
	table = kmemdup(fw->data + section.sh_offset, section.sh_size,
			GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	ret = mica_table_check(rproc->priv, table, section.sh_size);
	if (ret) {
		kfree(table);
		return ret;
	}
	rproc->cached_table = table;
	rproc->table_ptr = table;
	rproc->table_sz = section.sh_size;
	return 0;
}

/*
 * rproc_ops.find_loaded_rsc_table. The remoteproc core copies table_sz bytes to
 * the address that this returns.
 */
struct resource_table *mica_elf_loaded_table(struct rproc *rproc,
					     const struct firmware *fw)
{
	struct mica_rproc *mica = rproc->priv;
	struct elf64_shdr section;

	if (!find_table(fw, &section) ||
	    !mica_region_has(&mica->ram, section.sh_addr, rproc->table_sz))
		return NULL;
	return mica_region_va(&mica->ram, section.sh_addr);
}

/* Returns the address in the exit note of a PT_NOTE segment, or 0. */
static u64 read_exit_note(const struct firmware *fw, u64 offset, u64 size)
{
	struct exit_note note;

	while (size >= sizeof(note.header) && in_file(fw, offset, size)) {
		u64 len;

		memcpy(&note, fw->data + offset,
		       min_t(u64, size, sizeof(note)));
		if (size >= sizeof(note) &&
		    note.header.n_type == NOTE_TYPE &&
		    note.header.n_namesz == sizeof(NOTE_OWNER) &&
		    note.header.n_descsz == sizeof(note.address) &&
		    !memcmp(note.owner, NOTE_OWNER, sizeof(NOTE_OWNER)))
			return le32_to_cpu(note.address[0]) |
			       (u64)le32_to_cpu(note.address[1]) << 32;
		len = sizeof(note.header) +
		      ALIGN((u64)note.header.n_namesz, 4) +
		      ALIGN((u64)note.header.n_descsz, 4);
		if (len > size)
			break;
		offset += len;
		size -= len;
	}
	return 0;
}

static u64 find_exit_record(struct mica_rproc *mica, const struct firmware *fw)
{
	struct elf64_hdr header = read_header(fw);
	unsigned int i;

	for (i = 0; i < header.e_phnum; i++) {
		struct elf64_phdr segment = read_segment(fw, &header, i);
		u64 address;

		if (segment.p_type != PT_NOTE)
			continue;
		address = read_exit_note(fw, segment.p_offset,
					 segment.p_filesz);
		if (!address)
			continue;
		if (IS_ALIGNED(address, sizeof(__le32)) &&
		    mica_region_has(&mica->ram, address,
				    sizeof(struct mica_exit_record)))
			return address;
		dev_warn(&mica->rproc->dev,
			 "exit record at 0x%llx is misaligned or outside of the firmware's RAM: ignored\n",
			 address);
	}
	return 0;
}

/*
 * Checks a file and copies it into the firmware's RAM. The file needs this second
 * check because a recovery calls rproc_ops.load without rproc_ops.sanity_check.
 */
int mica_elf_load(struct mica_rproc *mica, const struct firmware *fw)
{
	struct elf64_hdr header;
	unsigned int i;
	int ret;

	ret = mica_elf_check(mica->rproc, fw);
	if (ret)
		return ret;
	header = read_header(fw);
	for (i = 0; i < header.e_phnum; i++) {
		struct elf64_phdr segment = read_segment(fw, &header, i);
		void *va;

		if (segment.p_type != PT_LOAD || !segment.p_memsz)
			continue;
		va = mica_region_va(&mica->ram, segment.p_paddr);
		memcpy(va, fw->data + segment.p_offset, segment.p_filesz);
		memset(va + segment.p_filesz, 0,
		       segment.p_memsz - segment.p_filesz);
	}
	mica->exit_record = find_exit_record(mica, fw);
	return 0;
}
