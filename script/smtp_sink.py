"""A mail server for tests: takes every message and stores it as a file, named by order of arrival.

A few local parts make it answer as real servers do on a bad day:
    busy@…      451 at RCPT   (try again later)
    unknown@…   550 at RCPT   (no such mailbox)
    full@…      552 at DATA   (refused for good)

Usage: smtp_sink.py PORT MAIL_DIR PORT_FILE
PORT 0 takes a free one. PORT_FILE is written once the server listens.
"""

import asyncio
import itertools
import os
import pathlib
import signal
import sys

from aiosmtpd.smtp import SMTP


class Sink:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.numbers = itertools.count(len(list(folder.glob("*.eml"))) + 1)

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802, ARG002
        match address.split("@")[0]:
            case "busy":
                return "451 4.3.0 Try again later"
            case "unknown":
                return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802, ARG002
        if any(address.startswith("full@") for address in envelope.rcpt_tos):
            return "552 5.2.2 Mailbox full"
        path = self.folder / f"{next(self.numbers):06}.eml"
        head = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        # Written aside and renamed: a reader never sees half a message.
        part = path.with_suffix(".part")
        part.write_bytes(head.encode() + envelope.original_content)
        part.rename(path)
        return "250 2.0.0 Stored"


async def main(port: int, folder: pathlib.Path, port_file: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sink = Sink(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(sink, hostname="sink.localhost", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", port
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    part = port_file.with_suffix(".part")
    part.write_text(str(server.sockets[0].getsockname()[1]))
    os.replace(part, port_file)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    asyncio.run(main(int(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])))
