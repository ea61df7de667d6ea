// The log of an instance as a line in time: drag to a moment and see how the instance was then.

import { at, get } from "./api.js";
import { facts, form, h } from "./dom.js";
import { badge, because } from "./list.js";
import { Pace } from "./pace.js";
import { t, time, told, why } from "./words.js";

const PAGE = 1000;
const END = Number.MAX_SAFE_INTEGER;
const SHOWN = 60;
const MESSAGES = 12;
const SETTLE_MS = 120;
const STATE_EVERY_MS = 2000;

const STATUS_AFTER = {
  "instance.created": "INITIALIZING", "instance.restarted": "INITIALIZING", "instance.paired": "INITIALIZING",
  "instance.pairing_offered": "SCAN_QR_CODE", "instance.connected": "CONNECTED", "instance.recovered": "CONNECTED",
  "instance.degraded": "DEGRADED", "instance.disconnected": "DISCONNECTED", "instance.invalidated": "INVALID",
  "instance.removed": "REMOVED",
};

export class Timeline {
  #name;
  #events = [];
  #after = null;
  #room = PAGE;
  #older = false;
  #reading = null;
  #round = 0;
  #again = null;
  #chosen = null;
  #settling = null;
  #open = false;
  #pace = new Pace(STATE_EVERY_MS, () => this.#showState());
  #strip = h("div", { class: "strip", "aria-hidden": "true" });
  #slider = h("input", { type: "range", min: "0", max: "0", step: "1", "aria-label": t("moment"), input: () => this.#drag() });
  #when = h("output", { class: "when" });
  #now = h("button", { type: "button", hidden: true, click: () => this.#choose(null) }, t("now"));
  #past = h("div", { class: "past" });
  #rows = h("ol", { class: "events" });
  #earlier = form({ hidden: true }, () => this.#readEarlier(), h("button", {}, t("earlier")));

  constructor(name) {
    this.#name = name;
    this.element = h("section", { class: "card timeline", id: "log" }, h("h3", {}, t("log")), this.#strip, this.#slider,
      h("div", { class: "at" }, this.#when, this.#now), this.#past, h("h4", {}, t("events")), this.#rows, this.#earlier);
  }

  /** Read what is new. Two calls at once read once. */
  refresh() {
    this.#reading ??= this.#read().finally(() => { this.#reading = null; });
    return this.#reading;
  }

  /**
   * Read it once more: what stands here may have been forgotten, and goes at once, whether it can be read or not. The
   * chosen moment stays, if it is on the last page, and so does the focus.
   */
  async readAgain() {
    this.#round += 1;
    const active = document.activeElement;
    this.#again ??= { chosen: this.#events[this.#chosen]?.position, held: this.element.contains(active) ? active : null };
    this.#events = [];
    this.#after = null;
    this.#chosen = null;
    this.#room = PAGE;
    this.#older = false;
    this.#past.replaceChildren();
    this.#draw();
    while (this.#reading) await this.#reading.catch(() => {}); // it began before
    await this.refresh();
  }

  close() {
    clearTimeout(this.#settling);
    this.#pace.end();
  }

  /** The last page at first, then what has come since. */
  async #read() {
    const round = this.#round;
    const isFirst = this.#after === null;
    const had = this.#events.length;
    let page;
    do {
      page = await this.#page(isFirst ? `before=${END}` : `after=${this.#after}`);
      if (round !== this.#round) return;
      this.#events.push(...page.events);
      this.#after = page.next;
    } while (!isFirst && page.events.length === PAGE);
    if (isFirst) this.#older = page.events.length === PAGE;
    else if (this.#events.length === had) return;
    if (this.#events.length > this.#room + PAGE) {
      const chosen = this.#events[this.#chosen];
      this.#events.splice(0, this.#events.length - this.#room);
      this.#older = true;
      if (chosen) this.#chosen = Math.max(0, this.#events.indexOf(chosen));
    }
    if (this.#again) this.#goBack();
    else this.#draw();
    if (this.#chosen === null) this.#pace.soon();
  }

  #goBack() {
    const { chosen, held } = this.#again;
    this.#again = null;
    const index = this.#events.findIndex(({ position }) => position === chosen);
    if (index >= 0) this.#choose(index);
    else this.#draw();
    if (held && document.activeElement === document.body) (this.#rowAt(held.dataset.position) ?? held).focus({ preventScroll: true });
  }

  async #readEarlier() {
    const round = this.#round;
    this.#room += PAGE;
    const { events } = await this.#page(`before=${this.#events[0].position}`);
    if (round !== this.#round) return;
    this.#older = events.length === PAGE;
    this.#events.unshift(...events);
    if (events.length > 0) this.#choose(events.length - 1);
    else this.#draw();
  }

  /** A page of the log; an empty one where the instance is gone for good. */
  #page(which) {
    return get(at(this.#name, `/events?${which}&limit=${PAGE}`)).catch((problem) => {
      if (problem.status === 404) return { events: [], next: this.#after ?? 0 };
      throw problem;
    });
  }

  #drag() {
    const index = Number(this.#slider.value);
    this.#choose(index === this.#events.length - 1 ? null : index);
  }

  #choose(index) {
    this.#chosen = index;
    this.#past.classList.add("stale");
    this.#draw();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#showState(), SETTLE_MS);
  }

  #draw() {
    const last = this.#events.length - 1;
    const index = this.#chosen ?? last;
    const event = this.#events[index];
    this.#slider.max = String(Math.max(0, last));
    this.#slider.value = String(Math.max(0, index));
    this.#slider.disabled = last < 1;
    this.#now.hidden = this.#chosen === null;
    this.#earlier.hidden = !this.#older;
    const words = event ? `${time(event.recordedAt)} · ${told(event)}` : t("empty");
    this.#when.textContent = words;
    this.#slider.setAttribute("aria-valuetext", words);
    this.#drawStrip();
    this.#drawRows(index);
  }

  /** One piece for each stretch of the same status, as wide as it has events. */
  #drawStrip() {
    const pieces = [];
    let status = "INITIALIZING";
    for (const event of this.#events) {
      status = STATUS_AFTER[event.type] ?? status;
      if (pieces.at(-1)?.status === status) pieces.at(-1).count += 1;
      else pieces.push({ status, count: 1 });
    }
    this.#strip.replaceChildren(...pieces.map(({ status: kind, count }) => {
      const piece = h("span", { "data-status": kind });
      piece.style.flexGrow = String(count);
      return piece;
    }));
  }

  #drawRows(index) {
    const from = Math.max(0, Math.min(index - SHOWN / 2, this.#events.length - SHOWN));
    const focused = this.#rows.contains(document.activeElement) ? document.activeElement.dataset.position : null;
    const rows = this.#events.slice(from, from + SHOWN).map((event, offset) => {
      const here = from + offset;
      return h("li", { class: here > index && "future" },
        h("button", { type: "button", "data-position": event.position, "aria-current": here === index && "step",
          click: () => this.#choose(here) },
          h("time", { datetime: event.recordedAt }, time(event.recordedAt)),
          h("span", { "data-status": STATUS_AFTER[event.type] }, told(event)), h("small", {}, `${event.type} · ${event.position}`)));
    });
    this.#rows.replaceChildren(...rows.reverse());
    if (focused) this.#rowAt(focused)?.focus({ preventScroll: true });
  }

  #rowAt(position) {
    return this.#rows.querySelector(`[data-position="${position}"]`);
  }

  async #showState() {
    const event = this.#events[this.#chosen ?? this.#events.length - 1];
    if (!event) return;
    const round = this.#round;
    const wanted = event.position;
    const isNow = this.#chosen === null;
    let drawn;
    try {
      drawn = this.#stateThen(await get(at(this.#name, `/state?at=${wanted}`)));
    } catch (problem) {
      drawn = [h("p", { class: "wrong" }, problem.message)];
    }
    const stillWanted = isNow ? this.#chosen === null : this.#events[this.#chosen]?.position === wanted;
    if (!stillWanted || round !== this.#round) return;
    this.#past.classList.remove("stale");
    this.#past.dataset.position = String(wanted);
    this.#past.replaceChildren(
      h("h4", {}, isNow ? t("asNow") : t("then"), " ", h("small", {}, t("position", { n: wanted }))), ...drawn,
      h("details", { open: this.#open, toggle: ({ target }) => { this.#open = target.open; } }, h("summary", {}, `${t("data")}: ${event.type}`),
        h("pre", { tabindex: "0", "aria-label": t("data") }, JSON.stringify(event.data, null, 2))));
  }

  #stateThen(then) {
    const latest = then.messages.slice(-MESSAGES).reverse();
    const account = then.user ? then.user.jid.split("@")[0] : t("noAccount");
    return [
      h("p", { class: "state" }, badge(then.status ?? "REMOVED"), " ", because(then.reason), " ",
        t("since", { time: time(then.since) })),
      h("dl", { class: "facts" },
        ...facts([[t("account"), account], [t("restarts"), then.restarts], [t("webhook"), then.webhookUrl]])),
      h("h5", {}, t("messages")),
      h("ul", { class: "fates" }, ...(latest.length ? latest.map((message) =>
        h("li", {}, h("span", { class: "fate", "data-fate": message.fate }, t(`fate.${message.fate}`)), h("span", {}, message.jid || t("forgotten"),
          message.reason ? ` (${why(message.reason, "failure", "reason")})` : ""))) : [h("li", { class: "quiet" }, t("noMessages"))])),
    ];
  }
}
