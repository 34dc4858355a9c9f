"""Colors of architectures on a dark page, with enough contrast to see them."""

DARK_PAPER = (0x14, 0x17, 0x1B)
"""Background of the dark page, as in `report.css`."""
MIN_CONTRAST = 4.5
"""Least contrast, which the Web Content Accessibility Guidelines ask of text; graphics need 3."""
WHITE = (255, 255, 255)
SHARE_OF_CONTRAST = 0.65
"""Share of its contrast on white that a color keeps on the dark page."""
STEPS = 20

Rgb = tuple[int, int, int]


def lighten(color: str, background: Rgb = DARK_PAPER) -> str:
    """Returns a color `#rrggbb`, mixed with as little white as gives it enough contrast on a dark background.

    A color that is dark on white becomes a light one, so that those that differ in nothing else stay apart.
    """
    rgb = parse_color(color)
    wanted = max(MIN_CONTRAST, contrast(rgb, WHITE) * SHARE_OF_CONTRAST)
    for step in range(STEPS + 1):
        red, green, blue = (round(part + (255 - part) * step / STEPS) for part in rgb)
        if contrast((red, green, blue), background) >= wanted:
            break
    return f"#{red:02x}{green:02x}{blue:02x}"


def parse_color(color: str) -> Rgb:
    """Returns red, green and blue of a color `#rrggbb`, from 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def contrast(first: Rgb, second: Rgb) -> float:
    """Returns the contrast of two colors, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: Rgb) -> float:
    """Returns the relative luminance of a color, from 0 to 1 (WCAG 2.2)."""
    shares = (part / 255 for part in color)
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
