// How the dashboard says things: in the reader's language, with names, times and reasons filled in.

import { ENGLISH } from "./english.js";
import { PORTUGUESE } from "./portuguese.js";
import { PROBLEMS } from "./problems.js";

export const LANGUAGES = { en: ["English", ENGLISH], pt: ["Português", PORTUGUESE] };

const wished = localStorage.getItem("language") ?? navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES);
export const language = wished in LANGUAGES ? wished : "en";
const locale = language === "pt" ? "pt-BR" : "en";

/** The words for a key, with {parts} filled in; the key itself where there are none. */
export function t(key, parts = {}) {
  const words = LANGUAGES[language][1][key];
  return words === undefined ? key : words.replace(/\{(\w+)\}/g, (_, part) => String(parts[part] ?? "–"));
}

const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" });

/** A moment in the reader's own time zone; of today only the time. */
export function time(iso) {
  const at = new Date(iso);
  return (at.toDateString() === new Date().toDateString() ? clock : calendar).format(at);
}

/** What a code means, by the first of these kinds that has words for it; itself where none has (WhatsApp's own words). */
export function why(code, ...kinds) {
  const key = kinds.map((kind) => `${kind}.${code}`).find((each) => each in LANGUAGES[language][1]);
  return key ? t(key) : code;
}

const KIND = { "message.failed": "failure", "media.missed": "missed", "endpoint.disabled": "stopped" };

const WHO = ["number", "jid", "pushName"];
const WHAT = ["text", "subject", "state"];

/** What there is to say of an event; of somebody who was forgotten, that they were. */
function parts(data) {
  if (!data.erased) return data;
  const lost = (names, words) => Object.fromEntries(names.filter((name) => !data[name]).map((name) => [name, words]));
  return { ...data, ...lost(WHO, t("forgotten")), ...lost(WHAT, "…") };
}

/** What an event says, in a line. */
export function told(event) {
  const key = event.type === "message.acknowledged" ? `event.${event.type}.${event.data.ack}` : `event.${event.type}`;
  const kind = KIND[event.type] ?? "reason";
  const words = t(key, { ...parts(event.data), reason: why(event.data.reason, kind), cause: why(event.data.cause, kind) });
  if (words === key) return event.type;
  return event.data.erased ? words[0].toLocaleUpperCase(locale) + words.slice(1) : words; // no name is ever changed
}

/** Why something was refused and what to do: in the manager's own words, which are English, or in ours. */
export function refusal({ type = "", detail = "", action = "", errors = [] }) {
  const ours = language === "pt" && PROBLEMS[type.split("/").pop()];
  const words = ours ? ours.replace("{detail}", () => detail).trim() : [detail, action].filter(Boolean).join(" ");
  const more = errors.filter((error) => error.detail !== detail).map((error) => `${error.field}: ${error.detail}`);
  return [words, ...more].join(" · ");
}
