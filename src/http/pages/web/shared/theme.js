// Light or dark: as the system says, until somebody says otherwise.

const KEPT = "haat-theme";
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

const said = () => root.dataset.theme ?? "";
const isDark = () => (said() ? said() === "dark" : dark.matches);

function keptOne() {
  // A browser may keep nothing for anybody.
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function set(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  try {
    if (theme) localStorage.setItem(KEPT, theme);
    else localStorage.removeItem(KEPT);
  } catch {
    // Then it lasts as long as the page.
  }
  for (const listener of listeners) listener();
}

/** Tells when colours are others. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Makes a button that switches. */
export function switchOf(button) {
  const show = () => { button.textContent = isDark() ? "Light" : "Dark"; button.title = isDark() ? "Light colours" : "Dark colours"; };
  button.addEventListener("click", () => set(isDark() ? "light" : "dark"));
  const changed = () => { show(); };
  onTheme(changed);
  dark.addEventListener("change", () => { if (!said()) for (const listener of listeners) listener(); });
  const kept = keptOne();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  show();
}

/** A colour of the style sheet as it is now: `colour("c0")`. */
export function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const is = getComputedStyle(probe).color;
  probe.remove();
  return is;
}
