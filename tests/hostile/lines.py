"""Wrong command lines of every command; what would be right and long is not among them."""

from random import Random

from tests.hostile.assignments import assignments

LONG = "x" * 5000
PATHS = ("", ".", "..", "/", "none", "p.yaml", "run", "here/none", "/dev/null", "/proc/self/mem")
PATHS += ("-", "--", "a\nb", "\x1b[2J", "\udcff.yaml", LONG, "hostile.py", "run/protocol.yaml", "~")
PATHS += ("run/recording.h5", "../outside", "../outside/canary.txt", "run/checkpoints", "\u202e")
NUMBERS = ("0", "-1", "x", "1.5", "", "1e9", "10" * 40, "²", "0x10", "nan", "inf", "1" * 5000)
MADE = ("", "..", "p.yaml", "run", "made", "made/new.yaml", "made/none/x.yaml", "/proc/x", LONG)
MADE += ("made/\x1b[2J.yaml", "made/a\nb", "made/\udcff.yaml", "/dev/null", "../outside/canary.txt")
"""Where `new` may be told to write: nowhere, or where users write."""

WORDS = ("", "x", ",", "control,,", "control,nosuch", "\x1b[31m", LONG, "../../x", "common", "a:b")
WORDS += ("\udcff", "final", "meta", "cuda", "cuda:99", "cuda:x", "common_life", "ach,x", "[red]")
CODE = ("os:system", "subprocess:Popen", "neuro_aws.cli:main", "x", ":", "a:b:c", "nosuch:x", "")
CODE += (
    "builtins:exec",
    "pandas:DataFrame",
    "a..b:c",
    ".x:y",
    "\x1b:x",
    LONG + ":x",
    "scipy:nosuch",
)

OPTIONS = {
    "validate": {
        "--seed": NUMBERS,
        "--seeds": NUMBERS,
        "--jobs": NUMBERS,
        "--data": PATHS,
        "--set": None,
        "--short": (),
        "--nosuch": WORDS,
    },
    "plot": {
        "--traces": WORDS,
        "--animal": NUMBERS,
        "--arm": WORDS,
        "--csv": ("/proc/x.csv", ".", "made/none/t.csv", LONG, "made/t.csv"),
        "--out": ("/proc/x.png", ".", "made/t.nosuch", "made/none/t.png", LONG, "\x1b/t.png"),
    },
    "evaluate": {
        "--measure": (*WORDS, "ach_gap", "svm_10fold,ach_gap", "spike_rates"),
        "--arm": WORDS,
        "--repeats": ("0", "-1", "x", "1.5", "", "1"),
        "--extractor": PATHS,
        "--samples": NUMBERS,
        "--device": WORDS,
        "--data": PATHS,
        "--state": (*WORDS, "best", "00000005", "5", "../control", "../../x"),
    },
    "compare": {"--nosuch": WORDS},
    "inspect": {"--datasets": (), "--verify": (), "--nosuch": WORDS},
    "export": {
        "--format": ("csv", "parquet", "nwb", "docx", "", LONG),
        "--animal": NUMBERS,
        "--arm": WORDS,
        "--out": ("/proc/x", "p.yaml", "/dev/null", LONG),
        "--step-duration": NUMBERS,
        "--inspect": (),
    },
    "list": {"--folder": PATHS},
    "run": {
        "--seed": NUMBERS,
        "--seeds": NUMBERS,
        "--jobs": NUMBERS,
        "--device": WORDS,
        "--save-every": NUMBERS,
        "--arms": WORDS,
        "--data": PATHS,
        "--accept-loss": (),
        "--short": (),
        "--set": None,
        "--out": ("/proc/x", "p.yaml", "/dev/null", LONG),
    },
    "check-algorithm": {"--options": ("[", "3", "{a: 1}", "!!bool maybe", "[" * 3000, LONG, "")},
    "new": {"--nosuch": WORDS},
    "upgrade": {"--nosuch": WORDS},
    "nosuch": {"--nosuch": WORDS},
}
"""Of each command, the options and what may stand after them."""

OUT = ("/proc/x", "p.yaml", "/dev/null", LONG)
ADDRESSES = ("", "tcp://", "tcp://[::", "nowhere://x", "tcp://127.0.0.1:99999999", "\x1b[2J", LONG)
STUDIES = {
    "sweep": {
        "--seeds": (*NUMBERS, "0-3", "3-1", "0-99999999999", "1,1", "-"),
        "--set": None,
        "--zip": (),
        "--random": NUMBERS,
        "--jobs": NUMBERS,
        "--scheduler": ADDRESSES,
        "--device": WORDS,
        "--data": PATHS,
        "--short": (),
        "--step": ("auto", "compiled", "", LONG),
        "--save-every": NUMBERS,
        "--out": OUT,
    },
    "merge": {"--out": OUT, "--nosuch": WORDS},
    "matrix": {
        "--seed": NUMBERS,
        "--seeds": NUMBERS,
        "--jobs": NUMBERS,
        "--set": None,
        "--compare": WORDS,
        "--data": PATHS,
        "--short": (),
        "--out": OUT,
    },
    "report": {
        "--animal": NUMBERS,
        "--output": ("/proc/x.html", ".", "made", "made/none/r.html", LONG, "\x1b/r.html"),
    },
}
"""The same of commands that came later, so that each case of before has kept its number."""


def line(rng: Random) -> list[str]:
    """Return the arguments of one call."""
    words = _options(rng, OPTIONS)
    command = words[0]
    words += _operands(command, rng)
    if rng.random() < 0.05:
        rng.shuffle(words)
    if "run" in words and "--out" not in words and command == "run":
        words += ["--arms", "nosuch"]  # whatever else is right: nothing long is simulated
    return [word.replace("\0", "") for word in words]


def study_line(rng: Random) -> list[str]:
    """Return the arguments of one call of a command on many runs, or of a report."""
    words = _options(rng, STUDIES)
    match words[0]:
        case "sweep":
            words += [rng.choice((*PATHS, *(20 * ["p.yaml"]))), "--arms", "nosuch"]
        case "matrix":
            resumed = ["--resume", rng.choice((*PATHS, "run"))]
            words += rng.choice((["m.yaml"], ["m.yaml"], [rng.choice(PATHS)], resumed))
            words += ["--theories", "nosuch"]
        case "merge":
            words += [rng.choice((*PATHS, "run", "run")) for _ in range(rng.randrange(4))]
        case "report":
            words += [rng.choice([path for path in PATHS if path != "run"])]  # a page takes seconds
    return [word.replace("\0", "") for word in words]


def _options(rng: Random, known: dict[str, dict[str, tuple[str, ...] | None]]) -> list[str]:
    """Return a command and some of its options."""
    command = rng.choice(tuple(known))
    words = [command]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        option = rng.choice(tuple(known[command]))
        values = known[command][option]
        if values is None:
            words += [word for one in assignments(rng) for word in ("--set", one)]
        else:
            words += [option, rng.choice(values)] if values else [option]
    return words


def _operands(command: str, rng: Random) -> list[str]:
    if rng.random() < 0.06:
        return rng.choice(([], ["p.yaml", "p.yaml", "p.yaml"], ["-h"], ["--version"], [LONG] * 9))
    match command:
        case "validate":
            return [rng.choice((*PATHS, *(12 * ["p.yaml"])))]
        case "run":
            return rng.choice((["p.yaml"], ["--resume", "run"], ["--resume", rng.choice(PATHS)]))
        case "plot" | "evaluate" | "inspect" | "export":
            return [rng.choice((*PATHS, *(20 * ["run"])))]
        case "compare":
            return [rng.choice((*PATHS, *(10 * ["run"]))) for _ in range(2)]
        case "new":
            return [rng.choice(MADE)]
        case "upgrade":
            return [rng.choice(("p.yaml", "made", "none", "", "hostile.py", LONG, "/dev/null"))]
        case "check-algorithm":
            return [rng.choice(CODE)]
    return []
