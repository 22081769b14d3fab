"""Image files written by hand, as programs write them that neither Pillow nor OpenCV is."""

import struct
import zlib
from pathlib import Path

import numpy as np


def tiff(path: Path, *pages: np.ndarray, photometric: int = 2, order: str = "<", planar: bool = False, **tags) -> Path:
    """An uncompressed TIFF of one strip per page, [h w] or [h w bands].

    Args:
        order: of bytes, `<` or `>`.
        planar: each band on a plane of its own.
        tags: further ones by name.
    """
    numbers = {"subfile": 254, "orientation": 274, "extra": 338, "bits": 258, "lut": 320}
    content = bytearray({"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 0))
    pointer = 4
    for page in pages:
        height, width, *rest = page.shape
        bands = rest[0] if rest else 1
        stored = np.moveaxis(page, -1, 0) if planar and rest else page
        strips = [plane.astype(page.dtype.newbyteorder(order)).tobytes() for plane in (stored if planar else [stored])]
        offsets = []
        for strip in strips:
            offsets.append(len(content))
            content += strip + b"\0" * (len(strip) % 2)
        kind = {"u": 1, "i": 2, "f": 3}[page.dtype.kind]
        entries = {
            256: [width], 257: [height], 258: [8 * page.dtype.itemsize] * bands, 259: [1], 262: [photometric],
            273: offsets, 277: [bands], 278: [height], 279: [len(strip) for strip in strips],
            284: [2 if planar else 1], 339: [kind] * bands,
        }  # fmt: skip
        entries |= {numbers[name]: value if isinstance(value, list) else [value] for name, value in tags.items()}
        long = (256, 257, 273, 278, 279)
        blocks = {}
        for tag, values in sorted(entries.items()):
            packed = struct.pack(f"{order}{len(values)}{'I' if tag in long else 'H'}", *values)
            if len(packed) > 4:
                blocks[tag] = struct.pack(f"{order}I", len(content))
                content += packed + b"\0" * (len(packed) % 2)
            else:
                blocks[tag] = packed.ljust(4, b"\0")
        content[pointer : pointer + 4] = struct.pack(f"{order}I", len(content))
        content += struct.pack(f"{order}H", len(entries))
        for tag, values in sorted(entries.items()):
            content += struct.pack(f"{order}HHI", tag, 4 if tag in long else 3, len(values)) + blocks[tag]
        pointer = len(content)
        content += struct.pack(f"{order}I", 0)
    path.write_bytes(content)
    return path


def png(path: Path, rows: np.ndarray, depth: int, color: int, *chunks: tuple[bytes, bytes], size=None) -> Path:
    """A PNG of rows that are packed already, [h bytes].

    Args:
        chunks: (name, content) of further ones, before the pixels.
        size: (height, width) that it claims, by default what the rows hold.
    """
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    height, width = size or (len(rows), rows.shape[1] * 8 // (depth * channels))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in parts
        )
    )
    return path
