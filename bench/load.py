"""A small load generator: prepared requests over kept-alive connections, in a process of its own."""

import multiprocessing
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What a run gave; times in milliseconds."""

    per_second: float
    p50: float
    p99: float
    answers: int
    errors: int


def http_request(
    method: str, path: str, host: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: keep-alive"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _read_answer(one: socket.socket, rest: bytes) -> tuple[int, bytes]:
    data = rest
    while b"\r\n\r\n" not in data:
        part = one.recv(65536)
        if not part:
            raise ConnectionError("closed")
        data += part
    head, _, data = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(data) < length:
        data += one.recv(65536)
    return int(head.split(b" ", 2)[1]), data[length:]


def _client(
    port: int,
    requests: Sequence[bytes],
    seconds: float,
    out: "multiprocessing.Queue[list[tuple[float, int]]]",
) -> None:
    found: list[tuple[float, int]] = []
    end = time.perf_counter() + seconds
    one = socket.create_connection(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rest = b""
    for request in requests:
        begin = time.perf_counter()
        if begin > end:
            break
        one.sendall(request)
        status, rest = _read_answer(one, rest)
        found.append((time.perf_counter() - begin, status))
    one.close()
    out.put(found)


def run(port: int, shares: Sequence[Sequence[bytes]], seconds: float) -> Load:
    """One client process for each share of prepared requests; ends after `seconds` or when a share is used up."""
    context = multiprocessing.get_context("fork")
    out: multiprocessing.Queue[list[tuple[float, int]]] = context.Queue()
    clients = [context.Process(target=_client, args=(port, share, seconds, out)) for share in shares]
    begin = time.perf_counter()
    for client in clients:
        client.start()
    found = [pair for _ in clients for pair in out.get(timeout=seconds + 30)]
    took = time.perf_counter() - begin
    for client in clients:
        client.join()
    return summary(found, took)


def summary(found: list[tuple[float, int]], took: float) -> Load:
    times = sorted(seconds * 1000 for seconds, _ in found) or [0.0]
    errors = sum(1 for _, status in found if status >= 400)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    return Load(len(found) / took, statistics.median(times), p99, len(found), errors)


def median(loads: list[Load]) -> Load:
    """The run with the median throughput, so that all its numbers belong together."""
    return sorted(loads, key=lambda load: load.per_second)[len(loads) // 2]
