#!/usr/bin/python3
"""usage: tls_client.py PORT SECONDS full|resumed HOST CORE
Opens one TLS 1.3 connection after the other: handshake, one GET, close. Prints JSON: requests, resumed, errors. With
`resumed` each connection offers the ticket that the one before it got; a proxy that didn't take it counts as an error."""

import json
import os
import socket
import ssl
import sys
import time


def main() -> None:
    port, seconds, resume, host = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "resumed", sys.argv[4]
    os.sched_setaffinity(0, {int(sys.argv[5])})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    requests = resumed = errors = 0
    session = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as plain:
                with context.wrap_socket(plain, server_hostname=host, session=session) as tls:
                    tls.sendall(request)
                    answer = tls.recv(65536)
                    while more := tls.recv(65536):
                        answer += more
                    was_resumed = bool(tls.session_reused)
                    if not answer.startswith(b"HTTP/1.1 200") or (resume and session is not None and not was_resumed):
                        errors += 1
                    requests, resumed = requests + 1, resumed + was_resumed
                    session = tls.session if resume else None
        except OSError:
            errors += 1
    print(json.dumps({"requests": requests, "resumed": resumed, "errors": errors}))


main()
