// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "console.h"

#define MAX_DIGITS 20 // of 2^64 in decimal

struct field {
	bool left;
	bool zeros;
	size_t width;
};

static void pad(char c, size_t count)
{
	while (count--)
		console_write(&c, 1);
}

static void put_field(const char *text, size_t len, struct field field)
{
	size_t padding = field.width > len ? field.width - len : 0;

	if (!field.left)
		pad(field.zeros ? '0' : ' ', padding);
	console_write(text, len);
	if (field.left)
		pad(' ', padding);
}

static void put_number(unsigned long value, unsigned int base, struct field field)
{
	char digits[MAX_DIGITS];
	size_t start = MAX_DIGITS;

	do {
		digits[--start] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put_field(digits + start, MAX_DIGITS - start, field);
}

// Reads the flags and the width behind a '%'; returns what follows them.
static const char *parse_field(const char *p, struct field *field)
{
	*field = (struct field){ 0 };
	for (; *p == '-' || *p == '0'; p++) {
		field->left |= *p == '-';
		field->zeros |= *p == '0';
	}
	for (; *p >= '0' && *p <= '9'; p++)
		field->width = field->width * 10 + (size_t)(*p - '0');
	return p;
}

void console_printf(const char *format, ...)
{
	const char *p = format;
	struct field field;
	va_list args;

	va_start(args, format);
	while (*p) {
		size_t literal = 0;
		const char *text;

		while (p[literal] && p[literal] != '%')
			literal++;
		console_write(p, literal);
		p += literal;
		if (!*p)
			break;
		p = parse_field(p + 1, &field);
		if (*p == 'l')
			p++;
		switch (*p) {
		case 's':
			text = va_arg(args, const char *);
			put_field(text, strlen(text), field);
			break;
		case 'u':
			put_number(va_arg(args, unsigned long), 10, field);
			break;
		case 'x':
			put_number(va_arg(args, unsigned long), 16, field);
			break;
		case '\0':
			continue;
		default: // "%%"
			console_write(p, 1);
			break;
		}
		p++;
	}
	va_end(args);
}
