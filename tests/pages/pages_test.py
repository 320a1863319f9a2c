"""The shop's pages in a real browser. Each test is a function; what is wrong with one is told, and the others run all the same."""

import os
import signal
import subprocess
import sys
import time
import traceback
from datetime import timedelta

from axe_playwright_python.sync_playwright import Axe

import recorded
from harness import ENVIRONMENT, HAAT, PASSWORD, Browser, Shop, free_port
from shapes import Shapes
from stand_in import StandIn

OPERATOR, STRANGER = "rina@example.com", "karim@example.com"
READY = "main[data-ready=true]"
# What is not allowed to be there, and what a browser tells of an answer that a test asks for.
EXPECTED = ("status of 401", "status of 403", "ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "net::ERR_FAILED")


class World:
    """The server, the browser, and where pages are asked for."""

    def __init__(self, shop, browser):
        self.shop, self.browser = shop, browser
        self.admin = shop.token("admin")
        shop.account(self.admin, OPERATOR, "staff", ["ops.read", "ops.act", "orders.read", "money.edit"])
        shop.account(self.admin, STRANGER, "staff", ["orders.read"])
        self.stand_in = StandIn(shop.address)
        self.shapes = Shapes(shop.ask("GET", "/openapi.json")[1])
        # With files that are not in the binary, the stand-in gives them, and is the real server in all else.
        self.url = self.stand_in.url if self.stand_in.web else shop.url

    def sale(self, sessions, stock):
        """Buyers who buy, at the real server."""
        arguments = [f"{os.path.dirname(HAAT)}/haat-load", "--quiet", "--reuse-connections", "--sessions", str(sessions), "--stock", str(stock), "--ramp", "2s", "--settle", "20s"]
        environment = {**ENVIRONMENT, "HAAT_TARGET": self.shop.url, "HAAT_ADMIN_TOKEN": self.admin}
        found = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=environment)
        assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]

    def real(self):
        """Where the real server shows itself."""
        self.stand_in.scene = None
        return self.url

    def scene(self, scene, items):
        self.stand_in.scene, self.stand_in.items, self.stand_in.before, self.stand_in.speed = scene, items, 60, 1.0
        self.stand_in.busy, self.stand_in.quarantined = 0, False
        self.stand_in.actor, self.stand_in.refusal = None, None
        self.stand_in.lives.clear()
        return self.stand_in.url

    def open(self, url=None, hash="", **how):
        page = self.browser.page(**how)
        page.goto(f"{url or self.real()}/ops{hash}")
        return page


def sign_in(page, email=OPERATOR, password=PASSWORD):
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("#sign-in button[type=submit]")


def with_token(page, token):
    page.fill("#token", token)
    page.press("#token", "Enter")


def ready(page):
    page.wait_for_selector(READY)
    page.wait_for_selector("#sign-out:visible")


def until(holds, what):
    """Waits for what is so by itself sooner or later. A page may evaluate no text, so it cannot be asked to wait."""
    end = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def says(page, where, what):
    page.locator(where, has_text=what).wait_for()


def signed_out(page, within=15_000):
    """The form is there, and nothing of what was shown."""
    page.wait_for_selector("#sign-in:visible", timeout=within)
    assert page.query_selector(READY) is None
    assert page.inner_text("#view") == "" and page.query_selector("#view > *") is None, page.inner_html("#view")


def nothing_is_stored(page):
    """No script of any page of this host can read what somebody is signed in with."""
    return page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])") == '["",{},{}]'


def clean(page, *allowed):
    """Nothing stands on the console but what a test has brought about, and nobody else was asked for anything."""
    problems = [one for one in page.problems if not any(part in one for part in allowed)]
    assert not problems, problems
    host = page.url.split("/")[2]
    others = [url for url in page.asked if not url.startswith(("data:", "blob:")) and url.split("/")[2] != host]
    assert not others, others


# ---- Signing in and out ----------------------------------------------------------------------------------------------


def a_password_signs_in_and_a_reload_stays_signed_in(world):
    page = world.open()
    page.wait_for_selector("#sign-in:visible")
    sign_in(page)
    ready(page)
    kept = page.context.cookies()
    assert [(one["name"], one["path"], one["httpOnly"], one["sameSite"]) for one in kept] == [("haat_refresh", "/v1/auth", True, "Strict")], kept
    assert nothing_is_stored(page)
    page.reload()
    ready(page)
    assert page.is_hidden("#sign-in")
    page.click("#sign-out")
    signed_out(page)
    page.locator("#email:focus").wait_for()
    until(lambda: page.wait_for_timeout(50) or page.context.cookies() == [], "the server has taken the cookie away")
    page.reload()
    signed_out(page)
    clean(page)


def a_token_signs_in_and_is_kept_nowhere(world):
    page = world.open()
    page.wait_for_selector("#sign-in:visible")
    with_token(page, world.admin)
    ready(page)
    assert page.context.cookies() == [] and nothing_is_stored(page)
    assert page.input_value("#token") == ""
    page.reload()
    signed_out(page)
    clean(page)


def what_is_wrong_is_told_in_the_form(world):
    page = world.open()
    page.wait_for_selector("#sign-in:visible")
    page.click("#sign-in button[type=submit]")
    says(page, "#sign-in-says", "are needed")
    sign_in(page, password="another password")
    says(page, "#sign-in-says", "not right")
    assert page.query_selector(READY) is None
    with_token(page, "not.a.token")
    says(page, "#sign-in-says", "no token")
    page.fill("#token", "")
    # One who may not see operations is told so, and is shown nothing.
    sign_in(page, STRANGER)
    says(page, "#sign-in-says", "ops.read")
    signed_out(page)
    until(lambda: page.context.cookies() == [], "the server has ended that session, too")
    says(page, "#sign-in-says", "ops.read")
    # A token that is none of this shop's looks like one.
    with_token(page, world.admin[:-6] + "AAAAAA")
    says(page, "#sign-in-says", "token")
    signed_out(page)
    clean(page, *EXPECTED)


def a_session_that_is_ended_empties_the_page_within_five_seconds(world):
    page = world.open(hash="#/stuck")
    page.wait_for_selector("#sign-in:visible")
    sign_in(page)
    ready(page)
    status, session = world.shop.ask("POST", "/v1/auth/login", {"email": OPERATOR, "password": PASSWORD})
    assert status == 200, session
    access = session["access_token"]
    sessions = world.shop.ask("GET", "/v1/me/sessions", bearer=access)[1]["items"]
    begun = time.monotonic()
    for one in sessions:
        if not one["current"]:
            assert world.shop.ask("DELETE", f"/v1/me/sessions/{one['id']}", bearer=access)[0] == 204
    signed_out(page, 5_000)
    took = time.monotonic() - begun
    assert took < 5, took
    assert "over" in page.inner_text("#sign-in-says")
    clean(page, *EXPECTED)


def a_signing_out_that_fails_is_told_and_tried_again(world):
    page = world.open()
    page.wait_for_selector("#sign-in:visible")
    sign_in(page)
    ready(page)
    page.route("**/v1/auth/logout", lambda route: route.fulfill(status=503, headers={"retry-after": "3"}, json={"title": "busy", "detail": "as many sign in as may"}))
    page.click("#sign-out")
    signed_out(page)
    says(page, "#sign-in-stays", "Not signed out on the server: as many sign in as may. Try again in 3 s.")
    assert len(page.context.cookies()) == 1
    page.route("**/v1/auth/logout", lambda route: route.abort())
    page.click("#sign-out-again")
    says(page, "#sign-in-stays", "does not answer")
    page.unroute("**/v1/auth/logout")
    page.click("#sign-out-again")
    says(page, "#sign-in-says", "Signed out on the server, too.")
    assert page.is_hidden("#sign-in-stays") and page.context.cookies() == []
    page.reload()
    signed_out(page)
    clean(page, "status of 503", "net::ERR_FAILED")


def a_renewal_under_way_does_not_sign_in_again(world):
    page = world.open()
    page.wait_for_selector("#sign-in:visible")
    held = []

    def short_lived(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "expires_in": 1})

    page.route("**/v1/auth/login", short_lived)
    page.route("**/v1/auth/refresh", lambda route: held.append(route))
    sign_in(page)
    ready(page)
    # It is renewed in time, and the answer is long in coming.
    until(lambda: page.wait_for_timeout(50) or held, "it is renewed")
    answer = held[0].fetch()
    assert answer.status == 200
    page.click("#sign-out")
    signed_out(page)
    held[0].fulfill(response=answer, json={**answer.json(), "expires_in": 1})
    until(lambda: page.wait_for_timeout(50) or page.context.cookies() == [], "the cookie that came with it is gone")
    # Nor is it renewed again by a page that nobody is signed in at.
    page.wait_for_timeout(5_500)
    signed_out(page)
    assert len(held) == 1 and page.context.cookies() == [] and page.is_hidden("#sign-in-stays")
    page.unroute("**/v1/auth/refresh")
    page.reload()
    signed_out(page)
    clean(page)


def a_server_that_is_killed_is_missed_and_found_again(world):
    page = world.open()
    page.wait_for_selector("#sign-in:visible")
    sign_in(page)
    ready(page)
    world.shop.kill(signal.SIGKILL)
    page.wait_for_selector("#lost:visible")
    assert page.inner_text("#lost").startswith("The server does not answer; trying again."), page.inner_text("#lost")
    assert page.get_attribute("main", "data-stale") == "true"
    # What was shown stays, and says of when it is.
    assert page.query_selector(READY) is not None
    world.shop.start()
    page.wait_for_selector("#lost", state="hidden", timeout=20_000)
    says(page, "#link", "live")
    assert page.get_attribute("main", "data-stale") is None
    clean(page, *EXPECTED)


def behind_a_prefix_it_is_the_same(world):
    stand_in = StandIn("", prefix="/bazaar/haat")
    home = f"{stand_in.url}/bazaar/haat"
    with Shop("--public-url", home) as shop:
        stand_in.upstream = shop.address
        shop.account(shop.token("admin"), OPERATOR, "staff", ["ops.read"])
        page = world.open(home)
        page.wait_for_selector("#sign-in:visible")
        sign_in(page)
        ready(page)
        assert [one["path"] for one in page.context.cookies()] == ["/bazaar/haat/v1/auth"], page.context.cookies()
        page.goto(f"{home}/ops/")
        ready(page)
        assert page.url == f"{home}/ops", page.url
        page.click("#sign-out")
        signed_out(page)
        assert all(url.startswith(home) for url in page.asked), page.asked
        clean(page)
    stand_in.stop()


# ---- What is shown ---------------------------------------------------------------------------------------------------

# Tells on the console of each field of an overview that is read and was not sent.
READS = """
const parse = JSON.parse;
const watched = (value, path) => (typeof value !== "object" || value === null ? value : new Proxy(value, {
  get(of, key) {
    if (typeof key === "string" && !(key in of)) console.error(`not sent: ${path}.${key}`);
    const found = Reflect.get(of, key);
    return typeof key === "string" && Object.hasOwn(of, key) && key !== "length" ? watched(found, `${path}.${key}`) : found;
  },
}));
JSON.parse = (text, ...more) => { const found = parse(text, ...more); return found?.tiles ? watched(found, "overview") : found; };
"""


def what_is_recorded_is_as_the_server_says(world):
    for name, scene in recorded.SCENES.items():
        faults = world.shapes.faults("overview", scene(90))
        assert not faults, (name, faults[:10])
    for n in (0, 1, 4, 12):
        for what, answer in (("stuck", recorded.stuck(n)), ("jobs", recorded.jobs(n)), ("actor", recorded.actor(n)), ("history", recorded.history(1, n, n))):
            faults = world.shapes.faults(what, answer)
            assert not faults, (n, faults[:10])
    # And so it is: the real one sends what it says.
    faults = world.shapes.faults("overview", world.shop.ask("GET", "/v1/admin/overview", bearer=world.admin)[1])
    assert not faults, faults


def nothing_is_read_that_is_not_sent(world):
    for scene in ("wrong", "over", "rush"):
        page = world.browser.page()
        page.add_init_script(READS)
        page.goto(f"{world.scene(scene, 3)}/ops")
        with_token(page, world.admin)
        ready(page)
        page.goto(f"{world.stand_in.url}/ops#/product/{recorded.uuid_text('sku', 1)}", wait_until="commit")
        says(page, "#view .wall .of", "of" if scene == "wrong" else "")
        page.context.close()
        clean(page)


def a_sale_at_the_real_server_is_seen_on_every_page(world):
    page = world.browser.page()
    page.add_init_script(READS)
    page.goto(f"{world.real()}/ops")
    with_token(page, world.admin)
    ready(page)
    world.sale(12, 8)
    sold = page.locator("[aria-labelledby=tile-hot] tbody tr", has_text="sold out").first
    sold.wait_for()
    says(page, "[aria-labelledby=tile-orders] tbody tr", "paid")
    says(page, "[aria-labelledby=tile-node] dt", "ready for")
    assert page.locator(".tile > .wrong:visible").count() == 0
    sold.get_by_role("link").click()
    page.locator(".wall .sold-out").wait_for()
    says(page, ".wall .of", "8 sold")
    order = world.shop.ask("GET", "/v1/orders?limit=1&status=paid", bearer=world.admin)[1]["items"][0]["id"]
    page.goto(f"{world.url}/ops#/actors", wait_until="commit")
    page.fill("#actor-id", order)
    page.press("#actor-id", "Enter")
    page.locator(".versions button").first.wait_for()
    says(page, "#view pre[aria-label='Its state']", "paid")
    # Its money is found in what the real server calls its state.
    says(page, "#view .facts dd:nth-of-type(1)", "BDT")
    assert "undefined" not in page.inner_text("#view")
    page.goto(f"{world.url}/ops#/stuck", wait_until="commit")
    says(page, "#view", "No order is stuck")
    page.goto(f"{world.url}/ops#/jobs", wait_until="commit")
    says(page, "#view", "No job gave up")
    clean(page)


def a_product_that_nobody_has_ordered_is_put_on_the_wall_at_the_operators_port(world):
    port = free_port()
    with Shop("--operator-listen", f"127.0.0.1:{port}") as shop:
        admin = shop.token("admin")
        vendor = shop.ask("POST", "/v1/vendors", {"name": "Nakshi"}, admin)[1]["id"]

        title = '<b>জামদানি</b> "quilt" 👗'

        def product(title, *codes):
            skus = [{"code": code, "price": {"amount": "1250.00", "currency": "BDT"}, "on_hand": n} for n, code in enumerate(codes, 40)]
            return shop.ask("POST", f"/v1/vendors/{vendor}/products", {"title": title, "skus": skus}, admin)[1]
        quilt, cups = product(title, "Q-1"), product("Terracotta cups", "RED", "BLUE")
        sku = quilt["skus"][0]["id"]
        page = world.open(f"http://127.0.0.1:{port}", hash="#/product")
        with_token(page, admin)
        ready(page)
        says(page, "#view", "Nothing has been ordered yet.")
        # By a part of its title, once the list has it; by the id of a product with several SKUs; and by that of a SKU.
        def is_found():
            page.fill("#product-of", "জামদানি")
            page.press("#product-of", "Enter")
            page.wait_for_timeout(100)
            return page.locator("#view li").count() == 1
        until(is_found, "it is listed")
        assert page.locator("#view li").inner_text().endswith("Q-1, 1,250.00 BDT, 40 left"), page.inner_text("#view")
        page.fill("#product-of", "no such thing")
        page.press("#product-of", "Enter")
        says(page, "#view [role=status]", "No title contains that.")
        page.fill("#product-of", cups["id"])
        page.press("#product-of", "Enter")
        says(page, ".wall h1", "Terracotta cups")
        page.locator(".wall li", has_text="BLUE").get_by_role("link").click()
        says(page, ".wall .number", "41")
        says(page, ".wall header", "1,250.00 BDT, BLUE")
        # It is asked for again: its stock is as it is, and once it is ordered the stream tells of it.
        page.goto(f"http://127.0.0.1:{port}/ops#/product/{sku}", wait_until="commit")
        says(page, ".wall .number", "40")
        assert page.locator(".wall h1").text_content() == title and "Nobody orders it now" in page.inner_text(".wall")
        assert page.locator(".wall section:visible").count() == 2, "no courses of nothing"
        stock = f"/v1/vendors/{vendor}/skus/{sku}/stock"
        assert shop.ask("POST", stock, {"delta": -7, "reason": "moths"}, admin)[0] == 200
        says(page, ".wall .number", "33")
        cart = shop.ask("POST", "/v1/carts", {})[1]
        assert shop.ask("PUT", f"/v1/carts/{cart['id']}/lines/{sku}", {"quantity": 2}, cart["token"])[0] == 200
        address = {"name": "Rahima", "line1": "12 Lake Road", "city": "Dhaka", "country": "BD"}
        body = {"shipping_address": address, "payment": {"method": "sandbox", "token": "tok_approve"}}
        assert shop.ask("POST", f"/v1/carts/{cart['id']}/checkout", body, cart["token"])[0] in (201, 202)
        says(page, ".wall .of", "left of 33")
        says(page, ".wall .number", "31")
        assert page.locator(".wall section:visible").count() == 4 and "Nobody orders it now" not in page.inner_text(".wall")
        asked = len([url for url in page.asked if f"/v1/skus/{sku}" in url])
        page.goto(f"http://127.0.0.1:{port}/ops#/product/{recorded.uuid_text('sku', 9)}", wait_until="commit")
        until(lambda: page.locator("#view [role=status]:visible").count() == 1 and "Loading" not in page.inner_text("#view [role=status]"), "that there is none is told")
        assert len([url for url in page.asked if f"/v1/skus/{sku}" in url]) == asked, "what the stream tells is not asked for"
        assert all("/v1/" not in url or f":{port}/" in url for url in page.asked), page.asked
        clean(page, "status of 404")


def what_is_not_known_is_a_dash_and_the_stream_goes_on(world):
    looks = {}
    for hash, shown in (("#/", "[aria-labelledby=tile-hot] tbody tr"), (f"#/product/{recorded.uuid_text('sku', 1)}", ".wall .of")):
        def unknown(t):
            looks["look"], looks["found"] = world.shapes.unknown("overview", recorded.rush(t))
            return looks["look"]
        page = world.open(world.scene(unknown, 3), hash=hash)
        with_token(page, world.admin)
        ready(page)
        page.locator(shown).first.wait_for()
        page.wait_for_timeout(2_500)
        asked = [url for url in page.asked if url.endswith("/overview/events")]
        assert len(asked) == 1 and page.is_hidden("#lost") and "live" in page.inner_text("#link"), asked
        assert looks["found"] > 100 and looks["look"]["tiles"]["hot"]["skus"][0]["sold"] is None
        assert page.locator("#view .wrong:visible").count() == 0 and "NaN" not in page.inner_text("#view"), page.inner_text("#view")
        clean(page)
        page.context.close()


def a_tile_that_fails_says_so_and_the_others_go_on(world):
    page = world.open(world.scene("odd", 3))
    with_token(page, world.admin)
    ready(page)
    says(page, "[aria-labelledby=tile-mailboxes] .wrong:visible", "cannot show")
    says(page, "[aria-labelledby=tile-node] dd", "4,312")
    assert page.locator(".tile > .wrong:visible").count() == 1
    # The wall alone shows the price. A view that fails is told in its place, and another one is shown as ever.
    page.goto(f"{world.stand_in.url}/ops#/product/{recorded.uuid_text('sku', 1)}", wait_until="commit")
    says(page, "#view > .wrong", "cannot show")
    page.goto(f"{world.stand_in.url}/ops#/", wait_until="commit")
    says(page, "[aria-labelledby=tile-node] dd", "4,312")
    assert page.locator("#view > .wrong").count() == 0
    asked = [url for url in page.asked if url.endswith("/overview/events")]
    assert len(asked) == 1 and page.is_hidden("#lost"), asked
    clean(page, "console error: mailboxes", "BigInt")


def what_went_wrong_before_anybody_watched_is_there_at_the_first_look_and_a_figure_after_fifteen_minutes(world):
    world.scene("over", 3)
    # One look, and no other: nothing rises in it, and it is of two minutes after all of it.
    world.stand_in.before, world.stand_in.speed, world.stand_in.scene = 0, 0, lambda t: recorded.over(t + 200)
    page = world.open(world.stand_in.url)
    with_token(page, world.admin)
    ready(page)
    last = page.evaluate("(at) => new Date(at).toLocaleTimeString('en-GB')", recorded.told(recorded.NOW + timedelta(seconds=80)))
    for part in ("refused commits", "Requests panicked", "vendor actors were started again", "could not be read from the store"):
        says(page, ".trouble", f"{part}, 80 times in the last 15 minutes, last at {last}")
    for part in ("Requests were refused at a limit, 80 times", "since they took too long (504), 80 times", "“sandbox” was silent, 80 times"):
        says(page, ".trouble", part)
    assert "bad" in page.locator(".trouble").first.get_attribute("class")
    assert page.locator(".trouble").count() == 8 and page.is_hidden(".troubles .more")
    assert page.locator(".trouble", has_text="stopped").count() == 0
    says(page, "[aria-labelledby=tile-sheds] .figure .warn", "80")
    # The next looks come from a quarter of an hour later.
    world.stand_in.speed = 100
    try:
        page.locator(".calm:visible").wait_for(timeout=30_000)
    finally:
        world.stand_in.speed = 1.0
    says(page, "[aria-labelledby=tile-log_writer] .figure", "80")
    world.stand_in.scene = lambda t: recorded.over(t + 1_000)
    page.reload()
    with_token(page, world.admin)
    ready(page)
    # Whoever comes later is not told of what is long over, and one who asks a server that has just been started is told how much it knows.
    page.locator(".calm:visible").wait_for()
    assert page.locator(".trouble:visible").count() == 0 and "counts since" not in page.inner_text(".calm")

    def young(t):
        look = recorded.rush(t)
        look["tiles"]["lately"]["over_ms"] = 130_000
        return look
    world.stand_in.scene = young
    says(page, ".calm", "counts since it was started, in the last 3 minutes")
    clean(page)


def what_others_wrote_stands_there_as_text(world):
    page = world.open(world.scene("many", 400))
    with_token(page, world.admin)
    ready(page)
    for hash in ("#/", "#/stuck", "#/jobs", f"#/actor/order/{recorded.uuid_text('order', 1)}", f"#/product/{recorded.uuid_text('sku', 1)}"):
        page.goto(f"{world.stand_in.url}/ops{hash}", wait_until="commit")
        # Of an actor it stands there as JSON, a mark of quotation in it with its stroke before it.
        written = recorded.HOSTILE[:60].replace('"', '\\"') if "actor" in hash else recorded.HOSTILE
        until(lambda: written in page.evaluate("document.querySelector('#view').textContent"), f"{hash} shows it")
        if "actor" in hash:
            page.locator("#view dd code", has_text="type").first.wait_for()
        assert page.evaluate("document.querySelectorAll('#view img, #view script, #view b:not(figcaption b)').length") == 0, hash
        # It turns nothing round: each stands in an element that keeps its direction to itself.
        open_ones = page.evaluate("""(mark) => [...document.querySelectorAll('#view *')].filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.includes(mark)))
            .filter((one) => !one.closest('bdi') && !['isolate', 'plaintext', 'isolate-override'].includes(getComputedStyle(one).unicodeBidi)).map((one) => one.outerHTML.slice(0, 80))""", "\u202e")
        assert not open_ones, (hash, open_ones)
        rows = page.evaluate("document.querySelectorAll('#view tr, #view li, #view .versions button').length")
        assert rows < 400, (hash, rows)
    clean(page)


def what_is_wrong_comes_first_and_says_what_to_do(world):
    page = world.open(world.scene("wrong", 3))
    with_token(page, world.admin)
    ready(page)
    troubles = page.locator(".trouble")
    troubles.first.wait_for()
    said = troubles.all_inner_texts()
    assert "trouble bad" in troubles.first.get_attribute("class"), said
    for part in ("payment provider “sandbox” gives no answers", "3 orders are stuck", "database cannot be reached"):
        assert any(part in one for one in said), (part, said)
    assert all("Alarm: Haat" in one for one in said[:4]) and not any("docs/" in one for one in said), said
    # What limits refuse stands beside what was asked too often, not around it.
    says(page, "[aria-labelledby=tile-sheds] figcaption", "at a limit 91")
    says(page, "[aria-labelledby=tile-sheds] figcaption", "asked too often 12")
    # Connections that took too long stand there, those that are only idle without being a trouble; and how old lists are.
    late = page.locator("[aria-labelledby=tile-sheds] tbody tr", has_text="answers not read in time")
    assert late.locator("td").all_inner_texts() == ["0.4", "12", "19"] and late.locator("td.warn").count() == 2, late.inner_html()
    idle = page.locator("[aria-labelledby=tile-sheds] tbody tr", has_text="nothing asked for long")
    assert idle.locator("td").all_inner_texts() == ["1.0", "311", "2,077"] and idle.locator("td.warn").count() == 0, idle.inner_html()
    assert page.locator("[aria-labelledby=tile-sheds] tbody tr", has_text="not sent in time").count() == 0
    says(page, "[aria-labelledby=tile-checkpoint] dd.warn", "3 min 04 s ago")
    box = page.locator(".troubles").bounding_box()
    assert box["y"] < page.locator(".tiles").bounding_box()["y"]
    page.locator(".trouble a", has_text="See them").first.click()
    page.wait_for_selector("h1:has-text('Stuck orders')")
    clean(page)


def a_way_out_asks_why_and_is_sent_once(world):
    page = world.open(world.scene("wrong", 4), hash="#/stuck")
    with_token(page, world.admin)
    ready(page)
    world.stand_in.done.clear()
    page.locator("li.card", has_text="amount differs").get_by_role("button", name="It was paid").click()
    dialog = page.locator("dialog")
    dialog.get_by_role("button", name="It was paid").click()
    assert dialog.locator(".wrong:visible").all_inner_texts()[:2] == ["Still needed: Amount, BDT.", "Still needed: Reference."], dialog.inner_text()
    assert world.stand_in.done == []
    amount = dialog.get_by_label("Amount, BDT")
    amount.fill("a thousand")
    dialog.get_by_role("button", name="It was paid").click()
    assert "“a thousand” is no amount in BDT: write it as 1,250.00 BDT." in dialog.inner_text() and amount.get_attribute("aria-invalid") == "true", dialog.inner_text()
    # As the page prints it.
    amount.fill("1,250.00 BDT")
    dialog.get_by_label("Reference").fill("re_3Nk")
    dialog.get_by_label("Reason").fill("the rest came by transfer")
    dialog.get_by_role("button", name="It was paid").click()
    dialog.wait_for(state="detached")
    order = recorded.uuid_text("order", 0)
    body = {"as": "paid", "note": "the rest came by transfer", "amount": {"amount": "1250.00", "currency": "BDT"}, "reference": "re_3Nk"}
    assert world.stand_in.done == [(f"/v1/admin/orders/{order}/resolve", body)], world.stand_in.done
    freed = page.locator(".freed")
    assert freed.inner_text() == f"Order {order} was freed: paid." and freed.get_by_role("link").get_attribute("href") == f"#/actor/order/{order}", freed.inner_text()
    # What the server says of a field stands beside it.
    world.stand_in.refusal = (422, [], {"type": "about:blank", "title": "The amount is another", "status": 422, "code": "amount_differs", "errors": [{"field": "amount", "detail": "it must be 1000.00 BDT"}]})
    page.locator("li.card", has_text="amount differs").get_by_role("button", name="It was refunded").click()
    assert "what the provider says that it took, 1,000.00 BDT" in dialog.inner_text(), dialog.inner_text()
    amount.fill("৳ 5")
    dialog.get_by_label("Reference").fill("re_3Nk")
    dialog.get_by_label("Reason").fill("sent back")
    dialog.get_by_role("button", name="It was refunded").click()
    assert amount.get_attribute("aria-invalid") == "true" and len(world.stand_in.done) == 1
    amount.fill("5")
    dialog.get_by_role("button", name="It was refunded").click()
    says(page, "#ask-amount-wrong", "it must be 1000.00 BDT")
    assert world.stand_in.done[-1][1]["amount"] == {"amount": "5.00", "currency": "BDT"}, world.stand_in.done
    world.stand_in.refusal = None
    amount.fill("")
    dialog.get_by_role("button", name="It was refunded").click()
    dialog.wait_for(state="detached")
    assert "amount" not in world.stand_in.done[-1][1] and freed.inner_text() == f"Order {order} was freed: refunded.", freed.inner_text()
    # And by keyboard alone: opened, left, and the focus is where it was.
    button = page.locator("li.card", has_text="no answer").get_by_role("button", name="Try again")
    button.focus()
    page.keyboard.press("Enter")
    dialog.wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent").startswith("Try again: ")
    page.goto(f"{world.stand_in.url}/ops#/jobs")
    page.locator("li.card", has_text="gave up").first.get_by_role("button", name="Try anew").click()
    dialog.get_by_label("Reason").fill("mended")
    dialog.get_by_role("button", name="Try anew").click()
    dialog.wait_for(state="detached")
    assert world.stand_in.done[-1] == (f"/v1/admin/jobs/{recorded.uuid_text('job', 0)}/retry", {"reason": "mended"}), world.stand_in.done
    clean(page, "status of 422")


def a_stuck_order_says_what_happened_and_which_way_leads_out(world):
    page = world.open(world.scene("wrong", 6), hash="#/stuck")
    with_token(page, world.admin)
    ready(page)
    said = {}
    for why in ("amount differs", "void refused", "step failed", "no answer"):
        card = page.locator("li.card", has_text=why).first
        card.wait_for()
        said[why] = card.inner_text()
    for why, *parts in (
            ("amount differs", "Collect the whole sum and say “It was paid”, or send back what was taken and say “It was refunded”", "the provider took\n1,000.00 BDT", "paid with\nsandbox", "1 × Nakshi kantha"),
            ("void refused", "or its deadline had passed, so the provider was asked to undo its payment. It will not.", "Refund it by hand", "the buyer keeps the goods: say “It was paid”", "Try again: the undoing of the payment"),
            ("step failed", "The vendor cannot release what it holds", "count the stock", "Try again: the release of what is held", "vendor\nvendor_…"),
            ("no answer", "Its cart has not answered for ten minutes.", "Try again: the opening of the cart")):
        for part in parts:
            assert part in said[why], (part, said[why])
    # One whose deadline was still to come can only have been cancelled; and what is past its deadline is not charged again.
    assert "Try again: the undoing of the payment, for its deadline has passed" in said["amount differs"], said
    says(page, "li.card:nth-child(6)", "The order was cancelled, so the provider was asked to undo its payment.")
    assert "docs/" not in page.inner_text("#view")
    # Its own page says so, too: and money is money there.
    order = f"{world.stand_in.url}/ops#/actor/order/{recorded.uuid_text('order', 1)}"
    world.stand_in.actor = recorded.stuck_actor("void_refused", reason="closed", taken={"minor": 125000, "currency": "BDT"})
    page.goto(order, wait_until="commit")
    says(page, "#view .pill", "stuck")
    says(page, "#view .stuck", "This order is stuck: void refused")
    says(page, "#view .stuck", "It will not. The provider took 1,250.00 BDT.")
    says(page, "#view .facts dd:nth-of-type(1)", "1,250.00 BDT")
    says(page, "#view pre[aria-label='Its state']", '"total_minor": "1,250.00 BDT"')
    says(page, "#view .none", "it waits for somebody who frees it")
    assert "waits for nobody" not in page.inner_text("#view")
    page.locator("#view .stuck a").click()
    page.wait_for_selector("h1:has-text('Stuck orders')")
    clean(page)


def a_card_stays_while_its_rate_touches_zero(world):
    def by_turns(t):
        look = recorded.rush(t)
        refused = 6.0 if int(t) % 3 == 0 else 0.0
        look["tiles"]["sheds"].update(per_second=refused, reasons=[{"reason": "quota", "per_second": refused, "total": 40}])
        look["tiles"]["hot"]["skus"][0]["pieces_per_second"] = refused
        return look
    page = world.open(world.scene(by_turns, 3))
    with_token(page, world.admin)
    ready(page)
    card = page.locator(".trouble", has_text="buyer’s limit")
    card.wait_for()
    card.evaluate("(one) => { one.dataset.same = 'yes'; }")
    seen = set()
    for _ in range(25):
        seen.add(page.evaluate("document.querySelectorAll('.trouble[data-same]').length"))
        page.wait_for_timeout(200)
    assert seen == {1}, seen
    text = card.inner_text()
    assert "requests a second are refused at a limit: buyer’s limit" in text and "Nothing to do" in text and "5 unpaid orders" in text and "many carts" not in text, text
    # So is what the wall promises: of minutes, not of a moment.
    page.goto(f"{world.stand_in.url}/ops#/product/{recorded.uuid_text('sku', 1)}", wait_until="commit")
    end = page.locator(".wall .figure", has_text="sold out in").locator("dd")
    end.wait_for()
    promised = set()
    for _ in range(20):
        promised.add(end.inner_text())
        page.wait_for_timeout(200)
    assert "–" not in promised, promised
    says(page, ".wall dt", "refused at a limit, whole shop")
    # Ten seconds after the last of them it is over.
    page.goto(f"{world.stand_in.url}/ops#/", wait_until="commit")
    card.wait_for()
    world.stand_in.scene = "rush"
    card.wait_for(state="detached", timeout=20_000)
    clean(page)


def a_phone_shows_the_whole_menu_and_the_columns_that_are_wanted(world):
    page = world.open(world.scene("wrong", 4), width=390, height=844)
    with_token(page, world.admin)
    ready(page)
    inside = "(one) => { const box = one.getBoundingClientRect(); return box.left >= 0 && box.right <= innerWidth; }"
    for link in page.locator("#views a").all():
        assert link.evaluate(inside), link.inner_text()
    for tile, column in (("actors", "quarantined"), ("actors", "p95"), ("requests", "5xx / s")):
        head = page.locator(f"[aria-labelledby=tile-{tile}] th", has_text=column)
        assert head.evaluate(inside), (tile, column)
    # Ids are not broken in a word.
    page.goto(f"{world.stand_in.url}/ops#/stuck", wait_until="commit")
    page.locator("li.card h2 code").first.wait_for()
    one_line = "(one) => one.getClientRects().length === 1"
    assert page.locator("li.card h2 code").first.evaluate(one_line)
    page.get_by_role("button", name="It was paid").first.click()
    assert page.locator("dialog h2 code").evaluate(one_line)
    page.keyboard.press("Escape")
    page.goto(f"{world.stand_in.url}/ops#/actor/order/{recorded.uuid_text('order', 1)}", wait_until="commit")
    title = page.locator("#view h1 bdi")
    title.wait_for()
    assert title.evaluate(one_line)
    clean(page)


def a_difference_is_of_the_version_that_is_chosen(world):
    page = world.open(world.scene("many", 7), hash=f"#/actor/order/{recorded.uuid_text('order', 1)}")
    with_token(page, world.admin)
    ready(page)
    versions = page.locator(".versions button")
    versions.nth(6).wait_for()
    row = page.locator(".changes tbody tr", has_text="/status")
    for version, was, now in ((4, "charge_asked", "paid"), (3, "stock_held", "charge_asked"), (2, "placed", "stock_held")):
        versions.nth(7 - version).click()
        page.wait_for_selector(f"h3:has-text('Version {version}')")
        assert row.locator("td").all_inner_texts() == [f'"{was}"', f'"{now}"'], (version, row.inner_text())
        assert page.locator(".changes tbody tr", has_text="/total_minor").locator("td").all_inner_texts() == [f"{version}.00 BDT", "1,250.00 BDT"], version
    # Who did it: a name in a token, an account, whoever else the journal names.
    for version, who in ((1, "rina"), (2, f"customer {recorded.uuid_text('cust', 1)}"), (3, f"guest {recorded.uuid_text('cart', 1)}"), (4, f"owner of {recorded.uuid_text('vendor', 1)}"),
                         (5, "the shop itself, or an administrator without an account"), (6, f"staff {recorded.uuid_text('acct', 1)}")):
        versions.nth(7 - version).click()
        page.wait_for_selector(f"h3:has-text('Version {version}')")
        assert page.locator("#view .facts dd bdi", has_text=who).count() == 1, (version, page.locator("#view .facts").all_inner_texts())
    assert "undefined" not in page.inner_text("#view")
    clean(page)


def a_history_is_shown_version_by_version(world):
    page = world.open(world.scene("many", 120), hash=f"#/actor/order/{recorded.uuid_text('order', 1)}")
    with_token(page, world.admin)
    ready(page)
    versions = page.locator(".versions button")
    versions.nth(49).wait_for()
    assert versions.count() == 50
    versions.nth(3).click()
    page.wait_for_selector("h3:has-text('Version 117')")
    changes = page.locator(".changes tbody tr")
    assert changes.count() == 3 and "/status" in changes.nth(1).inner_text()
    page.get_by_role("button", name="Older versions").click()
    versions.nth(99).wait_for()
    page.get_by_role("button", name="Older versions").click()
    versions.nth(119).wait_for()
    assert page.is_hidden("button:has-text('Older versions')")
    clean(page)


def a_busy_actor_is_not_read_again_and_again(world):
    page = world.open(world.scene("many", 120), hash=f"#/actor/order/{recorded.uuid_text('order', 1)}")
    with_token(page, world.admin)
    ready(page)
    versions = page.locator(".versions button")
    versions.nth(49).wait_for()
    # It goes on: its figures are refreshed, its history is not.
    since = page.get_by_role("button", name="Load what has happened since")
    for version in (123, 126):
        world.stand_in.items = version
        says(page, "#view dd", str(version))
        since.wait_for()
    assert world.stand_in.lives == [""], world.stand_in.lives
    since.click()
    versions.nth(55).wait_for()
    assert world.stand_in.lives == ["", "from=121&to=126"] and page.locator(".versions .gap").count() == 0, world.stand_in.lives
    # So much at once that there is a gap, which says so and is filled from its upper end.
    world.stand_in.items = 400
    since.wait_for()
    since.click()
    versions.nth(105).wait_for()
    assert world.stand_in.lives[-1] == "from=351&to=400"
    assert page.locator(".versions .gap").all_inner_texts() == ["Versions 127 to 350 are not loaded."]
    older = page.get_by_role("button", name="Older versions")
    for first, shown in ((301, 156), (251, 200), (201, 200)):
        older.click()
        until(lambda: world.stand_in.lives[-1] == f"from={first}&to={first + 49}", f"{first} is asked for")
        until(lambda: versions.count() == shown and older.is_enabled(), f"{shown} are shown")
    assert page.locator(".versions .gap").count() == 0
    says(page, "#view", "Not shown here: 0 newer, 200 older. At most 200 are kept.")
    older.click()
    says(page, "#view", "Not shown here: 50 newer, 150 older.")
    assert versions.count() == 200
    since.wait_for()
    clean(page)


def a_history_that_is_refused_can_be_asked_for_when_the_server_says(world):
    address = world.scene("many", 7)
    world.stand_in.busy = 1
    page = world.open(address, hash=f"#/actor/order/{recorded.uuid_text('order', 1)}")
    with_token(page, world.admin)
    ready(page)
    load = page.get_by_role("button", name="Load its history")
    load.wait_for()
    says(page, "#view [role=status]", "one life is read at a time")
    assert load.is_disabled()
    until(load.is_enabled, "five seconds have passed")
    assert world.stand_in.lives == [""]
    load.click()
    page.locator(".versions button").nth(6).wait_for()
    assert page.is_hidden("button:has-text('Load')") and world.stand_in.lives == ["", ""]
    clean(page, "status of 503")


def one_that_is_quarantined_has_a_history(world):
    address = world.scene("many", 7)
    world.stand_in.quarantined = True
    page = world.open(address, hash=f"#/actor/order/{recorded.uuid_text('order', 1)}")
    with_token(page, world.admin)
    ready(page)
    page.locator(".versions button").nth(6).wait_for()
    says(page, "#view .pill", "quarantined")
    says(page, "#view [role=status]", "Version 8 cannot be read")
    assert world.stand_in.lives == [""]
    world.stand_in.quarantined = False
    clean(page)


def the_theme_can_be_switched_and_is_kept(world):
    page = world.open(theme="light")
    page.wait_for_selector("#sign-in:visible")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.click("#theme")
    dark = page.evaluate(colour)
    assert dark != light
    page.reload()
    page.wait_for_selector("#sign-in:visible")
    assert page.evaluate(colour) == dark
    clean(page)


# ---- For whom it is --------------------------------------------------------------------------------------------------


def nothing_serious_is_found_by_axe_at_any_width_in_any_theme(world):
    axe = Axe()
    order, sku = recorded.uuid_text("order", 1), recorded.uuid_text("sku", 1)
    # What has all colours in it is looked at everywhere, the rest at two of the six: a colour is the same at any width.
    everywhere = [("wrong", "#/"), ("rush", f"#/product/{sku}")]
    besides = [("nothing", "#/"), ("many", "#/stuck"), ("many", "#/jobs"), ("rush", "#/actors"), ("many", f"#/actor/order/{order}")]
    for width, height in ((360, 800), (1280, 860), (2560, 1440)):
        for theme in ("light", "dark"):
            page = world.open(world.scene("rush", 3), width=width, height=height, theme=theme)
            page.wait_for_selector("#sign-in:visible")
            looked = [("sign-in", axe.run(page))]
            with_token(page, world.admin)
            ready(page)
            for scene, hash in everywhere + besides:
                world.scene(scene, 12 if scene == "many" else 3)
                page.goto(f"{world.stand_in.url}/ops{hash}")
                page.wait_for_selector("#view h1")
                until(lambda: ("sandbox" in page.evaluate("document.querySelector('#view').textContent")) == (scene == "wrong") or hash != "#/", "the scene is there")
                until(lambda: page.locator("#view [role=status]:visible", has_text="Loading").count() == 0, f"{hash} is loaded")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{hash} at {width} is {wide} px too wide"
                if (scene, hash) in everywhere or (width, theme) in ((360, "light"), (1280, "dark")):
                    looked.append((f"{scene} {hash}", axe.run(page)))
            for state, found in looked:
                serious = [(one["id"], one["nodes"][0]["html"][:160], one["nodes"][0]["failureSummary"][:200]) for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
                assert not serious, (state, width, theme, serious)
            # Until the stream tells that it is hot, the page asks the catalogue for it; the real one does not know what is made up.
            clean(page, f"/v1/skus/{sku}")
            page.context.close()


TESTS = [one for name, one in list(globals().items()) if callable(one) and getattr(one, "__code__", None) and one.__code__.co_varnames[: one.__code__.co_argcount] == ("world",)]


def main(only):
    failed = []
    with Shop() as shop, Browser() as browser:
        world = World(shop, browser)
        for test in TESTS:
            if only and not any(part in test.__name__ for part in only):
                continue
            begun = time.monotonic()
            try:
                test(world)
                print(f"pages-test: {test.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception:
                traceback.print_exc()
                failed.append(test.__name__)
                if not shop.process:
                    shop.start()
            for context in browser.browser.contexts:
                context.close()
        world.stand_in.stop()
        log = open(shop.log.name, errors="replace").read()
        wrong = [line for line in log.splitlines() if " ERROR " in line or "panicked at" in line]
        if wrong:
            failed.append("the server's log")
            print("\n".join(wrong[:10]), file=sys.stderr)
    if failed:
        sys.exit(f"pages-test: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
