// One instance: how it is, what can be done with it, and its cards.

import { at, call, get, post } from "./api.js";
import { facts, field, form, h, say } from "./dom.js";
import { Link } from "./link.js";
import { badge, because } from "./list.js";
import { Pace } from "./pace.js";
import { cardOf, forget } from "./secret.js";
import { SandboxCard } from "./sandbox.js";
import { Timeline } from "./timeline.js";
import { WebhookCard } from "./webhook.js";
import { t, time } from "./words.js";

const LOOK_AGAIN_MS = 250;
const FORGETTING = ["subject.erased", "content.expired"];

export class Instance {
  #name;
  #may;
  #title;
  #state = h("p", { class: "state", role: "status" });
  #facts = h("dl", { class: "facts" });
  #actions;
  #secret = h("div", { role: "status" });
  #test;
  #link;
  #sandbox;
  #timeline;
  #webhook;
  #view = null;
  #pace = new Pace(LOOK_AGAIN_MS, () => this.open().catch((problem) => say(problem.message, "bad")));
  #over = false;

  constructor(name, { may, sandbox }) {
    this.#name = name;
    this.#may = may;
    this.#title = h("h2", { tabindex: "-1" }, name);
    const dialog = may("manage") ? this.#removal() : null;
    this.#actions = dialog && this.#actionForms(dialog);
    this.#test = may("send") ? this.#testForm() : null;
    this.#sandbox = sandbox && may("manage") ? new SandboxCard(name, () => this.refresh()) : null;
    this.#link = may("manage") ? new Link(name, () => this.refresh(), this.#sandbox?.scan ?? "") : null;
    this.#timeline = may("read") ? new Timeline(name) : null;
    this.#webhook = may("read") ? new WebhookCard(name, may("manage")) : null;
    this.element = h("div", { class: "instance" },
      h("a", { class: "back", href: "#/" }, `← ${t("back")}`),
      h("header", { class: "card" }, h("div", { class: "heading" }, this.#title, this.#state, this.#actions), this.#facts, dialog),
      this.#secret,
      this.#link?.element, this.#test, this.#webhook?.element, this.#sandbox?.element, this.#timeline?.element);
  }

  async open() {
    await this.refresh();
    await Promise.all([this.#timeline?.refresh(), this.#webhook?.refresh()]).catch((problem) => say(problem.message, "bad"));
  }

  close() {
    this.#over = true;
    this.#link?.close();
    this.#timeline?.close();
    this.#pace.end();
  }

  focus() {
    if (matchMedia("(max-width: 55rem)").matches) this.#title.focus();
  }

  /** Something happened, here or elsewhere; null: something may have, and be forgotten, where nobody was listening. */
  take(events, missed) {
    const forgotten = missed || events?.some((event) => FORGETTING.includes(event.type));
    if (forgotten) this.#timeline?.readAgain().catch(() => {});
    // Where there is none (any more), what happens elsewhere may be that one is made under this name.
    if (forgotten || !events || !this.#view || events.some((event) => event.stream === this.#view.id)) this.#pace.soon();
  }

  async refresh() {
    if (!this.#may("read")) return;
    try {
      this.#view = await get(at(this.#name));
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      this.#view = null;
    }
    if (!this.#over) this.#draw();
  }

  #draw() {
    const view = this.#view;
    if (this.#actions) this.#actions.hidden = view === null;
    if (this.#test) this.#test.hidden = !view?.user;
    this.#link?.show(view);
    const secret = view && cardOf(view.id);
    if (this.#secret.firstChild !== secret) this.#secret.replaceChildren(...[secret].filter(Boolean));
    this.#sandbox?.show(view);
    if (view === null) {
      this.#state.replaceChildren(badge("REMOVED"), " ", t("gone"));
      this.#facts.replaceChildren();
      return;
    }
    this.#state.replaceChildren(badge(view.status), " ", because(view.reason), " ", t("since", { time: time(view.since) }));
    const account = view.user ? [...new Set([view.user.jid.split("@")[0], view.user.pushName])].filter(Boolean).join(" · ") : t("noAccount");
    this.#facts.replaceChildren(...facts([[t("account"), account], [t("restarts"), view.restarts],
      ...(view.retryAt ? [[t("retryAt"), time(view.retryAt)]] : []), [t("node"), view.node]]));
  }

  #removal() {
    const keep = h("input", { type: "checkbox", id: "keep" });
    const dialog = h("dialog", { "aria-labelledby": "remove-title" },
      h("h2", { id: "remove-title" }, t("removeTitle", { name: this.#name })), h("p", {}, t("removeText")),
      form({ id: "remove" }, async () => {
        await call("DELETE", at(this.#name, keep.checked ? "?unlink=false" : ""));
        dialog.close();
        if (this.#view) forget(this.#view.id);
        say(t("removed", { name: this.#name }));
        location.hash = "#/";
      }, h("p", { class: "check" }, keep, h("label", { for: "keep" }, t("keep"))),
        h("div", { class: "buttons" }, h("button", { type: "button", click: () => dialog.close() }, t("cancel")),
          h("button", { class: "danger" }, t("removeNow")))));
    return dialog;
  }

  #actionForms(dialog) {
    const restart = form({ id: "restart" }, async () => {
      await post(at(this.#name, "/restart"));
      say(t("restarted", { name: this.#name }));
    }, h("button", {}, t("restart")));
    return h("div", { class: "buttons" }, restart,
      h("button", { type: "button", class: "danger", click: () => dialog.showModal() }, t("remove")));
  }

  #testForm() {
    const to = h("input", { name: "number", required: true, inputmode: "tel", autocomplete: "off", placeholder: "+55 11 98765-4321" });
    const text = h("textarea", { name: "message", required: true, rows: "2" });
    return h("section", { class: "card", id: "test" }, h("h3", {}, t("test")), form({}, async () => {
      say(t("sent", await post(at(this.#name, "/message"), { number: to.value, message: text.value })));
      text.value = "";
    }, field(t("to"), to), field(t("text"), text), h("button", { class: "primary" }, t("send"))));
  }
}
