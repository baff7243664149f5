"""Single values that break parsers, as they are written in YAML."""

from random import Random

LONG = 300_000
"""Characters of what is meant to be too long."""

SCALARS = (
    # numbers
    "0",
    "-1",
    "1" + 30 * "0",
    "-" + 40 * "9",
    "9" * 5000,
    "0x" + 5000 * "f",
    "0x",
    "0b",
    "0o777",
    "08",
    "0b" + 6000 * "1",
    "1_000",
    "_",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
    ".inf",
    "-.inf",
    ".nan",
    "1.5",
    "2147483648",
    "9223372036854775808",
    "18446744073709551616",
    "190:20:30",
    "1:" * 200 + "1",
    "-0.0",
    # text that is nearly something else
    "''",
    "'0'",
    "yes",
    "null",
    "~",
    "=",
    "<<",
    "*",
    "&",
    "!",
    "?",
    "'%s%n{0}{x!r}'",
    "'../../../esc'",
    "'/etc/passwd'",
    "'a\\nb'",
    "'[bold red]x[/]'",
    "'-'",
    # dates
    "2026-01-01",
    "2026-13-41",
    "0000-00-00",
    "2026-01-01T00:00:00Z",
    "9999-99-99 99:99:99",
    # tags
    "!!bool maybe",
    "!!int twelve",
    "!!int ''",
    "!!float one",
    "!!null x",
    "!!binary '*'",
    "!!binary aGk=",
    "!!timestamp never",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!pairs [a: 1]",
    "!!str 3",
    "!!map [1]",
    "!!seq {a: 1}",
    "!!int [1]",
    "!!float {a: 1}",
    "!!merge x",
    "!!value x",
    "!unknown x",
    "!!python/object/apply:os.system ['touch touched']",
    "!!python/name:os.system",
    "!<tag:yaml.org,2002:python/object/new:subprocess.Popen> [[touch, touched]]",
    # characters
    r'"\UFFFFFFFF"',
    r'"\U00110000"',
    r'"\ud800"',
    r'"\uDFFF\uD800"',
    r'"\x1b[2J\x1b]0;title\x07"',
    r'"\e[31mred"',
    r'"\x9b31m"',
    r'"\0"',
    r'"\N\_\L\P"',
    r'"\u202e\u2066"',
    r'"\xzz"',
    r'"\q"',
    "'\u202eabc'",
    "'\U0001f9e0'",
    "'\x85'",
    # code
    "'os:system'",
    "'subprocess:Popen'",
    "'hostile:boom'",
    "'neuro_aws.cli:main'",
    "'builtins:exec'",
    "'numpy:ndarray'",
    "'torch:load'",
    "'a.b.c.d:e'",
    # collections where there should be none
    "[]",
    "{}",
    "[[]]",
    "{? [1, 2] : 3}",
    "{? {a: 1} : 3}",
    "{1: 2}",
    "{null: 2}",
    "{true: 2, 'true': 3}",
    "{'': 2}",
    "{1.5: 2}",
    "{2026-01-01: 2}",
    "[1, [2, [3, [4]]]]",
    # anchors, aliases, merge keys
    "*nothing",
    "&a [*a]",
    "&a {k: *a}",
    "{<<: {a: 1}}",
    "{<<: [1, 2]}",
    "{<<: &b {<<: *b}}",
    "[&a 1, *a]",
)


def scalar(rng: Random) -> str:
    """Return one value; seldom one that is very long or very deep."""
    if rng.random() < 0.04:
        return rng.choice(
            (
                "'" + LONG * "x" + "'",
                '"' + LONG // 4 * r"\x1b" + '"',
                "[" * 3000 + "]" * 3000,
                "[" * 500 + "1" + "]" * 500,
                "{a: " * 1000 + "1" + "}" * 1000,
                "[" + "1, " * 20_000 + "1]",
                laughs(7),
                "1" * LONG,
                "- " * 2000 + "1",
            )
        )
    return rng.choice(SCALARS)


def laughs(levels: int) -> str:
    """Return aliases that multiply: ten times as many nodes a level."""
    levelled = ["&l0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        levelled.append(f"&l{level} [" + ", ".join(10 * [f"*l{level - 1}"]) + "]")
    return "[" + ", ".join(levelled) + "]"
