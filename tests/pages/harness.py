"""What the tests of pages stand on: a server of their own, and a real browser."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from playwright.sync_api import sync_playwright

HAAT = os.environ["HAAT_PAGES_TEST_BINARY"]
CHROMIUM = os.environ["HAAT_PAGES_TEST_CHROMIUM"]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-features=Translate,OptimizationHints,MediaRouter"]
# Whatever the environment says about a server is meant for another one.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HAAT_") and name != "DATABASE_URL"}
PASSWORD = "seven boats on the Padma"
# Ports that were given out: of two that are asked for before either is used, each is another.
GIVEN = set()


def free_port():
    """One that the system gives to nobody who connects somewhere: so it is free still when the server comes, and when it comes again."""
    while True:
        port = random.randrange(20_000, 32_000)
        if port in GIVEN:
            continue
        GIVEN.add(port)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Shop:
    """The real binary on an embedded store, with the sandbox."""

    def __init__(self, *more):
        self.more = more
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.directory = tempfile.mkdtemp(prefix="haat-pages-test.")
        self.log = open(f"{self.directory}/log", "ab")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.kill(signal.SIGTERM)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        arguments = [HAAT, "serve", "--listen", self.address, "--data-dir", f"{self.directory}/data", "--argon2", "m=64,t=1,p=1", *self.more]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**ENVIRONMENT, "NO_COLOR": "1"})
        until = time.monotonic() + 60
        while True:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the server is not there:\n{open(self.log.name).read()[-4000:]}")
            time.sleep(0.05)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(30)
        self.process = None

    def token(self, role, *more):
        arguments = [HAAT, "token", "--role", role, *more, "--data-dir", f"{self.directory}/data"]
        return subprocess.run(arguments, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout.strip()

    def ask(self, method, path, body=None, bearer=None):
        """The answer's status and what its JSON says."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def mailed(self, admin, to, event):
        """The token in the newest such mail."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for mail in self.ask("GET", "/v1/admin/sandbox/mails", bearer=admin)[1]["items"]:
                if mail["to"] == to and mail["event"] == event:
                    return re.search(r"token=(\S+)", mail["text"])[1]
            time.sleep(0.05)
        raise AssertionError(f"no mail {event} to {to}")

    def account(self, admin, email, role, permissions=()):
        """An account that is invited and has set its password."""
        body = {"email": email, "role": role, "permissions": list(permissions)} if permissions else {"email": email, "role": role}
        status, answer = self.ask("POST", "/v1/admin/accounts", body, admin)
        assert status in (200, 201, 202), (status, answer)
        token = self.mailed(admin, email, "account.invitation")
        status, answer = self.ask("POST", "/v1/auth/password/reset", {"token": token, "password": PASSWORD})
        assert status == 204, (status, answer)


class Browser:
    """Debian's Chromium, with an empty profile of its own."""

    def __enter__(self):
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def page(self, width=1280, height=860, theme="light", context=None):
        """A page that notes what goes wrong in it: `page.problems`, and `page.asked`, whom it asked."""
        context = context or self.browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce", locale="en-GB")
        page = context.new_page()
        page.problems, page.asked = [], []
        page.on("console", lambda said: page.problems.append(f"console {said.type}: {said.text} ({said.location['url']})") if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.problems.append(f"script: {error}"))
        page.on("dialog", lambda dialog: (page.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        page.set_default_timeout(15_000)
        # What the policy forbids is told as an event as well as on the console.
        page.add_init_script("document.addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))")
        return page
