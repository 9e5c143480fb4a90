#!/usr/bin/env python3
"""Compares what taskscope finds with what taskscope-gallery says it planted.

    gallery_proof.py GALLERY TASKSCOPE [--seed S] [--count N] [--batch B] [--load L] NAME...

A NAME is a trouble of the gallery, or a decoy (there are 'troubles' and 'decoys', too, for all of
them), or 'closing': deadlocks that close under observation. Plants N seeds of each, B in one process, and looks at the process from outside: live with
`taskscope stats`, and through `taskscope record`. Every plant has to be found with exactly its
tasks, place and resource, and as certain as the gallery says; nothing else of its kind may be found.
Of decoys, nothing may be certain; on a machine that has no time for the gallery its healthy tasks
are late indeed, so what is told by times is wrong with --strict only.

A slow machine may take its time: it is looked again until all is found, for at most --limit seconds.
How long it took is printed, a line of JSON for each name and way. Exit status 1: something is wrong.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

# --- what is right: for each kind, the plants of that kind against the findings of that kind.
# A comparator returns sentences about what is wrong.


def line_of(finding):
    keys = ("kind", "certainty", "tasks", "resources", "where", "text")
    return json.dumps({key: finding[key] for key in keys if key in finding})


def one_for_one(is_same):
    """A finding for each plant, by is_same(plant, finding), and no more."""

    def compare(plants, findings):
        wrong = []
        left = list(findings)
        for plant in plants:
            same = [finding for finding in left if is_same(plant, finding)]
            if same:
                left.remove(same[0])
                continue
            near = [f for f in findings if set(f["tasks"]) & set(plant["tasks"])]
            wrong.append(
                f"not found as planted: seed {plant['seed']}, {plant['shape']}: {line_of(plant)}"
                + "".join(f"\n        but {line_of(finding)}" for finding in near))
        wrong += [f"found, but not planted: {line_of(finding)}" for finding in left]
        return wrong

    return compare


def all_of_a_place(plants, findings):
    """Findings put the tasks of one place together; all plants of the place have to be in them."""

    def by_place(rows):
        places = {}
        for row in rows:
            places.setdefault((row["where"], row["certainty"]), []).extend(row["tasks"])
        return {place: sorted(tasks) for place, tasks in places.items()}

    planted, found = by_place(plants), by_place(findings)
    wrong = []
    for place in planted.keys() | found.keys():
        missing = set(planted.get(place, [])) - set(found.get(place, []))
        extra = set(found.get(place, [])) - set(planted.get(place, []))
        if missing:
            wrong.append(f"at {place}: not found: {sorted(missing)}")
        if extra:
            wrong.append(f"at {place}: found, but not planted: {sorted(extra)}")
    return wrong


def known(ids):
    return sorted({one for one in ids if one != 0})


def is_cycle(plant, finding):
    """The resources are in the order of the cycle, those of one member in any."""
    if any(plant[key] != finding[key] for key in ("certainty", "tasks", "where")):
        return False
    left = list(finding["resources"])
    for wait in plant["waits"]:
        wanted = {wait[key] for key in ("resource", "or") if key in wait}
        if set(left[:len(wanted)]) != wanted:
            return False
        del left[:len(wanted)]
    return not left


def is_line(plant, finding):
    def key(row):
        return (row["certainty"], sorted(row["tasks"]), known(row["resources"]), row["where"])

    return key(plant) == key(finding)


def is_starved(plant, finding):
    """Where they wait is known of those that were seen waiting; else it is where they were spawned."""
    return (finding["certainty"] == plant["certainty"] and finding["others"] == [plant["behind"]]
            and sorted(finding["tasks"]) == sorted(plant["tasks"])
            and in_file(finding, plant))


def is_slow(plant, finding):
    return is_line(plant, finding) and sorted(finding["others"]) == sorted(plant["waiting"])


def in_file(finding, plant):
    return finding["where"].rpartition(":")[0] == plant["where"].rpartition(":")[0]


def one_finding(is_place):
    """Of one call site all troubles are one finding: exactly the tasks and resources of all plants.
    is_place(finding, plant) of one of them."""

    def compare(plants, findings):
        if len(findings) != 1:
            return [f"found {len(findings)}, and not 1"] + [line_of(one) for one in findings]
        finding = findings[0]
        wrong = []
        for key in ("tasks", "resources"):
            planted = sorted({one for plant in plants for one in plant[key]})
            if known(finding[key]) != known(planted):
                wrong.append(f"{key}: not found: {sorted(set(planted) - set(finding[key]))}; found, "
                             f"but not planted: {sorted(set(finding[key]) - set(planted))}")
        if finding["certainty"] != plants[0]["certainty"]:
            wrong.append(f"is {finding['certainty']}, and not {plants[0]['certainty']}")
        if not any(is_place(finding, plant) for plant in plants):
            wrong.append(f"is at {finding['where']}, and not {plants[0]['where']}")
        return wrong

    return compare


def same_place(finding, plant):
    return finding["where"] == plant["where"]


COMPARE = {
    "deadlock": one_for_one(is_cycle),
    "stuck-behind": one_for_one(is_line),
    "orphan": one_for_one(is_line),
    "lost-waker": all_of_a_place,
    "slow-consumer": one_for_one(is_slow),
    "permit-leak": one_for_one(is_line),
    "starvation": one_for_one(is_starved),
    "self-wakes": one_finding(same_place),
    "timer-burst": one_finding(same_place),
    # The await or call where it happens is known from the native stack, if at all.
    "large-frame": one_finding(in_file),
    "blocking-poll": one_finding(in_file),
    "never-yielded": one_finding(in_file),
}

TIMED = ("blocking-poll", "never-yielded", "starvation", "slow-consumer", "timer-burst")
STUCK = ("deadlock", "stuck-behind", "orphan", "lost-waker")


class Trouble:
    """`judged`: kinds of which nothing but the plants may be found. `over`: findings that are over
    count, too. `batch`: plants in one process; `options` of the gallery."""

    def __init__(self, judged=STUCK, over=False, batch=20, load=64, options=(), seconds=2):
        self.judged = judged
        self.over = over
        self.batch = batch
        self.load = load
        self.options = list(options)
        self.seconds = seconds  # of a recording


TROUBLES = {
    "deadlock": Trouble(),
    "stuck-behind": Trouble(),
    "orphan": Trouble(),
    "lost-waker": Trouble(),
    "slow-consumer": Trouble(judged=("slow-consumer",), batch=10),
    "lost-permit": Trouble(judged=("permit-leak",)),
    "self-wakes": Trouble(judged=("self-wakes",), batch=5),
    "timer-burst": Trouble(judged=("timer-burst",), batch=2),
    "large-frame": Trouble(judged=("large-frame",)),
    # Each of these takes a worker for itself.
    "starved": Trouble(judged=("starvation",), batch=2, load=16),
    "blocks": Trouble(judged=("blocking-poll",), batch=3, load=0, options=("--workers", "8")),
    "never-yields": Trouble(judged=("never-yielded",), batch=3, load=16,
                            options=("--workers", "8")),
}

DECOYS = {
    "contended": Trouble(batch=5, load=0),
    "timeout-cycle": Trouble(),
    "moved-guard": Trouble(),
    "signal-semaphore": Trouble(),
    "blocking-holder": Trouble(),
    "slow-sender": Trouble(),
    "long-yielding": Trouble(batch=4),
    "long-sleep": Trouble(),
}

# --- how it is looked at


class Gallery:
    """A gallery that has planted; `plants` are its lines."""

    def __init__(self, arguments, name, trouble, seed, count):
        what = ["--decoy", name] if name in DECOYS else ["--" + name]
        load = trouble.load if arguments.load is None else arguments.load
        self.process = subprocess.Popen(
            [arguments.gallery, *what, "--seed", str(seed), "--count", str(count), "--load",
             str(load), *trouble.options],
            stdout=subprocess.PIPE, text=True)
        self.plants = []
        try:
            for text in self.process.stdout:
                row = json.loads(text)
                if "planted" in row:
                    return
                self.plants.append(row)
            raise SystemExit(f"{name} with seed {seed}: the gallery ended: {self.process.wait()}")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()


def stats(arguments, target):
    done = subprocess.run([arguments.taskscope, "stats", target, "--json", "--set",
                           "tasks-per-finding=100000"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def look_live(arguments, gallery, _):
    return stats(arguments, str(gallery.process.pid))


def look_recorded(arguments, gallery, trouble):
    path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "proof.tscope")
    subprocess.run([arguments.taskscope, "record", str(gallery.process.pid), "-o", path,
                    "--seconds", str(trouble.seconds)], stdout=subprocess.DEVNULL, check=True)
    return stats(arguments, path)


WAYS = {"live": look_live, "recorded": look_recorded}


def prove_closing(arguments):
    """Rings that close while they are watched, from the gallery's first task on. What is certain has
    to be found, within a second of the session's own time after its last member began to wait."""
    path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "closing.tscope")
    done = subprocess.run(
        [arguments.taskscope, "record", "-o", path, "--", arguments.gallery, "--deadlock", "--seed",
         str(arguments.seed), "--count", str(arguments.count), "--load", "64", "--seconds", "3"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    rows = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    plants = [row for row in rows if row.get("kind") == "deadlock"]
    deadlocks = [one for one in stats(arguments, path)["findings"] if one["kind"] == "deadlock"]
    wrong, took, suspects = [], [0], 0
    for plant in plants:
        found = [one for one in deadlocks if is_cycle(plant, one)]
        if plant["certainty"] == "suspect":
            suspects += 1 if found else 0
        elif not found:
            wrong.append(f"not found as planted: seed {plant['seed']}, {plant['shape']}")
        else:
            took.append((found[0]["named_ns"] - found[0]["since_ns"]) / 1e9)
    certain = sum(plant["certainty"] == "certain" for plant in plants)
    planted = {tuple(plant["tasks"]) for plant in plants}
    wrong += [f"found, but not planted: {line_of(one)}" for one in deadlocks
              if one["certainty"] == "certain" and tuple(one["tasks"]) not in planted]
    if max(took) > 1:
        wrong.append(f"named {max(took)} s after the ring was closed")
    print(json.dumps({"name": "closing", "certain": certain, "wrong": len(wrong),
                      "suspects": len(plants) - certain, "suspects_found": suspects,
                      "longest_s": round(max(took), 3)}), flush=True)
    for sentence in wrong[:20]:
        print("    " + sentence, flush=True)
    return not wrong


def compare(plants, found, trouble):
    wrong = []
    findings = [one for one in found["findings"] if one["active"] or trouble.over]
    for kind in trouble.judged:
        wrong += COMPARE[kind]([plant for plant in plants if plant["kind"] == kind],
                               [finding for finding in findings if finding["kind"] == kind])
    return wrong


def prove_trouble(arguments, gallery, way, trouble):
    """Seconds from the attach on, what is wrong."""
    begin = time.monotonic()
    while True:
        found = WAYS[way](arguments, gallery, trouble)
        wrong = compare(gallery.plants, found, trouble)
        took = time.monotonic() - begin
        if not wrong or took > arguments.limit:
            return took, wrong


def prove_decoy(arguments, gallery, way, trouble, suspects):
    wrong = []
    begin = time.monotonic()
    for _ in range(arguments.looks):
        for finding in WAYS[way](arguments, gallery, trouble)["findings"]:
            late = finding["kind"] in TIMED and not arguments.strict
            if finding["certainty"] == "certain" and not late:
                wrong.append(f"a decoy is called certain: {line_of(finding)}")
            else:
                name = finding["kind"] + (" (certain)" if finding["certainty"] == "certain" else "")
                suspects[name] = suspects.get(name, 0) + 1
    return time.monotonic() - begin, wrong


def prove(arguments, name):
    decoy = name in DECOYS
    trouble = (DECOYS if decoy else TROUBLES)[name]
    batch = arguments.batch or trouble.batch
    took = {way: [] for way in arguments.ways}
    wrong = {way: [] for way in arguments.ways}
    suspects = {way: {} for way in arguments.ways}
    planted = 0
    for seed in range(arguments.seed, arguments.seed + arguments.count, batch):
        count = min(batch, arguments.seed + arguments.count - seed)
        with Gallery(arguments, name, trouble, seed, count) as gallery:
            planted += len(gallery.plants)
            for way in arguments.ways:
                if decoy:
                    seconds, bad = prove_decoy(arguments, gallery, way, trouble, suspects[way])
                else:
                    seconds, bad = prove_trouble(arguments, gallery, way, trouble)
                took[way].append(seconds)
                wrong[way] += bad
    for way in arguments.ways:
        row = {"name": name, "decoy": decoy, "way": way, "seeds": arguments.count,
               "plants": planted, "wrong": len(wrong[way]),
               "longest_s": round(max(took[way]), 2)}
        if decoy:
            row["suspects"] = suspects[way]
        print(json.dumps(row), flush=True)
        for sentence in wrong[way][:20]:
            print("    " + sentence, flush=True)
    return not any(wrong.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery")
    parser.add_argument("taskscope")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--batch", type=int, help="plants in one process")
    parser.add_argument("--load", type=int, help="healthy tasks around them")
    parser.add_argument("--limit", type=float, default=60, help="seconds for each look to succeed")
    parser.add_argument("--strict", action="store_true", help="no excuse for a slow machine")
    parser.add_argument("--looks", type=int, default=2, help="at each decoy")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    arguments = parser.parse_intermixed_args()
    names = []
    for name in arguments.names:
        if name == "troubles":
            names += TROUBLES
        elif name == "decoys":
            names += DECOYS
        elif name in TROUBLES or name in DECOYS or name == "closing":
            names.append(name)
        else:
            parser.error(f"there is no {name}; there are {', '.join([*TROUBLES, *DECOYS])}")
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_RUNTIME_DIR"] = place
        good = [prove_closing(arguments) if name == "closing" else prove(arguments, name)
                for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
