"""Overviews as a server sends them, of states that a server in a test is not brought into: nothing at all, one of everything, very many of
everything, a rush, and everything wrong at once. Each is a function of the second, so that charts have something to draw."""

import math
from datetime import datetime, timedelta, timezone

# A name that must stand on the page as it is: markup, bidi marks that would turn round what follows, emoji, and no space to break at.
HOSTILE = '<img src=x onerror="document.title=`got`"><b>জামদানি</b> \u202eGNP.exe\u202c 👗🔥 </script><script>alert(1)</script>' + "x" * 90

NOW = datetime.now(timezone.utc).replace(microsecond=0)


def told(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def uuid_text(prefix, n):
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    text = ""
    for _ in range(20):
        text = letters[n % 32] + text
        n //= 32
    return f"{prefix}_01h2xc{text}"


def latency(base, t, per_second, wave=0.25):
    if per_second == 0:
        return {"p50": None, "p95": None, "p99": None, "per_second": 0.0}
    now = base * (1 + wave * math.sin(t / 9) + 0.08 * math.sin(t * 1.7))
    return {"p50": round(now, 2), "p95": round(now * 2.6, 2), "p99": round(now * 4.4, 2), "per_second": float(per_second)}


def money(amount):
    return {"amount": amount, "currency": "BDT"}


def sku(n, title, left, held, sold, orders, t):
    return {
        "sku_id": uuid_text("sku", n), "vendor_id": uuid_text("vendor", n), "product_id": uuid_text("product", n), "title": title, "code": f"S-{n}",
        "price": money("12500.50"), "orders_per_second": orders, "pieces_per_second": round(orders * 1.2, 1), "held": held, "left": left,
        "on_hand": left + held, "sold": sold, "at": told(NOW + timedelta(seconds=t)),
    }


def overview(t):
    """A server that nobody asks for anything."""
    nothing = latency(0, t, 0)
    return {
        "at": told(NOW + timedelta(seconds=t)), "over_ms": 1000,
        "tiles": {
            "lately": {"over_ms": 900_000, "items": []},
            "node": {"state": "ready", "since": told(NOW - timedelta(hours=5, minutes=12)), "version": "0.1.0", "clock_ahead_seconds": 0, "connections": 1,
                     "answer_bytes": 0, "files_missing": False, "invariant_breaches": 0, "handler_panics": 0},
            "http": {"per_second": None, "by_status": {"2xx": None, "3xx": None, "4xx": None, "5xx": None}, "routes": []},
            "orders": {"by_status": [], "stuck": 0, "quarantined": []},
            "actors": {"items": [], "requests_parked": 0},
            "mailboxes": {"from_depth": 16, "items": []},
            "log_writer": {"records_per_second": None, "bytes_per_second": None, "commits_per_second": None, "records_per_commit": nothing, "commit": nothing,
                           "backlog_records": 0, "backlog_limit": 50000, "commit_failures": 0},
            "checkpoint": {"lag_records": 0, "lag_limit": 1000000, "lag_bytes": 0, "lag_bytes_limit": 1073741824, "dirty_entities": 0, "took": nothing,
                           "entities_per_second": 0.0, "refused": 0, "read_tables_behind_ms": 120},
            "followers": {"items": []},
            "jobs": {"open": [], "gave_up": 0, "targets": [], "tries": [], "store_failures": 0},
            "payments": {"providers": []},
            "database": {"kind": "sqlite", "available": True, "pools": [], "units": {"outcomes": [], "latency": nothing}, "commit_failures": 0,
                         "job_failures": 0, "follower_failures": 0},
            "sheds": {"per_second": 0.0, "reasons": [], "rate_limited": [], "connections_refused": 0, "answers_given_up": [], "bodies_refused": [], "connections_timed_out": []},
            "hot": {"over_ms": 10000, "skus": [], "vendors": []},
        },
    }


def risen(count, risen, t, of=None):
    return {"count": count, "of": of, "risen": risen, "last": told(NOW + timedelta(seconds=t))}


def provider(method, t, base, per_second, answers="yes", silent_ms=None, waiting=0):
    return {
        "method": method, "answers": answers, "silent_ms": silent_ms, "opened": 0 if answers == "yes" else 3, "under_way": int(per_second / 3),
        "queue": {"charges": waiting, "others": waiting // 4, "oldest_ms": 64000 if waiting else None},
        "calls": [
            {"call": "charge", "outcomes": [{"outcome": "succeeded", "per_second": float(per_second), "total": 81234 + int(t * per_second)},
                                            {"outcome": "declined", "per_second": 1.4, "total": 1204},
                                            {"outcome": "no_answer", "per_second": 0.0 if answers == "yes" else 4.2, "total": 0 if answers == "yes" else 912}],
             "latency": latency(base, t, per_second)},
            {"call": "refund", "outcomes": [{"outcome": "succeeded", "per_second": 0.1, "total": 17}], "latency": latency(base, t, 0.1)},
        ],
    }


def one(t):
    """One of everything."""
    look = overview(t)
    tiles = look["tiles"]
    tiles["http"] = {"per_second": 1.0, "by_status": {"2xx": 1.0, "3xx": 0.0, "4xx": 0.0, "5xx": 0.0}, "routes": [
        {"method": "POST", "route": "/v1/carts/{cart}/checkout", "per_second": 1.0, "client_errors_per_second": 0.0, "server_errors_per_second": 0.0, "latency": latency(3, t, 1)}]}
    tiles["orders"] = {"by_status": [{"status": "paid", "count": 1}], "stuck": 0, "quarantined": [{"why": "amount_differs", "total": 0}]}
    tiles["actors"] = {"items": [kind("order", 1, 1, t)], "requests_parked": 0}
    tiles["followers"] = {"items": [follower("order_mails", 0, t)]}
    tiles["jobs"] = {"open": [{"kind": "order_paid_mail", "state": "due", "count": 1}], "gave_up": 0, "targets": [{"target": "mail", "answers": "yes"}],
                     "tries": [{"outcome": "done", "per_second": 0.1, "total": 1}], "store_failures": 0}
    tiles["payments"] = {"providers": [provider("sandbox", t, 40, 1)]}
    tiles["database"]["pools"] = [{"name": "lists", "open": 1, "in_use": 0, "most": 4}]
    tiles["hot"] = {"over_ms": 10000, "skus": [sku(1, "Katan sari", 41, 1, 1, 0.1, t)], "vendors": [
        {"vendor_id": uuid_text("vendor", 1), "orders_per_second": 0.1, "pieces_per_second": 0.1, "checkouts_under_way": 1}]}
    return look


def kind(name, live, per_second, t, restarts=0, quarantined=0, panicked=0.0):
    return {"kind": name, "live": live, "per_second": {"done": per_second * 0.93, "rejected": per_second * 0.05, "repeated": per_second * 0.02, "expired": 0.0, "panicked": panicked},
            "latency": latency(1.4, t, per_second), "restarts": restarts, "recoveries": live // 3, "passivations": live // 50, "quarantined": quarantined}


def follower(name, lag, t, late=0, failures=0, skipped=0):
    return {"name": name, "state": "catches_up" if lag else "follows", "lag_frames": lag, "as_of": told(NOW + timedelta(seconds=t - late)),
            "rows_per_second": 312.0, "rows": 48123, "failures": failures, "skipped": skipped}


def rush(t):
    """The night of a sale, and all is well."""
    look = overview(t)
    tiles = look["tiles"]
    swing = 1 + 0.18 * math.sin(t / 13) + 0.05 * math.sin(t * 2.1)
    asked = 812 * swing
    tiles["node"].update(connections=4312, answer_bytes=183423)
    routes = [("POST", "/v1/carts/{cart}/checkout", 200, 3.1), ("PUT", "/v1/carts/{cart}/lines/{sku}", 260, 1.9), ("POST", "/v1/carts", 210, 1.1),
              ("GET", "/v1/products/{product}", 140, 0.4), ("GET", "/v1/orders/{order}", 90, 0.7)]
    tiles["http"] = {"per_second": asked, "by_status": {"2xx": asked * 0.975, "3xx": 0.0, "4xx": asked * 0.025, "5xx": 0.0}, "routes": [
        {"method": method, "route": route, "per_second": n * swing, "client_errors_per_second": n * 0.02, "server_errors_per_second": 0.0, "latency": latency(base, t, n)}
        for method, route, n, base in routes]}
    tiles["orders"]["by_status"] = [{"status": "awaiting_payment", "count": 312}, {"status": "paid", "count": 18234}, {"status": "cancelled", "count": 412}, {"status": "expired", "count": 77}]
    tiles["actors"] = {"items": [kind("cart", 10233, 400 * swing, t), kind("order", 8120, 610 * swing, t), kind("vendor", 12, 420 * swing, t), kind("customer", 2310, 12, t)], "requests_parked": 3}
    tiles["mailboxes"]["items"] = [{"id": uuid_text("vendor", 1), "kind": "vendor", "depth": 41}, {"id": uuid_text("vendor", 2), "kind": "vendor", "depth": 19}]
    tiles["log_writer"].update(records_per_second=1500 * swing, bytes_per_second=912345.0 * swing, commits_per_second=110.0 * swing,
                               records_per_commit=latency(13, t, 110), commit=latency(3.2, t, 110), backlog_records=212)
    tiles["checkpoint"].update(lag_records=51200, lag_bytes=48123456, dirty_entities=8120, took=latency(120, t, 0.1), entities_per_second=512.0)
    tiles["followers"]["items"] = [follower("order_mails", 0, t), follower("stock_history", 0, t)]
    tiles["jobs"] = {"open": [{"kind": "order_paid_mail", "state": "due", "count": 34}, {"kind": "order_paid_mail", "state": "sending", "count": 4}], "gave_up": 0,
                     "targets": [{"target": "mail", "answers": "yes"}], "tries": [{"outcome": "done", "per_second": 18.0, "total": 18234}], "store_failures": 0}
    tiles["payments"] = {"providers": [provider("sandbox", t, 140, 180 * swing), provider("bkash", t, 310, 24 * swing)]}
    tiles["database"].update(kind="postgres", pools=[{"name": "journal", "open": 2, "in_use": 1, "most": 2}, {"name": "lists", "open": 4, "in_use": 1, "most": 4}, {"name": "services", "open": 8, "in_use": 2, "most": 8}],
                             units={"outcomes": [{"outcome": "done", "per_second": 14.0, "total": 91234}], "latency": latency(2, t, 14)})
    tiles["sheds"]["reasons"] = [{"reason": "quota", "per_second": 0.0, "total": 14}]
    left = max(0, int(1000 - t * 9.5))
    tiles["hot"]["skus"] = [sku(1, "Katan sari, handwoven in Mirpur", left, min(120, left), 1000 - left, 80.0 * swing, t), sku(2, "Jamdani panjabi", 812, 14, 174, 22.4, t),
                            sku(3, "Nakshi kantha", 77, 3, 920, 6.1, t), sku(4, "Terracotta cups, six", 0, 0, 400, 0.0, t)]
    tiles["hot"]["vendors"] = [{"vendor_id": uuid_text("vendor", n), "orders_per_second": 80.0 / n, "pieces_per_second": 95.0 / n, "checkouts_under_way": 40 // n} for n in (1, 2, 3)]
    return look


def many(t):
    """Very many of everything, with names as long and as hostile as they come."""
    look = rush(t)
    tiles = look["tiles"]
    tiles["actors"]["items"] = [kind(f"{name}", 1_000_000 - n, 98_000 - n * 1000, t) for n, name in enumerate(["cart", "order", "vendor", "customer", *[f"kind_{n}" for n in range(30)]])]
    tiles["mailboxes"]["items"] = [{"id": uuid_text("vendor", n), "kind": "vendor", "depth": 99_999 - n} for n in range(300)]
    tiles["followers"]["items"] = [follower(f"a_follower_with_a_long_name_{n}", 0, t) for n in range(40)]
    tiles["jobs"]["open"] = [{"kind": f"kind_of_job_{n}", "state": "due", "count": 12_345_678} for n in range(60)]
    tiles["payments"]["providers"] = [provider(f"provider_{n}", t, 100 + n, 100) for n in range(30)]
    tiles["database"]["pools"] = [{"name": f"pool_{n}", "open": 4, "in_use": 1, "most": 4} for n in range(30)]
    tiles["orders"]["by_status"] = [{"status": f"status_{n}", "count": 98_765_432_101} for n in range(30)]
    tiles["http"]["routes"] = [{"method": "POST", "route": f"/v1/a/route/that/is/very/long/{{with}}/{{parts}}/{n}", "per_second": 99_999.0, "client_errors_per_second": 1.0,
                                "server_errors_per_second": 0.0, "latency": latency(3, t, 100)} for n in range(50)]
    tiles["sheds"]["reasons"] = [{"reason": f"reason_{n}", "per_second": 0.0, "total": 123_456_789} for n in range(40)]
    tiles["hot"]["skus"] = [sku(n, HOSTILE, 1_000_000_000, 999_999, 123_456_789, 99_999.5, t) for n in range(1, 60)]
    tiles["hot"]["vendors"] = [{"vendor_id": uuid_text("vendor", n), "orders_per_second": 1.0, "pieces_per_second": 2.0, "checkouts_under_way": 123_456} for n in range(60)]
    return look


def wrong(t):
    """A rush in which everything goes wrong that the page knows of."""
    look = rush(t)
    tiles = look["tiles"]
    tiles["node"].update(clock_ahead_seconds=42, files_missing=True, invariant_breaches=1, handler_panics=2 + int(t / 20))
    asked = tiles["http"]["per_second"]
    tiles["http"]["by_status"] = {"2xx": asked * 0.7, "3xx": 0.0, "4xx": asked * 0.1, "5xx": asked * 0.2}
    tiles["http"]["routes"][0]["server_errors_per_second"] = 61.0
    tiles["orders"].update(stuck=3, quarantined=[{"why": "amount_differs", "total": 2}])
    tiles["actors"]["items"][2] = kind("vendor", 12, 420, t, restarts=4 + int(t / 20), quarantined=1, panicked=0.4)
    tiles["mailboxes"]["items"] = [{"id": uuid_text("vendor", 1), "kind": "vendor", "depth": 4096}]
    tiles["log_writer"].update(commit=latency(480, t, 12), backlog_records=44_120, commit_failures=3 + int(t / 4))
    tiles["checkpoint"].update(lag_records=871_000, refused=1, read_tables_behind_ms=184_000)
    tiles["followers"]["items"][1] = follower("stock_history", 41_200, t, late=340, failures=12 + int(t / 10), skipped=1)
    tiles["jobs"].update(gave_up=7, targets=[{"target": "mail", "answers": "no"}], store_failures=2 + int(t / 8))
    tiles["jobs"]["open"].append({"kind": "order_paid_mail", "state": "gave_up", "count": 7})
    tiles["payments"] = {"providers": [provider("sandbox", t, 2400, 8, answers="no", silent_ms=183_000, waiting=912), provider("bkash", t, 3100, 24)]}
    tiles["database"].update(available=False, pools=[{"name": "lists", "open": 4, "in_use": 4, "most": 4}])
    tiles["database"]["units"]["outcomes"] = [{"outcome": "done", "per_second": 2.0, "total": 17}, {"outcome": "failed", "per_second": 3.0, "total": 51}]
    tiles["sheds"].update(per_second=103.0, reasons=[{"reason": reason, "per_second": rate, "total": total} for reason, rate, total in
                                                    [("payment_provider", 61.0, 9123), ("mailbox", 22.0, 812), ("records_in_flight", 8.0, 91)]],
                          rate_limited=[{"reason": "carts", "per_second": 12.0, "total": 412}], connections_refused=31 + int(t),
                          answers_given_up=[{"reason": "connection", "per_second": 0.0, "total": 7}], bodies_refused=[{"reason": "too_large", "per_second": 0.2, "total": 3}],
                          connections_timed_out=[{"reason": "answer", "per_second": 0.4, "total": 19}, {"reason": "head", "per_second": 0.0, "total": 0}, {"reason": "idle", "per_second": 1.0, "total": 2077}])
    tiles["lately"]["items"] = [
        risen("actor_restarts", 4, t, "vendor"), risen("commit_failures", 3 + int(t / 4), t), risen("connections_refused", 31 + int(t), t), risen("connections_timed_out", 12, t, "answer"),
        risen("connections_timed_out", 311, t, "idle"), risen("follower_failures", 12, t, "stock_history"),
        risen("handler_panics", 2, t), risen("job_store_failures", 2, t), *[risen("requests_shed", n, t, reason) for reason, n in (("payment_provider", 9123), ("mailbox", 812), ("records_in_flight", 91))]]
    return look


def over(t):
    """A rush in which all is well again: what went wrong before still stands in the totals, and rose last at the eightieth second."""
    look = rush(t)
    tiles = look["tiles"]
    so_far = int(min(t, 80))
    # As a server has it that nobody watched meanwhile.
    if t < 80 + 900:
        told_of = [("actor_restarts", "vendor"), ("commit_failures", None), ("connections_refused", None), ("follower_failures", "stock_history"), ("handler_panics", None), ("job_store_failures", None),
                   ("payment_provider_silent", "sandbox"), ("requests_shed", "mailbox"), ("server_errors", "504")]
        tiles["lately"]["items"] = [risen(count, so_far, min(t, 80), of) for count, of in told_of]
    tiles["node"].update(handler_panics=so_far)
    tiles["log_writer"].update(commit_failures=so_far)
    tiles["jobs"].update(store_failures=so_far)
    tiles["actors"]["items"][2] = kind("vendor", 12, 420, t, restarts=so_far)
    tiles["followers"]["items"][1] = follower("stock_history", 0, t, failures=so_far)
    tiles["sheds"].update(connections_refused=so_far)
    # A sign-in that was given up by its caller is nobody's fault here.
    tiles["database"]["units"]["outcomes"].append({"outcome": "stopped", "per_second": 1.0, "total": 17})
    return look


def odd(t):
    """What no server sends: two tiles that nothing can be made of."""
    look = rush(t)
    look["tiles"]["mailboxes"] = {"from_depth": 16, "items": 7}
    look["tiles"]["hot"]["skus"][0]["price"] = {"amount": "12 or so", "currency": "BDT"}
    return look


SCENES = {"nothing": overview, "one": one, "rush": rush, "many": many, "wrong": wrong, "over": over}
# Not held against what the server says that it sends.
BROKEN = {"odd": odd}


def stuck(n):
    """A page of stuck orders."""
    whys = [
        {"why": "amount_differs", "told": money("1000.00"), "given_back": False, "resolve_as": ["retry", "refunded", "paid"]},
        {"why": "void_refused", "told": money("1250.00"), "reason": HOSTILE, "resolve_as": ["retry", "refunded", "paid"]},
        {"why": "step_failed", "reason": "hold_unknown", "vendor_id": uuid_text("vendor", 1), "resolve_as": ["retry", "write_off"]},
        {"why": "no_answer", "resolve_as": ["retry"]},
    ]
    none = money("0.00")
    line = {"sku_id": uuid_text("sku", 1), "vendor_id": uuid_text("vendor", 1), "title": "Nakshi kantha", "quantity": 1, "unit_price": money("1250.00"), "line_total": money("1250.00"),
            "list_price": money("1250.00"), "discount": none, "discounts": [], "points": none, "payable": money("1250.00"), "credited": 0, "credited_amount": none,
            "cancelled": 0, "packed": 0, "shipped": 0, "delivered": 0, "returned": 0}
    sums = {"subtotal": money("1250.00"), "discount": none, "shipping": none, "shipping_discount": none, "fees": none, "tax": none, "prices_include_tax": True}
    plain = {"status": "awaiting_payment", **sums, "total": money("1250.00"), "total_due": money("1250.00"), "paid": none, "credited": none, "refunded": none, "refund_due": none,
             "lines": [line], "sub_orders": [], "payment": {"status": "pending", "method": "sandbox"}, "placed_at": told(NOW - timedelta(hours=1))}
    items = [{"id": uuid_text("order", k), "cart_id": uuid_text("cart", k), **plain, "payment_due_at": told(NOW - timedelta(hours=2 if k == 1 else 0)), "stuck": {"since": told(NOW - timedelta(minutes=11 + 37 * k)), **whys[k % 4]}} for k in range(n)]
    return {"items": items[:10], "next_cursor": "0" * 64 if n > 10 else None, "as_of": told(NOW)}


def jobs(n):
    """A page of jobs that gave up."""
    items = [{"id": uuid_text("job", k), "kind": "order_paid_mail", "state": "gave_up", "about": uuid_text("order", k), "tries": 300, "at": told(NOW - timedelta(hours=2)),
              "note": HOSTILE if k % 2 else "the mail server answered RCPT TO with 550",
              "retries": [{"at": told(NOW - timedelta(minutes=9)), "by": "rina", "reason": "the mail server takes this domain again"}] if k % 3 == 0 else []} for k in range(n)]
    return {"items": items[:10], "next_cursor": "0" * 64 if n > 10 else None, "as_of": told(NOW)}


def actor(versions):
    """An order's own view."""
    return {"id": uuid_text("order", 1), "kind": "order", "live": True, "quarantined": False, "version": versions, "checkpointed_version": max(0, versions - 2), "mailbox_depth": 2, "restarts": 0,
            "requests_waiting": 1, "kept_answers": 2, "effects": [{"step": "reserve", "target": uuid_text("vendor", 1), "attempts": 3, "begun": True, "again_in_ms": 1800}] if versions else [],
            "wakes_at": told(NOW + timedelta(minutes=10)), "state": {"status": "awaiting_payment", "note": HOSTILE, "lines": [{"sku": uuid_text("sku", k), "quantity": 1} for k in range(min(versions, 40))]}}


# Who did something, as the journal has it: a principal, or the name in a token.
DOERS = [{"staff": {"account": uuid_text("acct", 1), "powers": "admin"}}, "rina", {"customer": uuid_text("cust", 1)}, {"guest": uuid_text("cart", 1)},
         {"member": {"vendor": uuid_text("vendor", 1), "role": "owner"}}, {"staff": {"powers": "admin"}}]


def stuck_actor(code, **why):
    """The view of an order that is set aside."""
    state = {"attempt": 1, "currency": "BDT", "payment_status": "pending", "phase": "quarantined", "rejection": None, "status": "awaiting_payment", "sub_orders": [],
             "total_minor": 125000, "total_due_minor": 125000, "stuck": {"code": code, **why}}
    return {**actor(3), "effects": [], "state": state}


def history(first, last, newest):
    """Versions of it."""
    steps = ["placed", "stock_held", "charge_asked", "paid"]
    return {"id": uuid_text("order", 1), "kind": "order", "newest": newest, "items": [
        {"version": k, "at": told(NOW - timedelta(seconds=newest - k)), "events": [{"type": steps[(k - 1) % 4], "title": HOSTILE}], "answers_kept": 1, "by": DOERS[k % len(DOERS)],
         "state": {"status": steps[(k - 1) % 4], "currency": "BDT"}, "changes": [{"path": "/total_minor", "from": 100 * k, "to": 125000}, {"path": "/status", "from": steps[(k - 2) % 4], "to": steps[(k - 1) % 4]}, {"path": f"/lines/{k}", "to": {"quantity": 1}}]} for k in range(first, last + 1)]}
