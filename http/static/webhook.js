// How the deliveries to each endpoint of an instance stand, and what can be told again.

import { at, call, get, post } from "./api.js";
import { facts, field, form, h, say } from "./dom.js";
import { t, time, why } from "./words.js";

const ATTEMPTS = 5;
const LETTERS = 20;
const FIRST = "main";

export class WebhookCard {
  #name;
  #mayManage;
  #endpoint = FIRST;
  #url = "";
  #choice = h("select", { change: () => this.#choose(this.#choice.value) });
  #endpoints = field(t("endpoint"), this.#choice);
  #facts = h("dl", { class: "facts" });
  #attempts = h("ul", { class: "attempts" });
  #dead = h("ul", {});
  #letters;
  #actions = h("div", { class: "buttons" });
  #change = null;
  #disabled = null;

  constructor(name, mayManage) {
    this.#name = name;
    this.#mayManage = mayManage;
    this.#letters = h("div", { class: "letters", hidden: true }, h("h4", {}, t("deadLetters")), this.#dead,
      mayManage && this.#button("redrive", "redrive", async () =>
        say(t("redriven", { n: (await post(this.#at("/redrive"), {})).queued }))));
    this.#change = mayManage && this.#urlForm();
    this.element = h("section", { class: "card webhook", id: "webhook", hidden: true }, h("h3", {}, t("deliveries")), this.#endpoints,
      this.#facts, h("h4", {}, t("lastAttempts")), this.#attempts, this.#letters,
      mayManage && this.#actions, this.#change, mayManage && this.#replayForm());
  }

  async refresh() {
    const wanted = this.#endpoint;
    let stands, letters;
    try {
      stands = await get(this.#at());
      letters = stands.deadLetters ? await get(this.#at("/dead", `&limit=${LETTERS}`)) : null;
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      // The instance is gone, or the endpoint that was looked at.
      if (wanted === this.#endpoint) this.#turnTo(FIRST);
      if (wanted === FIRST) this.element.hidden = true;
      else await this.refresh();
      return;
    }
    if (wanted !== this.#endpoint) return;
    this.element.hidden = false;
    this.#url = stands.url;
    this.#drawChoice(stands.endpoints);
    this.#drawFacts(stands);
    this.#drawLetters(letters?.deadLetters ?? []);
    const disabled = stands.disabled !== null;
    if (this.#mayManage && disabled !== this.#disabled) this.#drawActions(disabled);
  }

  /** A path of the endpoint that is looked at. */
  #at(rest = "", more = "") {
    return at(this.#name, `/webhook${rest}?endpoint=${encodeURIComponent(this.#endpoint)}${more}`);
  }

  /** Look at another endpoint; what was typed for the one before is not for it. */
  #turnTo(endpoint) {
    this.#endpoint = endpoint;
    this.#url = "";
    if (this.#change) this.#change.open = false;
  }

  #choose(endpoint) {
    this.#turnTo(endpoint);
    this.refresh().catch((problem) => say(problem.message, "bad"));
  }

  /** A choice is shown where there is one; it is left alone while it is open, unless it has changed. */
  #drawChoice(endpoints) {
    this.#endpoints.hidden = endpoints.length < 2;
    if ([...this.#choice.options].map((option) => option.value).join() !== endpoints.join()) {
      this.#choice.replaceChildren(...endpoints.map((each) => h("option", { value: each }, each)));
    }
    if (this.#choice.value !== this.#endpoint) this.#choice.value = this.#endpoint;
  }

  #drawFacts(stands) {
    const isFailing = stands.breaker === "closed" && stands.failingSince;
    const working = t(stands.paused ? "delivery.paused" : `breaker.${isFailing ? "failing" : stands.breaker}`);
    const state = stands.disabled ? `${t("paused")} (${why(stands.disabled, "stopped")})` : working;
    this.#facts.replaceChildren(...facts([["URL", stands.url], [t("breaker"), state], [t("waiting"), stands.backlog],
      [t("dead"), stands.deadLetters], [t("settled"), `${stands.cursor.sequence} / ${stands.cursor.latest}`],
      ...["failingSince", "nextAttemptAt"].filter((moment) => stands[moment]).map((moment) => [t(moment), time(stands[moment])])]));
    const rows = stands.attempts.slice(0, ATTEMPTS).map((attempt) =>
      h("li", { "data-good": String(!attempt.error) }, h("span", { class: "mark", "aria-hidden": "true" }, attempt.error ? "✕" : "✓"),
        ...[`#${attempt.sequence ?? "–"}`, time(attempt.at), attempt.httpStatus ?? why(attempt.error, "delivery"), `${attempt.durationMs} ms`]
          .map((part) => h("span", {}, String(part)))));
    this.#attempts.replaceChildren(...(rows.length ? rows : [h("li", { class: "quiet" }, t("noAttempts"))]));
  }

  #drawLetters(deadLetters) {
    this.#letters.hidden = deadLetters.length === 0;
    this.#dead.replaceChildren(...deadLetters.map((letter) => h("li", {},
      ...[`#${letter.sequence}`, letter.type, why(letter.error, "delivery")].map((part) => h("span", {}, part)))));
  }

  #drawActions(disabled) {
    this.#disabled = disabled;
    this.#actions.replaceChildren(
      this.#button("testWebhook", "test-webhook", async () => {
        const { delivered, attempt } = await post(this.#at("/test"));
        say(t(delivered ? "tested" : "testFailed", { why: why(attempt.error, "delivery") }), delivered ? "good" : "bad");
      }),
      this.#button(disabled ? "enable" : "disable", "switch-webhook", async () => {
        await post(this.#at(disabled ? "/enable" : "/disable"));
      }));
  }

  /** A button that does one thing and then shows how deliveries stand. */
  #button(word, id, work) {
    return form({ id }, async () => {
      await work();
      await this.refresh();
    }, h("button", {}, t(word)));
  }

  #urlForm() {
    const url = h("input", { type: "url", required: true, autocomplete: "off" });
    const summary = h("summary", {}, t("changeUrl"));
    const details = h("details", { toggle: () => { if (details.open) url.value = this.#url; } }, summary,
      form({ id: "change-url" }, async () => {
        const path = this.#at();
        await get(path); // one that is gone is not made anew
        await call("PATCH", path, { url: url.value });
        say(t("urlChanged", { url: url.value }));
        details.open = false;
        summary.focus();
        await this.refresh();
      }, field(t("webhook"), url, t("webhookHint")), h("button", {}, t("save"))));
    return details;
  }

  #replayForm() {
    const from = h("input", { type: "number", min: "0", value: "0", required: true });
    return h("details", {}, h("summary", {}, t("replay")), form({ id: "replay" }, async () => {
      const { queued } = await post(this.#at("/replay"), { after: Math.max(0, Number(from.value) - 1) });
      say(t("replayed", { n: queued }));
      await this.refresh();
    }, field(t("replayFrom"), from), h("button", {}, t("replayNow"))));
  }
}
