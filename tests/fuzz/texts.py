"""Seeded values that nobody would think of: texts, numbers, and documents of YAML and JSON."""

import json
from random import Random
from typing import Any

TEXTS = (
    *(
        "",
        " ",
        "-",
        "--",
        "---",
        ".",
        "..",
        "/",
        "//",
        "~",
        "*",
        "?",
        "&a",
        "*a",
        "!!python/object:os.system",
        "%",
        "$HOME",
    ),
    *("null", "Null", "~", "true", "no", "off", "nan", ".nan", "inf", "-inf", ".inf", "1e400", "0x10", "1_000", "1:30"),
    *("0", "-0", "-1", "1", "2", "3", "00012", "1.5", "1e3", "-1e-300", "5e-324", "9" * 25, "9" * 400, "9" * 5000),
    *(
        "[",
        "]",
        "{",
        "}",
        "[]",
        "{}",
        "[1, 2]",
        "{a: 1}",
        "{a: {b: {c: 1}}}",
        "a: b: c",
        "- x",
        "'",
        '"',
        "`",
        "\\",
        "#",
    ),
    *("\x00", "\x07", "\x1b[2J\x1b[31mred", "\r\n", "\t", "\x7f", "\x85", "\u2028", "\u202eevil", "\ufeff", "\udcff"),
    *("é", "日本語", "\U0001f600", "a\u0301" * 40, "١٢٣", "½", "²", "Ⅷ"),
    *("../../../../etc/passwd", "/dev/null", "/proc/self/mem", "/nonexistent/deep/path", "a/b/c", "con", "x" * 300),
    *(
        "a" * 70_000,
        "1," * 35_000,
        "[" * 5000,
        "{a: " * 3000,
        "a,b,c",
        "lstm,lstm",
        "gru,",
        ",,",
        " , ",
        "os:system",
        ":",
        "a:b",
    ),
    *(
        "package.module:Class",
        "workbench.tasks.addition:Addition",
        "architectures.gru:GRU",
        "torch.nn:LSTM",
        "file:///etc",
    ),
    *(
        "http://127.0.0.1:1/",
        "sqlite:///x.db",
        "postgresql://a:b@127.0.0.1:1/c",
        "1h30m",
        "90s",
        "9" * 30 + "h",
        "1,5h",
    ),
    *(
        "solved",
        "val/loss < 0.1",
        "train/loss < nan",
        "val/accuracy > 0.9, 0 times",
        "val/x < 1e999",
        "5%",
        "(1)",
        "--help",
    ),
)
"""Texts that have broken programs before."""

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 100, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400, 10**5000),
    *(0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e-300, 5e-324, 1e300, 1e308, float("inf"), float("-inf"), float("nan")),
)
"""Numbers on either side of what types hold."""


def text(rng: Random) -> str:
    """Returns a text: one that is known to be awkward, or random characters of any kind."""
    if rng.random() < 0.75:
        return rng.choice(TEXTS)
    kinds = (
        "abcxyz",
        "0123456789",
        ".,:;-_/ ",
        "[]{}()'\"",
        "\x00\x01\x1b\x7f\n\r\t",
        "äßé日本\u202e\U0001f600",
        "\udc80\udcff",
    )
    alphabet = "".join(rng.sample(kinds, rng.randint(1, len(kinds))))
    return "".join(rng.choice(alphabet) for _ in range(rng.choice((1, 2, 5, 20, 500))))


def value(rng: Random, depth: int = 0) -> Any:
    """Returns a value of any kind, also one that a file could not hold."""
    kind = rng.randrange(12 if depth < 3 else 7)
    match kind:
        case 0 | 1 | 2:
            return rng.choice(NUMBERS)
        case 3 | 4:
            return text(rng)
        case 5:
            return rng.choice([None, True, False])
        case 6:
            return rng.choice([b"bytes", object(), Ellipsis, int, 1j, range(3), ValueError("x"), Random])
        case 7:
            return [value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 5)))]
        case 8:
            return tuple(value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 5))))
        case 9 | 10:
            return {text(rng): value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 5)))}
    return {rng.choice([None, 1, 2.5, True, (1, 2)]): value(rng, depth + 1)}


def plain(rng: Random, depth: int = 0) -> Any:
    """Returns a value that JSON can hold, NaN and infinity among them."""
    kind = rng.randrange(10 if depth < 3 else 7)
    match kind:
        case 0 | 1 | 2:
            number = rng.choice(NUMBERS)
            return number if isinstance(number, float) or abs(number) < 10**4000 else 10**4000
        case 3 | 4:
            return text(rng)
        case 5 | 6:
            return rng.choice([None, True, False])
        case 7:
            return [plain(rng, depth + 1) for _ in range(rng.choice((0, 1, 3)))]
    return {text(rng): plain(rng, depth + 1) for _ in range(rng.choice((0, 1, 3)))}


def document(rng: Random) -> bytes:
    """Returns the content of a file that should have been YAML or JSON."""
    match rng.randrange(14):
        case 0:
            return b""
        case 1:
            return rng.randbytes(rng.choice((1, 7, 300, 5000)))
        case 2:
            return b"[" * 20_000
        case 3:
            return b"{a: " * 5000
        case 4:
            return billion_laughs()
        case 5:
            return b"a: &a [*a, *a]\n"
        case 6:
            return "steps: 5\n".encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-16-le")))
        case 7:
            return b"steps: 5\nsteps: 6\n"
        case 8:
            return b"!!python/object/apply:os.system ['touch pwned']\n"
        case 9:
            return json.dumps(plain(rng)).encode(errors="surrogatepass")
        case 10:
            return f"{text(rng)}: {text(rng)}\n".encode(errors="surrogatepass")
        case 11:
            return "\n".join(text(rng) for _ in range(rng.randint(1, 5))).encode(errors="surrogatepass")
        case 12:
            return b"? {a: 1}\n: [2]\n? [x]\n: 3\n<<: {steps: 3}\n1: 2\nnull: 3\n"
    return b"steps: !!int x\nseeds: !!bool maybe\nuntil: !!timestamp 2020-13-45\nx: !!binary '%%%'\n"


def billion_laughs() -> bytes:
    """Returns a short YAML text that stands for ten to the ninth values."""
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join([*lines, "steps: *i", "task: {addition: {length: *i}}"]).encode()
