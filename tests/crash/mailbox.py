"""A mail server of somebody else's (aiosmtpd) and a reader of somebody else's (Python's email): writes what it was sent to a file, one line each.

usage: mailbox.py PORT FILE EVERY SLOW [CERTIFICATE KEY]

Of every so many messages the answer to DATA is lost: it is taken, and the connection is cut. Each takes so many seconds. 0 is never.
With a certificate nothing is taken before STARTTLS.
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP


class Mailbox:
    def __init__(self, file, every, slow):
        self.file, self.every, self.slow, self.count = file, every, slow, 0

    async def handle_DATA(self, server, session, envelope):
        await asyncio.sleep(self.slow)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.count += 1
        lost = self.every > 0 and self.count % self.every == 0
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "header_to": str(message["To"]),
            "message_id": str(message["Message-ID"]),
            "event": str(message["Haat-Event"]),
            "subject": str(message["Subject"]),
            "text": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)).get_content(),
            "encrypted": session.ssl is not None,
            "defects": [repr(defect) for defect in message.defects],
            "lost": lost,
        }
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        if lost:
            server.transport.abort()
        return "250 taken"


async def main(port, path, every, slow, certificate=None, key=None):
    mailbox = Mailbox(open(path, "a", encoding="utf-8"), int(every), float(slow))
    loop = asyncio.get_running_loop()
    options = {"enable_SMTPUTF8": True}
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        options |= {"tls_context": context, "require_starttls": True}
    await loop.create_server(lambda: SMTP(mailbox, **options), "127.0.0.1", int(port))
    await loop.create_future()


asyncio.run(main(*sys.argv[1:]))
