#!/usr/bin/env python3
"""usage: crs_tests_to_json.py DIRECTORY > REQUESTS

Turns the regression tests of CRS 3 (YAML, one stage each) into the JSON lines that waf_replay reads. Expectations about the status
are left out: whether a malformed request is refused is the HTTP layer's business, and the rules run in DetectionOnly.
"""
import base64
import json
import pathlib
import sys

import yaml


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8")


def split_request(raw: bytes) -> dict:
    """Method, target, version, headers and body of a request given as raw bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    first = lines[0].split(b" ")
    headers = [[name.strip(), value.strip()] for name, _, value in (line.partition(b":") for line in lines[1:] if line)]
    return {"method": first[0], "uri": b" ".join(first[1:-1]) or b"/", "version": first[-1], "headers": headers, "body": body}


def request_of(given: dict) -> dict:
    if "encoded_request" in given:
        return split_request(base64.b64decode(given["encoded_request"]))
    if "raw_request" in given:
        return split_request(as_bytes(given["raw_request"]))
    data = given.get("data") or ""
    body = as_bytes("\r\n".join(map(str, data)) if isinstance(data, list) else str(data))
    headers = [[as_bytes(str(name)), as_bytes("" if value is None else str(value))]
               for name, value in (given.get("headers") or {}).items()]
    names = {name.lower() for name, _ in headers}
    if body and not given.get("stop_magic"):
        if b"content-type" not in names:
            headers.append([b"Content-Type", b"application/x-www-form-urlencoded"])
        if b"content-length" not in names:
            headers.append([b"Content-Length", str(len(body)).encode()])
    return {"method": as_bytes(str(given.get("method", "GET"))), "uri": as_bytes(str(given.get("uri", "/"))),
            "version": as_bytes(str(given.get("version", "HTTP/1.1"))), "headers": headers, "body": body}


def main() -> None:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("**/*.yaml")):
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for test in document["tests"]:
            stage = test["stages"][0]["stage"]
            request = request_of(stage["input"])
            expected = {key: str(stage["output"][key]) for key in ("log_contains", "no_log_contains")
                        if stage["output"].get(key)}
            line = {key: [[n.decode("latin-1"), v.decode("latin-1")] for n, v in value] if key == "headers"
                    else value.decode("latin-1") for key, value in request.items()}
            line["version"] = line["version"].removeprefix("HTTP/")
            print(json.dumps({"name": str(test["test_title"]), **line, **expected}))


if __name__ == "__main__":
    main()
