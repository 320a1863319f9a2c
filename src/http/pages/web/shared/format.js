// Figures as people read them: with their unit, and a dash where nothing is known.

const NOTHING = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredth = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const unknown = (value) => value === null || value === undefined || Number.isNaN(value);

/** A count. */
export const count = (value) => (unknown(value) ? NOTHING : whole.format(value));

/** How often a second: exact where it is small. */
export function rate(value) {
  if (unknown(value)) return NOTHING;
  return value === 0 ? "0" : value < 10 ? tenth.format(value) : whole.format(value);
}

/** A duration in milliseconds, and the unit it is best told in. */
export function duration(ms) {
  if (unknown(ms)) return [NOTHING, ""];
  if (ms === 0) return ["0", "ms"];
  if (ms < 10) return [ms < 1 ? hundredth.format(ms) : tenth.format(ms), "ms"];
  if (ms < 1000) return [whole.format(ms), "ms"];
  if (ms < 60_000) return [tenth.format(ms / 1000), "s"];
  if (ms < 3_600_000) return [`${Math.floor(ms / 60_000)} min ${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`, "s"];
  if (ms < 86_400_000) return [`${Math.floor(ms / 3_600_000)} h ${String(Math.floor(ms / 60_000) % 60).padStart(2, "0")}`, "min"];
  return [`${Math.floor(ms / 86_400_000)} d ${Math.floor(ms / 3_600_000) % 24}`, "h"];
}

/** The same in one text. */
export const span = (ms) => duration(ms).join(" ").trim();

/** Bytes, and the unit they are best told in. */
export function bytes(value) {
  if (unknown(value)) return [NOTHING, ""];
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (value >= 1024 && step < units.length - 1) [value, step] = [value / 1024, step + 1];
  return [step === 0 || value >= 100 ? whole.format(value) : tenth.format(value), units[step]];
}

/** A share of a whole, in percent. */
export const share = (part, of) => (of > 0 ? Math.min(100, Math.max(0, (part / of) * 100)) : 0);

/** The moment of a time as the server writes it, in milliseconds; NaN of what is none. */
export const moment = (text) => Date.parse(text ?? "");

/** The time of day here. */
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** Day and time here, with the zone. */
export function when(text) {
  const at = moment(text);
  if (Number.isNaN(at)) return NOTHING;
  return new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** Money as it is written here: the digits of the server, grouped. They are never made numbers: those would round. */
export function money(amount) {
  if (!amount) return NOTHING;
  const [whole, parts] = String(amount.amount).split(".");
  return `${whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",")}${parts ? `.${parts}` : ""} ${amount.currency}`;
}

/** An amount in minor units, as the journal keeps it; null where it is none. */
export function minorMoney(minor, currency) {
  if (!Number.isSafeInteger(minor) || !/^[A-Z]{3}$/.test(currency ?? "")) return null;
  const digits = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const cut = text.length - digits;
  return `${minor < 0 ? "-" : ""}${money({ amount: digits ? `${text.slice(0, cut)}.${text.slice(cut)}` : text, currency })}`;
}

/** What somebody has typed as an amount of the currency of `like`, as the server takes it; null where it is none. */
export function readAmount(text, like) {
  const digits = (String(like.amount).split(".")[1] ?? "").length;
  const bare = text.trim().toUpperCase().replace(new RegExp(`^${like.currency}\\s*|\\s*${like.currency}$`, "g"), "");
  if (!/^(\d+|\d{1,3}(,\d{2,3})*,\d{3})(\.\d+)?$/.test(bare)) return null;
  const [whole, parts = ""] = bare.replaceAll(",", "").split(".");
  if (parts.length > digits) return null;
  return digits ? `${whole.replace(/^0+(?=\d)/, "")}.${parts.padEnd(digits, "0")}` : whole;
}

/** So many times an amount, exactly; null where either is not known. */
export function times(amount, n) {
  if (!amount || unknown(n)) return null;
  const [whole, parts = ""] = String(amount.amount).split(".");
  const minor = String(BigInt(whole + parts) * BigInt(n)).padStart(parts.length + 1, "0");
  const cut = minor.length - parts.length;
  return { amount: parts ? `${minor.slice(0, cut)}.${minor.slice(cut)}` : minor, currency: amount.currency };
}

/** `payment_provider` as people say it. */
export const words = (name) => String(name).replaceAll("_", " ");
