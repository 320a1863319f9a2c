"""Pictures of every state of the operators' page, to be looked at: `scripts/pages-test --shots DIRECTORY`."""

import itertools
import os
import sys

from harness import Browser, Shop
from stand_in import StandIn

WIDTHS = [(360, 800), (1280, 860), (2560, 1440)]
SCENES = ["nothing", "one", "rush", "many", "wrong", "over"]
VIEWS = {"overview": "#/", "actors": "#/actors", "actor": None, "stuck": "#/stuck", "jobs": "#/jobs", "products": "#/product", "wall": None}


def main(directory, only):
    os.makedirs(directory, exist_ok=True)
    import recorded

    order, sku = recorded.uuid_text("order", 1), recorded.uuid_text("sku", 1)
    VIEWS["actor"], VIEWS["wall"] = f"#/actor/order/{order}", f"#/product/{sku}"
    with Shop() as shop, Browser() as browser:
        stand_in = StandIn(shop.address)
        stand_in.before = 90
        token = shop.token("admin")
        states = [(scene, "overview") for scene in SCENES]
        states += [(scene, view) for scene in ("nothing", "one", "many") for view in VIEWS if view not in ("overview",)] + [("rush", "wall"), ("wrong", "stuck")]
        states += [("rush", "sign-in")]
        for (scene, view), (width, height), theme in itertools.product(states, WIDTHS, ["light", "dark"]):
            name = f"{view}-{scene}-{width}-{theme}"
            if only and not any(name.startswith(one) for one in only):
                continue
            stand_in.scene, stand_in.items = scene, {"nothing": 0, "one": 1}.get(scene, 400)
            page = browser.page(width, height, theme)
            page.goto(f"{stand_in.url}/ops{VIEWS.get(view) or ''}")
            if view != "sign-in":
                page.fill("#token", token)
                page.press("#token", "Enter")
                page.wait_for_selector("main[data-ready=true]")
                page.wait_for_timeout(900)
            else:
                page.wait_for_selector("#sign-in:visible")
            page.screenshot(path=f"{directory}/{name}.png", full_page=view != "wall")
            for problem in page.problems:
                print(f"{name}: {problem}")
            page.context.close()
        stand_in.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
