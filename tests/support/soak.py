"""The soak behind tests/soak: load in rounds, and what has to be as before after each.

A round is redis-benchmark in runs of one kind (a connection a request, connections that stay,
pipelines) beside clients of ours, which open, abort and half-close connections and compare every
reply with a model. Between rounds the server is idle: then descriptors and tasks have to be as many
as before the first, and memory is read. Every other round is recorded by a console, if there is one.

Memory is flat when the most of the later half of the samples is at most TOLERANCE above the most of
the earlier half. Samples of the warm-up, and those that a console's rings are still in, don't count.
"""
import argparse
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

TOLERANCE_KB = 4096
WARM_UP = 0.2           # of the time, at most WARM_UP_S
WARM_UP_S = 120
RINGS_S = 11            # until the server has released what a console needed
CLIENTS = 2             # processes of ours beside redis-benchmark
PATIENCE_S = 60         # more than this is a hang
PREFIX = "soak"


# --- our client: one process, several connections one after the other


class Wrong(Exception):
    pass


def request(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, str):
            word = word.encode()
        elif isinstance(word, int):
            word = b"%d" % word
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def integer(value):
    return b":%d\r\n" % value


def array(values):
    return b"*%d\r\n" % len(values) + b"".join(bulk(value) for value in values)


OK = b"+OK\r\n"
WRONG_TYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
NO_INTEGER = b"-ERR value is not an integer or out of range\r\n"


class Model:
    """What the server holds of one client's keys, and what it has to answer."""

    def __init__(self, name, chance):
        self.name = name
        self.chance = chance
        self.values = {}     # key: bytes or list of bytes
        self.deadlines = {}  # key: (seconds, when it was asked for), far away

    def key(self):
        return f"{PREFIX}:{self.name}:{self.chance.randrange(40)}"

    def text(self):
        if self.chance.random() < 0.02:
            return self.chance.randbytes(self.chance.randrange(200_000))
        return self.chance.randbytes(self.chance.randrange(100))

    def drop(self, key):
        self.deadlines.pop(key, None)
        return 1 if self.values.pop(key, None) is not None else 0

    def step(self):
        """A request and its reply: bytes, or a function that judges the number in it."""
        name = self.chance.choice(STEPS)
        return getattr(self, "do_" + name)(self.key())

    def is_text(self, key):
        return not isinstance(self.values.get(key), list)

    def is_list(self, key):
        return not isinstance(self.values.get(key), bytes)

    def do_ping(self, key):
        return request("ping"), b"+PONG\r\n"

    def do_echo(self, key):
        text = self.text()
        return request("echo", text), bulk(text)

    def do_unknown(self, key):
        return request("nonsense", "x"), \
            b"-ERR unknown command 'nonsense', with args beginning with: 'x' \r\n"

    def do_set(self, key):
        self.deadlines.pop(key, None)
        self.values[key] = self.text()
        return request("set", key, self.values[key]), OK

    def do_set_number(self, key):
        self.deadlines.pop(key, None)
        self.values[key] = b"%d" % self.chance.randrange(-1000, 1000)
        return request("set", key, self.values[key]), OK

    def do_get(self, key):
        asked = request("get", key)
        return asked, bulk(self.values.get(key)) if self.is_text(key) else WRONG_TYPE

    def do_mset(self, key):
        pairs = {self.key(): self.text() for _ in range(3)}
        words = [word for pair in pairs.items() for word in pair]
        for other, value in pairs.items():
            self.deadlines.pop(other, None)
            self.values[other] = value
        return request("mset", *words), OK

    def do_mget(self, key):
        keys = [self.key() for _ in range(4)]
        return request("mget", *keys), \
            array([self.values.get(other) if self.is_text(other) else None for other in keys])

    def do_incr(self, key):
        by = self.chance.choice([1, -1, 7])
        asked = {1: request("incr", key), -1: request("decr", key)}.get(by,
                                                                     request("incrby", key, by))
        value = self.values.get(key, b"0")
        if not self.is_text(key):
            return asked, WRONG_TYPE
        if not re.fullmatch(rb"0|-?[1-9][0-9]{0,17}", value):
            return asked, NO_INTEGER
        self.values[key] = b"%d" % (int(value) + by)
        return asked, integer(int(self.values[key]))

    def do_del(self, key):
        keys = {key, self.key()}
        return request("del", *keys), integer(sum(self.drop(other) for other in keys))

    def do_exists(self, key):
        return request("exists", key), integer(1 if key in self.values else 0)

    def do_type(self, key):
        kind = b"none" if key not in self.values else b"string" if self.is_text(key) else b"list"
        return request("type", key), b"+%s\r\n" % kind

    def do_push(self, key):
        left = self.chance.random() < 0.5
        items = [self.text() for _ in range(self.chance.randrange(1, 4))]
        asked = request("lpush" if left else "rpush", key, *items)
        if not self.is_list(key):
            return asked, WRONG_TYPE
        there = self.values.setdefault(key, [])
        if left:
            there[:0] = items[::-1]
        else:
            there.extend(items)
        return asked, integer(len(there))

    def do_pop(self, key):
        left = self.chance.random() < 0.5
        asked = request("lpop" if left else "rpop", key)
        if not self.is_list(key):
            return asked, WRONG_TYPE
        if key not in self.values:
            return asked, bulk(None)
        item = self.values[key].pop(0 if left else -1)
        if not self.values[key]:
            self.drop(key)
        return asked, bulk(item)

    def do_llen(self, key):
        return request("llen", key), \
            integer(len(self.values.get(key, []))) if self.is_list(key) else WRONG_TYPE

    def do_lrange(self, key):
        return request("lrange", key, 0, -1), \
            array(self.values.get(key, [])) if self.is_list(key) else WRONG_TYPE

    def do_expire(self, key):
        seconds = self.chance.randrange(10_000, 20_000)
        if key not in self.values:
            return request("expire", key, seconds), integer(0)
        self.deadlines[key] = (seconds, time.monotonic())
        return request("expire", key, seconds), integer(1)

    def do_persist(self, key):
        return request("persist", key), integer(1 if self.deadlines.pop(key, None) else 0)

    def do_ttl(self, key):
        asked = request("ttl", key)
        if key not in self.values:
            return asked, integer(-2)
        if key not in self.deadlines:
            return asked, integer(-1)
        seconds, since = self.deadlines[key]
        return asked, lambda ttl: seconds - 2 - (time.monotonic() - since) <= ttl <= seconds


STEPS = [name[3:] for name in dir(Model) if name.startswith("do_")]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def send(self, data):
        self.socket.sendall(data)

    def take(self, count):
        while len(self.unread) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise Wrong(f"the server hung up after {self.unread[:200]!r}")
            self.unread += more
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def check(self, expected):
        if callable(expected):
            line = b""
            while not line.endswith(b"\r\n"):
                line += self.take(1)
            if not re.fullmatch(rb":-?[0-9]+\r\n", line) or not expected(int(line[1:])):
                raise Wrong(f"a time to live that can't be: {line!r}")
            return
        got = self.take(len(expected))
        if got != expected:
            raise Wrong(f"{got[:200]!r} instead of {expected[:200]!r}")

    def check_end(self):
        if self.unread or self.socket.recv(1):
            raise Wrong("more than was asked for")

    def abort(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Client:
    def __init__(self, port, name, seed):
        self.port = port
        self.chance = random.Random(seed)
        self.model = Model(name, self.chance)
        self.counts = {"verified": 0, "connections": 0, "aborted": 0, "half_closed": 0}

    def batch(self, connection, size):
        """Sends some requests in pieces of any size; gives the replies they have to get."""
        steps = [self.model.step() for _ in range(size)]
        data = b"".join(asked for asked, _ in steps)
        cuts = sorted(self.chance.randrange(len(data)) for _ in range(self.chance.randrange(4)))
        for begin, end in zip([0, *cuts], [*cuts, len(data)]):
            connection.send(data[begin:end])
        return [expected for _, expected in steps]

    def check(self, connection, replies):
        for expected in replies:
            connection.check(expected)
            self.counts["verified"] += 1

    def talk(self, connection):
        for _ in range(self.chance.randrange(1, 6)):
            self.check(connection, self.batch(connection, self.chance.randrange(1, 30)))

    def end_well(self, connection):
        self.talk(connection)
        connection.socket.close()

    def end_half(self, connection):
        """Finishes sending with replies under way; gets them all, and the end."""
        replies = self.batch(connection, self.chance.randrange(1, 60))
        connection.socket.shutdown(socket.SHUT_WR)
        self.check(connection, replies)
        connection.check_end()
        connection.socket.close()
        self.counts["half_closed"] += 1

    def end_quit(self, connection):
        self.talk(connection)
        connection.send(request("quit"))
        connection.check(OK)
        connection.check_end()
        connection.socket.close()

    def abort_idle(self, connection):
        self.talk(connection)
        connection.abort()
        self.counts["aborted"] += 1

    def abort_unread(self, connection):
        """Resets with replies under way, to questions that change nothing."""
        connection.send(request("echo", self.chance.randbytes(10_000)) * self.chance.randrange(1, 80))
        connection.abort()
        self.counts["aborted"] += 1

    def abort_in_request(self, connection):
        """Resets in the middle of a write, which must not be made."""
        whole = request("set", self.model.key(), b"never")
        connection.send(whole[:self.chance.randrange(1, len(whole))])
        connection.abort()
        self.counts["aborted"] += 1

    def abort_at_once(self, connection):
        connection.abort()
        self.counts["aborted"] += 1

    def expire_soon(self, connection):
        """A deadline passes, and the key is gone."""
        key = self.model.key() + ":soon"
        connection.send(request("set", key, "x", "px", 20) + request("pttl", key))
        connection.check(OK)
        connection.check(lambda ttl: -2 <= ttl <= 20)
        time.sleep(0.022)
        connection.send(request("get", key) + request("exists", key))
        connection.check(bulk(None))
        connection.check(integer(0))
        self.counts["verified"] += 4
        connection.socket.close()

    ENDS = [end_well, end_half, end_quit, abort_idle, abort_unread, abort_in_request,
            abort_at_once, expire_soon]

    def run(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection = Connection(self.port)
            self.counts["connections"] += 1
            self.chance.choice(self.ENDS)(self, connection)
        return self.counts


def client_main(arguments):
    port, name, seed, seconds = arguments
    client = Client(int(port), name, f"{name}-{seed}")
    wrong = None
    try:
        client.run(float(seconds))
    except (Wrong, OSError) as error:
        wrong = f"{type(error).__name__}: {error}"
    print(json.dumps({**client.counts, "wrong": wrong}))


# --- the soak


class Failed(Exception):
    """The soak can't go on."""


class Server:
    def __init__(self, program, directory, environment):
        self.output = os.path.join(directory, "server.out")
        with open(self.output, "w") as output:
            self.process = subprocess.Popen(
                [program, "--port", "0", "--print-counters"], stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True)  # Ctrl-C is for the soak
        self.pid = self.process.pid
        until = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"Listening on .*:(\d+)\n", self.text())):
            if time.monotonic() > until or not self.is_alive():
                raise Failed(f"the server does not begin: {self.text()}")
            time.sleep(0.01)
        self.port = int(found[1])
        self.asking = Connection(self.port)  # kept: asking opens no other

    def text(self):
        with open(self.output) as output:
            return output.read()

    def is_alive(self):
        return self.process.poll() is None

    def command(self, *words):
        self.asking.send(request(*words))
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.asking.take(1)
        if not line.startswith(b"$"):
            return line
        return self.asking.take(int(line[1:]) + 2)

    def info(self):
        text = self.command("info").decode()
        return {name: int(value) for name, value in re.findall(r"(\w+):(\d+)\r\n", text)}

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory_kb(self):
        with open(f"/proc/{self.pid}/smaps_rollup") as rollup:
            text = rollup.read()
        return tuple(int(re.search(rf"^{name}: *(\d+) kB", text, re.M)[1])
                     for name in ("Rss", "Pss"))

    def stop(self):
        """Ends it as its users do; what is wrong with how it ends."""
        if not self.is_alive():
            return f"the server ended by itself with {self.process.returncode}: {self.text()[-500:]}"
        self.asking.socket.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "the server did not end on SIGTERM"
        if status != 0:
            return f"the server ended with {status}: {self.text()[-500:]}"
        return None


# What redis-benchmark says, now and then with exit status 0.
BENCHMARK_TROUBLE = "Error|ERR |Could not connect|Writing to socket"


class Benchmark:
    """Runs of redis-benchmark of one kind, one after the other, about a second each."""

    def __init__(self, port, kind):
        self.port, self.kind = port, kind
        self.requests = 2000

    def run(self):
        """How many requests were made; what was wrong."""
        tests = self.kind["tests"]
        command = ["redis-benchmark", "-p", str(self.port), "-n", str(self.requests), "-r", "5000",
                   "-t", tests, "-q", *self.kind["options"]]
        begin = time.monotonic()
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            output, _ = running.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            running.kill()
            return 0, f"{' '.join(command)} does not end"
        finally:
            if running.poll() is None:
                running.kill()
                running.wait()
        took = time.monotonic() - begin
        text = output.decode(errors="replace").replace("\r", "\n")
        made = self.requests * (tests.count(",") + 1)
        self.requests = max(1000, min(1_000_000, int(self.requests * 0.8 / max(took, 0.05))))
        if running.returncode != 0 or re.search(BENCHMARK_TROUBLE, text):
            return made, f"{' '.join(command)} ended with {running.returncode}: {text[-500:]}"
        return made, None


# No lists: how long they grow, and with them the heap, would depend on how fast the machine is.
KINDS = [
    {"name": "a connection a request", "options": ["-k", "0", "-c", "50"],
     "tests": "set,get,incr"},
    {"name": "connections that stay", "options": ["-k", "1", "-c", "50"],
     "tests": "ping_mbulk,set,get,incr,mset"},
    {"name": "a connection a request, few at a time", "options": ["-k", "0", "-c", "4"],
     "tests": "ping_inline,get"},
    {"name": "pipelines", "options": ["-k", "1", "-c", "20", "-P", "32", "-d", "200"],
     "tests": "set,get,incr"},
]


class Soak:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        with open(__file__) as source:
            self.source = source.read()  # a clone may move on while this runs
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": directory}
        self.seconds = options.minutes * 60
        # At least eight rounds; long enough that a console's rings are gone after the next one.
        self.round_s = min(12.0, max(1.0, self.seconds / 8 - 0.5))
        self.begin = time.monotonic()
        self.unwatched_since = self.begin - RINGS_S
        self.round = 0
        self.wrong = []
        self.samples = []  # seconds since the begin, RSS, PSS
        self.last_memory = (0, 0)
        self.sums = dict.fromkeys(
            ("rounds", "recorded_rounds", "benchmark_requests", "verified", "connections", "aborted",
             "half_closed"), 0)
        self.children = []
        self.server = Server(options.server, directory, self.environment)

    def elapsed(self):
        return time.monotonic() - self.begin

    def note(self, what):
        self.wrong.append(what)
        print(json.dumps({"minute": round(self.elapsed() / 60, 2), "wrong": what}), flush=True)

    # A console

    def is_watched_round(self):
        if self.options.taskscope is None:
            return False
        if self.seconds >= 120:
            return self.round % 2 == 1
        # In a short soak the last ones, so that memory is read before.
        return self.elapsed() > 0.75 * self.seconds

    def start_recording(self):
        return self.start([self.options.taskscope, "record", str(self.server.pid), "-o",
                           os.path.join(self.directory, "soak.taskscope")])

    def stop_recording(self, recording):
        if recording.poll() is None:
            recording.send_signal(signal.SIGINT)
        try:
            output, _ = recording.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            recording.kill()
            return self.note("the recording does not end")
        if recording.returncode != 0:
            return self.note(f"the recording ended with {recording.returncode}: {output[-500:]}")
        checked = subprocess.run(
            [self.options.taskscope, "check", os.path.join(self.directory, "soak.taskscope")],
            capture_output=True, text=True, env=self.environment, timeout=600)
        if checked.returncode != 0:
            self.note(f"the recording is damaged: {checked.stdout[-500:]}")
        self.unwatched_since = time.monotonic()

    def check_console(self):
        """What a console sees of the idle server."""
        # It looks for a second. On a machine without a processor to spare that may be too short for
        # the walk over all tasks; then it looks again.
        for _ in range(5):
            stats = subprocess.run(
                [self.options.taskscope, "stats", str(self.server.pid), "--json"],
                capture_output=True, text=True, env=self.environment, timeout=PATIENCE_S)
            self.unwatched_since = time.monotonic()
            if stats.returncode != 0:
                return self.note(
                    f"taskscope stats ended with {stats.returncode}: {stats.stderr[-500:]}")
            live = json.loads(stats.stdout)["tasks"]["live"]
            # The main task counts for both.
            if live == self.idle["live_tasks"]:
                break
        else:
            self.note(f"a console counts {live} live tasks, when idle there are "
                      f"{self.idle['live_tasks']}")

    # A round

    def start(self, command):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, env=self.environment, text=True,
                                 start_new_session=True)
        self.children = [other for other in self.children if other.poll() is None] + [child]
        return child

    def settle(self):
        """Waits until the server is idle as before the first round, and reads its memory."""
        self.server.command("flushdb")
        until = time.monotonic() + PATIENCE_S
        while True:
            info = self.server.info()
            now = {"descriptors": self.server.descriptors(), "live_tasks": info["live_tasks"],
                   "connected_clients": info["connected_clients"]}
            if all(now[name] <= self.idle[name] for name in now):
                break
            if time.monotonic() > until:
                raise Failed(f"not as before the first round: {now} instead of {self.idle}")
            time.sleep(0.02)
        self.info = info
        self.last_memory = self.server.memory_kb()
        is_warm = self.elapsed() > min(WARM_UP_S, WARM_UP * self.seconds)
        if is_warm and time.monotonic() - self.unwatched_since >= RINGS_S:
            self.samples.append((self.elapsed(), *self.last_memory))

    def run_round(self):
        is_watched = self.is_watched_round()
        recording = None
        if is_watched:
            self.check_console()
            recording = self.start_recording()
        kind = KINDS[self.round % len(KINDS)]
        until = time.monotonic() + self.round_s
        clients = [self.start([sys.executable, "-c", self.source, "client",
                               str(self.server.port), f"{self.round}-{number}",
                               str(self.options.seed), str(self.round_s)])
                   for number in range(CLIENTS)]
        benchmark = Benchmark(self.server.port, kind)
        while time.monotonic() < until:
            made, wrong = benchmark.run()
            self.sums["benchmark_requests"] += made
            if wrong:
                self.note(wrong)
                break
        for client in clients:
            try:
                output, _ = client.communicate(timeout=self.round_s + 2 * PATIENCE_S)
                told = json.loads(output)
            except (subprocess.TimeoutExpired, ValueError):
                client.kill()
                self.note(f"a client of ours does not end, or says: {output[-1000:]}")
                continue
            if told.pop("wrong"):
                self.note(json.loads(output)["wrong"])
            for name, value in told.items():
                self.sums[name] += value
        if recording is not None:
            self.stop_recording(recording)
            self.sums["recorded_rounds"] += 1
        if not self.server.is_alive():
            raise Failed("the server ended by itself")
        self.settle()
        self.round += 1
        self.sums["rounds"] += 1

    # The whole

    def line(self):
        rss_kb, pss_kb = self.last_memory
        print(json.dumps({
            "minute": round(self.elapsed() / 60, 2), **self.sums,
            "commands": self.info["total_commands_processed"],
            "connections_received": self.info["total_connections_received"],
            "rss_kb": rss_kb, "pss_kb": pss_kb, "descriptors": self.server.descriptors(),
            "live_tasks": self.info["live_tasks"], "wrong": len(self.wrong)}), flush=True)

    def run(self):
        info = self.server.info()
        self.idle = {"descriptors": self.server.descriptors(), "live_tasks": info["live_tasks"],
                     "connected_clients": info["connected_clients"]}
        self.info = info
        said = 0
        while self.elapsed() < self.seconds and len(self.wrong) < 20:
            self.run_round()
            if self.elapsed() // 60 > said:
                said = self.elapsed() // 60
                self.line()

    def judge_memory(self):
        """How much the later half is above the earlier one, in KiB; None: too few samples."""
        half = len(self.samples) // 2
        if half == 0:
            return None, None
        most = [[max(sample[which] for sample in part)
                 for part in (self.samples[:half], self.samples[half:])] for which in (1, 2)]
        return tuple(later - earlier for earlier, later in most)

    def end(self, interrupted):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        ended = self.server.stop()
        if ended:
            self.note(ended)
        rss_growth_kb, pss_growth_kb = self.judge_memory()
        is_flat = rss_growth_kb is not None and rss_growth_kb <= TOLERANCE_KB
        if rss_growth_kb is None:
            verdict = "wrong" if self.wrong else "too short to judge memory"
        else:
            verdict = "wrong" if self.wrong else "flat" if is_flat else "memory grew"
        print(json.dumps({
            "verdict": verdict, "minutes": round(self.elapsed() / 60, 2),
            "interrupted": interrupted, **self.sums,
            "rss_growth_kb": rss_growth_kb, "pss_growth_kb": pss_growth_kb,
            "tolerance_kb": TOLERANCE_KB, "rss_kb": [sample[1] for sample in self.samples],
            "wrong": len(self.wrong)}), flush=True)
        good = not self.wrong and (is_flat or (interrupted and rss_growth_kb is None))
        return 0 if good else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--server", required=True)
    parser.add_argument("--taskscope")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()

    def on_terminate(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, on_terminate)
    with tempfile.TemporaryDirectory() as directory:
        try:
            soak = Soak(options, directory)
        except Failed as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
        print(json.dumps({"server": options.server, "pid": soak.server.pid, "seed": options.seed,
                          "round_s": round(soak.round_s, 2),
                          "console": options.taskscope is not None}), flush=True)
        interrupted = False
        try:
            soak.run()
        except KeyboardInterrupt:
            interrupted = True
        except (Failed, Wrong, OSError, subprocess.TimeoutExpired) as error:
            soak.note(f"{type(error).__name__}: {error}")
        return soak.end(interrupted)


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client_main(sys.argv[2:])
    else:
        sys.exit(main())
