// Asks why before something is done, and shows what came of it. Nothing is done without a reason, and the server writes down who gave it.

import { el, announce } from "./dom.js";
import { newKey, post } from "./session.js";

/**
 * Opens a dialog. `title`, `says`; `reason`: the name of its field in the body; `more`: `[{ name, label, required?, hint? }]`;
 * `send(fields)` gives the path and the body; `done(answer)` is told of a good end.
 */
export function askWhy({ title, says, reason, more = [], act, send, done }) {
  const before = document.activeElement;
  const key = newKey();
  const wrong = el("p", { class: "wrong", role: "alert" });
  const field = ({ name, label, required, hint, long }) => {
    const input = el(long ? "textarea" : "input", { id: `ask-${name}`, name, maxlength: long ? 1000 : 200, autocomplete: "off", required });
    return [el("label", { for: `ask-${name}` }, label), input, hint ? el("p", { class: "soft small" }, hint) : null];
  };
  const fields = [...more, { name: reason, label: "Reason", required: true, long: true, hint: "Recorded with your name." }];
  const sends = el("button", { type: "submit", class: "strong" }, act);
  const form = el("form", { novalidate: true },
    el("h2", { id: "ask-title" }, title), el("p", { class: "soft" }, says), fields.map(field), wrong,
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
    for (const { name } of fields) form.elements[name].setAttribute("aria-invalid", String(missing.some((one) => one.name === name)));
    if (missing.length > 0) {
      wrong.textContent = `Still needed: ${missing.map(({ label }) => label.toLowerCase()).join(", ")}.`;
      form.elements[missing[0].name].focus();
      return;
    }
    sends.disabled = true;
    wrong.textContent = "";
    try {
      const { path, body } = send(given);
      const answer = await post(path, body, key);
      dialog.close();
      announce(`${title}: done.`);
      done(answer);
    } catch (error) {
      const details = (error.errors ?? []).map(({ field: of, detail }) => `${of}: ${detail}`).join("; ");
      wrong.textContent = details ? `${error.message} (${details})` : error.message;
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
