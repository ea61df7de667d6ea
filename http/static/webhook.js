// How the deliveries of an instance stand, and what can be told again.

import { at, get, post } from "./api.js";
import { facts, field, form, h, say } from "./dom.js";
import { t, time } from "./words.js";

const ATTEMPTS = 5;
const LETTERS = 20;

export class WebhookCard {
  #name;
  #mayManage;
  #facts = h("dl", { class: "facts" });
  #attempts = h("ul", { class: "attempts" });
  #letters = h("div", { class: "letters" });
  #actions = h("div", { class: "buttons" });
  #replay = null;
  #disabled = null;

  constructor(name, mayManage) {
    this.#name = name;
    this.#mayManage = mayManage;
    this.element = h("section", { class: "card webhook", id: "webhook", hidden: true }, h("h3", {}, t("deliveries")), this.#facts,
      h("h4", {}, t("lastAttempts")), this.#attempts, this.#letters, mayManage && this.#actions, mayManage && this.#replayForm());
  }

  async refresh() {
    let stands;
    try {
      stands = await get(at(this.#name, "/webhook"));
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      this.element.hidden = true;
      return;
    }
    this.element.hidden = false;
    this.#drawFacts(stands);
    if (stands.deadLetters) await this.#drawLetters();
    else this.#letters.replaceChildren();
    const disabled = stands.disabled !== null;
    if (this.#mayManage && disabled !== this.#disabled) this.#drawActions(disabled);
  }

  #drawFacts(stands) {
    const state = stands.disabled ? `${t("paused")} (${stands.disabled})` : t(`breaker.${stands.breaker}`);
    this.#facts.replaceChildren(...facts([["URL", stands.url], [t("breaker"), state], [t("waiting"), stands.backlog],
      [t("dead"), stands.deadLetters], [t("settled"), `${stands.cursor.sequence} / ${stands.cursor.latest}`]]));
    const rows = stands.attempts.slice(0, ATTEMPTS).map((attempt) =>
      h("li", { "data-good": String(!attempt.error) }, h("span", { class: "mark", "aria-hidden": "true" }, attempt.error ? "✕" : "✓"),
        ...[`#${attempt.sequence ?? "–"}`, time(attempt.at), attempt.httpStatus ?? attempt.error, `${attempt.durationMs} ms`]
          .map((part) => h("span", {}, String(part)))));
    this.#attempts.replaceChildren(...(rows.length ? rows : [h("li", { class: "quiet" }, t("noAttempts"))]));
  }

  async #drawLetters() {
    const { deadLetters } = await get(at(this.#name, `/webhook/dead?limit=${LETTERS}`));
    this.#letters.replaceChildren(h("h4", {}, t("deadLetters")),
      h("ul", {}, ...deadLetters.map((letter) =>
        h("li", {}, ...[`#${letter.sequence}`, letter.type, letter.error].map((part) => h("span", {}, part))))),
      this.#mayManage ? this.#button("redrive", "redrive", async () =>
        say(t("redriven", { n: (await post(at(this.#name, "/webhook/redrive"), {})).queued }))) : "");
  }

  #drawActions(disabled) {
    this.#disabled = disabled;
    this.#actions.replaceChildren(
      this.#button("testWebhook", "test-webhook", async () => {
        const { delivered, attempt } = await post(at(this.#name, "/webhook/test"));
        say(t(delivered ? "tested" : "testFailed", { why: attempt.error }), delivered ? "good" : "bad");
      }),
      this.#button(disabled ? "enable" : "disable", "switch-webhook", async () => {
        await post(at(this.#name, `/webhook/${disabled ? "enable" : "disable"}`));
      }));
  }

  /** A button that does one thing and then shows how deliveries stand. */
  #button(word, id, work) {
    return form({ id }, async () => {
      await work();
      await this.refresh();
    }, h("button", {}, t(word)));
  }

  #replayForm() {
    const from = h("input", { type: "number", min: "0", value: "0", required: true });
    return h("details", {}, h("summary", {}, t("replay")), form({ id: "replay" }, async () => {
      const { queued } = await post(at(this.#name, "/webhook/replay"), { after: Math.max(0, Number(from.value) - 1) });
      say(t("replayed", { n: queued }));
      await this.refresh();
    }, field(t("replayFrom"), from), h("button", {}, t("replayNow"))));
  }
}
