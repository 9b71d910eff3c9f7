#!/usr/bin/env python3
"""Measures what TigerVNC's lossless Tight encoding needs for each screen of the corpus.

Usage: benches/tight.py [screen.png ...]     (default: target/corpus/*.png and benches/corpus/screens/*.png)

Starts Xtigervnc, paints each screen on its root window with ImageMagick's `display`, and connects as a
viewer that asks for Tight, compression level 2, no JPEG. The count is of the second full update, when
the server's zlib streams are warm. The server's processor time gives the speed. Where `cargo bench --bench codec`
has left the codec's bytes (target/corpus/codec.txt), they are set beside it.
"""
import glob, os, socket, struct, subprocess, sys, time

DISPLAY = int(os.environ.get("TIGHT_DISPLAY", "77"))
WIDTH, HEIGHT = 1920, 1080
TIGHT, LAST_RECT, COMPRESSION_2 = 7, -224, -254


class Viewer:
    """The least RFB client that can count: it reads rectangles and throws their pixels away."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.stream = self.socket.makefile("rb", 1 << 20)
        self.count = 0
        assert self.read(12).startswith(b"RFB 003.008")
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self.read(self.read(1)[0])
        assert 1 in kinds, "the server must allow connections without a password"
        self.socket.sendall(b"\x01")
        assert self.read(4) == b"\0\0\0\0"
        self.socket.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.read(struct.unpack(">I", self.read(4))[0])
        pixel_format = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
        self.socket.sendall(b"\0\0\0\0" + pixel_format)
        wanted = [TIGHT, LAST_RECT, COMPRESSION_2]
        self.socket.sendall(struct.pack(f">BxH{len(wanted)}i", 2, len(wanted), *wanted))

    def read(self, size):
        data = self.stream.read(size)
        if len(data) != size:
            raise EOFError("the server closed the connection")
        self.count += size
        return data

    def compact_length(self):
        length = 0
        for shift in (0, 7, 14):
            byte = self.read(1)[0]
            length |= (byte & (0x7F if shift < 14 else 0xFF)) << shift
            if byte < 0x80:
                break
        return length

    def data(self, size):
        """Tight's pixel data: stored below 12 bytes, else a length and zlib."""
        self.read(size if size < 12 else self.compact_length())

    def rectangle(self):
        x, y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
        if encoding == LAST_RECT:
            return False
        assert encoding in (TIGHT, 0), f"unexpected encoding {encoding}"
        if encoding == 0:
            self.read(width * height * 4)
            return True
        control = self.read(1)[0] >> 4
        if control == 8:
            self.read(3)
            return True
        assert control < 8, "JPEG was not asked for"
        bits = 24
        if control & 4:
            kind = self.read(1)[0]
            if kind == 1:
                colours = self.read(1)[0] + 1
                self.read(colours * 3)
                bits = 1 if colours == 2 else 8
        self.data((width * bits + 7) // 8 * height)
        return True

    def update(self):
        """Asks for the whole screen; returns the bytes of the answer."""
        self.socket.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))
        while self.read(1) != b"\0":
            raise ValueError("only framebuffer updates are expected")
        before = self.count - 1
        rectangles = struct.unpack(">xH", self.read(3))[0]
        while rectangles and self.rectangle():
            rectangles -= 1 if rectangles != 0xFFFF else 0
        return self.count - before


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    screens = {}
    for folder in ("benches/corpus/screens", "target/corpus"):
        for path in sorted(glob.glob(os.path.join(root, folder, "*.png"))):
            screens[os.path.basename(path)[:-4]] = path
    if len(sys.argv) > 1:
        screens = {os.path.basename(path)[:-4]: path for path in sys.argv[1:]}
    ours = {}
    sizes = os.path.join(root, "target/corpus/codec.txt")
    if os.path.exists(sizes):
        with open(sizes) as lines:
            ours = {name: int(size) for name, size in (line.split() for line in lines)}
    server = subprocess.Popen(
        ["Xtigervnc", f":{DISPLAY}", "-geometry", f"{WIDTH}x{HEIGHT}", "-depth", "24", "-SecurityTypes", "None",
         "-localhost", "-rfbport", str(5900 + DISPLAY), "-AlwaysShared"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        print(f"{'screen':<16}{'Tight bytes':>12}{'MPix/s':>8}{'codec bytes':>13}{'ratio':>7}")
        for name, path in screens.items():
            subprocess.run(["display", "-display", f":{DISPLAY}", "-window", "root", path], check=False)
            viewer = Viewer(5900 + DISPLAY)
            viewer.update()
            size = viewer.update()
            start, rounds = processor_seconds(server.pid), 5
            for _ in range(rounds):
                viewer.update()
            seconds = max(processor_seconds(server.pid) - start, 0.01)
            line = f"{name:<16}{size:>12}{WIDTH * HEIGHT * rounds / seconds / 1e6:>8.0f}"
            if name in ours:
                line += f"{ours[name]:>13}{ours[name] / size:>7.3f}"
            print(line, flush=True)
            viewer.socket.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
