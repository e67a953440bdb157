"""What a file is, by its first bytes."""

import re

START = 512  # bytes that every function here wants, if the file has as many

#: of pictures that Pillow reads, and of HEIC and JPEG XL
_PICTURE = re.compile(
    b"|".join(
        (
            rb"\xff\xd8\xff",  # JPEG, MPO
            rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",  # JPEG 2000
            rb"\x00\x00\x00\x0cJXL \r\n\x87\n",  # JPEG XL
            rb"\x89PNG\r\n\x1a\n",  # PNG
            rb"GIF8[79]a",  # GIF
            rb"RIFF.{4}WEBP",  # WebP
            rb".{4}ftyp(avi[fs]|hei[cfmsx]|hev[cmsx]|mif1|msf1)",  # AVIF, HEIC
            rb"II[*+]\x00|MM\x00[*+]",  # TIFF
            rb"BM.{4}\x00{4}",  # BMP
            rb"P[1-6f]\s",  # PBM, PGM, PPM, PFM
            rb"\x00\x00[\x01\x02]\x00[^\x00]\x00|icns",  # ICO, CUR, ICNS
            rb"8BPS\x00\x01|qoif|DDS |BLP[12]|FTEX",  # PSD, QOI, DDS, BLP, FTEX
            rb"\x59\xa6\x6a\x95|\x01\xda[\x00\x01][\x01\x02]",  # Sun, SGI
            rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]|\xb1\x68\xde\x3a",  # PCX, DCX
            rb"#define \w+_width\s|/\* XPM \*/",  # XBM, XPM
        )
    ),
    re.DOTALL,
)


def is_picture(start: bytes) -> bool:
    """Return whether a file that starts so is a picture."""
    return _PICTURE.match(start) is not None
