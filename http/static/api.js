// Calls to the manager that served this page. The session is a cookie that this script never sees.

import { refusal, t } from "./words.js";

const LOOK_MS = 20_000;
const WORK_MS = 120_000;

/** Why a call was refused. */
export class Problem extends Error {
  constructor(status, words) {
    super(words || `HTTP ${status}`);
    this.status = status;
  }
}

/** What is called when the session has ended. */
export const onSignedOut = { listener: () => {} };

/** The answer's JSON (null without a body). Rejects with a Problem. */
export async function call(method, path, body = undefined) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const signal = AbortSignal.timeout(method === "GET" ? LOOK_MS : WORK_MS); // who sends is answered within 90 s
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, t("offline"));
  }
  const document = answer.status === 204 ? null : await answer.json().catch(() => {
    if (answer.ok) throw new Problem(0, t("offline")); // it broke off: what is in half of it is unknown
    return {};
  });
  if (answer.ok) return document;
  if (answer.status === 401 && path !== "/session") onSignedOut.listener();
  throw new Problem(answer.status, refusal(document ?? {}));
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);

/** The path of an instance, with a last part. */
export const at = (name, rest = "") => `/instances/${encodeURIComponent(name)}${rest}`;
