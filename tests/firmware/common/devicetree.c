// SPDX-License-Identifier: Apache-2.0
// The flattened form is in the Devicetree Specification, chapter 5.
#include "devicetree.h"

#include <stdint.h>
#include <string.h>

#define MAGIC		0xd00dfeedu
#define OFFSET_SIZE	4
#define OFFSET_STRUCT	8
#define OFFSET_STRINGS	12
#define TOKEN_NODE	1u
#define TOKEN_PROPERTY	3u
#define TOKEN_NOP	4u
#define TOKEN_END	9u
#define MAX_SIZE	(1u << 20)

static uint32_t big_endian(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t aligned(uint32_t offset)
{
	return (offset + 3) & ~3u;
}

// Finds a node, and in it a property unless that is null. Null if there is no such thing, or no tree.
static const char *find(const char *node, const char *property)
{
	const uint8_t *blob = devicetree_blob;
	uint32_t size = big_endian(blob + OFFSET_SIZE);
	uint32_t at = big_endian(blob + OFFSET_STRUCT);
	const char *strings = (const char *)blob + big_endian(blob + OFFSET_STRINGS);
	bool inside = false;

	if (big_endian(blob) != MAGIC || size > MAX_SIZE)
		return 0;
	while (at + 8 < size) {
		uint32_t token = big_endian(blob + at);

		at += 4;
		if (token == TOKEN_NODE) {
			const char *name = (const char *)blob + at;

			inside = strcmp(name, node) == 0;
			if (inside && !property)
				return name;
			at = aligned(at + (uint32_t)strlen(name) + 1);
		} else if (token == TOKEN_PROPERTY) {
			if (inside && property && strcmp(strings + big_endian(blob + at + 4), property) == 0)
				return (const char *)blob + at + 8;
			at = aligned(at + 8 + big_endian(blob + at));
		} else if (token == TOKEN_END) {
			break;
		} else if (token != TOKEN_NOP) {
			// Properties of a node stand before the nodes in it.
			inside = false;
		}
	}
	return 0;
}

bool devicetree_has_node(const char *name)
{
	return find(name, 0) != 0;
}

const char *devicetree_bootargs(void)
{
	const char *text = find("chosen", "bootargs");

	return text ? text : "";
}
