// Making elements. Whatever comes from the server is put in as text, never as markup, and stands apart from the direction of what is around it.

/** An element. `props`: `class`, `on` (listeners by event), and attributes; `true` is an empty attribute, null and false are none. */
export function el(tag, props, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A text of somebody else's: it cannot turn round what stands beside it. */
export const bdi = (text) => el("bdi", {}, String(text));

/** An id, or anything else to be read letter by letter. */
export const code = (text) => el("code", {}, String(text));

/** Says a text, if it is another than what stands there: so nothing is read out, drawn or selected anew for nothing. */
export function say(element, text) {
  const said = String(text);
  if (element.textContent !== said) element.textContent = said;
}

/** One class of several, by what is so. */
export function mark(element, ...marks) {
  for (const level of ["good", "warn", "bad"]) element.classList.toggle(level, marks.includes(level));
}

/**
 * Keeps the children of `parent` as `items` are, in their order: one that stays is changed and not made anew, so that focus and selection stay.
 * `make(item)` gives `{ element, update(item) }`.
 */
export function keep(parent, items, keyOf, make) {
  const had = (parent.kept ??= new Map());
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    const child = had.get(key) ?? make(item);
    child.update?.(item);
    now.set(key, child);
  }
  for (const [key, child] of had) if (!now.has(key)) child.element.remove();
  let place = parent.firstChild;
  for (const child of now.values()) {
    if (child.element === place) place = place.nextSibling;
    else parent.insertBefore(child.element, place);
  }
  parent.kept = now;
}

/** The element of this id, which is in the page. */
export const byId = (id) => document.getElementById(id);

/** Says something to whoever listens to the page instead of looking at it, once. */
export function announce(text) {
  const said = byId("said");
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}
