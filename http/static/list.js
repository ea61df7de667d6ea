// All instances with their status, and the birth of a new one.

import { get, post } from "./api.js";
import { field, form, h, say } from "./dom.js";
import { keep } from "./secret.js";
import { t, why } from "./words.js";

const SEARCH_FROM = 8;

/** A status in words, and in a colour for those who see it; `count` are in it. */
export function badge(status, count = 1) {
  return h("span", { class: "badge", "data-status": status }, t(`${count === 1 ? "status" : "statuses"}.${status}`));
}

/** Why it is so: in words, and as the handbook calls it. */
export function because(reason) {
  const words = why(reason, "reason");
  return reason ? h("span", { class: "reason" }, words === reason ? "" : `${words} `, h("code", {}, reason)) : "";
}

export class InstanceList {
  #rows = h("ul", { class: "rows" });
  #find = h("input", { type: "search", "aria-label": t("find"), placeholder: t("findHint"), hidden: true, input: () => this.#draw() });
  #mayRead;
  #creation = null;
  #instances = null;
  #chosen = null;
  #drawn = null;

  /** `session` says what there is to see: with a key that may not look, names at most. */
  constructor(session) {
    this.#mayRead = session.scopes.includes("read");
    if (!this.#mayRead) this.#instances = (session.instances ?? []).map((name) => ({ name, status: null }));
    if (session.scopes.includes("manage")) this.#creation = this.#creationForm();
    this.element = h("nav", { class: "card list", "aria-labelledby": "instances" },
      h("h2", { id: "instances" }, t("instances")), this.#creation, this.#find, this.#rows,
      !this.#mayRead && session.instances === null && this.#opening());
    this.overview = h("div", { class: "overview" }, h("p", { class: "quiet" }, t("choose")));
  }

  async refresh() {
    if (!this.#mayRead) return;
    const isFirst = this.#instances === null;
    this.#instances = await get("/instances");
    if (isFirst && this.#instances.length === 0 && this.#creation) this.#creation.open = true;
    this.#draw();
    if (isFirst) this.#showChosen();
  }

  choose(name) {
    this.#chosen = name;
    this.#draw();
    this.#showChosen();
  }

  #showChosen() {
    this.#rows.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  #draw() {
    if (this.#instances === null) return;
    // What is replaced while somebody presses a button on it is not clicked.
    const wished = JSON.stringify([this.#instances, this.#chosen, this.#find.value]);
    if (wished === this.#drawn) return;
    this.#drawn = wished;
    if (this.#mayRead) this.#drawOverview();
    const wanted = this.#find.value.toLowerCase();
    this.#find.hidden = this.#instances.length < SEARCH_FROM;
    const fits = (words) => words.toLowerCase().includes(wanted);
    const rows = this.#instances.filter(({ name, status }) => fits(name) || (status && fits(t(`status.${status}`)))).map(({ name, status }) =>
      h("li", {}, h("a", { href: `#/instances/${encodeURIComponent(name)}`, "aria-current": name === this.#chosen && "page" },
        h("span", { class: "name" }, name), status && badge(status))));
    const empty = wanted ? "notFound" : this.#mayRead ? "none" : "hiddenNote";
    const focused = this.#rows.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.#rows.replaceChildren(...(rows.length ? rows : [h("li", { class: "quiet" }, t(empty))]));
    if (focused) this.#rows.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  /** How many there are of each status; a first step where there are none. */
  #drawOverview() {
    if (this.#instances.length === 0 && this.#creation) {
      this.overview.replaceChildren(h("h2", {}, t("welcome")), h("p", { class: "quiet" }, t("welcomeText")));
      return;
    }
    const counts = new Map();
    for (const { status } of this.#instances) counts.set(status, (counts.get(status) ?? 0) + 1);
    this.overview.replaceChildren(
      h("dl", { class: "tiles" }, ...[...counts].sort().map(([status, count]) =>
        h("div", { class: "card" }, h("dt", {}, badge(status, count)), h("dd", {}, String(count))))),
      h("p", { class: "quiet" }, t(this.#instances.length ? "choose" : "none")));
  }

  /** Whoever may send but not look names the instance. */
  #opening() {
    const name = h("input", { name: "name", required: true, autocomplete: "off" });
    return form({ id: "open" }, async () => { location.hash = `#/instances/${encodeURIComponent(name.value)}`; },
      field(t("name"), name), h("button", {}, t("open")));
  }

  #creationForm() {
    const name = h("input", { name: "name", required: true, pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]{0,62}", autocomplete: "off" });
    const webhook = h("input", { name: "webhook", type: "url", required: true, placeholder: "https://" });
    const made = form({ id: "create" }, async () => {
      const created = await post("/instances/create", { name: name.value, webhookUrl: webhook.value });
      say(t("created", created));
      keep(created);
      name.value = "";
      location.hash = `#/instances/${encodeURIComponent(created.name)}`;
      await this.refresh();
    }, field(t("name"), name, t("nameHint")), field(t("webhook"), webhook, t("webhookHint")),
      h("button", { class: "primary" }, t("createNow")));
    return h("details", { class: "creation" }, h("summary", {}, t("create")), made);
  }
}
