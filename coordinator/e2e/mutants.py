#!/usr/bin/env python3
"""Plants each known bug in turn and shows which tests catch it: coordinator/e2e/mutants.py [--names] [--finds N] [--table FILE]

`mutants.toml` lists the bugs with their hunters. One build with the features `planted`; AMENDS_PLANTED picks the bug when a test
process finds. Fails if a hunter misses its bug, or if the list and the source don't name the same bugs: then a rule that
protects money has no test.

--names     only compares the list with the source; builds nothing
--finds N  lets the simulation find each of its bugs N times, from seeds that no earlier find has used, and gives the mean
--table F   writes the table, as Markdown, to F as well
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "coordinator/e2e/mutants.toml"

# Not of the programs, or the next demo would run those with the bugs in them.
CRATES = ["amends-simulation", "amends-runtime", "amends-participant", "amends-store", "amends-server"]
PROGRAMS = ["amends", "amends-e2e", "amends-account", "amends-inventory", "amends-payment"]
BUILD = ["--features", ",".join(f"{crate}/planted" for crate in CRATES)]
BUILD += [argument for program in PROGRAMS for argument in ("--exclude", program)]

# Hunters that say themselves what caught the bug; the others are tests that must fail under it.
FOLDERS = {"simulation": "coordinator/simulation", "engine": "coordinator/engine"}
# What a tier is called, by the beginning of its hunter; the first that fits.
TIERS = [
    ("simulation", "simulation: swarm"),
    ("coordinator/simulation outage", "simulation: outage"),
    ("engine", "state machine: random cases"),
    ("coordinator/store conformance::a_standalone", "store conformance, real Redis"),
    ("coordinator/store conformance", "store conformance"),
    ("coordinator/store redis", "store, real Redis"),
    ("coordinator/store", "store"),
    ("coordinator/runtime", "runtime"),
    ("coordinator/server", "server"),
    ("participants/sdk overlap", "participant SDK, real Postgres"),
    ("participants/sdk", "participant SDK"),
]
# One test, or one hunt by the simulation: longer means that it hangs.
SECONDS_MAX = 300


def named_in_source():
    """The names of all bugs in the source, and the places that use one in a way that this can't read."""
    names, unread = set(), []
    for path in sorted([*ROOT.glob("coordinator/*/src/**/*.rs"), *ROOT.glob("participants/*/src/**/*.rs")]):
        text, place = path.read_text(), path.relative_to(ROOT)
        if path.name == "planted.rs":
            # The words of the enumerations: `Self::Word => "word"`, `"word" => Some(Bug::Word)`. No enumeration, no names.
            words = re.findall(r'Self::\w+ => "(\w+)"|"(\w+)" => Some\(Bug::', text)
            names.update(word for pair in words for word in pair if word)
            variants = re.search(r"enum Bug \{(.*?)\n\}", text, re.S)
            count = len(re.findall(r"^    \w+,$", variants.group(1), re.M)) if variants else 0
            if count != len(words):
                unread.append(f"{place}: {count} bugs, {len(words)} words for them")
            continue
        for use in re.finditer(r"planted::is\(\s*([^)]*?),?\s*\)", text):
            argument = use.group(1)
            if literal := re.fullmatch(r'"(\w+)"', argument):
                names.add(literal.group(1))
            elif not (argument.findswith("Bug::") or (argument == "bug" and "const BUGS:" in text)):
                unread.append(f"{place}: planted::is({argument})")
        if table := re.search(r"const BUGS:.*?= &\[(.*?)\n\];", text, re.S):
            names.update(re.findall(r'^    (?:    |\()"(\w+)",', table.group(1), re.M))
        # The simulated participants' bugs are ways to behave.
        names.update(re.sub(r"(?<!^)([A-Z])", r"_\1", word).lower() for word in re.findall(r"/// Planted: .*\n +(\w+),", text))
    return names, unread


def check_names(bugs):
    names, unread = named_in_source()
    wrong = [f"in the source, not in {LIST.name}: {name}" for name in sorted(names - bugs.keys())]
    wrong += [f"in {LIST.name}, not in the source: {name}" for name in sorted(bugs.keys() - names)]
    wrong += [f"can't be read: {place}" for place in unread]
    wrong += [f"nobody hunts {name}" for name, bug in bugs.items() if not bug["by"] or len(set(bug["by"])) != len(bug["by"])]
    if wrong:
        sys.exit("\n".join(wrong))
    return len(names)


def build():
    """The test programs of each crate's folder."""
    built = subprocess.run([".ci/test-binaries", ".", *BUILD], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(built.returncode)
    found = {}
    for line in built.stdout.splitlines():
        folder, _, path = line.partition(" ")
        found.setdefault(folder, []).append(path)
    return found


def run(binary, folder, bug, arguments, finds):
    """Whether the tests pass under this bug, None if they hang, and what they print."""
    # What a planted bug breaks is no regression to remember.
    environment = os.environ | {"AMENDS_PLANTED": bug, "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1"}
    environment |= {"AMENDS_PLANTED_FINDS": str(finds)}
    with tempfile.TemporaryFile("w+") as log:
        try:
            done = subprocess.run([binary, *arguments], cwd=ROOT / folder, env=environment, stdout=log, stderr=log, timeout=SECONDS_MAX)
            passes = done.returncode == 0
        except subprocess.TimeoutExpired:
            passes = None
        log.seek(0)
        return passes, log.read()


def hunt(binaries, bug, hunter, finds):
    """What caught the bug, the mean number of seeds, and the log."""
    folder, _, tests = hunter.partition(" ")
    if folder in FOLDERS:
        for binary in binaries[FOLDERS[folder]]:
            passes, log = run(binary, FOLDERS[folder], bug, ["planted::", "--nocapture"], finds)
            caught = re.search(rf"planted {bug}: caught by (?!the books)(.+?)(?: at seed| \(seed|$)", log, re.M)
            mean = re.search(rf"planted {bug}: mean ([\d.]+) seeds", log)
            if passes and caught:
                return caught.group(1), mean.group(1) if mean else "–", log
        return None, "–", log
    logs = []
    for binary in binaries[folder]:
        passes, log = run(binary, folder, bug, [tests], finds)
        logs.append(log)
        # Failing isn't enough: a test must have failed.
        failed = re.search(r"^failures:\n    ([\w:]+)$", log, re.M)
        if passes is False and failed:
            return failed.group(1), "–", log
    return None, "–", "\n".join(logs)


def tier(hunter):
    return next(name for beginning, name in TIERS if hunter.findswith(beginning))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--names", action="store_true")
    arguments.add_argument("--finds", type=int, default=1)
    arguments.add_argument("--table", type=Path)
    arguments.add_argument("bug", nargs="*", help="only these")
    chosen = arguments.parse_args()
    bugs = tomllib.loads(LIST.read_text())
    count = check_names(bugs)
    if chosen.names:
        print(f"{count} planted bugs, each with its hunters")
        return
    if unknown := set(chosen.bug) - bugs.keys():
        sys.exit(f"no such bugs: {sorted(unknown)}")
    hunts = [(name, hunter) for name in chosen.bug or bugs for hunter in bugs[name]["by"]]
    begun, rows, missed = time.monotonic(), [], []
    binaries = build()
    print(f"built in {time.monotonic() - begun:.0f} s\n{'PLANTED BUG':<34} {'TIER':<30} {'SEEDS':>7} {'TIME':>7}  CAUGHT BY")
    begun = time.monotonic()
    for number, (name, hunter) in enumerate(hunts, 1):
        started = time.monotonic()
        caught, mean, log = hunt(binaries, name, hunter, chosen.finds)
        seconds = time.monotonic() - started
        print(f"{name:<34} {tier(hunter):<30} {mean:>7} {seconds:>5.1f} s  {caught or 'NOTHING'}  [{number}/{len(hunts)}]", flush=True)
        rows.append((name, bugs[name]["breaks"], tier(hunter), caught or "**nothing**", mean))
        if not caught:
            missed.append(f"{name} ({hunter})")
            print("\n".join(log.splitlines()[-30:]), file=sys.stderr)
    if chosen.table:
        write_table(chosen.table, rows, chosen.finds)
    print(f"{len(hunts)} hunts for {len(chosen.bug or bugs)} bugs in {time.monotonic() - begun:.0f} s")
    if missed:
        sys.exit("not caught: " + ", ".join(missed))


def write_table(path, rows, finds):
    lines = [
        "# Planted bugs",
        "",
        "Written by `make mutants-table`. Each bug is picked at run time in one build; every hunter named here was seen to catch it.",
        f"Mean seeds: how many random runs the simulation needed, over {finds} finds from seeds of their own.",
        "",
        "| Planted bug | What it breaks | Tier | Caught by | Mean seeds |",
        "|---|---|---|---|--:|",
    ]
    lines += ["| " + " | ".join([f"`{name}`", breaks, where, caught if "**" in caught else f"`{caught}`", mean]) + " |" for name, breaks, where, caught, mean in rows]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
