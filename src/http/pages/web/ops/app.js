// The operators' page: who is signed in, what is heard from the server, and which view is shown.

import { announce, byId, el, say } from "../shared/dom.js";
import { clock, moment } from "../shared/format.js";
import * as session from "../shared/session.js";
import { follow } from "../shared/stream.js";
import { switchOf } from "../shared/theme.js";
import { forgetHappened, notice } from "./happened.js";
import { forget, remember } from "./history.js";
import { forgetProducts, rememberProducts } from "./products.js";
import { forgetRates, settle } from "./steady.js";
import overview from "./views/overview.js";
import actor from "./views/actor.js";
import actors from "./views/actors.js";
import jobs from "./views/jobs.js";
import product from "./views/product.js";
import stuck from "./views/stuck.js";

/** Views by the first part of the address behind `#/`. */
const VIEWS = { "": overview, actors, actor, jobs, product, stuck };
/** Those that stand in the bar. */
const NAMED = [["", "Overview"], ["actors", "Actors"], ["stuck", "Stuck orders"], ["jobs", "Jobs"], ["product", "Product wall"]];

const main = byId("content");
const form = byId("sign-in");
const view = byId("view");
const lost = byId("lost");
const link = byId("link");
const dot = el("span", { class: "dot", "aria-hidden": "true" });
const linkSays = el("span");
const fault = el("p", { class: "card wrong", role: "alert" });
link.append(dot, linkSays);

let look = null;
let shown = null;
let unfollow = null;
let state = "";

// ---- Views -----------------------------------------------------------------------------------------------------------

for (const [name, title] of NAMED) byId("views").append(el("a", { href: `#/${name}`, "data-view": name }, title));

/** What of the address says which view, and of what: `#/actor/cart/cart_1` is `["actor", "cart", "cart_1"]`. */
function address() {
  const parts = location.hash.replace(/^#\/?/, "").split("/");
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return [""];
  }
}

function show(moveFocus) {
  shown?.destroy?.();
  view.replaceChildren();
  shown = null;
  if (!session.who()) return;
  const [name, ...rest] = address();
  const made = (VIEWS[name] ?? overview).build(rest);
  shown = made;
  view.append(made.element);
  for (const anchor of byId("views").children) {
    if (anchor.dataset.view === name) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.title = `Haat: ${made.title ?? "operations"}`;
  update();
  if (moveFocus) {
    main.focus();
    scrollTo(0, 0);
  }
}
addEventListener("hashchange", () => show(true));

/** Shows the last look. What goes wrong in a view is told there, and is no fault of the line. */
function update() {
  if (!look || !shown?.update) return;
  try {
    shown.update(look);
    fault.remove();
  } catch (error) {
    if (!fault.isConnected) console.error(error);
    say(fault, `This view cannot show what the server sends: ${error.message}. What stands here is old.`);
    view.prepend(fault);
  }
}

// ---- What is heard ---------------------------------------------------------------------------------------------------

function heard(event, data) {
  if (event !== "overview" || !session.who()) return;
  if (state !== "live") {
    if (state === "lost") announce("The server answers again.");
    state = "live";
    lost.hidden = true;
    delete main.dataset.stale;
  }
  const at = moment(data.at);
  look = { at, tiles: data.tiles };
  remember(at / 1000, data.tiles);
  rememberProducts(at / 1000, data.tiles);
  notice(data.tiles);
  settle(at / 1000, data.tiles);
  dot.className = "dot good";
  say(linkSays, `live, as of ${clock(at)}`);
  link.title = "The server’s clock, told in this machine’s zone";
  main.dataset.ready = "true";
  update();
}

function stands(now, why) {
  if (!session.who()) return;
  state = now;
  dot.className = "dot bad";
  if (now === "refused") {
    goOut("This account may not see operations: that takes the permission ops.read.");
    return;
  }
  const old = look ? ` What is shown is of ${clock(look.at)}.` : "";
  const says = why === "stopping" ? "The server stops; trying again." : "The server does not answer; trying again.";
  say(lost, says + old);
  lost.hidden = false;
  say(linkSays, "trying again");
  if (look) main.dataset.stale = "true";
}

// ---- Signing in and out ----------------------------------------------------------------------------------------------

function enter() {
  form.hidden = true;
  form.reset();
  byId("sign-in-stays").hidden = true;
  say(byId("sign-in-says"), "");
  view.hidden = false;
  byId("views").hidden = false;
  link.hidden = false;
  say(linkSays, "connecting");
  byId("sign-out").hidden = false;
  byId("sign-out").title = `Signed in as ${session.who().name ?? session.who().role}`;
  state = "";
  show(false);
  unfollow?.();
  unfollow = follow("v1/admin/overview/events", heard, stands);
}

/** Nothing of what was shown stays. */
function leave(why) {
  unfollow?.();
  unfollow = null;
  look = null;
  shown?.destroy?.();
  shown = null;
  forget();
  forgetProducts();
  forgetHappened();
  forgetRates();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  view.replaceChildren();
  view.hidden = true;
  byId("views").hidden = true;
  link.hidden = true;
  byId("sign-out").hidden = true;
  lost.hidden = true;
  delete main.dataset.ready;
  delete main.dataset.stale;
  document.title = "Haat: operations";
  form.hidden = false;
  say(byId("sign-in-says"), why);
  byId("email").focus();
}
session.onEnd(leave);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password, token } = Object.fromEntries(new FormData(form));
  const says = byId("sign-in-says");
  const button = form.querySelector("button");
  say(says, "");
  if (!token.trim() && !(email.trim() && password)) {
    say(says, "An e-mail address and a password are needed, or a token.");
    return;
  }
  button.disabled = true;
  try {
    if (token.trim()) session.useToken(token.trim());
    else await session.signIn(email.trim(), password);
    enter();
  } catch (error) {
    const wait = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
    say(says, error.code === "credentials_invalid" ? "E-mail or password is not right." : error.message + wait);
  } finally {
    button.disabled = false;
  }
});

/** Signs out. Where the server does not do it, whoever opens the page next would be signed in: that is told, and can be tried again. */
async function goOut(why, again = false) {
  const stays = byId("sign-in-stays");
  const button = byId("sign-out-again");
  button.disabled = true;
  const wrong = await (again ? session.leave() : session.signOut(why));
  button.disabled = false;
  stays.hidden = wrong === null || session.who() !== null;
  if (wrong) say(byId("sign-in-stays-says"), `Not signed out on the server: ${wrong.message}.${wrong.retryAfter ? ` Try again in ${wrong.retryAfter} s.` : ""} Until it is, whoever opens this page in this browser is signed in.`);
  else if (again) say(byId("sign-in-says"), "Signed out on the server, too.");
}
byId("sign-out").addEventListener("click", () => goOut(""));
byId("sign-out-again").addEventListener("click", () => goOut("", true));

switchOf(byId("theme"));

/** Whoever was signed in when the page was closed still is. A server that is silent is asked until it is not. */
async function begin() {
  for (;;) {
    try {
      if (await session.resume()) enter();
      else if (!session.who()) leave("");
      lost.hidden = true;
      return;
    } catch {
      say(lost, "The server does not answer; trying again.");
      lost.hidden = false;
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
  }
}
begin();
