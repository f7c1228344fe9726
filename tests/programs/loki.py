"""What Loki is to those who push to it: checks the shape of each push and the order of each stream.

    loki.py FILE [STATUS...]

Prints the port it listens on, and appends each entry that it takes to FILE as a line of JSON. The
first requests are answered with these statuses, one each; 429 and 503 ask for a second's wait.
"""
import http.server
import json
import re
import sys

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
# Loki's own limits, as they are unless it is configured otherwise.
LINE, FIELDS, FIELD_BYTES, LABELS, STREAMS = 256 * 1024, 128, 64 * 1024, 15, 1

taken = open(sys.argv[1], "a")
statuses = [int(status) for status in sys.argv[2:]]
last = {}
known = set()


class Wrong(Exception):
    pass


def demand(right, words):
    if not right:
        raise Wrong(words)


def strings(value, what):
    demand(isinstance(value, dict), f"{what} is no object")
    for name, text in value.items():
        demand(LABEL.match(name), f"{what} has the name {name!r}")
        demand(isinstance(text, str), f"{what}[{name}] is no text")


def check(push):
    """Every entry of a push, with its stream, or what is wrong with it."""
    demand(set(push) == {"streams"}, "a push has streams, and nothing else")
    for stream in push["streams"]:
        demand(set(stream) == {"stream", "values"}, "a stream has labels and values")
        strings(stream["stream"], "stream")
        demand(len(stream["stream"]) <= LABELS, "too many labels")
        name = json.dumps(stream["stream"], sort_keys=True)
        for value in stream["values"]:
            demand(len(value) == 3, "a value is a time, a line and fields")
            time, line, fields = value
            demand(isinstance(time, str) and time.isdigit(), f"the time {time!r}")
            demand(isinstance(line, str) and len(line.encode()) <= LINE, "the line")
            strings(fields, "structured metadata")
            demand(len(fields) <= FIELDS, "too many fields")
            size = sum(len(k.encode()) + len(v.encode()) for k, v in fields.items())
            demand(size <= FIELD_BYTES, "too large fields")
            yield name, int(time), line, fields


class Loki(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, words=""):
        body = words.encode()
        self.send_response(status)
        if status in (429, 503):
            self.send_header("Retry-After", "1")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        try:
            self.end_headers()
            if status != 204:
                self.wfile.write(body)
        except OSError:
            pass  # who asked was killed

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if statuses:
            return self.answer(statuses.pop(0), "told so")
        try:
            demand(self.path == "/loki/api/v1/push", f"the path {self.path}")
            demand(self.headers["Content-Type"] == "application/json", "the content type")
            entries = list(check(json.loads(body)))
            demand(len({name for name, *_ in entries} | set(last)) <= STREAMS, "too many streams")
        except (Wrong, ValueError, KeyError, TypeError) as error:
            return self.answer(400, str(error))
        for name, time, line, fields in entries:
            if (name, time, line) in known:
                continue  # as Loki does: the same entry is one entry
            if time <= last.get(name, 0):
                return self.answer(400, f"entry out of order: {time} after {last[name]}")
            known.add((name, time, line))
            last[name] = time
            taken.write(json.dumps([json.loads(name), time, line, fields]) + "\n")
        taken.flush()
        self.answer(204)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Loki)
print(server.server_address[1], flush=True)
server.serve_forever()
