"""Sound and video files, as far as they can be made without an encoder.

Sound is a real FLAC or MP3 file. A video is a placeholder: the header of its container, so that its
type is recognised, and no frame.
"""

import math
import struct
from functools import cache

SAMPLE_RATE_HZ = 8_000
BLOCK_SAMPLES = 4_096
LOUDNESS = 8_000
LOWEST_HZ = 220
# A frame of MPEG-1 layer III: 1,152 samples at 44.1 kHz in 417 bytes at 128 kbit/s, mono.
MP3_HEADER = b"\xff\xfb\x90\xc4"
MP3_FRAME_BYTES = 144 * 128_000 // 44_100
MP3_FRAMES_PER_S = 44_100 / 1_152


def flac_tone(seconds: float, digest: str) -> bytes:
    """A mono 16-bit tone whose pitch follows from the digest."""
    pitch_hz = LOWEST_HZ + int(digest[:4], 16) % LOWEST_HZ
    turn = 2 * math.pi * pitch_hz / SAMPLE_RATE_HZ
    count = max(1, round(seconds * SAMPLE_RATE_HZ))
    samples = [round(LOUDNESS * math.sin(turn * index)) for index in range(count)]
    return flac(samples)


def mp3_silence(seconds: float, digest: str) -> bytes:
    """Silence as MP3 (MPEG-1 layer III, mono, 44.1 kHz, 128 kbit/s), with the digest as its title.

    Frames of zeros decode to silence, so no encoder is needed.
    """
    title = b"\0" + digest.encode("latin-1")
    tag = b"TIT2" + len(title).to_bytes(4, "big") + b"\0\0" + title
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    frame = MP3_HEADER + bytes(MP3_FRAME_BYTES - len(MP3_HEADER))
    return b"ID3\3\0\0" + size + tag + frame * max(1, round(seconds * MP3_FRAMES_PER_S))


def flac(samples: list[int]) -> bytes:
    """16-bit mono samples as FLAC, uncompressed.

    Verbatim subframes of 16-bit samples keep everything on byte boundaries.
    Format: https://www.rfc-editor.org/rfc/rfc9639
    """
    stream_info = struct.pack(">HH3x3x", BLOCK_SAMPLES, BLOCK_SAMPLES)
    # 20 bits sample rate, 3 bits channels - 1, 5 bits depth - 1, 36 bits number of samples
    stream_info += (SAMPLE_RATE_HZ << 44 | 15 << 36 | len(samples)).to_bytes(8, "big")
    stream_info += bytes(16)  # no MD5: unknown
    metadata = b"\x80" + len(stream_info).to_bytes(3, "big") + stream_info
    blocks = range(0, len(samples), BLOCK_SAMPLES)
    frames = [
        _flac_frame(number, samples[start : start + BLOCK_SAMPLES])
        for number, start in enumerate(blocks)
    ]
    return b"fLaC" + metadata + b"".join(frames)


def webm_placeholder() -> bytes:
    """An EBML header that says webm, and a comment."""
    header = _ebml(0x4282, b"webm") + _ebml(0x4287, b"\x04") + _ebml(0x4285, b"\x02")
    return _ebml(0x1A45DFA3, header) + _ebml(0xEC, b"SIMULATED")


def mp4_placeholder() -> bytes:
    """A file type box that says mp4, and a free box with a comment."""
    return _box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41") + _box(b"free", b"SIMULATED")


def _flac_frame(number: int, block: list[int]) -> bytes:
    # fixed block size told in 16 bits at the end of the header, rate and depth as in the stream
    header = b"\xff\xf8\x70\x00" + _coded_number(number) + struct.pack(">H", len(block) - 1)
    header += bytes([_crc(header, bits=8, polynomial=0x07)])
    body = header + b"\x02" + struct.pack(f">{len(block)}h", *block)
    return body + struct.pack(">H", _crc(body, bits=16, polynomial=0x8005))


def _coded_number(number: int) -> bytes:
    # the same scheme as UTF-8, which reaches far enough: 4096 samples times 55,000
    return chr(number).encode()


def _crc(data: bytes, *, bits: int, polynomial: int) -> int:
    table, mask, value = _crc_table(bits, polynomial), (1 << bits) - 1, 0
    for byte in data:
        value = (value << 8 ^ table[value >> (bits - 8) ^ byte]) & mask
    return value


@cache
def _crc_table(bits: int, polynomial: int) -> list[int]:
    return [_crc_of_byte(byte, bits, polynomial) for byte in range(256)]


def _crc_of_byte(byte: int, bits: int, polynomial: int) -> int:
    value, top, mask = byte << (bits - 8), 1 << (bits - 1), (1 << bits) - 1
    for _ in range(8):
        value = (value << 1 ^ polynomial if value & top else value << 1) & mask
    return value


def _ebml(element: int, content: bytes) -> bytes:
    name = element.to_bytes((element.bit_length() + 7) // 8, "big")
    return name + bytes([0x80 | len(content)]) + content


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content
