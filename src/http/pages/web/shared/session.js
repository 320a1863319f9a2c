// Who is signed in. The access token lives here and nowhere else; what goes on with it is a cookie that no script can read.

/** Where the server is: behind whatever prefix these files are. */
const BASE = new URL("../../../", import.meta.url);
/** How long before its end a token is renewed, in milliseconds. */
const AHEAD_MS = 60_000;
/** How long an answer may take, in milliseconds. */
const PATIENCE_MS = 20_000;

/** `{ access, keeps, role, permissions, name }`; null where nobody is signed in. */
let session = null;
let renewing = null;
/** The signing out that is under way. */
let leaving = null;
/** How often somebody came or went: what was asked for before is nobody's any more. */
let turn = 0;
let timer = 0;
let ended = () => {};

/** What the server said no with. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `the server answered with ${status}`);
    this.status = status;
    this.code = problem?.code ?? "";
    this.errors = problem?.errors ?? [];
    this.retryAfter = 0;
  }
}

/** There was no answer. */
export class Silent extends Error {}

/** What is to be done when the session is over, with why. */
export function onEnd(listener) {
  ended = listener;
}

/** Who is signed in, or null. */
export const who = () => session && { role: session.role, name: session.name };

/** Whether whoever is signed in may do what takes this permission, as far as is known here. The server decides. */
export const may = (permission) => session?.role === "admin" || (session?.permissions.includes(permission) ?? false);

async function ask(method, path, { body, bearer, cookie, signal, headers } = {}) {
  const given = { accept: "application/json", ...headers };
  if (bearer) given.authorization = `Bearer ${bearer}`;
  if (body !== undefined) given["content-type"] = "application/json";
  try {
    return await fetch(new URL(path, BASE), {
      method, headers: given, signal, cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
      credentials: cookie ? "same-origin" : "omit",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted && signal.reason?.name !== "TimeoutError") throw error;
    throw new Silent("the server does not answer");
  }
}

async function refused(response) {
  const problem = await response.json().catch(() => null);
  const error = new Refused(response.status, problem);
  error.retryAfter = Number(response.headers.get("retry-after")) || 0;
  return error;
}

function begin(body) {
  turn += 1;
  const { role, permissions, name, email } = body.account;
  session = { access: body.access_token, keeps: true, role, permissions, name: name || email };
  clearTimeout(timer);
  timer = setTimeout(() => renew().catch(() => {}), Math.max(5_000, body.expires_in * 1000 - AHEAD_MS));
}

/** Goes on with what the browser keeps. Whether it brought somebody in: not where somebody came or went meanwhile. */
export async function resume() {
  await leaving;
  const mine = turn;
  const response = await ask("POST", "v1/auth/refresh", { cookie: true, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.status === 204) return false;
  if (response.status === 401 || response.status === 403) return false;
  if (!response.ok) throw await refused(response);
  const body = await response.json();
  if (mine !== turn) return false;
  begin(body);
  return true;
}

/** Signs in with a password. */
export async function signIn(email, password) {
  // Else its answer would take away the cookie of this one.
  await leaving;
  const body = { email, password, cookie: true };
  const response = await ask("POST", "v1/auth/login", { body, cookie: true, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw await refused(response);
  begin(await response.json());
}

/** Signs in with a token of `haat token`, which the server is asked about when it is used. */
export function useToken(token) {
  const [, middle] = token.split(".");
  let claims = {};
  try {
    const text = atob(middle.replaceAll("-", "+").replaceAll("_", "/"));
    claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  } catch {
    throw new Refused(401, { detail: "this is no token" });
  }
  // What staff usually may, where it is not said.
  turn += 1;
  const usual = claims.role === "staff" ? ["orders.read", "orders.edit"] : [];
  const permissions = Array.isArray(claims.permissions) ? claims.permissions : usual;
  session = { access: token, keeps: false, role: claims.role, permissions, name: claims.sub };
}

/** Gets another access token, once for all who need it. False where there is none to be had. */
export function renew() {
  if (!session?.keeps) return Promise.resolve(false);
  renewing ??= resume().finally(() => { renewing = null; });
  return renewing;
}

/**
 * Signs out: here at once, which says why, and on the server. Gives what went wrong there, or null: then the browser still keeps what signs in again,
 * and `leave` is to be tried anew.
 */
export function signOut(why = "") {
  const kept = session?.keeps;
  end(why);
  return kept ? leave() : Promise.resolve(null);
}

/** Has the server end the session that the browser keeps, and the browser forget it. */
export function leave() {
  leaving ??= (async () => {
    try {
      // One that is renewed right now comes with another cookie: that one is to go.
      await renewing?.catch(() => {});
      const response = await ask("POST", "v1/auth/logout", { cookie: true, signal: AbortSignal.timeout(PATIENCE_MS) });
      return response.ok ? null : await refused(response);
    } catch (error) {
      return error;
    } finally {
      leaving = null;
    }
  })();
  return leaving;
}

/** Forgets everything here, and says why. */
export function end(why) {
  if (!session) return;
  session = null;
  turn += 1;
  clearTimeout(timer);
  ended(why);
}

/** A request of whoever is signed in; its answer's status is a good one. */
export async function open(method, path, options = {}) {
  for (let tried = 0; ; tried += 1) {
    const bearer = session?.access;
    if (!bearer) throw new Refused(401, { detail: "nobody is signed in" });
    const response = await ask(method, path, { ...options, bearer });
    if (response.ok) return response;
    if (response.status !== 401) throw await refused(response);
    // Another may have renewed it meanwhile, or somebody else have signed in.
    const other = () => session !== null && session.access !== bearer;
    if (tried > 0 || !(other() || (await renew()) || other())) {
      const kept = session?.keeps;
      if (!other()) end(kept ? "The session is over: sign in again." : "The token is good no longer, or was never.");
      throw await refused(response);
    }
  }
}

/** The body of an answer to GET. */
export async function get(path, signal) {
  const within = AbortSignal.timeout(PATIENCE_MS);
  const response = await open("GET", path, { signal: signal ? AbortSignal.any([signal, within]) : within });
  return response.json();
}

/** The body of an answer to what changes something. Asked twice with one key it is done once. */
export async function post(path, body, key) {
  const headers = { "idempotency-key": key };
  const response = await open("POST", path, { body, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  return response.json();
}

/** A key for one thing that is to be done once. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
