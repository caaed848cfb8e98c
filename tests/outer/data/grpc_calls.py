# SPDX-License-Identifier: MIT OR Apache-2.0
"""A gRPC service of raw bytes, and a client that calls it in every way gRPC knows.

serve: prints its port, then serves until its input ends.
call TARGET [AUTHORITIES NAME]: makes all calls, over TLS if there are authorities, and prints what was wrong.
"""

import sys
import time
from concurrent import futures

import grpc

SERVICE = "weirgate.Test"


def unary(request, context):
    context.set_trailing_metadata((("x-sum", str(len(request))),))
    return request[::-1]


def gather(requests, context):
    return b"".join(requests)


def scatter(request, context):
    for at in range(0, len(request), 1000):
        yield request[at:at + 1000]


def talk(requests, context):
    for request in requests:
        yield request.upper()


def fail(request, context):
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you: é")


def sleep(request, context):
    while context.is_active():
        time.sleep(0.02)
    return b""


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 1 << 26)])
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Gather": grpc.stream_unary_rpc_method_handler(gather),
        "Scatter": grpc.unary_stream_rpc_method_handler(scatter),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def refusal(call):
    """The status with which a call fails."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    sys.exit("a call that must fail did not")


def call(target, authorities=None, name=None):
    options = [("grpc.max_receive_message_length", 1 << 26)]
    if authorities:
        with open(authorities, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        options.append(("grpc.ssl_target_name_override", name))
        channel = grpc.secure_channel(target, credentials, options)
    else:
        channel = grpc.insecure_channel(target, options)
    path = f"/{SERVICE}/"
    big = bytes(range(256)) * 8000

    reply, info = channel.unary_unary(path + "Unary").with_call(b"abc", timeout=20, metadata=(("x-note", "1"),))
    expect("unary", (reply, dict(info.trailing_metadata())["x-sum"]), (b"cba", "3"))
    expect("a large one", channel.unary_unary(path + "Unary")(big, timeout=20), big[::-1])
    pieces = [b"x" * 5000 for _ in range(200)]
    expect("client streaming", channel.stream_unary(path + "Gather")(iter(pieces), timeout=20), b"".join(pieces))
    expect("server streaming", b"".join(channel.unary_stream(path + "Scatter")(big, timeout=20)), big)

    spoken = []

    def words():
        for number in range(50):
            # The next word is said only when the last one was answered.
            while len(spoken) < number:
                time.sleep(0.001)
            yield b"word %d" % number

    for answer in channel.stream_stream(path + "Talk")(words(), timeout=20):
        spoken.append(answer)
    expect("both ways", spoken, [b"WORD %d" % number for number in range(50)])

    error = refusal(lambda: channel.unary_unary(path + "Fail")(b"", timeout=20))
    expect("a refusal", (error.code(), error.details()), (grpc.StatusCode.PERMISSION_DENIED, "not for you: é"))
    error = refusal(lambda: channel.unary_unary(path + "Absent")(b"", timeout=20))
    expect("no such method", error.code(), grpc.StatusCode.UNIMPLEMENTED)
    began = time.monotonic()
    error = refusal(lambda: channel.unary_unary(path + "Sleep")(b"", timeout=0.5))
    expect("a deadline", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    expect("a deadline in time", time.monotonic() - began < 10, True)
    many = [channel.unary_unary(path + "Unary").future(b"%d" % n, timeout=20) for n in range(300)]
    expect("many at once", [one.result() for one in many], [(b"%d" % n)[::-1] for n in range(300)])
    channel.close()
    print("all calls are right")


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else call(*sys.argv[2:])
