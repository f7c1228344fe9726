"""A receiver of OTLP over HTTP with JSON, made of OpenTelemetry's own definition of the protocol.

    otlp.py FILE [STATUS...]

Prints the port it listens on, and appends each record that it takes to FILE as a line of JSON: its
resource's attributes, its own, and its fields. What the definition does not know is an error. The
first requests are answered with these statuses, one each; 299 stands for a 200 that has thrown the
first record away (partial success).
"""
import base64
import http.server
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service
from opentelemetry.proto.logs.v1 import logs_pb2

taken = open(sys.argv[1], "a")
statuses = [int(status) for status in sys.argv[2:]]


def with_bytes(value):
    """OTLP writes ids in hexadecimal digits; JSON of protobuf has bytes in base64."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("traceId", "spanId"):
                value[key] = base64.b64encode(bytes.fromhex(inner)).decode()
            else:
                with_bytes(inner)
    elif isinstance(value, list):
        for inner in value:
            with_bytes(inner)
    return value


def plain(value):
    """An AnyValue as JSON has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(inner) for inner in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)


def attributes(pairs):
    keys = [pair.key for pair in pairs]
    assert len(keys) == len(set(keys)), f"an attribute comes twice: {keys}"
    return {pair.key: plain(pair.value) for pair in pairs}


def records(body):
    request = service.ExportLogsServiceRequest()
    json_format.ParseDict(with_bytes(json.loads(body)), request)
    for resource_logs in request.resource_logs:
        resource = attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                assert len(record.trace_id) in (0, 16) and len(record.span_id) in (0, 8)
                yield {
                    "resource": resource,
                    "scope": scope_logs.scope.name,
                    "time": record.time_unix_nano,
                    "observed": record.observed_time_unix_nano,
                    "severity": logs_pb2.SeverityNumber.Name(record.severity_number),
                    "text": record.severity_text,
                    "body": plain(record.body),
                    "attributes": attributes(record.attributes),
                    "trace": record.trace_id.hex(),
                    "span": record.span_id.hex(),
                }


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, message):
        body = json_format.MessageToJson(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        reply = service.ExportLogsServiceResponse()
        status = statuses.pop(0) if statuses else 200
        if status not in (200, 299):
            return self.answer(status, reply)
        try:
            assert self.path == "/v1/logs", self.path
            assert self.headers["Content-Type"] == "application/json"
            found = list(records(body))
        except (AssertionError, ValueError, json_format.ParseError) as error:
            print(f"otlp.py: {error!r}", file=sys.stderr, flush=True)
            return self.answer(400, reply)
        if status == 299:
            found = found[1:]
            reply.partial_success.rejected_log_records = 1
            reply.partial_success.error_message = "the first is too old"
        for record in found:
            taken.write(json.dumps(record) + "\n")
        taken.flush()
        self.answer(200, reply)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
