// SPDX-License-Identifier: Apache-2.0
#ifndef JITTER_H
#define JITTER_H

// The command of that name.
void jitter(const char *arguments);

#endif
