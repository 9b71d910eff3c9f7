#!/usr/bin/env python3
"""Draws the demonstration's two pictures: the Shepp-Logan phantom, which is the customary
test object of tomography and nobody's head, and an invented electrocardiogram.

Run it in this folder to draw them again: python3 make_pictures.py
"""

import math
import random
import struct
import zlib


def write_png(path, width, height, rows, channels):
    """rows: one bytes object a row, `channels` bytes a pixel (1 grey, 3 RGB)."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    colour = {1: 0, 3: 2}[channels]
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    with open(path, "wb") as png:
        png.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


# Brightness, half axes, centre, rotation in degrees: the ten ellipses with the raised contrast
# that is usual for looking at.
ELLIPSES = [
    (1.00, 0.6900, 0.9200, 0.00, 0.0000, 0),
    (-0.80, 0.6624, 0.8740, 0.00, -0.0184, 0),
    (-0.12, 0.1100, 0.3100, 0.22, 0.0000, -18),
    (-0.12, 0.1600, 0.4100, -0.22, 0.0000, 18),
    (0.12, 0.2100, 0.2500, 0.00, 0.3500, 0),
    (0.14, 0.0460, 0.0460, 0.00, 0.1000, 0),
    (0.14, 0.0460, 0.0460, 0.00, -0.1000, 0),
    (0.16, 0.0460, 0.0230, -0.08, -0.6050, 0),
    (0.16, 0.0230, 0.0230, 0.00, -0.6060, 0),
    (0.16, 0.0230, 0.0460, 0.06, -0.6050, 0),
]


def phantom(side):
    """A slice of `side` pixels a side, softened at its edges and grained as a scanner's is."""
    grain = random.Random(1974)
    turned = [(v, a, b, x, y, math.cos(math.radians(t)), math.sin(math.radians(t))) for v, a, b, x, y, t in ELLIPSES]
    edge = side / 2.6
    rows = []
    for row in range(side):
        y = 1.04 - 2.08 * (row + 0.5) / side
        line = bytearray()
        for column in range(side):
            x = 2.08 * (column + 0.5) / side - 1.04
            value = 0.0
            for brightness, a, b, cx, cy, cos, sin in turned:
                u, v = x - cx, y - cy
                distance = math.hypot((u * cos + v * sin) / a, (v * cos - u * sin) / b)
                inside = (1.0 - distance) * min(a, b) * edge + 0.5
                value += brightness * min(1.0, max(0.0, inside))
            value += grain.gauss(0, 0.012) if value > 0.02 else abs(grain.gauss(0, 0.004))
            line.append(max(0, min(255, round(18 + 225 * value))))
        rows.append(bytes(line))
    write_png("scan.png", side, side, rows, 1)


def heartbeat(phase):
    """Millivolts at `phase` (0 to 1) of one beat: P wave, QRS complex, T wave."""
    bumps = [(0.18, 0.025, 0.14), (0.29, 0.009, -0.16), (0.32, 0.011, 1.15), (0.352, 0.010, -0.28), (0.56, 0.045, 0.30)]
    return sum(height * math.exp(-(((phase - at) / width) ** 2) / 2) for at, width, height in bumps)


def electrocardiogram(width, height):
    """A trace on paper with lines each 5 and 25 pixels."""
    paper, fine, bold, ink = (255, 252, 250), (250, 229, 226), (240, 200, 196), (28, 36, 60)
    picture = []
    for y in range(height):
        picture.append([bold if x % 25 == 0 or y % 25 == 0 else fine if x % 5 == 0 or y % 5 == 0 else paper for x in range(width)])
    level = [height * 0.68 - 78 * heartbeat((x / 150.0) % 1.0) for x in range(-1, width + 1)]
    for x in range(width):
        low = min(level[x], level[x + 1], level[x + 2]) - 0.9
        high = max(level[x], level[x + 1]) + 0.9
        for y in range(max(0, math.floor(low)), min(height, math.ceil(high) + 1)):
            cover = max(0.0, min(1.0, min(y + 1, high) - max(y, low)))
            picture[y][x] = tuple(round(b + (i - b) * cover) for b, i in zip(picture[y][x], ink))
    write_png("ecg.png", width, height, [bytes(v for pixel in row for v in pixel) for row in picture], 3)


phantom(512)
electrocardiogram(751, 176)
