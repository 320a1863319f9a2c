// Asks why before something is done, and shows what came of it. Nothing is done without a reason, and the server writes down who gave it.

import { announce, code, el } from "./dom.js";
import { newKey, post } from "./session.js";

/**
 * Opens a dialog. `title`, `about` (an id), `says`; `reason`: the name of its field in the body; `more`: `[{ name, label, required?, hint?, wrong? }]`, where
 * `wrong(text)` says what is wrong with what somebody has typed;
 * `send(fields)` gives the path and the body; `done(answer)` is told of a good end.
 */
export function askWhy({ title, about, says, reason, more = [], act, send, done }) {
  const before = document.activeElement;
  const key = newKey();
  const wrong = el("p", { class: "wrong", role: "alert" });
  const faults = new Map();
  const field = ({ name, label, required, hint, long }) => {
    const fault = el("p", { class: "wrong", id: `ask-${name}-wrong`, hidden: true });
    faults.set(name, fault);
    const described = [`ask-${name}-wrong`, hint && `ask-${name}-hint`].filter(Boolean).join(" ");
    const input = el(long ? "textarea" : "input", { id: `ask-${name}`, name, maxlength: long ? 1000 : 200, autocomplete: "off", required, "aria-describedby": described });
    return [el("label", { for: `ask-${name}` }, label), input, fault, hint ? el("p", { class: "soft small hint", id: `ask-${name}-hint` }, hint) : null];
  };
  /** Marks the fields that are wrong, `{ name: what }`, says so beside each, and goes to the first. */
  const markWrong = (told) => {
    for (const [name, fault] of faults) {
      form.elements[name].setAttribute("aria-invalid", String(name in told));
      fault.hidden = !told[name];
      fault.textContent = told[name] ?? "";
    }
    const first = [...faults.keys()].find((name) => name in told);
    if (first) form.elements[first].focus();
  };
  const fields = [...more, { name: reason, label: "Reason", required: true, long: true, hint: "Recorded with your name." }];
  const sends = el("button", { type: "submit", class: "strong" }, act);
  const form = el("form", { novalidate: true },
    el("h2", { id: "ask-title" }, title, about ? [": ", el("span", { class: "about" }, code(about))] : null), el("p", { class: "soft" }, says), fields.map(field), wrong,
    el("div", { class: "row" }, el("button", { type: "button", on: { click: () => dialog.close() } }, "Leave it"), sends));
  const dialog = el("dialog", { "aria-labelledby": "ask-title" }, form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    const missing = fields.filter(({ name, required }) => required && !given[name].trim());
    const told = Object.fromEntries(missing.map(({ name, label }) => [name, `Still needed: ${label}.`]));
    for (const one of fields) {
      const text = given[one.name];
      const fault = text.trim() && one.wrong?.(text);
      if (fault) told[one.name] = fault;
    }
    markWrong(told);
    wrong.textContent = "";
    if (Object.keys(told).length > 0) return;
    sends.disabled = true;
    try {
      const { path, body } = send(given);
      const answer = await post(path, body, key);
      dialog.close();
      announce(`${about ? `${title}: ${about}` : title}: done.`);
      done(answer);
    } catch (error) {
      // Of a field that is here it is said beside it.
      const ofField = {};
      const others = [];
      for (const { field: of, detail } of error.errors ?? []) {
        if (faults.has(of)) ofField[of] = detail;
        else others.push(`${of}: ${detail}`);
      }
      wrong.textContent = others.length > 0 ? `${error.message} (${others.join("; ")})` : error.message;
      sends.disabled = false;
      markWrong(ofField);
    } finally {
      sends.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  form.elements[fields[0].name].focus();
  // Whoever is signed out is not left with it.
  return dialog;
}
