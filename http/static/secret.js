// Webhook secrets that were just made: each stands with its instance until somebody has put it where it belongs.

import { h, say } from "./dom.js";
import { t } from "./words.js";

const cards = new Map();

/** Show the secret of an instance that was created. */
export function keep({ id, name, webhookSecret }) {
  // A page that came over plain HTTP from elsewhere has no clipboard.
  const copy = navigator.clipboard && h("button", { type: "button", click: async () => {
    await navigator.clipboard.writeText(webhookSecret);
    say(t("copied"));
  } }, t("copy"));
  const card = h("section", { class: "card secret", "aria-labelledby": `secret-${id}` },
    h("h3", { id: `secret-${id}` }, t("secret", { name })), h("code", {}, webhookSecret), h("p", { class: "quiet" }, t("secretNote")),
    h("div", { class: "buttons" }, copy, h("button", { type: "button", click: () => {
      card.closest(".instance").querySelector("h2").focus(); // who has no mouse goes on from there
      forget(id);
    } }, t("secretKept"))));
  cards.set(id, card);
}

/** The card of an instance; null where it was not created here, or nobody needs its secret any more. */
export function cardOf(id) {
  return cards.get(id) ?? null;
}

/** Nobody needs it any more. */
export function forget(id) {
  cards.get(id)?.remove();
  cards.delete(id);
}

/** Nobody is here any more. */
export function forgetAll() {
  for (const id of [...cards.keys()]) forget(id);
}
