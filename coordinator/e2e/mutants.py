#!/usr/bin/env python3
"""Plants each known bug in turn and shows which tests catch it: coordinator/e2e/mutants.py [--names] [--finds N] [--table FILE]

`mutants.toml` lists the bugs with their hunters. One build with the features `planted`; AMENDS_PLANTED picks the bug when a test
process starts. Fails if a hunter misses its bug, if a hunter's tests fail with nothing planted, or if the list and the source don't
name the same bugs: then a rule that protects money has no test.

--names    only compares the list with the source; builds nothing
--finds N  lets the simulation find each of its bugs N times, from seeds that no earlier find has used, and gives the mean
--table F  writes the table, as Markdown, to F as well
--jobs N   hunts so many bugs at once; as many as there are cores, unless told otherwise
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "coordinator/e2e/mutants.toml"

# Never built with bugs in them, or the next demo would run those.
PROGRAMS = ["amends", "amends-e2e", "amends-account", "amends-inventory", "amends-payment"]

# Hunters that say themselves what caught the bug; the others are tests that must fail under it.
FOLDERS = {"simulation": "coordinator/simulation", "engine": "coordinator/engine"}
# What a tier is called, by the beginning of its hunter; the first that fits.
TIERS = [
    ("simulation", "simulation: swarm"),
    ("coordinator/simulation outage", "simulation: outage"),
    ("engine", "state machine: random cases"),
    ("coordinator/runtime ownership_model", "model checking"),
    ("coordinator/store kill::no_acknowledged_commit_is_lost_by_a_power_cut", "store, power cut"),
    ("coordinator/store conformance::a_standalone", "store conformance, real Redis"),
    ("coordinator/store conformance", "store conformance"),
    ("coordinator/store redis", "store, real Redis"),
    ("coordinator/store", "store"),
    ("coordinator/runtime", "runtime"),
    ("coordinator/server", "server"),
    ("participants/sdk overlap", "participant SDK, real Postgres"),
    ("participants/sdk", "participant SDK"),
]
# One test, or one find by the simulation: longer means that it hangs, or that the bug isn't found.
SECONDS_MAX = 1200


def features():
    """The features that plant bugs, of all crates but the programs."""
    found = []
    for path in sorted([*ROOT.glob("coordinator/*/Cargo.toml"), *ROOT.glob("participants/*/Cargo.toml")]):
        crate = tomllib.loads(path.read_text())
        name = crate["package"]["name"]
        if "planted" in crate.get("features", {}) and name not in PROGRAMS:
            found.append(f"{name}/planted")
    return found


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
            elif not ("Bug::" in argument or (argument == "bug" and "const BUGS:" in text)):
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
    wrong += [f"nobody hunts {name}" for name, bug in bugs.items() if not bug["by"]]
    wrong += [f"hunted twice by one: {name}" for name, bug in bugs.items() if len({*hunters_of(bug, True)}) < len(hunters_of(bug, True))]
    if wrong:
        sys.exit("\n".join(wrong))
    return len(names)


def build():
    """The test programs of each crate's folder."""
    arguments = ["--features", ",".join(features())] + [argument for program in PROGRAMS for argument in ("--exclude", program)]
    built = subprocess.run([".ci/test-binaries", ".", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
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
    if not bug:
        del environment["AMENDS_PLANTED"]
    with tempfile.TemporaryFile("w+") as log:
        try:
            # A hunt for one bug may take its time for each find.
            seconds = SECONDS_MAX * finds
            done = subprocess.run([binary, *arguments], cwd=ROOT / folder, env=environment, stdout=log, stderr=log, timeout=seconds)
            passes = done.returncode == 0
        except subprocess.TimeoutExpired:
            passes = None
        log.seek(0)
        return passes, log.read()


def hunt(binaries, bug, hunter, finds):
    """What caught the bug, the mean number of seeds, and the log."""
    folder, _, tests = hunter.partition(" ")
    logs = []
    for binary in binaries[FOLDERS.get(folder, folder)]:
        if folder in FOLDERS:
            passes, log = run(binary, FOLDERS[folder], bug, ["planted::", "--nocapture"], finds)
            caught = re.search(rf"planted {bug}: caught by (?!the books)(.+?)(?: at seed| \(seed|$)", log, re.M)
            mean = re.search(rf"planted {bug}: mean ([\d.]+) seeds", log)
            if passes and caught:
                return caught.group(1), mean.group(1) if mean else "", log
        else:
            passes, log = run(binary, folder, bug, [tests], 1)
            # Failing isn't enough: a test must have failed.
            failed = re.search(r"^failures:\n    ([\w:]+)$", log, re.M)
            if passes is False and failed:
                return failed.group(1), "", log
        logs.append(log)
    return None, "", "\n".join(logs)


def sound(binaries, hunter):
    """None if a hunter's tests pass with nothing planted, and there are any; else what they print."""
    folder, _, tests = hunter.partition(" ")
    logs, ran = [], 0
    for binary in binaries[FOLDERS.get(folder, folder)]:
        passes, log = run(binary, FOLDERS.get(folder, folder), "", [tests or "planted::"], 1)
        ran += sum(int(count) for count in re.findall(r"^running (\d+) tests?$", log, re.M))
        if not passes:
            logs.append(log)
    return "\n".join(logs) or (None if ran else f"no such test: {tests}")


def hunters_of(bug, with_slow):
    return bug["by"] + (bug.get("slow", []) if with_slow else [])


def tier(hunter):
    return next(name for beginning, name in TIERS if hunter.startswith(beginning))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--names", action="store_true")
    arguments.add_argument("--finds", type=int, default=1)
    arguments.add_argument("--table", type=Path)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("bug", nargs="*", help="only these")
    chosen = arguments.parse_args()
    bugs = tomllib.loads(LIST.read_text())
    count = check_names(bugs)
    if chosen.names:
        print(f"{count} planted bugs, each with its hunters")
        return
    if unknown := set(chosen.bug) - bugs.keys():
        sys.exit(f"no such bugs: {sorted(unknown)}")
    if chosen.bug and chosen.table:
        sys.exit("a table of a few bugs would replace that of all")
    hunts = [(name, hunter) for name in chosen.bug or bugs for hunter in hunters_of(bugs[name], chosen.table)]
    begun = time.monotonic()
    binaries = build()
    print(f"built in {time.monotonic() - begun:.0f} s", flush=True)
    begun = time.monotonic()
    with ThreadPoolExecutor(chosen.jobs) as pool:
        rows, missed = hunt_all(pool, binaries, bugs, hunts, chosen.finds)
        # With a table, which says what catches a bug: it must be the bug that is caught.
        hunters = sorted({hunter for _, hunter in hunts}) if chosen.table else []
        for hunter, log in zip(hunters, pool.map(lambda hunter: sound(binaries, hunter), hunters)):
            print(f"nothing planted, {hunter}: {'FAILS' if log else 'passes'}", flush=True)
            if log:
                missed.append(f"nothing is planted, and {hunter} fails")
                print("\n".join(log.splitlines()[-30:]), file=sys.stderr)
    if chosen.table and not missed:
        write_table(chosen.table, rows, chosen.finds)
    print(f"{len(hunts)} hunts for {len(chosen.bug or bugs)} bugs in {time.monotonic() - begun:.0f} s")
    if missed:
        sys.exit("not caught: " + ", ".join(missed))


def hunt_all(pool, binaries, bugs, hunts, finds):
    """The table's rows, and what was missed."""

    def one(of):
        (name, hunter), started = of, time.monotonic()
        wanted = min(finds, bugs[name].get("finds", finds))
        caught, mean, log = hunt(binaries, name, hunter, wanted)
        return caught, f"{mean} ({wanted} finds)" if mean and wanted != finds else mean, log, time.monotonic() - started

    print(f"{'PLANTED BUG':<34} {'TIER':<30} {'SEEDS':>15} {'TIME':>8}  CAUGHT BY", flush=True)
    rows, missed = {}, []
    under_way = {pool.submit(one, of): of for of in hunts}
    for number, done in enumerate(as_completed(under_way), 1):
        name, hunter = under_way[done]
        caught, mean, log, seconds = done.result()
        print(f"{name:<34} {tier(hunter):<30} {mean:>15} {seconds:>6.1f} s  {caught or 'NOTHING'}  [{number}/{len(hunts)}]", flush=True)
        rows[name, hunter] = (name, bugs[name], tier(hunter), caught, mean)
        if not caught:
            missed.append(f"{name} ({hunter})")
            print("\n".join(log.splitlines()[-30:]), file=sys.stderr)
    return [rows[of] for of in hunts], missed


def write_table(path, rows, finds):
    names = {name for name, *_ in rows}
    lines = [
        "# Planted bugs",
        "",
        f"Written by `make mutants`: {len(names)} bugs, each picked at run time in one build, {len(rows)} hunts. Every hunter named here",
        "was seen to catch its bug.",
        "",
        f"Mean seeds: how many random runs of the simulation it took to find the bug, over {finds} finds, each from seeds that none before",
        "has used; fewer finds where one takes long, and then the table says so. Other tiers have no seeds: their tests fail at once.",
        "",
        "| PLANTED BUG | BREAKS | TIER | CAUGHT BY | MEAN SEEDS |",
        "|---|---|---|---|--:|",
    ]
    for name, bug, where, caught, mean in rows:
        breaks = bug["breaks"] + (f" (seen in {bug['seen_in']})" if "seen_in" in bug else "")
        lines.append(f"| `{name}` | {breaks} | {where} | `{caught}` | {mean or '–'} |")
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
