"""Draws a recording of a terminal (asciinema's format 2) as an SVG that plays it."""

import json
import re
from html import escape

# A cell, and what is around all of them, in pixels.
WIDTH, HEIGHT, MARGIN = 8, 18, 12
PAPER, INK = "#1c1f26", "#d5d8df"
# The colours of a terminal (ECMA-48, SGR 30 to 37 and 90 to 97).
COLOURS = ["#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", INK]
# Pieces of output that come so soon one after the other are one picture; the last one stays so long. Seconds.
TOGETHER, REST = 0.05, 4
# A control sequence; any other one that begins with ESC; a character.
TOKEN = re.compile(r"\x1b\[([?\d;]*)([@-~])|\x1b(?:\][^\a]*\a|[()].|.)|(.)", re.DOTALL)


class Screen:
    """What a terminal shows. It knows what our programs, containerd's and a shell send."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.style, self.other = "", None
        self.clear()

    def clear(self):
        self.cells = [[(" ", "")] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0

    def feed(self, text):
        for parameters, command, character in TOKEN.findall(text):
            if command:
                self.control(parameters, command)
            elif character:
                self.put(character)

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(self.column - 1, 0)
        elif character == "\n":
            self.down()
        elif character >= " ":
            if self.column == self.columns:
                self.column = 0
                self.down()
            self.cells[self.row][self.column] = (character, self.style)
            self.column += 1

    def down(self):
        self.row += 1
        if self.row == self.rows:
            self.row -= 1
            self.cells = [*self.cells[1:], [(" ", "")] * self.columns]

    def control(self, parameters, command):
        numbers = [int(it) for it in re.findall(r"\d+", parameters)]
        if command == "H":
            self.row, self.column = ([it - 1 for it in numbers] + [0, 0])[:2]
        elif command in "JK":
            blank = [(" ", "")] * (self.columns - self.column)
            self.cells[self.row][self.column :] = blank
            if command == "J":
                for row in range(self.row + 1, self.rows):
                    self.cells[row] = [(" ", "")] * self.columns
        elif command == "m":
            for number in numbers or [0]:
                if number == 0:
                    self.style = ""
                elif number == 1:
                    self.style += "font-weight:bold;"
                elif number in (*range(30, 38), *range(90, 98)):
                    self.style += f"fill:{COLOURS[number % 10]};"
        elif parameters == "?1049" and command == "h":
            self.other = (self.cells, self.row, self.column)
            self.clear()
        elif parameters == "?1049" and self.other:
            self.cells, self.row, self.column = self.other

    def picture(self):
        """Its lines as SVG's text, those that have something."""
        lines = []
        for row, cells in enumerate(self.cells):
            runs = []
            for character, style in cells:
                if runs and runs[-1][1] == style:
                    runs[-1][0] += character
                else:
                    runs.append([character, style])
            if not runs[-1][1]:
                runs[-1][0] = runs[-1][0].rstrip()
            text = "".join(
                f'<tspan style="{style}">{escape(text)}</tspan>' if style else escape(text) for text, style in runs
            )
            if text:
                lines.append(f'<text y="{(row + 1) * HEIGHT - 4}">{text}</text>')
        return "".join(lines)


def pictures(head, events):
    """The pictures, each with the time at which it is there; the length of all."""
    screen, found, last = Screen(head["width"], head["height"]), [], 0.0
    for at, _, text in events:
        screen.feed(text)
        if found and at - found[-1][0] < TOGETHER:
            found[-1] = (found[-1][0], screen.picture())
        elif not found or found[-1][1] != screen.picture():
            found.append((at, screen.picture()))
        last = at
    return found, last + REST


def svg(cast):
    """The SVG of a recording's text."""
    head, *events = [json.loads(line) for line in cast.splitlines()]
    found, length = pictures(head, events)
    width, height = head["width"] * WIDTH + 2 * MARGIN, head["height"] * HEIGHT + 2 * MARGIN
    steps = "".join(f"{at / length:.4%}{{transform:translateX({-n * width}px)}}" for n, (at, _) in enumerate(found))
    frames = "".join(f'<g transform="translate({n * width})">{text}</g>' for n, (_, text) in enumerate(found))
    final = (len(found) - 1) * width
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<title>{escape(head["title"])}</title>
<style>
text {{ font: 13px monospace; fill: {INK}; white-space: pre }}
.film {{ animation: play {length:.2f}s steps(1, end) infinite }}
@keyframes play {{ {steps} }}
@media (prefers-reduced-motion: reduce) {{ .film {{ animation: none; transform: translateX({-final}px) }} }}
</style>
<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN}" height="{height - 2 * MARGIN}"><g class="film">{frames}</g></svg>
</svg>
"""
